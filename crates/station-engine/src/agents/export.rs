//! An agent's definition given out, and one of the store made a file.

use super::AgentRef;
use crate::Station;
use crate::workspace::Workspace;
use station_core::{Action, Agent, Caller, Environment, Origin, Result};

/// An agent's definition.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The agent.
    pub agent: Agent,
    /// Its environment.
    pub environment: Environment,
    /// The text of its file, byte for byte.
    pub source: String,
    /// Its file, relative to the workspace.
    pub file: Option<String>,
    /// Whether that file was made now.
    pub made: bool,
}

impl Station {
    /// The definition of an agent as it is stored.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn read_agent(&self, by: &Caller, agent: &AgentRef) -> Result<Exported> {
        by.may(Action::ReadAgents)?;
        let agent = self.find_agent(by, agent).await?;
        let environment = self.environment_of(&agent).await?;
        let source = self.store().agent_source(agent.id).await?;
        let file = match agent.origin {
            Origin::File => Some(shown(&environment, &agent)),
            Origin::Store => None,
        };
        Ok(Exported { agent, environment, source, file, made: false })
    }

    /// Makes an agent of the store one of files: its file is written, and is what counts from then on. One that has a
    /// file stays as it is.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where files are managed elsewhere, or a file of its name is there already.
    pub async fn export_agent(&self, by: &Caller, agent: &AgentRef) -> Result<Exported> {
        by.may(Action::EditAgents)?;
        let read = self.read_agent(by, agent).await?;
        if read.agent.origin == Origin::File {
            return Ok(read);
        }
        let workspace = &self.config().workspace;
        self.refuse_managed(&read.environment.name)?;
        let (mut row, _) = self.row_of(&read.environment, &read.agent.name, read.source.clone()).await?;
        let path = shown(&read.environment, &read.agent);
        workspace.write_new(
            &read.environment.name,
            &Workspace::agent_path(&read.agent.name),
            &read.source,
        )?;
        row.path = Some(path.clone());
        let id = workspace.ensure_id()?;
        self.store().export_agent(read.environment.id, &row, &id, by.actor(), self.now()).await?;
        let agent = self.find_agent(by, &AgentRef::Id(read.agent.id)).await?;
        Ok(Exported { agent, file: Some(path), made: true, ..read })
    }
}

fn shown(environment: &Environment, agent: &Agent) -> String {
    format!("environments/{}/{}", environment.name, Workspace::agent_path(&agent.name))
}

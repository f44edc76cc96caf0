//! Changes fields of an agent, in its file or in the store.

use super::{AgentDetails, AgentRef};
use crate::Station;
use crate::catalog::written;
use crate::change::Thing;
use station_core::file::Problem;
use station_core::file::edit::{AgentEdit, edit_agent};
use station_core::file::{Severity, prompt};
use station_core::sync::{AgentRow, Change, Grant};
use station_core::{Action, AgentName, Caller, Environment, Error, Origin, Result, grant};

/// An agent that was changed.
#[derive(Clone, Debug)]
pub struct AgentUpdate {
    /// As it is now.
    pub agent: AgentDetails,
    /// Notes and warnings about its file.
    pub problems: Vec<Problem>,
}

impl Station {
    /// Changes what `edit` names and keeps the rest of the agent's file byte for byte.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` where the edit or its result is refused; `Conflict` where its file is managed elsewhere.
    pub async fn update_agent(&self, by: &Caller, agent: &AgentRef, edit: &AgentEdit) -> Result<AgentUpdate> {
        by.may(Action::EditAgents)?;
        edit.check()?;
        let agent = self.find_agent(by, agent).await?;
        let environment = self.environment_of(&agent).await?;
        let problems = match agent.origin {
            Origin::Store => {
                let source = self.store().agent_source(agent.id).await?;
                let source = edit_agent(&source, edit)?;
                self.put_in_store(by, &environment, &agent.name, source).await?
            }
            Origin::File => {
                let gone = || self.elsewhere("agent", agent.name.as_str(), &environment);
                let thing = Thing::Agent(agent.name.as_str());
                let change = |text: Option<&str>| Ok(Some(edit_agent(text.ok_or_else(gone)?, edit)?));
                self.change_file(by, &environment.name, thing, change).await?.problems
            }
        };
        let agent = self.show_agent(by, &AgentRef::Id(agent.id)).await?;
        Ok(AgentUpdate { agent, problems })
    }

    /// Keeps an agent in the store alone.
    ///
    /// # Errors
    /// `Invalid` where its definition is broken.
    pub(super) async fn put_in_store(
        &self,
        by: &Caller,
        environment: &Environment,
        name: &AgentName,
        source: String,
    ) -> Result<Vec<Problem>> {
        let (row, problems) = self.row_of(environment, name, source).await?;
        let changes = [Change::PutAgent(Box::new(row))];
        self.store().apply_without_files(&environment.name, &changes, by.actor(), self.now()).await?;
        Ok(problems)
    }

    /// The row of an agent that is defined by `source`, with its grants linked to the catalog as it is now.
    ///
    /// # Errors
    /// `Invalid` where the definition is broken.
    pub(super) async fn row_of(
        &self,
        environment: &Environment,
        name: &AgentName,
        source: String,
    ) -> Result<(AgentRow, Vec<Problem>)> {
        let (prompt, problems) = prompt::read(&source, &format!("agents/{name}.prompt"));
        let broken = problems.iter().find(|problem| problem.severity == Severity::Error);
        let prompt = match (prompt, broken) {
            (Some(prompt), _) => prompt,
            (None, Some(problem)) => return Err(problem.clone().into()),
            (None, None) => {
                return Err(Error::invalid(format!("the definition of agent `{name}` is broken")));
            }
        };
        let catalog = self.store().tool_names(environment.id).await?;
        let stored = self.store().agents_named(name.as_str(), Some(environment.id)).await?.pop();
        let grants = match &stored {
            Some(agent) => self.store().grants(agent.id).await?,
            None => Vec::new(),
        };
        let links = grant::link(&prompt.tools, &catalog, &written(&grants).1);
        let row = AgentRow {
            name: name.clone(),
            description: prompt.description,
            model: prompt.models.into_iter().next(),
            tags: prompt.tags,
            source,
            path: None,
            tools: links.into_iter().map(|link| Grant { written: link.written, tool: link.tool }).collect(),
            agents: prompt.agents,
            existed: stored.is_some(),
        };
        Ok((row, problems))
    }

    /// Something whose file is not in this workspace.
    pub(crate) fn elsewhere(&self, noun: &str, name: &str, environment: &Environment) -> Error {
        let sentence = format!(
            "{noun} `{name}` of environment `{}` is managed by files that are not here",
            environment.name
        );
        Error::conflict(sentence).with_hint(format!(
            "change them in their workspace; where the file was deleted here, `stn sync {}` removes what it defined",
            environment.name
        ))
    }
}

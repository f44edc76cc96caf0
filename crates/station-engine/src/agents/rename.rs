//! Gives an agent another name. Its file is renamed, and its row keeps its number with everything that hangs on it: runs,
//! approvals, limits. What other agents' files say of it is theirs: they are named to whoever asked.

use super::{AgentDetails, AgentRef};
use crate::Station;
use crate::change::Thing;
use crate::workspace::{Replaced, Workspace};
use station_core::file::edit::rename_agent;
use station_core::file::{Problem, Severity};
use station_core::sync::{AgentRow, Change, Removals, Text};
use station_core::{Action, Agent, AgentName, Caller, Environment, Error, Origin, Result, Secret};

/// An agent that was renamed.
#[derive(Clone, Debug)]
pub struct AgentRenaming {
    /// As it is now.
    pub agent: AgentDetails,
    /// The name it had.
    pub was: AgentName,
    /// Agents whose files name it as before: they work without it until they are changed.
    pub called_by: Vec<String>,
    /// Notes and warnings about its file.
    pub problems: Vec<Problem>,
}

impl Station {
    /// Calls an agent `name` from now on.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where the name is taken, or was an agent's that is deleted, or its file is managed elsewhere.
    pub async fn rename_agent(
        &self,
        by: &Caller,
        agent: &AgentRef,
        name: &AgentName,
    ) -> Result<AgentRenaming> {
        by.may(Action::EditAgents)?;
        let agent = self.find_agent(by, agent).await?;
        let environment = self.environment_of(&agent).await?;
        let called_by = self.store().callers_of(agent.id).await?;
        let mut problems = Vec::new();
        if agent.name != *name {
            self.refuse_taken(&environment, name).await?;
            problems = match agent.origin {
                Origin::Store => self.rename_in_store(by, &environment, &agent, name).await?,
                Origin::File => self.rename_file(by, &environment, &agent, name).await?,
            };
        }
        let was = agent.name;
        let agent = self.show_agent(by, &AgentRef::Id(agent.id)).await?;
        Ok(AgentRenaming { agent, was, called_by, problems })
    }

    async fn refuse_taken(&self, environment: &Environment, name: &AgentName) -> Result<()> {
        let taken = self.store().agents_named(name.as_str(), Some(environment.id)).await?;
        if !taken.is_empty() {
            let sentence = format!("agent `{name}` exists already in environment `{}`", environment.name);
            return Err(Error::conflict(sentence).with_hint("choose another name"));
        }
        let id = self.config().workspace.known_id();
        if self.store().stored(&environment.name, &id).await?.removed_agents.contains(name.as_str()) {
            let sentence = format!("an agent `{name}` was deleted, and its runs are kept under this name");
            return Err(Error::conflict(sentence).with_hint("choose another name"));
        }
        Ok(())
    }

    async fn rename_in_store(
        &self,
        by: &Caller,
        environment: &Environment,
        agent: &Agent,
        name: &AgentName,
    ) -> Result<Vec<Problem>> {
        let source = self.store().agent_source(agent.id).await?;
        let source = rename_agent(&source, name.as_str())?;
        let (mut row, problems) = self.row_of(environment, &agent.name, source).await?;
        row.name = name.clone();
        let change = renamed(agent, Box::new(row));
        self.store().apply_without_files(&environment.name, &[change], by.actor(), self.now()).await?;
        Ok(problems)
    }

    async fn rename_file(
        &self,
        by: &Caller,
        environment: &Environment,
        agent: &Agent,
        name: &AgentName,
    ) -> Result<Vec<Problem>> {
        self.refuse_managed(&environment.name)?;
        let workspace = &self.config().workspace;
        let mut folder = workspace.read(&environment.name, workspace.ensure_id()?)?;
        let was = Thing::Agent(agent.name.as_str());
        let Some(text) = self.file_of(&environment.name, was)? else {
            return Err(self.elsewhere("agent", agent.name.as_str(), environment));
        };
        let before = text.body.expose();
        let after = rename_agent(before, name.as_str())?;
        // The plan of the folder as it would be, before anything is written.
        let path = format!("environments/{}/{}", environment.name, Workspace::agent_path(name));
        folder.files.agents.remove(agent.name.as_str());
        let text = Text { path: path.clone(), body: Secret::new(after.clone()) };
        folder.files.agents.insert(name.to_string(), text);
        let plan = self.plan(&folder, Removals::Keep).await?.plan;
        let problems: Vec<Problem> = plan.problems.into_iter().filter(|it| it.path == path).collect();
        if let Some(problem) = problems.iter().find(|it| it.severity == Severity::Error) {
            return Err(problem.clone().into());
        }
        let row = plan.changes.into_iter().find_map(|change| match change {
            // Where other files say the same the plan proves nothing; here nothing needs a proof.
            Change::PutAgent(row) | Change::RenameAgent { row, .. } if row.name == *name => Some(row),
            _ => None,
        });
        let row = row.ok_or_else(|| Error::internal("renaming an agent", "the plan has no row for it"))?;
        match workspace.rename_agent(&environment.name, (&agent.name, before), (name, &after))? {
            Replaced::Done => {}
            Replaced::Moved => {
                return Err(Error::conflict(format!(
                    "the file of agent `{}` was changed meanwhile",
                    agent.name
                ))
                .with_hint("try again: nothing was changed here"));
            }
        }
        self.apply_changes(by.actor(), &environment.name, &folder, &[renamed(agent, row)]).await?;
        Ok(problems)
    }
}

fn renamed(agent: &Agent, row: Box<AgentRow>) -> Change {
    Change::RenameAgent { id: agent.id, from: agent.name.to_string(), row }
}

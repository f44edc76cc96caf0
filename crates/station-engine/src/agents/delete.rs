//! Deletes an agent: what will go is told first.

use super::AgentRef;
use crate::Station;
use crate::change::Thing;
use station_core::{Action, Agent, Caller, Environment, Error, Origin, Result, plural};
use station_store::RunFilter;

/// What goes with an agent, and what stays.
#[derive(Clone, Debug)]
pub struct AgentDeletion {
    /// The agent.
    pub agent: Agent,
    /// Its environment.
    pub environment: Environment,
    /// Its file, relative to the workspace; `None` for an agent of the store.
    pub file: Option<String>,
    /// Agents whose files name it: they work without it.
    pub called_by: Vec<String>,
    /// Its runs; they are kept.
    pub runs: u64,
}

impl Station {
    /// What deleting an agent would do.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where it has runs that have not ended, or its file is managed elsewhere.
    pub async fn plan_agent_deletion(&self, by: &Caller, agent: &AgentRef) -> Result<AgentDeletion> {
        by.may(Action::ReadAgents)?;
        let agent = self.find_agent(by, agent).await?;
        let environment = self.environment_of(&agent).await?;
        let filter = RunFilter { agent: Some(agent.id), ..RunFilter::default() };
        let runs = self.store().count_runs(&filter).await?;
        let open = self.store().count_runs(&RunFilter { open: true, ..filter }).await?;
        self.refuse_open(&format!("agent `{}`", agent.name), open)?;
        let file = match agent.origin {
            Origin::Store => None,
            Origin::File => {
                self.refuse_managed(&environment.name)?;
                let text = self.file_of(&environment.name, Thing::Agent(agent.name.as_str()))?;
                let gone = || self.elsewhere("agent", agent.name.as_str(), &environment);
                Some(text.ok_or_else(gone)?.path)
            }
        };
        let called_by = self.store().callers_of(agent.id).await?;
        Ok(AgentDeletion { agent, environment, file, called_by, runs })
    }

    /// Deletes an agent. Its row stays as removed, with its runs; an agent of the same name has the same id again.
    ///
    /// # Errors
    /// As [`Station::plan_agent_deletion`].
    pub async fn delete_agent(&self, by: &Caller, agent: &AgentRef) -> Result<AgentDeletion> {
        by.may(Action::EditAgents)?;
        let gone = self.plan_agent_deletion(by, agent).await?;
        if gone.file.is_some() {
            self.change_file(by, &gone.environment.name, Thing::Agent(gone.agent.name.as_str()), |_| {
                Ok(None)
            })
            .await?;
        }
        self.store().remove_agent(gone.agent.id, by.actor(), self.now()).await?;
        Ok(gone)
    }

    /// Refuses to take away from runs what they are at work with.
    pub(crate) fn refuse_open(&self, what: &str, open: u64) -> Result<()> {
        if open == 0 {
            return Ok(());
        }
        let verb = if open == 1 { "has" } else { "have" };
        let sentence = format!("{what} has {} that {verb} not ended", plural(open, "run"));
        Err(Error::conflict(sentence)
            .with_hint("`stn runs list --waiting` shows them; `stn runs cancel` ends one"))
    }
}

//! Switches an agent on or off. That is a state of its row, like its runs: no file says it.

use super::{AgentDetails, AgentRef};
use crate::Station;
use station_core::{Action, Caller, Result};

impl Station {
    /// Says whether an agent may be run. Runs that are under way go on.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn enable_agent(&self, by: &Caller, agent: &AgentRef, enabled: bool) -> Result<AgentDetails> {
        by.may(Action::EditAgents)?;
        let agent = self.find_agent(by, agent).await?;
        self.store().enable_agent(agent.id, enabled, by.actor(), self.now()).await?;
        self.show_agent(by, &AgentRef::Id(agent.id)).await
    }
}

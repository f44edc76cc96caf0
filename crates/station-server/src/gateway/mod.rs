//! An environment as one MCP server: what all its servers offer, called through the same gate as tools of runs.
//!
//! A tool or a prompt has its upstream name where no other of the environment has it too, and `server__name` where one does; a
//! resource keeps its address, and the first server that has one gives it. Listing starts what was never listed, and nothing
//! else, and leaves out what a call would be refused of; a call goes through `engine::call`: rules as they are now, an audit row
//! before anything is sent, and a question to a person where a rule asks for one. What a server returns arrives as it was said,
//! with how far it is, its log messages, and what it asks: whatever its era, a modern client is asked by a result, an older one
//! by a request where it declared that it can be.

mod calls;
mod host;
mod looks;
mod names;
mod offers;
mod open;
mod state;
mod watching;

use crate::tools::{Desk, Management, apply, listed_agent_tools};
use names::{SEARCH_FROM, listed, named, search_tool};
use open::Held;
use serde_json::Value;
use station_core::{EnvironmentName, Result, Tool};
use station_engine::Station;
use station_mcp::serve::Asked;
use std::sync::Arc;

/// An environment as a server.
#[derive(Clone)]
pub struct Gateway {
    station: Station,
    environment: EnvironmentName,
    /// Where its agents are run, if it offers them.
    desk: Arc<Desk>,
    /// Requests that wait for what their clients were asked.
    held: Arc<Held>,
}

impl Gateway {
    /// The gateway to `environment`, which need not exist yet. Agents that it offers are run as `management` runs them: it
    /// lets go of them at the end.
    #[must_use]
    pub fn new(management: &Management, environment: EnvironmentName) -> Self {
        let desk = management.desk();
        Self { station: desk.station.clone(), environment, desk, held: Arc::default() }
    }

    /// Applies changed files, and lists what was never listed and what says that it has changed; what is broken in the files
    /// is in the log.
    async fn refresh(&self) -> Result<()> {
        apply(&self.station, &self.environment).await?;
        self.station.refresh_catalog(&self.environment).await?;
        self.station.refresh_changed(&self.environment).await
    }

    /// Every tool by the name that it has here, in the order of the files, with whether it may be called now. What may not
    /// has a name of its own all the same: no other takes it meanwhile.
    async fn known(&self, asked: &Asked) -> Result<Vec<(String, Tool, bool)>> {
        self.station.list_callable(&asked.by, &self.environment).await.map(named)
    }

    /// Those that may be called now, as they are shown, and then the environment's agents where they are offered.
    async fn offered(&self, asked: &Asked) -> Result<Vec<Value>> {
        let known = self.known(asked).await?;
        let callable = known.iter().filter(|(.., may_be_called)| *may_be_called);
        let mut offered: Vec<Value> = callable.map(|(name, tool, _)| listed(name, tool)).collect();
        if self.station.offers_agents(&asked.by, &self.environment).await? {
            let agents = listed_agent_tools(&self.desk, &asked.by, &self.environment).await?;
            // A tool of a server goes before an agent of its name.
            let is_free = |agent: &Value| known.iter().all(|(name, ..)| agent["name"] != name.as_str());
            offered.extend(agents.into_iter().filter(is_free));
        }
        Ok(offered)
    }

    /// What is offered, and the tool that searches it where it is much.
    async fn shown(&self, asked: &Asked) -> Result<Vec<Value>> {
        let mut shown = self.offered(asked).await?;
        if shown.len() > SEARCH_FROM {
            shown.push(search_tool());
        }
        Ok(shown)
    }
}

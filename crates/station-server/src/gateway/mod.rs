//! An environment as one MCP server: what all its servers offer, called through the same gate as tools of runs.
//!
//! A tool or a prompt has its upstream name where no other of the environment has it too, and `server__name` where one does; a
//! resource keeps its address, and the first server that has one gives it. Listing starts what was never listed, and nothing
//! else, and leaves out what a call would be refused of; a call goes through `engine::call`: rules as they are now, an audit row
//! before anything is sent, and a question to a person where a rule asks for one. What a server returns arrives as it was said,
//! with how far it is, its log messages, and what it asks: whatever its era, a modern client is asked by a result, an older one
//! by a request where it declared that it can be.

mod calls;
mod consent;
mod host;
mod lacking;
mod looks;
mod names;
mod offers;
mod open;
mod state;
mod watching;

use crate::tools::{Desk, Management, listed_agent_tools, tell_broken};
use names::Shown;
use open::Held;
use station_core::{Caller, EnvironmentName, Result, Role};
use station_engine::{CallableTool, Station};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An environment as a server.
#[derive(Clone)]
pub struct Gateway {
    station: Station,
    environment: EnvironmentName,
    /// Where its agents are run, if it offers them.
    desk: Arc<Desk>,
    /// Requests that wait for what their clients were asked.
    held: Arc<Held>,
    /// The tools as they were shown last to each role.
    shown: Arc<Mutex<BTreeMap<Role, Arc<Shown>>>>,
}

impl Gateway {
    /// The gateway to `environment`, which need not exist yet. Agents that it offers are run as `management` runs them: it
    /// lets go of them at the end.
    #[must_use]
    pub fn new(management: &Management, environment: EnvironmentName) -> Self {
        let desk = management.desk();
        let station = desk.station.clone();
        Self { station, environment, desk, held: Arc::default(), shown: Arc::default() }
    }

    /// Applies changed files, and lists what was never listed and what says that it has changed; what is broken in the files
    /// is in the log.
    async fn refresh(&self) -> Result<()> {
        let problems = self.station.refresh_environment(&self.environment).await?;
        tell_broken(&self.environment, &problems);
        Ok(())
    }

    /// What is offered now: the environment is brought up to date before.
    async fn shown(&self, by: &Caller) -> Result<Arc<Shown>> {
        let (problems, tools) = self.station.refresh_tools(by, &self.environment).await?;
        tell_broken(&self.environment, &problems);
        self.shown_of(by, tools).await
    }

    /// What is offered as far as it is known: nothing is started for it.
    async fn known(&self, by: &Caller) -> Result<Arc<Shown>> {
        let tools = self.station.list_callable(by, &self.environment).await?;
        self.shown_of(by, tools).await
    }

    /// `tools` by the names that they have here, and then the environment's agents where they are offered: made anew where the
    /// environment has changed.
    async fn shown_of(&self, by: &Caller, tools: Arc<[CallableTool]>) -> Result<Arc<Shown>> {
        if let Some(shown) = self.kept().get(&by.role).filter(|shown| shown.is_of(&tools)) {
            return Ok(Arc::clone(shown));
        }
        let agents = match self.station.offers_agents(by, &self.environment).await? {
            true => listed_agent_tools(&self.desk, by, &self.environment).await?,
            false => Vec::new(),
        };
        let more = self.station.more_of_tools(by, &self.environment).await?;
        let shown = Arc::new(Shown::new(tools, more, agents));
        self.kept().insert(by.role, Arc::clone(&shown));
        Ok(shown)
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<Role, Arc<Shown>>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

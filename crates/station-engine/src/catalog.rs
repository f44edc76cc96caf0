//! Discovery: connects to servers, lists what they offer, and keeps it in the catalog.
//!
//! Servers are asked side by side, each within its own time. A server that fails leaves its sibling's and its own
//! known tools as they were: a failed discovery removes nothing, it only says why.

use crate::rights::reach_of;
use crate::variables::Values;
use crate::{Live, Seen, Station};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use station_core::grant::{self, Link};
use station_core::sync::Grant;
use station_core::{
    Action, Agent, AgentId, Caller, Environment, EnvironmentId, EnvironmentName, Error, Micros, Result,
    RunId, Secret, Server, ServerId, ToolId, ToolNames,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Servers that are started at a time: enough to hide their start-up, few enough for two cores.
const SIDE_BY_SIDE: usize = 16;

/// A server that could not be listed is asked again by a run after so long; `stn sync` asks at once.
const RETRY_AFTER: Duration = Duration::from_secs(300);

/// What came of a discovery.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// One row per server that was asked, in file order.
    pub servers: Vec<Discovered>,
    /// What to know about grants afterwards: short names that several servers offer, names that nothing offers.
    pub warnings: Vec<String>,
}

/// What one server answered.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// Its name.
    pub server: String,
    /// Number of tools, or why it could not be asked.
    pub result: Result<usize, String>,
    /// How long it took.
    pub ms: u64,
}

/// Listings that are under way, or were the last ones, by server: whoever wants one that is not begun yet shares it. A watcher
/// for each of many clients would otherwise list as often as there are clients.
#[derive(Default)]
pub(crate) struct Flights(Mutex<HashMap<ServerId, Arc<tokio::sync::Mutex<Option<Flight>>>>>);

/// A listing that has ended.
pub(crate) struct Flight {
    began: Instant,
    found: Discovered,
}

impl Flights {
    fn of(&self, server: ServerId) -> Arc<tokio::sync::Mutex<Option<Flight>>> {
        let mut all = self.0.lock().expect("no holder of this lock can panic");
        Arc::clone(all.entry(server).or_default())
    }
}

impl Station {
    /// Connects to the servers of an environment and lists their tools anew.
    ///
    /// # Errors
    /// `NotFound` where the environment does not exist; a server's failure is in its row.
    pub async fn discover_tools(&self, by: &Caller, environment: &EnvironmentName) -> Result<Discovery> {
        by.may(Action::CallTools)?;
        let environment = self.find_environment(by, environment).await?;
        self.discover(&environment, &|_| true).await
    }

    /// As [`Station::discover_tools`], for the servers of one server file.
    ///
    /// # Errors
    /// `NotFound` where there is no such file.
    pub async fn discover_server_file(&self, by: &Caller, id: i64) -> Result<Discovery> {
        by.may(Action::CallTools)?;
        let files = self.store().server_files(None).await?;
        let Some(file) = files.into_iter().find(|file| file.id == id && by.sees(file.environment)) else {
            return Err(Error::not_found(format!("server file {id} does not exist"))
                .with_hint("`list_mcp_configs` shows them"));
        };
        let environment = self.store().environment_by_id(file.environment).await?;
        let gone = || Error::not_found(format!("the environment of server file `{}` is gone", file.name));
        self.discover(&environment.ok_or_else(gone)?, &|server| server.config == file.name).await
    }

    /// Discovers the servers of `environment` that `pick` picks, then links its agents' grants anew.
    pub(crate) async fn discover(
        &self,
        environment: &Environment,
        pick: &(dyn Fn(&Server) -> bool + Sync),
    ) -> Result<Discovery> {
        self.discover_given(environment, pick, &BTreeMap::new()).await
    }

    /// As [`Station::discover`], with values that are `given` for the servers' variables.
    async fn discover_given(
        &self,
        environment: &Environment,
        pick: &(dyn Fn(&Server) -> bool + Sync),
        given: &BTreeMap<String, Secret>,
    ) -> Result<Discovery> {
        let servers: Vec<Server> =
            self.store().servers(Some(environment.id)).await?.into_iter().filter(pick).collect();
        if servers.is_empty() {
            return Ok(Discovery::default());
        }
        let values = Values::read(self, environment.id, given.clone()).await?;
        // Boxed, because the compiler cannot see that a stream of such closures may move between threads.
        let asked: Vec<BoxFuture<'_, (usize, Result<Discovered>)>> = servers
            .iter()
            .enumerate()
            .map(|(at, server)| self.discover_one(server, &values).map(move |found| (at, found)).boxed())
            .collect();
        // A slow one keeps its own place alone, not those of the servers behind it.
        let mut found: Vec<(usize, Result<Discovered>)> =
            futures::stream::iter(asked).buffer_unordered(SIDE_BY_SIDE).collect().await;
        found.sort_by_key(|(at, _)| *at);
        let servers = found.into_iter().map(|(_, found)| found).collect::<Result<_>>()?;
        Ok(Discovery { servers, warnings: self.link_grants(environment).await? })
    }

    /// Discovers what a run of `environment` would otherwise have to do without: servers never listed, and those
    /// listed longer ago than `discovery.ttl`. One that failed is left alone for a while: a run must not wait each time
    /// for a server that is down. One that could not start for want of a value that is `given` now is asked at once.
    pub(crate) async fn discover_stale(
        &self,
        environment: &Environment,
        has_use: &(dyn Fn(&Server) -> bool + Sync),
        given: &BTreeMap<String, Secret>,
    ) -> Result<Discovery> {
        let enabled = self.enabled_by(environment.id, given).await?;
        let now = self.now();
        let is_wanted = |server: &Server| {
            let may_be_asked = now >= self.rests_until(server) || enabled.contains(&server.id);
            may_be_asked && has_use(server) && now >= self.known_until(server)
        };
        self.discover_given(environment, &is_wanted, given).await
    }

    /// From when on a server is to be listed anew by whoever has use for it.
    pub(crate) fn listed_anew_at(&self, server: &Server) -> Micros {
        self.known_until(server).max(self.rests_until(server))
    }

    /// How long what is known of a server is good.
    fn known_until(&self, server: &Server) -> Micros {
        let ttl_ms = crate::lease::millis(self.config().discovery_ttl);
        server.discovered_at.map_or(Micros(0), |at| at.plus_ms(ttl_ms.saturating_add(1)))
    }

    /// How long a server that failed is left alone.
    fn rests_until(&self, server: &Server) -> Micros {
        let ttl_ms = crate::lease::millis(self.config().discovery_ttl);
        let retry_ms = crate::lease::millis(RETRY_AFTER).min(ttl_ms);
        server.problem_at.map_or(Micros(0), |at| at.plus_ms(retry_ms))
    }

    /// The servers that a run of `agent` and of the agents below it has use for, by their grants.
    pub(crate) async fn servers_of(&self, agent: &Agent) -> Result<BTreeSet<ServerId>> {
        let servers = self.store().servers(Some(agent.environment)).await?;
        let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
        let mut found = BTreeSet::new();
        for agent in self.family(agent.id).await? {
            for (written, server) in self.store().granted_servers(agent).await? {
                found.extend(server);
                // A pattern means whatever is offered: what is known of it is never all.
                if server.is_none() || written.contains('*') {
                    let may = grant::may_come_from(&written, &names);
                    found.extend(servers.iter().filter(|it| may.contains(&it.name.as_str())).map(|it| it.id));
                }
            }
        }
        Ok(found)
    }

    /// Lists anew what said, since it was last listed, that its lists have changed.
    pub(crate) async fn discover_changed(&self, id: EnvironmentId) -> Result<()> {
        let changed = self.pool().changed(id);
        if changed.is_empty() {
            return Ok(());
        }
        if let Some(environment) = self.store().environment_by_id(id).await? {
            self.discover(&environment, &|server| changed.contains(&server.id)).await?;
        }
        Ok(())
    }

    /// Lists one server, or takes over what a listing found that others had begun meanwhile.
    async fn discover_one(&self, server: &Server, values: &Values) -> Result<Discovered> {
        let wished = Instant::now();
        let flight = self.flights().of(server.id);
        let mut last = flight.lock().await;
        if let Some(last) = last.as_ref().filter(|last| last.began >= wished && !values.has_explicit()) {
            return Ok(last.found.clone());
        }
        let began = Instant::now();
        let found = self.list_server(server, values).await?;
        // Values that are given hold for whoever gives them.
        *last = (!values.has_explicit()).then(|| Flight { began, found: found.clone() });
        Ok(found)
    }

    async fn list_server(&self, server: &Server, values: &Values) -> Result<Discovered> {
        let started = Instant::now();
        let listed = match reach_of(self, server, values).await? {
            Ok(reach) => self.pool().list(&reach).await,
            Err(sentence) => Err(sentence),
        };
        let result = match listed {
            Ok(found) => {
                self.store().record_discovery(server.id, &found, self.now()).await?;
                Ok(found.tools.len())
            }
            Err(sentence) => {
                self.store().record_discovery_failure(server.id, &sentence, self.now()).await?;
                Err(sentence)
            }
        };
        let seen = Seen::Discovery { server: server.name.clone(), result: result.clone() };
        self.bus().tell(Live { run: RunId(0), depth: 0, agent: String::new(), seen });
        let ms = crate::lease::millis(started.elapsed());
        Ok(Discovered { server: server.name.clone(), result, ms })
    }

    /// Links every grant of the environment's agents to the catalog as it is now.
    pub(crate) async fn link_grants(&self, environment: &Environment) -> Result<Vec<String>> {
        let catalog = self.store().tool_names(environment.id).await?;
        let mut grants = self.store().grants_by_agent(environment.id).await?;
        let mut links: Vec<(AgentId, Vec<Grant>)> = Vec::new();
        let mut warnings = BTreeSet::new();
        for agent in self.store().agents(Some(environment.id)).await? {
            let before = grants.remove(agent.name.as_str()).unwrap_or_default();
            let (written, previous) = written(&before);
            let after = grant::link(&written, &catalog, &previous);
            warnings.extend(after.iter().filter_map(|link| warning(agent.name.as_str(), link, &catalog)));
            let after: Vec<Grant> =
                after.into_iter().map(|link| Grant { written: link.written, tool: link.tool }).collect();
            if after != before {
                links.push((agent.id, after));
            }
        }
        self.store().relink(environment.id, &links).await?;
        Ok(warnings.into_iter().collect())
    }
}

/// The grants as written, each once, and the tool that each short name has now.
pub(crate) fn written(grants: &[Grant]) -> (Vec<String>, BTreeMap<String, ToolId>) {
    let mut names: Vec<String> = Vec::new();
    let mut previous = BTreeMap::new();
    for grant in grants {
        if !names.contains(&grant.written) {
            names.push(grant.written.clone());
        }
        previous.extend(grant.tool.map(|tool| (grant.written.clone(), tool)));
    }
    (names, previous)
}

fn warning(agent: &str, link: &Link, catalog: &ToolNames) -> Option<String> {
    if link.tool.is_none() {
        let meant = grant::nearest(&link.written, catalog);
        let hint = meant.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        return Some(format!(
            "agent `{agent}`: nothing offers `{}`; it works without it{hint}",
            link.written
        ));
    }
    (!link.also_offered_by.is_empty()).then(|| {
        format!(
            "agent `{agent}`: `{}` is also offered by `{}`; write `server__tool` to choose",
            link.written,
            link.also_offered_by.join("`, `")
        )
    })
}

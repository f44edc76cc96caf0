//! What an environment offers to people and to whoever passes their requests on: its servers and how they are reached, its
//! tools with whether they may be called, and the rest. Read once for as long as no definition changes.
//!
//! It is for an environment what [`Reading`](crate::reading::Reading) is for an agent: everything it is made of is counted in the
//! store by one number, and each use asks for that number alone. Parts are read when they are first wanted: whoever calls
//! one tool does not read ten thousand. **Invariant:** the number is asked for before anything is read, so whatever is read is
//! at least as new as the number it is kept under.

use crate::pool::Reach;
use crate::rights::{Judge, Known, for_anybody};
use crate::variables::Values;
use crate::{ServerOffer, Station};
use station_core::grant::Verdict;
use station_core::{
    Caller, Environment, EnvironmentName, Micros, Result, Secret, Server, ServerId, ServerSettings, Tool,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::OnceCell;

/// Environments of which this is kept: those that somebody has open. With ten thousand tools one is some ten megabytes.
const KEPT_MAX: usize = 16;

/// An environment as it is now.
pub(crate) struct Surface {
    generation: i64,
    pub(crate) environment: Environment,
    /// In the order of the files.
    pub(crate) servers: Vec<Server>,
    values: Values,
    judge: OnceCell<Judge>,
    known: HashMap<ServerId, OnceCell<Known>>,
    tools: OnceCell<Arc<[(Tool, bool)]>>,
    offers: OnceCell<Arc<[ServerOffer]>>,
}

/// The last ones.
#[derive(Default)]
pub(crate) struct Surfaces(Mutex<HashMap<EnvironmentName, Arc<Surface>>>);

impl Station {
    /// Whether there is an environment of this name: for a door that asks before each request.
    ///
    /// # Errors
    /// The store's.
    pub async fn has_environment(&self, _by: &Caller, name: &EnvironmentName) -> Result<bool> {
        let generation = self.store().generation().await?;
        Ok(self.surfaces().find(name, generation).is_some()
            || self.store().environment(name.as_str()).await?.is_some())
    }

    /// An environment as it is now.
    ///
    /// # Errors
    /// `NotFound` where there is none of this name.
    pub(crate) async fn surface(&self, name: &EnvironmentName) -> Result<Arc<Surface>> {
        let generation = self.store().generation().await?;
        match self.surfaces().find(name, generation) {
            Some(kept) => Ok(kept),
            None => self.read_surface(name, generation).await,
        }
    }

    /// The environment that has a server, as it is now; `None` where the server is gone.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn surface_of(&self, server: ServerId) -> Result<Option<Arc<Surface>>> {
        let generation = self.store().generation().await?;
        if let Some(kept) = self.surfaces().find_of(server, generation) {
            return Ok(Some(kept));
        }
        let Some(server) = self.store().server(server).await? else { return Ok(None) };
        match self.store().environment_by_id(server.environment).await? {
            Some(environment) => self.read_surface(&environment.name, generation).await.map(Some),
            None => Ok(None),
        }
    }

    async fn read_surface(&self, name: &EnvironmentName, generation: i64) -> Result<Arc<Surface>> {
        let environment = self.find_environment(name).await?;
        let servers = self.store().servers(Some(environment.id)).await?;
        let values = Values::read(self, environment.id, BTreeMap::new()).await?;
        let known = servers.iter().map(|server| (server.id, OnceCell::new())).collect();
        let (judge, tools, offers) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        let surface = Surface { generation, environment, servers, values, judge, known, tools, offers };
        let surface = Arc::new(surface);
        self.surfaces().keep(name, &surface);
        Ok(surface)
    }
}

impl Surface {
    /// What the rules of server and environment make of a tool for a person, and how its server is reached with the values
    /// that are `given`; or why it cannot be.
    pub(crate) async fn judge(
        &self,
        station: &Station,
        tool: &Tool,
        given: &BTreeMap<String, Secret>,
    ) -> Result<Result<(Verdict, Reach), String>> {
        let gone = || Ok(Err(format!("server `{}` does not exist any more", tool.server_name)));
        let judge = self.judges(station).await?;
        if given.is_empty() {
            let Some(known) = self.known(station, tool.server).await? else { return gone() };
            return Ok(judged(judge, tool, known.settings.clone(), known.reach.clone()));
        }
        let Some(server) = self.servers.iter().find(|it| it.id == tool.server) else { return gone() };
        let known = Known::read(station, server, &self.values.clone().with_explicit(given.clone())).await?;
        Ok(judged(judge, tool, known.settings, known.reach))
    }

    /// Its tools in the order of the files, each with whether a person may call it.
    ///
    /// # Errors
    /// The store's; `Invalid` where the environment's rules cannot be read.
    pub(crate) async fn tools(&self, station: &Station) -> Result<Arc<[(Tool, bool)]>> {
        let read = async {
            let judge = self.judges(station).await?;
            let tools = station.store().catalog(self.environment.id).await?;
            let mut settings: HashMap<ServerId, ServerSettings> = HashMap::new();
            for server in &self.servers {
                if let Some(known) = self.known(station, server.id).await? {
                    settings.insert(server.id, for_anybody(known.settings.clone()));
                }
            }
            let is_open = |tool: &Tool| {
                let settings = settings.get(&tool.server);
                settings.is_some_and(|settings| judge.judge(tool, "", settings, &[]).allowed.is_ok())
            };
            let tools = tools.into_iter().map(|tool| (is_open(&tool), tool));
            Ok(tools.map(|(is_open, tool)| (tool, is_open)).collect())
        };
        self.tools.get_or_try_init(|| read).await.map(Arc::clone)
    }

    /// What its servers offer beside tools.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn offers(&self, station: &Station) -> Result<Arc<[ServerOffer]>> {
        let read = async {
            let mut offered = station.store().offered_by_all(self.environment.id).await?;
            let offers = self.servers.iter().filter_map(|server| {
                let offered = offered.remove(&server.id)?;
                Some(ServerOffer {
                    server: server.id,
                    name: server.name.clone(),
                    capabilities: offered.capabilities,
                    resources: offered.resources,
                    prompts: offered.prompts,
                })
            });
            Ok(offers.collect())
        };
        self.offers.get_or_try_init(|| read).await.map(Arc::clone)
    }

    /// From when on one of its servers is to be listed anew.
    pub(crate) fn due(&self, station: &Station) -> Option<Micros> {
        self.servers.iter().map(|server| station.listed_anew_at(server)).min()
    }

    async fn judges(&self, station: &Station) -> Result<&Judge> {
        let servers = self.servers.iter().map(|server| server.name.clone());
        self.judge.get_or_try_init(|| Judge::read(station, self.environment.id, servers.collect())).await
    }

    /// How a server is reached; `None` where it is none of this environment.
    async fn known(&self, station: &Station, id: ServerId) -> Result<Option<&Known>> {
        let Some(known) = self.known.get(&id) else { return Ok(None) };
        let Some(server) = self.servers.iter().find(|it| it.id == id) else { return Ok(None) };
        known.get_or_try_init(|| Known::read(station, server, &self.values)).await.map(Some)
    }
}

fn judged(
    judge: &Judge,
    tool: &Tool,
    settings: ServerSettings,
    reach: Result<Reach, String>,
) -> Result<(Verdict, Reach), String> {
    let verdict = judge.judge(tool, "", &for_anybody(settings), &[]);
    reach.map(|reach| (verdict, reach))
}

impl Surfaces {
    /// The one that was read under this number.
    pub(crate) fn find(&self, name: &EnvironmentName, generation: i64) -> Option<Arc<Surface>> {
        self.lock().get(name).filter(|kept| kept.generation == generation).map(Arc::clone)
    }

    fn find_of(&self, server: ServerId, generation: i64) -> Option<Arc<Surface>> {
        let kept = self.lock();
        let has = |it: &&Arc<Surface>| it.generation == generation && it.known.contains_key(&server);
        kept.values().find(has).map(Arc::clone)
    }

    fn keep(&self, name: &EnvironmentName, surface: &Arc<Surface>) {
        let mut kept = self.lock();
        if kept.len() >= KEPT_MAX {
            kept.retain(|_, it| it.generation == surface.generation);
        }
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert(name.clone(), Arc::clone(surface));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<EnvironmentName, Arc<Surface>>> {
        self.0.lock().expect("no holder of this lock can panic")
    }
}

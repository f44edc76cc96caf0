//! What an environment offers to people and to whoever passes their requests on: its servers and how they are reached, its
//! tools with whether they may be called, and the rest. Read once for as long as no definition changes.
//!
//! It is for an environment what [`Reading`](crate::reading::Reading) is for an agent: everything it is made of is counted in the
//! store by one number, and each use asks for that number alone. Parts are read when they are first wanted: whoever calls
//! one tool does not read ten thousand.

use crate::kept::Kept;
use crate::pool::Reach;
use crate::rights::{Judge, Known};
use crate::variables::Values;
use crate::{ServerOffer, Station};
use station_core::grant::{Verdict, Who};
use station_core::{
    Action, Caller, Environment, EnvironmentId, EnvironmentName, Error, Micros, Result, Role, Secret, Server,
    ServerId, Tool,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// Environments of which this is kept: those that somebody has open. With ten thousand tools one is some ten megabytes.
const KEPT_MAX: usize = 16;

/// An environment as it is now.
pub(crate) struct Surface {
    pub(crate) environment: Environment,
    /// In the order of the files, each with how it is reached.
    servers: Vec<(Server, OnceCell<Arc<Known>>)>,
    values: Values,
    judge: OnceCell<Judge>,
    roles: [OfRole; 3],
    offers: OnceCell<Arc<[ServerOffer]>>,
}

/// What depends on the role of who asks.
#[derive(Default)]
struct OfRole {
    /// Servers that are not open to it.
    closed: OnceCell<BTreeSet<ServerId>>,
    tools: OnceCell<Callable>,
}

/// A tool of an environment, for a person of some role.
#[derive(Clone, Debug, PartialEq)]
pub struct CallableTool {
    /// As its server describes it.
    pub tool: Tool,
    /// Whether they may call it now.
    pub is_open: bool,
    /// Whether what it answers is kept from models.
    pub is_secret: bool,
}

/// Tools in the order of the files.
pub(crate) type Callable = Arc<[CallableTool]>;

/// The last ones.
pub(crate) type Surfaces = Kept<EnvironmentName, Surface>;

impl Default for Surfaces {
    fn default() -> Self {
        Self::new(KEPT_MAX)
    }
}

impl Station {
    /// The number of the environment of this name, where `by` sees one: for a door that asks before each request.
    ///
    /// # Errors
    /// The store's.
    pub async fn environment_id(&self, by: &Caller, name: &EnvironmentName) -> Result<Option<EnvironmentId>> {
        by.may(Action::ReadEnvironments)?;
        let generation = self.store().generation().await?;
        let id = match self.surfaces().find(name, generation) {
            Some(surface) => Some(surface.environment.id),
            None => self.store().environment(name.as_str()).await?.map(|it| it.id),
        };
        Ok(id.filter(|id| by.sees(*id)))
    }

    /// An environment as it is now.
    ///
    /// # Errors
    /// `NotFound` where there is none of this name.
    pub(crate) async fn surface(&self, by: &Caller, name: &EnvironmentName) -> Result<Arc<Surface>> {
        let generation = self.store().generation().await?;
        match self.surfaces().find(name, generation) {
            Some(kept) if by.sees(kept.environment.id) => Ok(kept),
            _ => self.read_surface(self.find_environment(by, name).await?, generation).await,
        }
    }

    /// The environment that has a server, as it is now; `None` where the server is gone, or is none that `by` sees.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn surface_of(&self, by: &Caller, server: ServerId) -> Result<Option<Arc<Surface>>> {
        let generation = self.store().generation().await?;
        if let Some(kept) = self.surfaces().find_where(generation, |it| it.has(server)) {
            return Ok(Some(kept).filter(|kept| by.sees(kept.environment.id)));
        }
        let Some(server) = self.store().server(server).await? else { return Ok(None) };
        match self.store().environment_by_id(server.environment).await? {
            Some(environment) if by.sees(environment.id) => {
                self.read_surface(environment, generation).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Servers of an environment that `allow_roles` closes to somebody. To an administrator every one is open that is open to anybody.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment.
    pub(crate) async fn closed_to(&self, by: &Caller, name: &EnvironmentName) -> Result<BTreeSet<ServerId>> {
        match by.role {
            Role::Admin => Ok(BTreeSet::new()),
            role => Ok(self.surface(by, name).await?.closed_to(self, role).await?.clone()),
        }
    }

    async fn read_surface(&self, environment: Environment, generation: i64) -> Result<Arc<Surface>> {
        let servers = self.store().servers(Some(environment.id)).await?;
        let servers = servers.into_iter().map(|server| (server, OnceCell::new())).collect();
        let values = Values::read(self, environment.id, BTreeMap::new()).await?;
        let (judge, roles, offers) = (OnceCell::new(), Default::default(), OnceCell::new());
        let name = environment.name.clone();
        let surface = Arc::new(Surface { environment, servers, values, judge, roles, offers });
        self.surfaces().keep(name, generation, &surface);
        Ok(surface)
    }
}

impl Surface {
    /// What the rules of server and environment make of a tool for a person of this role, and how its server is reached with the values
    /// that are `given`; or why it cannot be.
    pub(crate) async fn judge(
        &self,
        station: &Station,
        role: Role,
        tool: &Tool,
        given: &BTreeMap<String, Secret>,
    ) -> Result<Result<(Verdict, Reach), String>> {
        let Some(known) = self.known(station, tool.server, given).await? else {
            return Ok(Err(format!("server `{}` does not exist any more", tool.server_name)));
        };
        let verdict = self.judges(station).await?.judge(tool, Who::person(role), &known.settings, &[]);
        Ok(known.reach.clone().map(|reach| (verdict, reach)))
    }

    /// Its tools, as they are for a person of this role.
    ///
    /// # Errors
    /// The store's; `Invalid` where the environment's rules cannot be read.
    pub(crate) async fn tools(&self, station: &Station, role: Role) -> Result<Callable> {
        // A role that is kept from no more than administrators are has their list: the very same one.
        let is_theirs = self.closed_to(station, role).await? == self.closed_to(station, Role::Admin).await?;
        let role = if is_theirs { Role::Admin } else { role };
        let of_role = self.of(role);
        let read = async {
            let judge = self.judges(station).await?;
            let tools = station.store().catalog(self.environment.id).await?;
            let mut servers: HashMap<ServerId, &Known> = HashMap::new();
            for (server, known) in &self.servers {
                servers.insert(server.id, self.read(station, server, known).await?);
            }
            let callable = |tool: Tool| {
                let known = servers.get(&tool.server);
                let verdict = known.map(|known| judge.judge(&tool, Who::person(role), &known.settings, &[]));
                let is_open = verdict.as_ref().is_some_and(|verdict| verdict.allowed.is_ok());
                let is_secret = verdict.is_some_and(|verdict| verdict.secret);
                CallableTool { tool, is_open, is_secret }
            };
            Ok(tools.into_iter().map(callable).collect())
        };
        of_role.tools.get_or_try_init(|| read).await.map(Arc::clone)
    }

    /// What its servers offer beside tools to a person of this role.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn offers(&self, station: &Station, role: Role) -> Result<Arc<[ServerOffer]>> {
        let read = async {
            let mut offered = station.store().offered_by_all(self.environment.id).await?;
            let offers = self.servers.iter().filter_map(|(server, _)| {
                let offered = offered.remove(&server.id)?;
                Some(ServerOffer {
                    server: server.id,
                    name: server.name.clone(),
                    capabilities: offered.capabilities,
                    resources: offered.resources,
                    prompts: offered.prompts,
                })
            });
            Ok::<_, Error>(offers.collect())
        };
        let all = self.offers.get_or_try_init(|| read).await?;
        let closed = self.closed_to(station, role).await?;
        // Mostly none is, and it is the very same list.
        if closed.is_empty() {
            return Ok(Arc::clone(all));
        }
        Ok(all.iter().filter(|offer| !closed.contains(&offer.server)).cloned().collect())
    }

    /// Servers that are not open to this role.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn closed_to(&self, station: &Station, role: Role) -> Result<&BTreeSet<ServerId>> {
        let read = async {
            let mut closed = BTreeSet::new();
            for (server, known) in &self.servers {
                let settings = &self.read(station, server, known).await?.settings;
                if Who::person(role).kept_from(settings).is_some() {
                    closed.insert(server.id);
                }
            }
            Ok(closed)
        };
        self.of(role).closed.get_or_try_init(|| read).await
    }

    fn of(&self, role: Role) -> &OfRole {
        let [viewer, user, admin] = &self.roles;
        match role {
            Role::Viewer => viewer,
            Role::User => user,
            Role::Admin => admin,
        }
    }

    /// From when on one of its servers is to be listed anew.
    pub(crate) fn due(&self, station: &Station) -> Option<Micros> {
        self.servers.iter().map(|(server, _)| station.listed_anew_at(server)).min()
    }

    async fn judges(&self, station: &Station) -> Result<&Judge> {
        let servers = self.servers.iter().map(|(server, _)| server.name.clone());
        self.judge.get_or_try_init(|| Judge::read(station, self.environment.id, servers.collect())).await
    }

    /// Whether its gateway offers its agents too.
    ///
    /// # Errors
    /// The store's; `Invalid` where the environment's rules cannot be read.
    pub(crate) async fn offers_agents(&self, station: &Station) -> Result<bool> {
        Ok(self.judges(station).await?.offers_agents())
    }

    fn has(&self, server: ServerId) -> bool {
        self.servers.iter().any(|(it, _)| it.id == server)
    }

    /// How a server is reached with the values that are `given`, for anybody; `None` where it is none of this environment.
    pub(crate) async fn known(
        &self,
        station: &Station,
        id: ServerId,
        given: &BTreeMap<String, Secret>,
    ) -> Result<Option<Arc<Known>>> {
        let Some((server, known)) = self.servers.iter().find(|(it, _)| it.id == id) else { return Ok(None) };
        if given.is_empty() {
            return self.read(station, server, known).await.map(|known| Some(Arc::clone(known)));
        }
        let values = self.values.clone().with_explicit(given.clone());
        Known::read(station, server, &values).await.map(|known| Some(Arc::new(known)))
    }

    async fn read<'a>(
        &self,
        station: &Station,
        server: &Server,
        known: &'a OnceCell<Arc<Known>>,
    ) -> Result<&'a Arc<Known>> {
        let read = || async { Known::read(station, server, &self.values).await.map(Arc::new) };
        known.get_or_try_init(read).await
    }
}

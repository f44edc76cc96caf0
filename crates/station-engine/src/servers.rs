//! Servers and their tools, from the catalog: listing starts nothing.

use crate::Station;
use crate::variables::Values;
use station_core::file::servers;
use station_core::oauth::Standing;
use station_core::sandbox::{Confinement, Sandbox, confinement};
use station_core::{
    Action, Caller, Environment, EnvironmentId, EnvironmentName, Error, Micros, Result, Server, ServerId,
    ServerSettings, Tool, Transport, is_number, near,
};
use station_store::{ConfigSource, LoginRow, ServerFile};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// A server as named by a person: a number is global, a name belongs to an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerRef {
    /// By id.
    Id(ServerId),
    /// By name.
    Name {
        /// The name.
        name: String,
        /// Its environment.
        environment: EnvironmentName,
    },
}

impl ServerRef {
    /// Reads what a person typed: digits are an id, anything else a name.
    #[must_use]
    pub fn parse(text: &str, environment: EnvironmentName) -> Self {
        match text.parse() {
            Ok(id) if is_number(text) => Self::Id(ServerId(id)),
            _ => Self::Name { name: text.to_owned(), environment },
        }
    }
}

/// One server with all that can be told of it without a secret.
#[derive(Clone, Debug)]
pub struct ServerView {
    /// Its row, environment and tools.
    pub details: ServerDetails,
    /// Its file, relative to the workspace.
    pub path: String,
    /// Its `station` key.
    pub settings: ServerSettings,
    /// Variables that it asks for, and whether each has a value.
    pub variables: Vec<(String, bool)>,
    /// Agents with a grant of one of its tools.
    pub granted_to: Vec<String>,
}

/// A server with its environment and what it offers.
#[derive(Clone, Debug)]
pub struct ServerDetails {
    /// Its row.
    pub server: Server,
    /// Its environment.
    pub environment: Environment,
    /// Its tools.
    pub tools: Vec<Tool>,
    /// The login at it, where somebody is logged in.
    pub login: Option<ServerLogin>,
}

/// What can be told of a login at a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLogin {
    /// Whom its token is from.
    pub issuer: String,
    /// What it is good for, where somebody said.
    pub scope: Option<String>,
    /// When the token ends, where somebody said.
    pub expires_at: Option<Micros>,
    /// Whether the token is renewed by itself.
    pub renews: bool,
    /// Whether it is over.
    pub is_over: bool,
}

impl ServerLogin {
    fn of(row: LoginRow, now: Micros) -> Self {
        let LoginRow { issuer, scope, expires_at, renews } = row;
        let is_over = Standing::of(renews, expires_at, now) == Standing::Over;
        Self { issuer, scope, expires_at, renews, is_over }
    }
}

impl Station {
    /// Servers of one environment or of all, with their tools.
    ///
    /// # Errors
    /// `NotFound` where the environment does not exist.
    pub async fn list_servers(
        &self,
        by: &Caller,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<ServerDetails>> {
        by.may(Action::ReadServers)?;
        let environment = match environment {
            Some(name) => Some(self.find_environment(by, name).await?.id),
            None => None,
        };
        let mut servers: Vec<ServerDetails> = Vec::new();
        let mut logins = self.store().logins(None).await?;
        let mut of: Option<(Environment, Vec<Tool>)> = None;
        // By environment, so that each is read once; of ten thousand, few have servers.
        for server in self.store().servers(environment).await? {
            if !by.sees(server.environment) {
                continue;
            }
            if of.as_ref().is_none_or(|(environment, _)| environment.id != server.environment) {
                let environment = self.store().environment_by_id(server.environment).await?;
                let catalog = self.store().catalog(server.environment).await?;
                of = environment.map(|environment| (environment, catalog));
            }
            let Some((environment, catalog)) = &of else { continue };
            let tools = catalog.iter().filter(|tool| tool.server == server.id).cloned().collect();
            let login = logins.remove(&server.id).map(|row| ServerLogin::of(row, self.now()));
            servers.push(ServerDetails { server, environment: environment.clone(), tools, login });
        }
        Ok(servers)
    }

    /// How the programs of `servers` are kept on this machine, each with what its file asks for; nothing for those that are
    /// reached by an address, or whose file cannot be read.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn confinements(
        &self,
        by: &Caller,
        servers: &[ServerDetails],
    ) -> Result<BTreeMap<ServerId, (Sandbox, Confinement)>> {
        by.may(Action::ReadServers)?;
        let mut found = BTreeMap::new();
        let mut values: BTreeMap<EnvironmentId, Values> = BTreeMap::new();
        for details in servers.iter().filter(|details| details.server.transport == Transport::Stdio) {
            let config = self.store().config_source(details.server.id).await?;
            let values = match values.entry(details.environment.id) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(unknown) => {
                    unknown.insert(Values::read(self, details.environment.id, BTreeMap::new()).await?)
                }
            };
            let Some(entry) = entry_of(&config, &details.server.name, values) else { continue };
            let sandbox = entry.settings.sandbox;
            if self.config().own_server.is_some() && is_station(&config, &details.server.name) {
                found.insert(details.server.id, (sandbox, Confinement::Station));
                continue;
            }
            // What refuses to start is kept from everything; the server's problem says why.
            if let Ok(kept) = confinement(&sandbox, station_mcp::sandbox::kernel()) {
                found.insert(details.server.id, (sandbox, kept));
            }
        }
        Ok(found)
    }

    /// Server files of one environment or of all, each with the names of its servers.
    ///
    /// # Errors
    /// `NotFound` where the environment does not exist.
    pub async fn list_server_files(
        &self,
        by: &Caller,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<(ServerFile, Vec<String>)>> {
        by.may(Action::ReadServers)?;
        let environment = match environment {
            Some(name) => Some(self.find_environment(by, name).await?.id),
            None => None,
        };
        let servers = self.store().servers(environment).await?;
        let of = |file: &ServerFile| {
            let is_its = |it: &&Server| it.environment == file.environment && it.config == file.name;
            servers.iter().filter(is_its).map(|server| server.name.clone()).collect()
        };
        let files = self.store().server_files(environment).await?;
        Ok(files
            .into_iter()
            .filter(|file| by.sees(file.environment))
            .map(|file| {
                let names = of(&file);
                (file, names)
            })
            .collect())
    }

    /// One server.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn show_server(&self, by: &Caller, server: &ServerRef) -> Result<ServerView> {
        by.may(Action::ReadServers)?;
        let details = self.find_server(by, server).await?;
        let server = &details.server;
        let config = self.store().config_source(server.id).await?;
        let values = Values::read(self, details.environment.id, BTreeMap::new()).await?;
        let entry = entry_of(&config, &server.name, &values);
        let mut granted_to = Vec::new();
        for (agent, grants) in self.store().grants_by_agent(details.environment.id).await? {
            let is_its = |id| details.tools.iter().any(|tool| tool.id == id);
            if grants.iter().filter_map(|grant| grant.tool).any(is_its) {
                granted_to.push(agent);
            }
        }
        Ok(ServerView {
            path: config.path,
            settings: entry.map(|entry| entry.settings).unwrap_or_default(),
            variables: match by.may(Action::ReadVariables) {
                Ok(()) => {
                    let asked = self.asked_by(server, &values).await?;
                    asked.into_iter().map(|it| (it.name, it.lacks.is_none())).collect()
                }
                Err(_) => Vec::default(),
            },
            granted_to,
            details,
        })
    }

    /// The environment of the server with this number.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn environment_of_server(&self, by: &Caller, id: ServerId) -> Result<EnvironmentName> {
        by.may(Action::ReadServers)?;
        Ok(self.find_server(by, &ServerRef::Id(id)).await?.environment.name)
    }

    /// The server a person means.
    ///
    /// # Errors
    /// `NotFound`, with the name that may be meant.
    pub(crate) async fn find_server(&self, by: &Caller, server: &ServerRef) -> Result<ServerDetails> {
        let server = match server {
            ServerRef::Id(id) => {
                self.store().server(*id).await?.filter(|it| by.sees(it.environment)).ok_or_else(|| {
                    Error::not_found(format!("server {id} does not exist"))
                        .with_hint("`stn mcp list` shows them")
                })?
            }
            ServerRef::Name { name, environment } => {
                let environment = self.find_environment(by, environment).await?;
                let servers = self.store().servers(Some(environment.id)).await?;
                let found = servers.iter().find(|it| it.name == *name).cloned();
                found.ok_or_else(|| no_server(name, &environment, &servers))?
            }
        };
        let environment = self.store().environment_by_id(server.environment).await?;
        let gone = || Error::not_found(format!("the environment of server `{}` is gone", server.name));
        let tools = self.store().tools_of(server.id).await?;
        let login = self.store().logins(Some(server.id)).await?.remove(&server.id);
        let login = login.map(|row| ServerLogin::of(row, self.now()));
        Ok(ServerDetails { environment: environment.ok_or_else(gone)?, server, tools, login })
    }

    /// Tools of an environment, of one of its servers, or those that a search finds, best first.
    ///
    /// # Errors
    /// `NotFound` where the environment or the server does not exist.
    pub async fn list_tools(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
        server: Option<&ServerRef>,
        search: Option<&str>,
    ) -> Result<Vec<Tool>> {
        by.may(Action::ReadServers)?;
        let environment = self.find_environment(by, environment).await?;
        let mut tools = match server {
            Some(server) => self.find_server(by, server).await?.tools,
            None => self.store().catalog(environment.id).await?,
        };
        let closed = self.closed_to(by, &environment.name).await?;
        tools.retain(|tool| !closed.contains(&tool.server));
        let Some(search) = search else { return Ok(tools) };
        let documents: Vec<_> = tools
            .iter()
            .map(|tool| station_core::rank::Document {
                name: &tool.name,
                description: &tool.description,
                parameters: Vec::new(),
            })
            .collect();
        let ranked = station_core::rank::rank(search, &documents);
        Ok(ranked.into_iter().filter(|it| it.score > 0.0).map(|it| tools[it.index].clone()).collect())
    }
}

/// Whether a server is the Station that starts it; such an entry has no variables.
fn is_station(config: &ConfigSource, server: &str) -> bool {
    let resolved = servers::resolve(config.source.expose(), &config.path, server, &|_| None);
    resolved.is_ok_and(|(definition, _)| definition.is_station())
}

/// What the file at hand says of one of its servers, with the values that are known.
fn entry_of(config: &ConfigSource, server: &str, values: &Values) -> Option<servers::Entry> {
    let shown = |name: &str| values.get(name).map(|value| value.expose().to_owned());
    let (file, _) = servers::read(config.source.expose(), &config.path, &shown);
    file?.entries.into_iter().find(|entry| entry.name == server)
}

pub(crate) fn no_server(name: &str, environment: &Environment, servers: &[Server]) -> Error {
    let sentence = format!("server `{name}` does not exist in environment `{}`", environment.name);
    let names: Vec<String> = servers.iter().map(|it| format!("`{}`", it.name)).collect();
    let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let hint = near::hint(name, servers.iter().map(|it| it.name.as_str()));
    Error::not_found(sentence).with_hint(hint.unwrap_or_else(|| format!("there are {there}")))
}

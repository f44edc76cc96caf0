//! Variables that servers lack, told so that whoever calls them can be asked: before a run, or when a call was refused for want of
//! one. What they answer holds for that run or that call alone; nothing here keeps a value.

use crate::Station;
use crate::variables::Values;
use station_core::file::servers::{self, Unresolved};
use station_core::{Agent, Caller, EnvironmentId, Error, Result, Secret, Server, ServerId};
use std::collections::BTreeMap;

/// A variable that has no value, and the servers that need one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LackingVariable {
    /// Its name.
    pub name: String,
    /// What a server's file says of it; may be empty.
    pub description: String,
    /// Whether its value is a secret.
    pub is_secret: bool,
    /// The servers.
    pub servers: Vec<String>,
}

impl Station {
    /// What the servers that a run of `agent` has use for lack, with the values that are `given`.
    ///
    /// # Errors
    /// The store's.
    pub async fn lacking_for_agent(
        &self,
        _by: &Caller,
        agent: &Agent,
        given: &BTreeMap<String, Secret>,
    ) -> Result<Vec<LackingVariable>> {
        let used = self.servers_of(agent).await?;
        let servers = self.store().servers(Some(agent.environment)).await?;
        let servers = servers.into_iter().filter(|server| used.contains(&server.id));
        self.lacking(agent.environment, servers, given).await
    }

    /// What a server lacks, with the values that are `given`.
    ///
    /// # Errors
    /// `NotFound` where there is no such server.
    pub async fn lacking_for_server(
        &self,
        _by: &Caller,
        server: ServerId,
        given: &BTreeMap<String, Secret>,
    ) -> Result<Vec<LackingVariable>> {
        let found = self.store().server(server).await?;
        let found =
            found.ok_or_else(|| Error::not_found(format!("server {server} does not exist any more")))?;
        self.lacking(found.environment, [found], given).await
    }

    async fn lacking(
        &self,
        environment: EnvironmentId,
        servers: impl IntoIterator<Item = Server>,
        given: &BTreeMap<String, Secret>,
    ) -> Result<Vec<LackingVariable>> {
        let mut all: Vec<LackingVariable> = Vec::new();
        let values = Values::read(self, environment, given.clone()).await?;
        for server in servers {
            let config = self.store().config_source(server.id).await?;
            let known = |name: &str| values.get(name);
            let resolved = servers::resolve(config.source.expose(), &config.path, &server.name, &known);
            // One that cannot be read says so itself, where it is to be reached.
            let Err(Unresolved::Missing(missing)) = resolved else { continue };
            for lacking in missing {
                let at = all.iter().position(|it| it.name == lacking.variable).unwrap_or_else(|| {
                    all.push(LackingVariable {
                        name: lacking.variable,
                        description: String::new(),
                        is_secret: false,
                        servers: Vec::new(),
                    });
                    all.len() - 1
                });
                let one = &mut all[at];
                if one.description.is_empty() {
                    one.description = lacking.description;
                }
                one.is_secret |= lacking.is_secret;
                one.servers.push(server.name.clone());
            }
        }
        Ok(all)
    }
}

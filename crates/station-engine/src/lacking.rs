//! Variables that servers lack, told so that whoever calls them can be asked: before a run, or when a call was refused for want of
//! one. What they answer holds for that run or that call alone; nothing here keeps a value.

use crate::Station;
use crate::variables::{AskedFor, Values};
use station_core::file::servers::{self, Unresolved};
use station_core::{Action, Agent, Caller, EnvironmentId, Error, Kind, Result, Secret, Server, ServerId};
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
        by: &Caller,
        agent: &Agent,
        given: &BTreeMap<String, Secret>,
    ) -> Result<Vec<LackingVariable>> {
        by.may(Action::ReadVariables)?;
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
        by: &Caller,
        server: ServerId,
        given: &BTreeMap<String, Secret>,
    ) -> Result<Vec<LackingVariable>> {
        by.may(Action::ReadVariables)?;
        let found = self.store().server(server).await?.filter(|it| by.sees(it.environment));
        let found =
            found.ok_or_else(|| Error::not_found(format!("server {server} does not exist any more")))?;
        self.lacking(found.environment, [found], given).await
    }

    /// Refuses values that `by` may not give. Of what servers ask for, an administrator alone gives what has a value already, what
    /// is a secret, and what says what is started or where secrets are sent: whoever gives that defines the server.
    ///
    /// # Errors
    /// `Forbidden`, with the first such name.
    pub(crate) async fn refuse_given(
        &self,
        by: &Caller,
        environment: EnvironmentId,
        given: &BTreeMap<String, Secret>,
    ) -> Result<()> {
        if given.is_empty() || by.may(Action::SetVariables).is_ok() {
            return Ok(());
        }
        let values = Values::read(self, environment, BTreeMap::new()).await?;
        let mut asked: BTreeMap<String, Option<bool>> = BTreeMap::new();
        for server in self.store().servers(Some(environment)).await? {
            for AskedFor { name, lacks } in self.asked_by(&server, &values).await? {
                let known = asked.entry(name).or_default();
                // To one server it may be a secret, and to another have a default.
                *known = (*known).max(lacks);
            }
        }
        let is_kept = |name: &&String| asked.get(*name).is_some_and(|lacks| *lacks != Some(false));
        match given.keys().find(is_kept) {
            None => Ok(()),
            Some(name) => {
                let sentence = format!("`{}` may not give `{name}`: servers are made of it", by.name);
                Err(Error::new(Kind::Forbidden, sentence).with_hint("an administrator sets it, or gives it"))
            }
        }
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

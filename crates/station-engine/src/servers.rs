//! Servers and their tools, from the catalog: listing starts nothing.

use crate::Station;
use station_core::{Caller, Environment, EnvironmentName, Error, Result, Server, Tool};

/// A server with its environment and what it offers.
#[derive(Clone, Debug)]
pub struct ServerDetails {
    /// Its row.
    pub server: Server,
    /// Its environment.
    pub environment: Environment,
    /// Its tools.
    pub tools: Vec<Tool>,
}

impl Station {
    /// Servers of one environment or of all, with their tools.
    ///
    /// # Errors
    /// `NotFound` where the environment does not exist.
    pub async fn list_servers(
        &self,
        _by: &Caller,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<ServerDetails>> {
        let environments = match environment {
            Some(name) => vec![self.find_environment(name).await?],
            None => self.store().environments().await?,
        };
        let mut servers = Vec::new();
        for environment in environments {
            let catalog = self.store().catalog(environment.id).await?;
            for server in self.store().servers(Some(environment.id)).await? {
                let tools = catalog.iter().filter(|tool| tool.server == server.id).cloned().collect();
                servers.push(ServerDetails { server, environment: environment.clone(), tools });
            }
        }
        Ok(servers)
    }

    /// Tools of an environment, of one of its servers, or those that a search finds, best first.
    ///
    /// # Errors
    /// `NotFound` where the environment or the server does not exist.
    pub async fn list_tools(
        &self,
        _by: &Caller,
        environment: &EnvironmentName,
        server: Option<&str>,
        search: Option<&str>,
    ) -> Result<Vec<Tool>> {
        let environment = self.find_environment(environment).await?;
        if let Some(name) = server {
            let servers = self.store().servers(Some(environment.id)).await?;
            if servers.iter().all(|it| it.name != name) {
                let names: Vec<String> = servers.iter().map(|it| format!("`{}`", it.name)).collect();
                return Err(Error::not_found(format!(
                    "server `{name}` does not exist in environment `{}`",
                    environment.name
                ))
                .with_hint(format!(
                    "there are {}",
                    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
                )));
            }
        }
        let catalog = self.store().catalog(environment.id).await?;
        let tools: Vec<Tool> =
            catalog.into_iter().filter(|tool| server.is_none_or(|name| tool.server_name == name)).collect();
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

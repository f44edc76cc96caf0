//! What servers offer beside tools, for whoever passes it on: resources, templates and prompts, from the catalog; and looks at
//! them. Listing starts nothing. What this is not: tool calls, which have one gate and pass it.

use crate::call::Carried;
use crate::pool::{Look, Reach};
use crate::{Clock, Station, own_server};
use futures::stream::BoxStream;
use serde_json::{Map, Value};
use station_core::discovery::{DiscoveredPrompt, DiscoveredResource};
use station_core::grant::Who;
use station_core::{Action, Caller, EnvironmentName, Error, Kind, Result, Secret, ServerId, ToolId};
use station_mcp::Passed;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// What one server offers beside its tools.
#[derive(Clone, Debug)]
pub struct ServerOffer {
    /// The server.
    pub server: ServerId,
    /// Its name.
    pub name: String,
    /// Its capabilities as it declared them.
    pub capabilities: Value,
    /// Its resources and templates, in its order.
    pub resources: Vec<DiscoveredResource>,
    /// Its prompts, in its order.
    pub prompts: Vec<DiscoveredPrompt>,
}

impl Station {
    /// What the servers of an environment offer beside tools, in the order of the files.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment.
    pub async fn list_offers(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
    ) -> Result<Arc<[ServerOffer]>> {
        by.may(Action::ReadServers)?;
        self.surface(by, environment).await?.offers(self, by.role).await
    }

    /// What servers of an environment say of their tools besides, for whoever passes it on: of those alone of which they say
    /// anything.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment.
    pub async fn more_of_tools(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
    ) -> Result<BTreeMap<ToolId, Map<String, Value>>> {
        by.may(Action::ReadServers)?;
        let environment = self.surface(by, environment).await?.environment.id;
        self.store().more_of_tools(environment).await
    }

    /// Looks at what a server offers, for somebody who passes it on.
    ///
    /// # Errors
    /// `NotFound` where there is no such server, `Invalid` where it cannot be reached as it is configured, `Upstream` where it
    /// did not answer. An error of the protocol is an answer.
    pub async fn look_at(
        &self,
        by: &Caller,
        server: ServerId,
        look: Look,
        carried: Carried,
    ) -> Result<Result<Value, Value>> {
        by.may(Action::CallTools)?;
        let mut reach = self.reach(by, server, &carried.variables).await?;
        reach.asks = carried.asks;
        let looked = self.pool().look(&reach, look, carried.more, Clock::effect_id(), carried.along).await;
        match looked {
            Passed::Answered(result) => Ok(Ok(result)),
            Passed::Refused(error) => Ok(Err(error)),
            Passed::NotSent { sentence } | Passed::Unknown { sentence, .. } => Err(Error::upstream(sentence)),
        }
    }

    /// Follows a resource of a server: an item for each time that it changed, until the connection ends.
    ///
    /// # Errors
    /// `NotFound` where the server is not there; `Upstream` where it cannot be reached, or does not tell.
    pub async fn follow_resource(
        &self,
        by: &Caller,
        server: ServerId,
        uri: &str,
    ) -> Result<BoxStream<'static, ()>> {
        by.may(Action::ReadServers)?;
        let reach = self.reach(by, server, &BTreeMap::new()).await?;
        self.pool().follow(&reach, uri, Clock::effect_id()).await.map_err(Error::upstream)
    }

    /// A number that grows whenever a server says that one of its lists has changed. What changed is known after
    /// [`Station::refresh_changed`].
    #[must_use]
    pub fn server_news(&self) -> watch::Receiver<u64> {
        self.pool().news()
    }

    /// Lists anew what said, since it was last listed, that its lists have changed.
    ///
    /// # Errors
    /// The store's.
    pub async fn refresh_changed(&self, environment: &EnvironmentName) -> Result<()> {
        match self.store().environment(environment.as_str()).await? {
            Some(environment) => self.discover_changed(environment.id).await,
            None => Ok(()),
        }
    }

    async fn reach(&self, by: &Caller, server: ServerId, given: &BTreeMap<String, Secret>) -> Result<Reach> {
        let known = match self.surface_of(by, server).await? {
            Some(surface) => {
                self.refuse_given(by, surface.environment.id, given).await?;
                surface.known(self, server, given).await?
            }
            None => None,
        };
        let known =
            known.ok_or_else(|| Error::not_found(format!("server {server} does not exist any more")))?;
        if let Some(denied) = Who::person(by.role).kept_from(&known.settings) {
            let name = known.reach.as_ref().map_or("it", |reach| reach.name.as_str());
            let sentence = format!("`{name}` may not be asked: {}", denied.reason());
            return Err(Error::new(Kind::Forbidden, sentence));
        }
        let reach = known.reach.clone().map_err(Error::invalid)?;
        own_server::refuse_others(by, &reach)?;
        Ok(reach)
    }
}

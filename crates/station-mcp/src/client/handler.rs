//! What a server may ask of us, and what it may tell us.
//!
//! What is asked goes to whoever hears the call that it can only belong to (`pass`), as JSON. Where nobody does, it is answered
//! as the server's file says; without a word there, elicitations are declined, and the list of roots is empty. A model is asked by
//! nobody here: a request for one is refused. Only what can be answered is declared. A changed list is counted, a changed resource told by its address.

use super::messages::{ASKED, SAMPLING};
use super::traffic::Traffic;
use super::{Asks, Launch, follow::updated};
use rmcp::model::{
    ClientCapabilities, ClientConfig, CustomRequest, CustomResult, ElicitRequestParams, ElicitResult,
    ErrorCode, ErrorData, Implementation, ProtocolVersion, ResourceUpdatedNotificationParam,
};
#[expect(deprecated, reason = "older servers ask for roots and models, and are answered")]
use rmcp::model::{CreateMessageRequestParams, CreateMessageResult, ListRootsResult};
use rmcp::service::{NotificationContext, Peer, RequestContext, RoleClient, SubscriptionEnd};
use rmcp::{ClientHandler, ServiceError, model::SubscriptionFilter};
use serde::de::DeserializeOwned;
use serde_json::Value;
use station_core::answers::Answers;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, watch};

/// Addresses of changed resources that wait to be told.
const UPDATES_MAX: usize = 256;

/// How long a server is left alone after its stream of changes ended; doubled each time nothing was heard over it.
const LISTEN_WAIT: Duration = Duration::from_millis(200);

/// Longest such wait.
const LISTEN_WAIT_MAX: Duration = Duration::from_secs(60);

/// Our side of a connection.
#[derive(Clone, Debug)]
pub(super) struct Handler {
    capabilities: ClientCapabilities,
    pub(super) changes: Changes,
    traffic: Arc<Traffic>,
    answers: Answers,
}

/// What a server says has changed.
#[derive(Clone, Debug)]
pub(super) struct Changes {
    /// How often one of its lists did.
    pub(super) lists: watch::Sender<u64>,
    /// How often a list of any server did.
    news: watch::Sender<u64>,
    /// Resources that did.
    pub(super) resources: broadcast::Sender<String>,
}

impl Handler {
    pub(super) fn new(launch: &Launch, traffic: &Arc<Traffic>) -> Self {
        let asks = match launch.asks == Asks::default() {
            true => Asks::answered_by(&launch.answers),
            false => launch.asks,
        };
        // What we declare is ours, and of the protocol.
        let capabilities = serde_json::from_value(asks.to_json()).unwrap_or_default();
        let changes = Changes {
            lists: watch::Sender::new(0),
            news: launch.news.clone(),
            resources: broadcast::Sender::new(UPDATES_MAX),
        };
        Self { capabilities, changes, traffic: Arc::clone(traffic), answers: launch.answers.clone() }
    }

    /// The answer to a question, as rmcp wants it.
    fn answer<T: DeserializeOwned>(&self, method: &str, params: &Value) -> Result<T, ErrorData> {
        let answer = self.answers.to(method, params).map_err(|refused| {
            let code = i32::try_from(refused.code).unwrap_or(ErrorCode::INTERNAL_ERROR.0);
            ErrorData::new(ErrorCode(code), refused.message, None)
        })?;
        serde_json::from_value(answer)
            .map_err(|_| ErrorData::internal_error("the answer could not be made", None))
    }
}

impl Changes {
    fn count(&self) {
        self.lists.send_modify(|changes| *changes += 1);
        self.news.send_modify(|changes| *changes += 1);
    }
}

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let station = Implementation::new("station", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(self.capabilities.clone(), station)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn create_elicitation(
        &self,
        asked: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.answer("elicitation/create", &serde_json::to_value(asked).unwrap_or_default())
    }

    #[expect(deprecated, reason = "older servers ask for models, and are answered")]
    async fn create_message(
        &self,
        _: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        if self.answers.sampling.is_none() {
            return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, SAMPLING, None));
        }
        self.answer(SAMPLING, &Value::Null)
    }

    #[expect(deprecated, reason = "older servers ask for roots, and are answered")]
    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        self.answer("roots/list", &Value::Null)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changes.count();
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changes.count();
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        self.changes.count();
    }

    async fn on_resource_updated(
        &self,
        params: ResourceUpdatedNotificationParam,
        _: NotificationContext<RoleClient>,
    ) {
        updated(&self.changes.resources, params.uri);
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _: RequestContext<RoleClient>,
    ) -> Result<CustomResult, ErrorData> {
        let CustomRequest { method, params, extensions } = request;
        let Some(asked) = method.strip_prefix(ASKED) else {
            return Err(ErrorData::new(rmcp::model::ErrorCode::METHOD_NOT_FOUND, method, None));
        };
        drop(extensions);
        let answered = self.traffic.ask(asked.to_owned(), params.unwrap_or(Value::Null)).await;
        answered.map(CustomResult::new).map_err(|error| {
            serde_json::from_value(error)
                .unwrap_or_else(|_| ErrorData::internal_error("the client's answer could not be read", None))
        })
    }
}

/// Which changes a modern server has to be asked for; `None` where it tells none.
pub(super) fn wanted(peer: &Peer<RoleClient>) -> Option<SubscriptionFilter> {
    let info = peer.peer_info()?;
    let capabilities = &info.capabilities;
    let mut filter = SubscriptionFilter::new();
    filter.tools_list_changed = capabilities.tools.as_ref().and_then(|tools| tools.list_changed);
    filter.prompts_list_changed = capabilities.prompts.as_ref().and_then(|prompts| prompts.list_changed);
    filter.resources_list_changed =
        capabilities.resources.as_ref().and_then(|resources| resources.list_changed);
    [filter.tools_list_changed, filter.prompts_list_changed, filter.resources_list_changed]
        .contains(&Some(true))
        .then_some(filter)
}

/// Follows the changes of a modern server for as long as the connection is there: a stream that ends is opened anew, after
/// a while.
pub(super) async fn follow(peer: Peer<RoleClient>, filter: SubscriptionFilter, changes: Changes) {
    let (mut wait, mut may_have_missed) = (LISTEN_WAIT, false);
    while !peer.is_transport_closed() {
        match peer.listen(filter.clone()).await {
            Ok(mut subscription) => {
                if std::mem::take(&mut may_have_missed) {
                    changes.count();
                }
                while let Ok(Some(_)) = subscription.next().await {
                    changes.count();
                    wait = LISTEN_WAIT;
                }
                // Nobody heard what a server said after that, unless it had nothing more to say.
                may_have_missed = !matches!(subscription.end(), Some(SubscriptionEnd::Graceful(_)));
            }
            Err(ServiceError::McpError(error)) => {
                tracing::debug!(%error, "a server does not tell when its lists change");
                return;
            }
            Err(error) => tracing::debug!(%error, "a server could not be asked when its lists change"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LISTEN_WAIT_MAX);
    }
}

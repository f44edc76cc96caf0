//! What a server may ask of us, and what it may tell us.
//!
//! What is asked is answered as the server's file says, and only that is declared; without a word there, requests for
//! sampling are refused, elicitations declined, and the list of roots is empty. Progress and log messages are heard and
//! passed over; a changed list is counted.

use super::rounds;
#[expect(deprecated, reason = "older servers ask for roots, and are answered")]
use rmcp::model::ListRootsResult;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ErrorCode, ErrorData,
    Implementation, ProtocolVersion,
};
use rmcp::service::{NotificationContext, Peer, RequestContext, RoleClient, Subscription, SubscriptionEnd};
use rmcp::{ClientHandler, model::SubscriptionFilter};
use serde::de::DeserializeOwned;
use serde_json::Value;
use station_core::answers::Answers;
use tokio::sync::watch;

/// Our side of a connection.
#[derive(Clone, Debug)]
pub(super) struct Handler {
    changed: watch::Sender<u64>,
    answers: Answers,
}

impl Handler {
    pub(super) fn new(changed: watch::Sender<u64>, answers: Answers) -> Self {
        Self { changed, answers }
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

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let station = Implementation::new("station", env!("CARGO_PKG_VERSION"));
        // What we declare is ours, and of the protocol.
        let capabilities: ClientCapabilities =
            serde_json::from_value(rounds::declared(&self.answers)).unwrap_or_default();
        ClientConfig::new(capabilities, station)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
    }

    async fn create_elicitation(
        &self,
        asked: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.answer("elicitation/create", &serde_json::to_value(asked).unwrap_or_default())
    }

    #[expect(deprecated, reason = "older servers ask for roots, and are answered")]
    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        self.answer("roots/list", &Value::Null)
    }

    async fn on_tool_list_changed(&self, _: NotificationContext<RoleClient>) {
        count(&self.changed);
    }

    async fn on_resource_list_changed(&self, _: NotificationContext<RoleClient>) {
        count(&self.changed);
    }

    async fn on_prompt_list_changed(&self, _: NotificationContext<RoleClient>) {
        count(&self.changed);
    }
}

fn count(changed: &watch::Sender<u64>) {
    changed.send_modify(|changes| *changes += 1);
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

/// Follows the changes of a modern server until it ends the stream.
pub(super) async fn follow(peer: Peer<RoleClient>, filter: SubscriptionFilter, changed: watch::Sender<u64>) {
    loop {
        match peer.listen(filter.clone()).await {
            Ok(mut subscription) => {
                if !count_all(&mut subscription, &changed).await {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a server does not tell when its lists change");
                return;
            }
        }
    }
}

/// Whether it is worth listening again: we were too slow, so something has changed and something was missed.
async fn count_all(subscription: &mut Subscription, changed: &watch::Sender<u64>) -> bool {
    while let Ok(Some(_)) = subscription.next().await {
        count(changed);
    }
    let lagged = matches!(subscription.end(), Some(SubscriptionEnd::Lagged { .. }));
    if lagged {
        count(changed);
    }
    lagged
}

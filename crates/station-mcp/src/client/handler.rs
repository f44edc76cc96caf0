//! What a server may ask of us, and what it may tell us.
//!
//! Station declares no client capability: requests for sampling are refused, elicitations declined, and the list of
//! roots is empty, all by rmcp's defaults. Progress and log messages are heard and passed over; a changed list is
//! counted.

use rmcp::model::{ClientCapabilities, ClientConfig, Implementation, ProtocolVersion};
use rmcp::service::{NotificationContext, Peer, RoleClient, Subscription, SubscriptionEnd};
use rmcp::{ClientHandler, model::SubscriptionFilter};
use tokio::sync::watch;

/// Our side of a connection.
#[derive(Clone, Debug)]
pub(super) struct Handler {
    changed: watch::Sender<u64>,
}

impl Handler {
    pub(super) fn new(changed: watch::Sender<u64>) -> Self {
        Self { changed }
    }
}

impl ClientHandler for Handler {
    fn get_info(&self) -> ClientConfig {
        let station = Implementation::new("station", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), station)
            .with_protocol_version(ProtocolVersion::LATEST_WITH_INITIALIZE)
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

//! Following one resource: told in whatever way its server's era tells that it changed.

use super::{Connection, Passed};
use crate::Along;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use rmcp::model::{ServerNotification, SubscriptionFilter};
use serde_json::{Map, Value, json};
use station_core::{EffectId, Era};
use std::time::Duration;
use tokio::sync::broadcast;

impl Connection {
    /// Follows the resource at `uri`: an item for each time that it changed, until the server does not tell any more.
    ///
    /// # Errors
    /// As an error of the protocol: why it cannot be followed.
    pub async fn follow(
        &self,
        uri: &str,
        effect: EffectId,
        timeout: Duration,
    ) -> Result<BoxStream<'static, ()>, Value> {
        match self.era() {
            Era::Legacy => self.subscribe(uri, effect, timeout).await,
            Era::Modern => self.listen(uri).await,
        }
    }

    async fn subscribe(
        &self,
        uri: &str,
        effect: EffectId,
        timeout: Duration,
    ) -> Result<BoxStream<'static, ()>, Value> {
        // Before it is asked, so that nothing falls in between.
        let updates = self.inner.changes.resources.subscribe();
        let params = Map::from_iter([("uri".to_owned(), Value::from(uri))]);
        match self.pass_request("resources/subscribe", params, effect, Along::default(), timeout).await {
            Passed::Answered(_) => {}
            Passed::Refused(error) => return Err(error),
            Passed::NotSent { sentence } | Passed::Unknown { sentence, .. } => return Err(fault(&sentence)),
        }
        let followed = (updates, uri.to_owned());
        Ok(futures::stream::unfold(followed, |(mut updates, uri)| async {
            loop {
                match updates.recv().await {
                    Ok(updated) if updated != uri => {}
                    // What was missed may have been this one.
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return Some(((), (updates, uri))),
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        })
        .boxed())
    }

    async fn listen(&self, uri: &str) -> Result<BoxStream<'static, ()>, Value> {
        let mut filter = SubscriptionFilter::new();
        filter.resource_subscriptions = Some(vec![uri.to_owned()]);
        let subscription = self.inner.peer.listen(filter).await.map_err(|error| fault(&error.to_string()))?;
        Ok(futures::stream::unfold(subscription, |mut subscription| async {
            loop {
                match subscription.next().await {
                    Ok(Some(ServerNotification::ResourceUpdatedNotification(_))) => {
                        return Some(((), subscription));
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => return None,
                }
            }
        })
        .boxed())
    }
}

/// A failure of ours as an error of the protocol.
pub(super) fn fault(sentence: &str) -> Value {
    json!({ "code": -32603, "message": sentence })
}

/// Tells that a resource changed. Nobody need be there to hear it.
pub(super) fn updated(resources: &broadcast::Sender<String>, uri: String) {
    drop(resources.send(uri));
}

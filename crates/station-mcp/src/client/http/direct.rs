//! A request that is passed on: posted, and its answer given to whoever waits for it.
//!
//! It does not go through rmcp's loop, which is a task of its own and starts another for each message: for a call that is
//! passed on, these wake-ups cost more than everything else on the way. What is known of it ([`Traffic`]) and what becomes of
//! a response is the same. **Invariant:** its id is a text, and rmcp's are numbers, so no answer reaches the wrong one.
//!
//! [`Traffic`]: super::super::traffic::Traffic

use super::super::pass::Heard;
use super::link::Link;
use super::outgoing::Outgoing;
use rmcp::model::{JsonRpcMessage, RequestId, ServerJsonRpcMessage};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long the first call waits for the stream of what a server says unasked: what a server asks while it is at work may come
/// over that one, and is lost where it is not there.
const LISTENED_WITHIN: Duration = Duration::from_secs(1);

/// The key of the token by which a server says how far it is.
const TOKEN_KEY: &str = "progressToken";

impl Link {
    /// Posts a request and waits for its end. Dropping the future tells the server that nobody waits any more.
    pub(in super::super) async fn ask(
        self: &Arc<Self>,
        method: &'static str,
        mut params: Map<String, Value>,
        mut meta: Map<String, Value>,
        effect: &str,
    ) -> Heard {
        if self.state().listens {
            // A server that does not answer that is asked all the same, and not waited for again.
            drop(tokio::time::timeout(LISTENED_WITHIN, self.listened.cancelled()).await);
            self.listened.cancel();
        }
        let number = self.asked.fetch_add(1, Ordering::Relaxed);
        let id = RequestId::String(format!("station-{number}").into());
        let token = Value::from(format!("station-{number}"));
        self.traffic.tell_by(effect, token.clone());
        meta.insert(TOKEN_KEY.to_owned(), token);
        params.insert("_meta".to_owned(), Value::Object(meta));
        let Ok(outgoing) = Outgoing::request(id.clone(), method, effect, params) else {
            return Heard::Puzzled("the request could not be written".to_owned());
        };
        let (tell, told) = oneshot::channel();
        self.state().asking.insert(id.clone(), tell);
        let asking = Asking { link: self, id, is_modern: outgoing.is_modern() };
        if Arc::clone(self).send_out(outgoing).await.is_err() {
            // There is nobody to be told that it is cancelled.
            self.state().asking.remove(&asking.id);
            return Heard::Nothing;
        }
        match self.closing.run_until_cancelled(told).await {
            Some(Ok(message)) => heard(message),
            Some(Err(_)) | None => Heard::Nothing,
        }
    }
}

fn heard(message: ServerJsonRpcMessage) -> Heard {
    match message {
        JsonRpcMessage::Response(response) => Heard::of(response.result),
        JsonRpcMessage::Error(error) => Heard::Refusal(serde_json::to_value(error.error).unwrap_or_default()),
        // Nothing else is handed to who waits for an answer.
        _ => Heard::Puzzled("it is no answer".to_owned()),
    }
}

/// A request that is out, until it is dropped.
struct Asking<'a> {
    link: &'a Arc<Link>,
    id: RequestId,
    is_modern: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        // Whoever was told has been taken out.
        if self.link.state().asking.remove(&self.id).is_none() {
            return;
        }
        let Ok(cancelled) = Outgoing::cancelled(&self.id) else { return };
        match Handle::try_current() {
            Ok(handle) if !self.is_modern && !self.link.closing.is_cancelled() => {
                let link = Arc::clone(self.link);
                self.link.tasks.spawn_on(async move { drop(link.send_out(cancelled).await) }, &handle);
            }
            // In the era without sessions closing the stream says it.
            _ => self.link.abandon(&self.id),
        }
    }
}

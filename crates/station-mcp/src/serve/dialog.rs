//! What goes on with one client beside its requests: what it is asked, and which log messages it wants.
//!
//! A client of the older era is asked by a request of ours, which travels with the answer to one of its own, and says what it
//! wants to hear for all its requests at once. One of the modern era is asked by results, and each of its requests stands for
//! itself.

use super::Fault;
use super::frame::{self, Id, Written};
use serde_json::{Map, Value, json};
use station_core::Era;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Levels of log messages, least urgent first (RFC 5424).
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// Questions that one client may have open: more than anybody answers.
const QUESTIONS_MAX: usize = 64;

/// How urgent a log message is: its place among [`LEVELS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(usize);

impl Level {
    /// The level of this name.
    pub(crate) fn of(name: &Value) -> Option<Self> {
        LEVELS.iter().position(|level| name.as_str() == Some(level)).map(Self)
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        LEVELS[self.0]
    }
}

/// The answer of a client: its result, or its error as an object.
pub(crate) type Answered = Result<Value, Value>;

/// One client.
#[derive(Debug)]
pub(crate) struct Dialog {
    /// Which client it is.
    pub(crate) client: Uuid,
    level: Mutex<Option<Level>>,
    asked: AtomicU64,
    waiting: Mutex<HashMap<String, oneshot::Sender<Answered>>>,
}

impl Dialog {
    /// With a client that was not heard of before.
    pub(crate) fn new() -> Self {
        Self {
            client: Uuid::now_v7(),
            level: Mutex::default(),
            asked: AtomicU64::new(0),
            waiting: Mutex::default(),
        }
    }

    /// From which level on the client wants log messages, where it said so.
    pub(crate) fn level(&self) -> Option<Level> {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `logging/setLevel`.
    pub(crate) fn set_level(&self, params: &Map<String, Value>) -> Result<Value, Fault> {
        let level = params.get("level").and_then(Level::of);
        let level =
            level.ok_or_else(|| Fault::Params(format!("`params.level` is one of {}", LEVELS.join(", "))))?;
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = Some(level);
        Ok(json!({}))
    }

    /// Asks the client over `outlet`, and waits for what it says or until nobody waits for it any more.
    pub(crate) async fn ask(
        &self,
        method: &str,
        params: &Value,
        outlet: &mpsc::Sender<Written>,
        gone: &CancellationToken,
    ) -> Answered {
        let id = format!("station-{}", self.asked.fetch_add(1, Ordering::Relaxed) + 1);
        let fault = |sentence: &str| Fault::Internal(sentence.to_owned()).to_json(Era::Legacy);
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            if waiting.len() >= QUESTIONS_MAX {
                return Err(fault("too many questions to this client are open"));
            }
            waiting.insert(id.clone(), answer);
        }
        let _open = OpenQuestion { dialog: self, id: &id };
        let mut message = json!({ "jsonrpc": "2.0", "id": id, "method": method });
        if !params.is_null() {
            message["params"] = params.clone();
        }
        if outlet.send(message.into()).await.is_err() {
            return Err(fault("the client does not listen any more"));
        }
        tokio::select! {
            answered = answered => answered.unwrap_or_else(|_| Err(fault("the client did not answer"))),
            () = gone.cancelled() => {
                let params = json!({ "requestId": id, "reason": "the request that needed it is over" });
                // Whoever does not listen any more need not be told.
                drop(outlet.try_send(frame::notification("notifications/cancelled", &params).into()));
                Err(fault("the client is gone"))
            }
        }
    }

    /// Takes what the client answers; an answer to nothing is passed over.
    pub(crate) fn take(&self, id: Option<&Id>, answered: Answered) {
        let Some(Id::Text(id)) = id else { return };
        if let Some(waiting) = self.waiting().remove(id) {
            // Nobody waits for it any more, then.
            drop(waiting.send(answered));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Answered>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A question that is open, until it is dropped.
struct OpenQuestion<'a> {
    dialog: &'a Dialog,
    id: &'a str,
}

impl Drop for OpenQuestion<'_> {
    fn drop(&mut self) {
        self.dialog.waiting().remove(self.id);
    }
}

//! A request as its host sees it: who asks, in which era, what the client can do, and how it is told how far it is.

use super::Fault;
use super::answer::TASKS;
use super::dialog::{Dialog, Level};
use super::frame::{self, Written};
use crate::client::EFFECT_KEY;
use serde_json::{Map, Value, json};
use station_core::{Caller, EffectId, Era, Trace};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Where a modern request says which log messages it wants to hear.
pub(crate) const LEVEL_KEY: &str = "io.modelcontextprotocol/logLevel";

/// A request that is being answered.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Who asks.
    pub by: Caller,
    /// The era it is answered in.
    pub era: Era,
    /// What its client can do.
    pub capabilities: Value,
    /// What its client brings to a question that was put to it before.
    pub input: Input,
    /// The effect that it is sent for, where a run of Station sends it.
    pub effect: Option<EffectId>,
    /// Cancelled when nobody waits for the answer any more.
    pub gone: CancellationToken,
    pub(crate) progress: Option<Progress>,
    /// With whom; nobody, where it is a look of our own.
    with: Option<With>,
    level: Option<Level>,
}

/// The client, and how what is said reaches it while it waits.
#[derive(Clone, Debug)]
struct With {
    dialog: Arc<Dialog>,
    outlet: mpsc::Sender<Written>,
}

/// Answers of a client to what it was asked in an `input_required` result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Input {
    /// By the key of the question.
    pub responses: Map<String, Value>,
    /// What it was given to bring back. An attacker may have made it.
    pub state: Option<String>,
}

/// How far a request is, told to whoever wants to know.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    token: Value,
    steps: Arc<AtomicU64>,
    outlet: mpsc::Sender<Written>,
}

impl Asked {
    /// The same, asked by `by`.
    #[must_use]
    pub fn by(&self, by: Caller) -> Self {
        Self { by, ..self.clone() }
    }

    /// The request with these parameters.
    pub(crate) fn new(
        by: Caller,
        (era, capabilities): (Era, &Value),
        params: &Map<String, Value>,
        (dialog, outlet): (&Arc<Dialog>, &mpsc::Sender<Written>),
        gone: CancellationToken,
    ) -> Self {
        let meta = |key: &str| params.get("_meta").and_then(|meta| meta.get(key));
        let token = meta("progressToken");
        let effect = meta(EFFECT_KEY).and_then(Value::as_str).and_then(|id| id.parse().ok());
        let token = token.filter(|token| token.is_string() || token.is_i64() || token.is_u64());
        let object = |key: &str| params.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
        let input = Input {
            responses: object("inputResponses"),
            // What is no text was never given out, and is told so where it is opened: without it the call would be another one.
            state: params
                .get("requestState")
                .filter(|state| !state.is_null())
                .map(|state| state.as_str().map_or_else(|| state.to_string(), str::to_owned)),
        };
        let progress = token.map(|token| Progress {
            token: token.clone(),
            steps: Arc::default(),
            outlet: outlet.clone(),
        });
        let level = match era {
            Era::Legacy => dialog.level(),
            Era::Modern => meta(LEVEL_KEY).and_then(Level::of),
        };
        let with = Some(With { dialog: Arc::clone(dialog), outlet: outlet.clone() });
        // A request knows better than the connection over which it came.
        let by = by.in_trace(meta(Trace::NAME).and_then(Value::as_str).and_then(|text| text.parse().ok()));
        Self { by, era, capabilities: capabilities.clone(), input, effect, gone, progress, with, level }
    }

    /// A look of our own on behalf of `by`, to which nobody waits for an answer.
    #[must_use]
    pub fn unasked(by: Caller) -> Self {
        Self {
            by,
            era: Era::Legacy,
            capabilities: Value::Null,
            input: Input::default(),
            effect: None,
            gone: CancellationToken::new(),
            progress: None,
            with: None,
            level: None,
        }
    }

    /// Which client asks: the same for all that it asks over one pipe or in one session.
    #[must_use]
    pub fn client(&self) -> Uuid {
        self.with.as_ref().map_or_else(Uuid::nil, |with| with.dialog.client)
    }

    /// Puts a question to a client of the older era, which answers while its own request is open.
    ///
    /// # Errors
    /// As an error of the protocol: the client's, or why it was not asked.
    pub async fn ask(&self, method: &str, params: &Value) -> Result<Value, Value> {
        match &self.with {
            Some(with) if self.era == Era::Legacy => {
                with.dialog.ask(method, params, &with.outlet, &self.gone).await
            }
            _ => Err(Fault::Internal("this client cannot be asked".to_owned()).to_json(Era::Legacy)),
        }
    }

    /// From which level on the client wants to hear log messages, by its name; nothing where it did not say.
    #[must_use]
    pub fn log_level(&self) -> Option<&'static str> {
        self.level.map(Level::name)
    }

    /// Passes on a log message, with the parameters of its notification, where the client wants to hear it. A modern client
    /// that names no level wants none; an older one takes what there is.
    pub async fn pass_log(&self, params: &Value) {
        let level = params.get("level").and_then(Level::of);
        let is_wanted = match (self.level, self.era) {
            (Some(wanted), _) => level.is_some_and(|level| level >= wanted),
            (None, era) => era == Era::Legacy,
        };
        if let Some(with) = self.with.as_ref().filter(|_| is_wanted) {
            drop(with.outlet.send(frame::notification("notifications/message", params).into()).await);
        }
    }

    /// Passes on how far somebody else is with it, with the parameters of that notification, where anybody wants to know.
    pub async fn pass_progress(&self, mut params: Value) {
        let (Some(progress), Some(object)) = (&self.progress, params.as_object_mut()) else { return };
        object.insert("progressToken".to_owned(), progress.token.clone());
        drop(progress.outlet.send(frame::notification("notifications/progress", &params).into()).await);
    }

    /// Whether the client takes a handle in place of a result: it declares the Tasks extension, in the modern era.
    #[must_use]
    pub fn takes_tasks(&self) -> bool {
        self.era == Era::Modern && self.extends(TASKS)
    }

    /// Whether the client declares `capability`, e.g. `elicitation`.
    #[must_use]
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.get(capability).is_some_and(Value::is_object)
    }

    /// Whether the client declares the extension `name`.
    #[must_use]
    pub fn extends(&self, name: &str) -> bool {
        self.capabilities.get("extensions").and_then(|all| all.get(name)).is_some_and(Value::is_object)
    }

    /// Whether anybody wants to know how far it is.
    #[must_use]
    pub fn wants_progress(&self) -> bool {
        self.progress.is_some()
    }

    /// Says how far it is, where anybody wants to know: one more step, in words.
    pub async fn tell(&self, message: &str) {
        let Some(progress) = &self.progress else { return };
        let step = progress.steps.fetch_add(1, Ordering::Relaxed) + 1;
        let params = json!({ "progressToken": progress.token, "progress": step, "message": message });
        // Whoever does not listen any more is seen by `gone`.
        drop(progress.outlet.send(frame::notification("notifications/progress", &params).into()).await);
    }
}

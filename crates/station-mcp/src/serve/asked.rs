//! A request as its host sees it: who asks, in which era, what the client can do, and how it is told how far it is.

use super::answer::TASKS;
use super::frame;
use crate::client::EFFECT_KEY;
use serde_json::{Map, Value, json};
use station_core::{Caller, EffectId, Era};
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A request that is being answered.
#[derive(Debug)]
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
#[derive(Debug)]
pub(crate) struct Progress {
    token: Value,
    steps: AtomicU64,
    outlet: mpsc::Sender<Value>,
}

impl Asked {
    /// The request with these parameters.
    pub(crate) fn new(
        by: Caller,
        (era, capabilities): (Era, &Value),
        params: &Map<String, Value>,
        outlet: &mpsc::Sender<Value>,
        gone: CancellationToken,
    ) -> Self {
        let meta = |key: &str| params.get("_meta").and_then(|meta| meta.get(key));
        let token = meta("progressToken");
        let effect = meta(EFFECT_KEY).and_then(Value::as_str).and_then(|id| id.parse().ok());
        let token = token.filter(|token| token.is_string() || token.is_i64() || token.is_u64());
        let object = |key: &str| params.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
        let input = Input {
            responses: object("inputResponses"),
            state: params.get("requestState").and_then(Value::as_str).map(str::to_owned),
        };
        let progress = token.map(|token| Progress {
            token: token.clone(),
            steps: AtomicU64::new(0),
            outlet: outlet.clone(),
        });
        Self { by, era, capabilities: capabilities.clone(), input, effect, gone, progress }
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
        }
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
        drop(progress.outlet.send(frame::notification("notifications/progress", &params)).await);
    }
}

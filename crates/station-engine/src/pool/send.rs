//! Sending one request over a connection of the pool: in its turn, renewed only before anything is written.

use super::open::redacted;
use super::slot::Slot;
use super::{CallTurn, PlayedCall, Pool, Reach};
use futures::FutureExt as _;
use serde_json::{Map, Value};
use station_core::content::{self, CONTENT};
use station_core::{EffectId, Fence, RunId};
use station_mcp::{Along, CallEnd, Passed};
use std::time::{Duration, Instant};
use tracing::field::Empty;
use tracing::{Instrument as _, Level};

/// A request of the protocol.
pub(crate) struct Wanted {
    pub(super) method: &'static str,
    pub(super) params: Map<String, Value>,
}

impl Wanted {
    /// A call of `tool`; `more` are parameters beside its name and arguments.
    pub(crate) fn call(tool: &str, arguments: Map<String, Value>, more: Map<String, Value>) -> Self {
        let mut wanted = Self::named("tools/call", tool, arguments);
        wanted.params.extend(more);
        wanted
    }

    pub(super) fn named(method: &'static str, name: &str, arguments: Map<String, Value>) -> Self {
        let named = ("name".to_owned(), Value::from(name));
        let params = Map::from_iter([named, ("arguments".to_owned(), Value::Object(arguments))]);
        Self { method, params }
    }
}

/// Whether a call may be sent now, and under which fence: none where a person sends it.
pub(crate) type MaySend<'a> = dyn Fn() -> Result<Option<Fence>, String> + Sync + 'a;

/// A call, ready to be sent.
pub(crate) struct Outgoing<'a> {
    pub(crate) run: Option<RunId>,
    pub(crate) wanted: Wanted,
    pub(crate) effect: EffectId,
    /// What it is answered is in no trace.
    pub(crate) is_secret: bool,
    /// Its turn; it waits for one where it has none.
    pub(crate) turn: Option<CallTurn>,
    /// Asked when nothing is left to wait for, right before the call is given to the connection.
    pub(crate) may_send: &'a MaySend<'a>,
    /// What goes with it, and who hears what is said meanwhile.
    pub(crate) along: Along,
}

/// How one try to send ended.
enum Sent {
    /// There was no connection, or it may not be used; the words say what a person can do about it.
    Unopened(String),
    Final(Passed),
    /// Nothing was written, and there is time to write it on another connection.
    Renewable(Passed),
}

impl Pool {
    /// Sends one tool call. Only the gate calls this.
    pub(crate) async fn send_call(&self, reach: &Reach, outgoing: Outgoing<'_>) -> CallEnd {
        if let Some(played) = &self.shared.played {
            let fence = match (outgoing.may_send)() {
                Ok(fence) => fence,
                Err(sentence) => return CallEnd::NotSent { sentence },
            };
            let (server, effect) = (reach.name.clone(), outgoing.effect);
            let sender = outgoing.run.zip(fence);
            let mut params = outgoing.wanted.params;
            let tool = params.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            let arguments = match params.remove("arguments") {
                Some(Value::Object(arguments)) => arguments,
                _ => Map::new(),
            };
            return played(PlayedCall { server, tool, arguments, effect, sender }).await;
        }
        let passed = self.send_measured(reach, outgoing).await;
        passed.read(self.output_bytes_max(reach), &reach.definition.redaction())
    }

    /// Sends one tool call and hands on what came of it as it was said. Only the gate calls this.
    pub(crate) async fn send_call_whole(&self, reach: &Reach, outgoing: Outgoing<'_>) -> Passed {
        self.send_measured(reach, outgoing).await
    }

    async fn send_measured(&self, reach: &Reach, outgoing: Outgoing<'_>) -> Passed {
        let tool = outgoing.wanted.params.get("name").and_then(Value::as_str).unwrap_or_default();
        let (effect, is_secret) = (outgoing.effect, outgoing.is_secret);
        let span_id = outgoing.along.trace.map(|trace| trace.at(effect.0).span_id());
        let span =
            tracing::info_span!("tool.call", server = %reach.name, tool, %effect, span_id, outcome = Empty);
        let is_told = tracing::enabled!(target: CONTENT, Level::TRACE);
        let told = |said: &Value| reach.definition.redaction().apply(&content::shortened(&said.to_string()));
        if let Some(arguments) = outgoing.wanted.params.get("arguments").filter(|_| is_told) {
            tracing::trace!(target: CONTENT, parent: &span, arguments = told(arguments));
        }
        // Boxed, because the compiler gives up on the size of what runs through so many hands.
        let passed = self.send(reach, outgoing).boxed().instrument(span.clone()).await;
        span.record("outcome", passed.outcome());
        if let (true, Passed::Answered(result)) = (is_told && !is_secret, &passed) {
            tracing::trace!(target: CONTENT, parent: &span, result = told(result));
        }
        passed
    }

    pub(super) async fn send(&self, reach: &Reach, mut outgoing: Outgoing<'_>) -> Passed {
        let timeout = reach.settings.timeout_s.map_or(self.shared.call_timeout, Duration::from_secs);
        if self.shared.played.is_some() {
            return Passed::NotSent { sentence: "what is played back has no servers".to_owned() };
        }
        let turn = match outgoing.turn.take() {
            Some(turn) => Ok(turn),
            None => {
                tokio::time::timeout(timeout, self.turn(reach, outgoing.run)).await.unwrap_or_else(|_| {
                    let s = timeout.as_secs();
                    Err(format!("server `{}` was busy with other calls for {s} s", reach.name))
                })
            }
        };
        let turn = match turn {
            Ok(turn) => turn,
            Err(sentence) => return Passed::NotSent { sentence },
        };
        let slot = &turn.slot;
        // Twice, because a kept connection may turn out to be dead before anything is written; a new one must not.
        let mut end = self.send_once(slot, reach, &outgoing, timeout).await;
        if let Sent::Renewable(_) = end {
            end = self.send_once(slot, reach, &outgoing, timeout).await;
        }
        slot.touch();
        let end = match end {
            Sent::Final(end) | Sent::Renewable(end) => end,
            Sent::Unopened(sentence) => {
                return Passed::NotSent { sentence: redacted(&sentence, slot, reach) };
            }
        };
        match end {
            // What a server returned has its secrets taken out where it is read, as far as it is an error; a result is
            // the tool's own.
            Passed::Answered(_) | Passed::Refused(_) => end,
            Passed::NotSent { sentence } => {
                let sentence = self.told(slot, reach, redacted(&sentence, slot, reach)).await;
                Passed::NotSent { sentence }
            }
            Passed::Unknown { why, sentence } => {
                Passed::Unknown { why, sentence: redacted(&sentence, slot, reach) }
            }
        }
    }

    async fn send_once(
        &self,
        slot: &Slot,
        reach: &Reach,
        outgoing: &Outgoing<'_>,
        timeout: Duration,
    ) -> Sent {
        let opened = match self.connection(slot, reach, outgoing.run).await {
            Ok(opened) => opened,
            Err(sentence) => return Sent::Unopened(sentence),
        };
        if let Err(sentence) = (outgoing.may_send)() {
            return Sent::Unopened(sentence);
        }
        let began = Instant::now();
        let mut out = slot.out();
        let Wanted { method, params } = &outgoing.wanted;
        let along = outgoing.along.clone();
        let end =
            opened.connection.pass_request(method, params.clone(), outgoing.effect, along, timeout).await;
        let asked = slot.bearer.asked();
        // Whoever asks for a login is there.
        out.is_answered = matches!(end, Passed::Answered(_) | Passed::Refused(_)) || asked.is_some();
        // The same token would be good for as little once more.
        let needs_more = asked.is_some_and(|challenge| challenge.needs_more);
        if matches!(end, Passed::NotSent { .. }) && !needs_more && began.elapsed() < timeout {
            return Sent::Renewable(end);
        }
        Sent::Final(end)
    }
}

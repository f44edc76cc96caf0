//! A request passed on as JSON, in both directions, with what the server says and asks while it is at work on it.
//!
//! A result is handed on as it was said, so that whatever a server returns arrives whole; a refusal keeps its code. Progress
//! is told by the token of its request. Log messages and questions name no request, so they go to whoever alone can be meant:
//! where calls of several clients are out on one connection, a message is dropped and a question is answered as where nobody
//! can be asked. **Invariant:** what is said about one client's request reaches no other client.

use super::follow::fault;
use super::messages::SAMPLING;
use super::rounds::{self, ROUNDS_MAX};
use super::traffic::EFFECT_KEY;
use super::{Carrier, Connection};
use crate::serve::{LEVEL_KEY, Level};
use crate::{CallEnd, convert};
use futures::FutureExt as _;
use rmcp::ServiceError;
use rmcp::model::{
    CancelledNotificationParam, ClientRequest, CustomRequest, RequestId, RequestMetaObject, ServerResult,
};
use rmcp::service::{Peer, PeerRequestOptions, RoleClient};
use serde_json::{Map, Value, json};
use station_core::run::Why;
use station_core::{EffectId, Era, Redaction, Trace};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::Instrument as _;
use uuid::Uuid;

/// How a request that was passed on ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Passed {
    /// With this result; also with one that asks for input, or says that the tool failed.
    Answered(Value),
    /// The server answered with this error of the protocol, as an object. Secrets of the definition are taken out.
    Refused(Value),
    /// Nothing was written: as [`CallEnd::NotSent`].
    NotSent {
        /// What happened, for people.
        sentence: String,
    },
    /// It was written, and its outcome will not be known.
    Unknown {
        /// Why.
        why: Why,
        /// What happened, for people.
        sentence: String,
    },
}

/// What goes along with a request.
#[derive(Clone, Debug, Default)]
pub struct Along {
    /// From which level on log messages are wanted, by its name; nothing where nobody said.
    pub level: Option<&'static str>,
    /// Who hears what is said while the server is at work.
    pub hearer: Option<Hearer>,
    /// What it belongs to: told in its `_meta` as `traceparent`, under the effect (MCP, SEP-414).
    pub trace: Option<Trace>,
}

/// Where what a server says while it is at work goes.
#[derive(Clone, Debug)]
pub struct Hearer {
    /// Whose request it is: the same for all of one client.
    pub client: Uuid,
    /// What of it.
    pub hears: Hears,
    /// Told in the order in which it is read. What does not fit is dropped, and a question then is not asked.
    pub outlet: mpsc::Sender<Told>,
}

impl Hearer {
    /// Puts a question about the request of `effect`, and waits until it is answered.
    ///
    /// # Errors
    /// What the server may be told of why it is not, as the rest of a sentence.
    pub(super) async fn ask(&self, effect: EffectId, method: &str, params: Value) -> Result<Value, String> {
        let nobody = "nobody is there to answer this";
        let (answer, answered) = oneshot::channel();
        let question = Question { effect, method: method.to_owned(), params, answer };
        self.outlet.send(Told::Asks(question)).await.map_err(|_| nobody.to_owned())?;
        let answer = answered.await.map_err(|_| nobody.to_owned())?;
        answer.map_err(|error| error["message"].as_str().unwrap_or(nobody).to_owned())
    }
}

/// What of what a server says goes to a hearer. Questions that do not are answered as the server's file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hears {
    /// All but questions.
    News,
    /// All.
    All,
    /// Requests for a model, and nothing else.
    Sampling,
}

impl Hears {
    pub(super) fn news(self) -> bool {
        self != Self::Sampling
    }

    pub(super) fn question(self, method: &str) -> bool {
        match self {
            Self::News => false,
            Self::All => true,
            Self::Sampling => method == SAMPLING,
        }
    }
}

/// What a server says while it is at work on a request.
#[derive(Debug)]
pub enum Told {
    /// How far it is: parameters of `notifications/progress`.
    Progress(Value),
    /// Parameters of `notifications/message`.
    Log(Value),
    /// It asks the client.
    Asks(Question),
}

/// A question of a server, which waits for its answer: of one of the older era, or for a model.
#[derive(Debug)]
pub struct Question {
    /// The request that the server is at work on; where it may be of several, the one that was sent first.
    pub effect: EffectId,
    /// `elicitation/create`, `sampling/createMessage` or `roots/list`.
    pub method: String,
    /// Its parameters.
    pub params: Value,
    /// Takes the result, or the error, as an object. Dropped, it says that nobody answers.
    pub answer: oneshot::Sender<Result<Value, Value>>,
}

/// How a request that was sent ended, as far as the connection knows.
pub(super) enum Heard {
    /// With this result.
    Result(Value),
    /// With this error of the protocol.
    Refusal(Value),
    /// The connection ended.
    Nothing,
    /// With something that nobody understands, for the log.
    Puzzled(String),
}

impl Heard {
    /// A result as it was said: see `convert::enclosed`.
    pub(super) fn of(result: ServerResult) -> Self {
        Self::Result(match result {
            ServerResult::CallToolResult(enclosing) => enclosing.structured_content.unwrap_or_default(),
            other => serde_json::to_value(other).unwrap_or_default(),
        })
    }
}

impl Passed {
    /// How it ended, in one word: `answered`, `failed` (the tool says so), `refused`, `not_sent` or `unknown`.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Answered(answer) if convert::says_that_it_failed(answer) => "failed",
            Self::Answered(_) => "answered",
            Self::Refused(_) => "refused",
            Self::NotSent { .. } => "not_sent",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// The end of a tool call as a run takes it, within `bytes_max`.
    #[must_use]
    pub fn read(self, bytes_max: u64, redaction: &Redaction) -> CallEnd {
        let failed = |sentence: &str| convert::error(sentence, bytes_max, redaction);
        match self {
            Self::Answered(answer) => match answer["resultType"].as_str() {
                Some("input_required") => failed(
                    "the tool asks for input from a person, which Station cannot give yet; it did not finish",
                ),
                // We do not declare that we follow tasks, so no server should make one.
                Some("task") => failed("the server put the call off, and Station cannot follow it"),
                _ if convert::is_result(&answer) || answer == json!({}) => {
                    convert::result(convert::enclosed(answer), bytes_max, redaction)
                }
                _ => failed("the server's answer is not the result of a tool call"),
            },
            Self::Refused(error) => failed(error["message"].as_str().unwrap_or_default()),
            Self::NotSent { sentence } => CallEnd::NotSent { sentence },
            Self::Unknown { why, sentence } => CallEnd::Unknown { why, sentence },
        }
    }
}

impl Connection {
    /// Passes one request on and waits for its end. What the server asks by its result is answered here, as its file says, where
    /// nobody else takes its questions.
    pub async fn pass_request(
        &self,
        method: &'static str,
        mut params: Map<String, Value>,
        effect: EffectId,
        along: Along,
        timeout: Duration,
    ) -> Passed {
        let hearer = along.hearer.clone();
        let hearer = hearer.as_ref().map(|hearer| (effect, hearer));
        if hearer.is_some_and(|(_, hearer)| hearer.hears == Hears::All) {
            return self.pass_once(method, params, effect, along, timeout).await;
        }
        let refused = |words: &str| Passed::Refused(fault(words));
        let mut deadline = Instant::now() + timeout;
        for round in 0..ROUNDS_MAX {
            // All rounds have the time of one call.
            let left = if round == 0 { timeout } else { deadline.saturating_duration_since(Instant::now()) };
            let asked = match self.pass_once(method, params.clone(), effect, along.clone(), left).await {
                Passed::Answered(asked) if asked["resultType"] == "input_required" => asked,
                // The server has begun with it, so what is not sent now is no call that was not made.
                Passed::NotSent { sentence } if round > 0 => {
                    return Passed::Unknown { why: Why::ConnectionLost, sentence };
                }
                end => return end,
            };
            let since = Instant::now();
            params = match rounds::next(&params, &asked, &self.inner.answers, hearer).await {
                Ok(next) => next,
                Err(words) => return refused(&format!("the tool {words}")),
            };
            // A model's time is not the server's.
            deadline += since.elapsed();
        }
        refused("the tool asks for input again and again; it did not finish")
    }

    /// Passes one request on and waits for its end. Dropping the future tells the server that nobody waits any more. Time in
    /// which a question of the server is open does not count.
    async fn pass_once(
        &self,
        method: &'static str,
        params: Map<String, Value>,
        effect: EffectId,
        along: Along,
        timeout: Duration,
    ) -> Passed {
        if self.is_closed() {
            return Passed::NotSent { sentence: self.closed_sentence().await };
        }
        let span = self.request_span(method);
        let passed =
            self.pass_measured(method, params, effect, along, timeout).instrument(span.clone()).await;
        span.record("outcome", passed.outcome());
        if matches!(&passed, Passed::Unknown { why: Why::ConnectionLost, .. }) {
            span.record("error", "lost");
        }
        passed
    }

    async fn pass_measured(
        &self,
        method: &'static str,
        params: Map<String, Value>,
        effect: EffectId,
        along: Along,
        timeout: Duration,
    ) -> Passed {
        let trace = along.trace.map(|trace| trace.at(effect.0));
        let effect = effect.to_string();
        let ticket = self.inner.traffic.admit(&effect, along.hearer);
        let mut meta = Map::new();
        if let Some(level) = along.level {
            self.want_log(level, &mut meta, timeout).await;
        }
        meta.insert(EFFECT_KEY.to_owned(), Value::String(effect.clone()));
        if let Some(trace) = trace {
            meta.insert(Trace::NAME.to_owned(), Value::String(trace.to_string()));
        }
        let heard = tokio::select! {
            biased;
            heard = self.ask(method, params, meta, &effect) => Some(heard),
            () = self.inner.traffic.out_of_time(&effect, timeout) => None,
        };
        let settled = ticket.withdraw();
        if let Some(words) = settled.lost {
            let sentence = format!("server `{}` {words}", self.inner.server);
            return match settled.begun {
                true => Passed::Unknown { why: Why::ConnectionLost, sentence },
                false => Passed::NotSent { sentence },
            };
        }
        match heard {
            Some(Heard::Result(result)) => self.answered(result),
            Some(Heard::Refusal(error)) => self.refused(error),
            Some(Heard::Nothing) if settled.begun => self.lost().await,
            Some(Heard::Nothing) => Passed::NotSent { sentence: self.closed_sentence().await },
            Some(Heard::Puzzled(error)) => {
                tracing::debug!(server = %self.inner.server, %error, "an answer was not understood");
                self.refused(fault("the server's answer could not be understood"))
            }
            None if settled.begun => Passed::Unknown {
                why: Why::TimedOut,
                sentence: format!("server `{}` did not answer within {timeout:?}", self.inner.server),
            },
            None => Passed::NotSent {
                sentence: format!("server `{}` read nothing for {timeout:?}", self.inner.server),
            },
        }
    }

    /// Sends a request and waits for its end.
    async fn ask(
        &self,
        method: &'static str,
        params: Map<String, Value>,
        meta: Map<String, Value>,
        effect: &str,
    ) -> Heard {
        if let Carrier::Remote(remote) = &self.inner.carrier {
            return remote.ask(method, params, meta, effect).await;
        }
        let request = ClientRequest::CustomRequest(CustomRequest::new(method, Some(Value::Object(params))));
        let mut options = RequestMetaObject::new();
        options.0.0.extend(meta);
        match asked(&self.inner.peer, request, options).await {
            Ok(result) => Heard::of(result),
            Err(ServiceError::McpError(error)) => {
                Heard::Refusal(serde_json::to_value(error).unwrap_or_default())
            }
            Err(ServiceError::TransportSend(_) | ServiceError::TransportClosed) => Heard::Nothing,
            Err(error) => Heard::Puzzled(error.to_string()),
        }
    }

    /// Says from which level on log messages are wanted: with the request, or, in the older era, once for all of them. There it
    /// is never made less again, since others may want what this one does not.
    async fn want_log(&self, level: &'static str, meta: &mut Map<String, Value>, timeout: Duration) {
        if self.era() == Era::Modern {
            meta.insert(LEVEL_KEY.to_owned(), level.into());
            return;
        }
        let logs = self.inner.peer.peer_info().is_some_and(|info| info.capabilities.logging.is_some());
        let wanted = Level::of(&level.into());
        let is_news = {
            let mut told = self.inner.level.lock().expect("nobody panics while holding the level");
            let is_news = logs && told.is_none_or(|told| wanted.is_some_and(|wanted| wanted < told));
            if is_news {
                *told = wanted;
            }
            is_news
        };
        if is_news {
            let params = Some(json!({ "level": level }));
            let request = ClientRequest::CustomRequest(CustomRequest::new("logging/setLevel", params));
            let asked = asked(&self.inner.peer, request, RequestMetaObject::new());
            match tokio::time::timeout(timeout, asked).await {
                Ok(Ok(_)) => {}
                // Its log is not worth the call.
                failed => {
                    tracing::debug!(server = %self.inner.server, ?failed, "a level of log messages was not taken");
                }
            }
        }
    }

    fn answered(&self, answer: Value) -> Passed {
        Passed::Answered(match convert::says_that_it_failed(&answer) {
            true => convert::redacted(answer, &self.redaction()),
            false => answer,
        })
    }

    fn refused(&self, error: Value) -> Passed {
        Passed::Refused(convert::redacted(error, &self.redaction()))
    }
}

/// Sends a request and waits for its answer; given up before that, it is cancelled.
async fn asked(
    peer: &Peer<RoleClient>,
    request: ClientRequest,
    meta: RequestMetaObject,
) -> Result<ServerResult, ServiceError> {
    let mut options = PeerRequestOptions::no_options();
    options.meta = Some(meta);
    let handle = peer.send_request_with_option(request, options).await?;
    let mut out = Out { peer, id: Some(handle.id.clone()) };
    let answer = handle.await_response().await;
    out.id = None;
    answer
}

/// A request that is out.
struct Out<'a> {
    peer: &'a Peer<RoleClient>,
    id: Option<RequestId>,
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let why =
                CancelledNotificationParam::new(Some(id), Some("nobody waits for it any more".to_owned()));
            // The first poll gives it to the connection, and nobody need hear that it was written.
            drop(self.peer.notify_cancelled(why).now_or_never());
        }
    }
}

//! A tool call: sent once, and honest about what is known of it afterwards.

use super::Connection;
use super::rounds::{self, ROUNDS_MAX};
use super::traffic::EFFECT_KEY;
use crate::convert;
use rmcp::ServiceError;
use rmcp::model::{CallToolRequestParams, CallToolResponse, InputRequiredResult, RequestMetaObject};
use serde_json::{Map, Value};
use station_core::run::Why;
use station_core::{EffectId, Image};
use std::time::Duration;
use tokio::time::Instant;

/// How many of the server's last lines are told when it broke off in the middle of a call.
const LINES_TOLD: usize = 5;

/// How a tool call ended.
#[derive(Clone, Debug, PartialEq)]
pub enum CallEnd {
    /// The server answered; also when it answered with an error.
    Returned {
        /// The result as text, at most `output_bytes_max` bytes and a note on what was cut.
        text: String,
        /// The structured result, where there is one and it is within the limit.
        structured: Option<Value>,
        /// Whether the tool, or the server in its place, says that it failed. Then the definition's secrets are taken
        /// out of what it says; what else a tool returns is its own, and stays as it is.
        is_error: bool,
        /// Bytes of the result that were left out.
        cut_bytes: u64,
        /// Its images, each named by the text: of the sorts and sizes that models take, and no more.
        images: Vec<Image>,
    },
    /// Nothing was written, because the connection was closed or took nothing in all the time there was: it may be
    /// renewed, and the call sent.
    NotSent {
        /// What happened, for people.
        sentence: String,
    },
    /// The call was written, and its outcome will not be known.
    Unknown {
        /// Why.
        why: Why,
        /// What happened, for people.
        sentence: String,
    },
}

/// How one round of a call ended.
enum Once {
    Ended(CallEnd),
    /// The server asks for something first.
    Asked(InputRequiredResult),
}

impl Connection {
    /// Sends one tool call and waits for its end. Dropping the future tells the server that nobody waits any more.
    pub async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        effect: EffectId,
        timeout: Duration,
    ) -> CallEnd {
        let effect = effect.to_string();
        let deadline = Instant::now() + timeout;
        let mut params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let mut meta = RequestMetaObject::new();
        meta.0.0.insert(EFFECT_KEY.to_owned(), Value::String(effect.clone()));
        params.meta = Some(meta);
        for round in 0..ROUNDS_MAX {
            // All rounds have the time of one call.
            let left = if round == 0 { timeout } else { deadline.saturating_duration_since(Instant::now()) };
            let asked = match self.call_once(params.clone(), &effect, left).await {
                Once::Asked(asked) => asked,
                // The server has begun with it, so what is not sent now is no call that was not made.
                Once::Ended(CallEnd::NotSent { sentence }) if round > 0 => {
                    return CallEnd::Unknown { why: Why::ConnectionLost, sentence };
                }
                Once::Ended(end) => return end,
            };
            params = match rounds::next(&params, asked, &self.inner.answers) {
                Ok(next) => next,
                Err(words) => return self.failed(&format!("the tool {words}")),
            };
        }
        self.failed("the tool asks for input again and again; it did not finish")
    }

    /// One round of a call.
    async fn call_once(&self, params: CallToolRequestParams, effect: &str, timeout: Duration) -> Once {
        if self.is_closed() {
            return Once::Ended(CallEnd::NotSent { sentence: self.closed_sentence().await });
        }
        let ticket = self.inner.traffic.admit(effect);
        let answer = tokio::time::timeout(timeout, self.inner.peer.call_tool_once(params)).await;
        let settled = ticket.withdraw();
        if let Some(words) = settled.lost {
            let sentence = format!("server `{}` {words}", self.inner.server);
            return Once::Ended(match settled.begun {
                true => CallEnd::Unknown { why: Why::ConnectionLost, sentence },
                false => CallEnd::NotSent { sentence },
            });
        }
        Once::Ended(match answer {
            Ok(Ok(CallToolResponse::InputRequired(asked))) => return Once::Asked(asked),
            Ok(Ok(response)) => self.answered(response),
            Ok(Err(ServiceError::McpError(error))) => self.failed(&error.message),
            Ok(Err(ServiceError::TransportSend(_) | ServiceError::TransportClosed)) => {
                if settled.begun {
                    self.lost().await
                } else {
                    CallEnd::NotSent { sentence: self.closed_sentence().await }
                }
            }
            Ok(Err(error)) => {
                tracing::debug!(server = %self.inner.server, %error, "a call's answer was not understood");
                self.failed("the server's answer is not the result of a tool call")
            }
            Err(_) if settled.begun => CallEnd::Unknown {
                why: Why::TimedOut,
                sentence: format!("server `{}` did not answer within {timeout:?}", self.inner.server),
            },
            Err(_) => CallEnd::NotSent {
                sentence: format!("server `{}` read nothing for {timeout:?}", self.inner.server),
            },
        })
    }

    fn answered(&self, response: CallToolResponse) -> CallEnd {
        match response {
            CallToolResponse::Complete(result) => {
                convert::result(result, self.inner.output_bytes_max, &self.redaction())
            }
            // We do not declare that we follow tasks, so no server should make one.
            _ => self.failed("the server put the call off, and Station cannot follow it"),
        }
    }

    fn failed(&self, sentence: &str) -> CallEnd {
        convert::error(sentence, self.inner.output_bytes_max, &self.redaction())
    }

    async fn lost(&self) -> CallEnd {
        let broke = self.breakage().await;
        let lines = self.stderr();
        let last = &lines[lines.len().saturating_sub(LINES_TOLD)..];
        let words =
            if last.is_empty() { String::new() } else { format!("; it last said: {}", last.join(" | ")) };
        CallEnd::Unknown {
            why: Why::ConnectionLost,
            sentence: format!("server `{}` {broke} before it answered{words}", self.inner.server),
        }
    }

    async fn closed_sentence(&self) -> String {
        format!("server `{}` {}", self.inner.server, self.breakage().await)
    }
}

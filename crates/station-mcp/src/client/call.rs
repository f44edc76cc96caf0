//! A tool call: sent once, and honest about what is known of it afterwards.

use super::Connection;
use super::pass::{Along, Passed};
use serde_json::{Map, Value};
use station_core::run::Why;
use station_core::{EffectId, Image};
use std::time::Duration;

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

impl Connection {
    /// Sends one tool call and waits for its end. Dropping the future tells the server that nobody waits any more.
    pub async fn call(
        &self,
        tool: &str,
        arguments: Map<String, Value>,
        effect: EffectId,
        timeout: Duration,
    ) -> CallEnd {
        let passed =
            self.pass_request("tools/call", wanted(tool, arguments), effect, Along::default(), timeout).await;
        passed.read(self.inner.output_bytes_max, &self.redaction())
    }

    pub(super) async fn lost(&self) -> Passed {
        let broke = self.breakage().await;
        let lines = self.stderr();
        let last = &lines[lines.len().saturating_sub(LINES_TOLD)..];
        let words =
            if last.is_empty() { String::new() } else { format!("; it last said: {}", last.join(" | ")) };
        Passed::Unknown {
            why: Why::ConnectionLost,
            sentence: format!("server `{}` {broke} before it answered{words}", self.inner.server),
        }
    }

    pub(super) async fn closed_sentence(&self) -> String {
        format!("server `{}` {}", self.inner.server, self.breakage().await)
    }
}

/// The parameters of a call of `tool`.
fn wanted(tool: &str, arguments: Map<String, Value>) -> Map<String, Value> {
    Map::from_iter([
        ("name".to_owned(), Value::from(tool)),
        ("arguments".to_owned(), Value::Object(arguments)),
    ])
}

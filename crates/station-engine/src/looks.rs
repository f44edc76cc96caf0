//! A resource read, and a prompt filled in, for a person at a terminal: by the verb that the gateway looks at servers with, and
//! told as text besides. What this is not: tool calls, which have one gate and pass it.

use crate::call::Carried;
use crate::pool::Look;
use crate::servers::{ServerDetails, ServerRef};
use crate::{ServerOffer, Station};
use serde_json::{Map, Value, json};
use station_core::{Action, Caller, Error, Kind, Redaction, Result, Secret, near};
use station_mcp::{CallEnd, Passed};
use std::collections::BTreeMap;

/// Bytes of one message of a prompt that are told: what is longer is no prompt.
const MESSAGE_BYTES_MAX: u64 = 1024 * 1024;

/// Names that are told where nothing is like the one that was typed.
const NAMES_MAX: usize = 10;

/// What a resource holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadResource {
    /// Its contents as the server gave them: texts, and other data in base64.
    pub contents: Vec<Value>,
}

/// A prompt with its arguments filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct FilledPrompt {
    /// What the server says of it.
    pub description: Option<String>,
    /// Its messages as the server gave them.
    pub messages: Vec<Value>,
}

impl Station {
    /// Reads a resource of a server, with values that are `given` for the server's variables.
    ///
    /// # Errors
    /// `NotFound` where there is no such server; `Upstream` where it does not answer, or refuses.
    pub async fn read_resource(
        &self,
        by: &Caller,
        server: &ServerRef,
        uri: &str,
        given: BTreeMap<String, Secret>,
    ) -> Result<ReadResource> {
        by.may(Action::CallTools)?;
        let found = self.find_server(by, server).await?;
        let mut result = self.looked_at(by, &found, Look::Resource(uri.to_owned()), given).await?;
        match result["contents"].take() {
            Value::Array(contents) => Ok(ReadResource { contents }),
            _ => Err(no_answer(&found, "resources/read")),
        }
    }

    /// Has a server fill in a prompt, with values that are `given` for the server's variables.
    ///
    /// # Errors
    /// As [`Station::read_resource`].
    pub async fn get_prompt(
        &self,
        by: &Caller,
        server: &ServerRef,
        (name, arguments): (&str, Map<String, Value>),
        given: BTreeMap<String, Secret>,
    ) -> Result<FilledPrompt> {
        by.may(Action::CallTools)?;
        let found = self.find_server(by, server).await?;
        let mut result = self.looked_at(by, &found, Look::Prompt(name.to_owned(), arguments), given).await?;
        let Value::Array(messages) = result["messages"].take() else {
            return Err(no_answer(&found, "prompts/get"));
        };
        let description = result["description"].as_str().map(str::to_owned);
        Ok(FilledPrompt { description, messages })
    }

    async fn looked_at(
        &self,
        by: &Caller,
        found: &ServerDetails,
        look: Look,
        variables: BTreeMap<String, Secret>,
    ) -> Result<Value> {
        let carried = Carried { variables, ..Carried::default() };
        let looked = self.look_at(by, found.server.id, look.clone(), carried).await?;
        let Err(refused) = looked else { return Ok(looked.unwrap_or_default()) };
        let why = refused["message"].as_str().unwrap_or("it gives no reason");
        // JSON-RPC: it has no such thing at all; what was asked for is wrong (resources have a number of their own for it). Anything
        // else is the server's own affair.
        let kind = match refused["code"].as_i64() {
            Some(-32601) => Kind::Conflict,
            Some(-32602 | -32002) => Kind::Invalid,
            _ => Kind::Upstream,
        };
        let error = Error::new(kind, format!("server `{}` refuses: {why}", found.server.name));
        let offers = self.list_offers(by, &found.environment.name).await?;
        let offer = offers.iter().find(|offer| offer.server == found.server.id);
        Err(match offer.and_then(|offer| meant(&look, offer)) {
            Some(hint) => error.with_hint(hint),
            None => error,
        })
    }
}

/// What may have been meant by a name that the server does not take, or what there is.
fn meant(look: &Look, offer: &ServerOffer) -> Option<String> {
    let (wanted, names): (&str, Vec<&str>) = match look {
        Look::Resource(uri) => (uri, offer.resources.iter().map(|it| it.uri.as_str()).collect()),
        Look::Prompt(name, _) => (name, offer.prompts.iter().map(|it| it.name.as_str()).collect()),
        Look::Completion(_) => return None,
    };
    if names.contains(&wanted) || names.is_empty() {
        return None;
    }
    let some = || names.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join("`, `");
    near::hint(wanted, names.iter().copied()).or_else(|| Some(format!("it lists `{}`", some())))
}

fn no_answer(found: &ServerDetails, method: &str) -> Error {
    let server = &found.server.name;
    Error::upstream(format!("what server `{server}` answered is no result of `{method}`"))
}

/// A message of a prompt: who says it, and what, read as the content of a tool's result is; what is no text is named.
#[must_use]
pub fn told_message(message: &Value) -> (String, String) {
    let role = message["role"].as_str().unwrap_or("user").to_owned();
    let result = Passed::Answered(json!({ "content": [message["content"]] }));
    let text = match result.read(MESSAGE_BYTES_MAX, &Redaction::default()) {
        CallEnd::Returned { text, .. } => text,
        CallEnd::NotSent { sentence } | CallEnd::Unknown { sentence, .. } => sentence,
    };
    (role, text)
}

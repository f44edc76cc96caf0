//! What an operation of the API is made of.

use crate::tools::{Arguments, Desk, Kind, Parameter};
use axum::http::Method;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use schemars::{Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Map, Value};
use station_core::once::Again;
use station_core::{Action, Caller, Error, Micros, Result, RunId, Secret};
use station_engine::RunEvent;
use std::str::FromStr;

/// One operation.
pub(crate) struct Operation {
    /// The name of the engine's verb.
    pub(crate) id: &'static str,
    pub(crate) verb: Verb,
    /// Below `/api/v1`; `{name}` is a parameter.
    pub(crate) path: &'static str,
    pub(crate) needs: Needs,
    /// In a few words.
    pub(crate) summary: &'static str,
    /// What it does and when it refuses.
    pub(crate) says: &'static str,
    /// Of the path by name; the others stand in the query of GET and DELETE, and in the body of the rest.
    pub(crate) parameters: &'static [Parameter],
    /// What an answer has that is no error.
    pub(crate) status: u16,
    /// JSON Schema of the answer.
    pub(crate) output: fn(&mut SchemaGenerator) -> Schema,
    /// A body that is sent, as JSON; empty where none is.
    pub(crate) sends: &'static str,
    /// An answer, as JSON.
    pub(crate) answers: &'static str,
    pub(crate) call: Call,
}

/// What whoever asks for an operation needs. It is told in the document, asked before anything is looked for, and held against what
/// happens by a test; the verb asks again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: it is how somebody becomes known.
    Nothing,
    /// To be known.
    Credential,
    /// To be the user that it is about, or to manage users.
    Oneself,
    /// A right.
    Right(Action),
}

/// What an operation does, or the sentence that says why not.
pub(crate) type Call = for<'a> fn(&'a Desk, &'a Caller, Arguments) -> BoxFuture<'a, Result<Reply>>;

/// What happens in a run, from some place on.
pub(crate) type Events = BoxStream<'static, Result<RunEvent>>;

/// What an operation answers with.
pub(crate) enum Reply {
    Body(Value),
    /// A body with a secret that is told once and kept nowhere.
    Once(Value),
    /// What happens in a run.
    Events {
        run: RunId,
        events: Events,
    },
    /// A browser signed in, and what its cookie is to say.
    SignedIn {
        cookie: Secret,
        caller: Box<Caller>,
    },
    /// A browser signed out.
    SignedOut,
}

impl Reply {
    /// A shape of [`wire`](crate::wire).
    pub(super) fn of<T: Serialize>(shape: &T) -> Self {
        Self::Body(body(shape))
    }

    /// As [`Reply::of`], of what is told once.
    pub(super) fn once<T: Serialize>(shape: &T) -> Self {
        Self::Once(body(shape))
    }
}

fn body<T: Serialize>(shape: &T) -> Value {
    serde_json::to_value(shape).expect("wire structs serialize")
}

/// The number that `text` is of `what`.
///
/// # Errors
/// `Invalid` where it is none.
pub(super) fn number<T: FromStr>(text: &str, what: &str) -> Result<T> {
    text.parse().map_err(|_| Error::invalid(format!("`{text}` is no number of {what}")))
}

/// The point in time that the argument `name` says.
///
/// # Errors
/// `Invalid` where it is none.
pub(super) fn time(arguments: &Arguments, name: &str) -> Result<Option<Micros>> {
    let Some(text) = arguments.text(name) else { return Ok(None) };
    let at = Micros::parse(text).ok_or_else(|| {
        Error::invalid(format!("`{name}` is `{text}`, and no time"))
            .with_hint("write a day like 2026-11-26, or a time like 2026-11-26T09:30:00Z")
    })?;
    Ok(Some(at))
}

/// A method of HTTP (RFC 9110).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Patch,
    Delete,
}

impl Verb {
    /// As HTTP has it.
    pub(crate) fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }

    /// Whether what it takes stands in a body, and not in the query.
    pub(crate) fn has_body(self) -> bool {
        matches!(self, Self::Post | Self::Patch)
    }
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Body,
}

/// Operations that may be done again where nobody knows whether they were done: what they start is bound to the key of its request,
/// or they do the same to the same thing.
const HARMLESS: [&str; 10] = [
    "start_run",
    "queue_agent",
    "execute_agent",
    "retry_run",
    "fork_run",
    "sync",
    "discover_server",
    "test_models",
    "export_agent",
    "prune_runs",
];

/// Operations that change nothing, and are POSTs because they reach out.
const LOOKS: [&str; 2] = ["read_resource", "get_prompt"];

impl Operation {
    /// Whether it changes nothing, and may be asked as often as one likes.
    pub(crate) fn only_looks(&self) -> bool {
        self.verb == Verb::Get || LOOKS.contains(&self.id)
    }

    /// Whether it heeds the key that a sender gives its request: whatever starts or makes something, by somebody who is known.
    pub(crate) fn heeds_key(&self) -> bool {
        self.verb == Verb::Post && self.needs != Needs::Nothing && !self.only_looks()
    }

    /// What it takes that it is not done twice.
    pub(crate) fn again(&self) -> Again {
        if HARMLESS.contains(&self.id) { Again::Harmless } else { Again::Unsure }
    }

    /// Whether `name` is a list, each of whose texts stands in a query by itself.
    pub(crate) fn is_list(&self, name: &str) -> bool {
        self.parameters.iter().any(|it| it.name == name && it.kind == Kind::Texts)
    }

    /// Where `parameter` of this operation stands.
    pub(crate) fn place(&self, parameter: &Parameter) -> Place {
        if self.path.contains(&format!("{{{}}}", parameter.name)) {
            return Place::Path;
        }
        if self.verb.has_body() { Place::Body } else { Place::Query }
    }
}

/// Reads what was sent to `operation`, from wherever it stood.
///
/// # Errors
/// `Invalid`, with every mistake at once; also for a name that no parameter has, which would have no effect.
pub(crate) fn read(operation: &Operation, given: &Map<String, Value>) -> Result<Arguments> {
    let arguments = Arguments::read(operation.parameters, given)?;
    match &arguments.ignored[..] {
        [] => Ok(arguments),
        unknown => {
            let names: Vec<&str> = operation.parameters.iter().map(|it| it.name).collect();
            let unknown = unknown.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            Err(Error::invalid(format!("{unknown} is nothing that `{}` takes", operation.id))
                .with_hint(format!("it takes {}", names.join(", "))))
        }
    }
}

//! What a management tool is made of.

use super::arguments::{Arguments, Parameter};
use super::management::Desk;
use super::schema;
use futures::future::BoxFuture;
use futures::{FutureExt as _, TryFutureExt as _};
use serde_json::{Map, Value, json};
use station_core::{Action, Result};
use station_mcp::serve::{Asked, Task};

/// One tool.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    /// For a model: what it does, when to use it, what comes back.
    pub(super) description: &'static str,
    /// What its caller must be allowed to do.
    pub(super) needs: Action,
    pub(super) effect: Effect,
    pub(super) parameters: &'static [Parameter],
    /// JSON Schema of the result.
    pub(super) output: fn() -> Value,
    pub(super) call: Call,
}

/// What a tool does when it is called, or the sentence that says why not.
pub(super) type Call = for<'a> fn(&'a Desk, &'a Asked, Arguments) -> BoxFuture<'a, Result<Reply>>;

/// What a tool answers with.
pub(super) enum Reply {
    /// A result: an object with `success`.
    Done(Value),
    /// A result in the protocol's words.
    Said(Value),
    /// Questions to the client, by key, and what it brings back with the answers.
    Asks { requests: Map<String, Value>, state: String },
    /// A handle for work that goes on.
    Task(Task),
}

/// The call of a tool that always has a result.
pub(super) fn done<'a>(
    work: impl Future<Output = Result<Value>> + Send + 'a,
) -> BoxFuture<'a, Result<Reply>> {
    work.map_ok(Reply::Done).boxed()
}

/// What calling a tool does to the world: the protocol's hints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It changes nothing.
    Reads,
    /// It adds something; twice adds two.
    Adds,
    /// It changes something; twice is once.
    Changes,
    /// Something is gone afterwards; twice is once.
    Destroys,
    /// It starts what reaches out of Station: programs and models.
    Acts,
}

impl Row {
    /// The tool as a list shows it.
    pub(super) fn to_json(&self) -> Value {
        let (read_only, destructive, idempotent, open) = match self.effect {
            Effect::Reads => (true, false, true, false),
            Effect::Adds => (false, false, false, false),
            Effect::Changes => (false, true, true, false),
            Effect::Destroys => (false, true, true, false),
            Effect::Acts => (false, true, false, true),
        };
        json!({
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": self.input(),
            "outputSchema": (self.output)(),
            "annotations": {
                "title": self.title,
                "readOnlyHint": read_only,
                "destructiveHint": destructive,
                "idempotentHint": idempotent,
                "openWorldHint": open,
            },
        })
    }

    fn input(&self) -> Value {
        let properties: Map<String, Value> =
            self.parameters.iter().map(|it| (it.name.to_owned(), it.schema())).collect();
        let required: Vec<&str> =
            self.parameters.iter().filter(|it| it.is_required).map(|it| it.name).collect();
        schema::object_of(&properties, &required)
    }
}

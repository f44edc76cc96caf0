//! What a server offers, whatever carries it: the one trait between the protocol and Station.

use super::{Asked, Fault};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use serde_json::{Map, Value};
use station_core::Action;
use std::sync::Arc;

/// What a host answers with: JSON in the protocol's words, without what only one era adds.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, Fault>>;

/// A server's offer. Lists come in a stable order; each entry is an object of the protocol. What a host does not say has
/// nothing in it.
pub trait Host: Send + Sync + 'static {
    /// Who it is and what it can do.
    fn about(&self) -> About;

    /// What whoever sends a request must be allowed to do, as far as its method and parameters tell.
    fn needs(&self, _method: &str, _params: &Map<String, Value>) -> Option<Action> {
        None
    }

    /// Its tools.
    fn tools<'a>(&'a self, asked: &'a Asked) -> Answer<'a, Listing>;

    /// Calls a tool. What the tool calls an error is an outcome; a fault is that there is no such tool.
    fn call_tool<'a>(
        &'a self,
        asked: &'a Asked,
        name: &'a str,
        arguments: Map<String, Value>,
    ) -> Answer<'a, Outcome>;

    /// Its resources.
    fn resources<'a>(&'a self, _: &'a Asked) -> Answer<'a, Vec<Value>> {
        async { Ok(Vec::new()) }.boxed()
    }

    /// Its resource templates.
    fn resource_templates<'a>(&'a self, _: &'a Asked) -> Answer<'a, Vec<Value>> {
        async { Ok(Vec::new()) }.boxed()
    }

    /// What a resource holds: an object with `contents`.
    fn read_resource<'a>(&'a self, _: &'a Asked, uri: &'a str) -> Answer<'a, Outcome> {
        async move { Err(Fault::NoResource(uri.to_owned())) }.boxed()
    }

    /// Its prompts.
    fn prompts<'a>(&'a self, _: &'a Asked) -> Answer<'a, Vec<Value>> {
        async { Ok(Vec::new()) }.boxed()
    }

    /// A prompt with its arguments filled in: an object with `messages`.
    fn prompt<'a>(&'a self, _: &'a Asked, name: &'a str, _: Map<String, Value>) -> Answer<'a, Outcome> {
        async move { Err(Fault::Params(format!("there is no prompt `{name}`"))) }.boxed()
    }

    /// What an argument may be, best first.
    fn complete<'a>(&'a self, _: &'a Asked, _: Completing) -> Answer<'a, Vec<String>> {
        async { Err(Fault::Params("nothing here has arguments to complete".to_owned())) }.boxed()
    }

    /// What changes from now on, as far as it is wanted: from when this is answered.
    fn changes<'a>(&'a self, asked: &'a Asked, wanted: Wanted) -> BoxFuture<'a, BoxStream<'static, Change>>;

    /// A task that one of its tools made; `None` where there is none of this id.
    fn task<'a>(&'a self, _: &'a Asked, _: &'a str) -> Answer<'a, Option<Task>> {
        async { Ok(None) }.boxed()
    }

    /// Takes what the client answers to a task's questions: it is in the request's input.
    fn answer_task<'a>(&'a self, _: &'a Asked, _: &'a str) -> Answer<'a, Option<()>> {
        async { Ok(None) }.boxed()
    }

    /// Asks for the end of a task.
    fn end_task<'a>(&'a self, _: &'a Asked, _: &'a str) -> Answer<'a, Option<()>> {
        async { Ok(None) }.boxed()
    }
}

/// A list.
#[derive(Clone, Debug, PartialEq)]
pub enum Listing {
    /// Its entries.
    Entries(Vec<Value>),
    /// The text of the JSON array of its entries, where that is long and the same for many requests.
    Text(Arc<str>),
}

/// Who a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its name for programs.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// Its version.
    pub version: String,
    /// What a model should know before it uses the server.
    pub instructions: String,
    /// Whether its lists can change, and that is told.
    pub lists_change: bool,
    /// Whether resources can be followed.
    pub resources_change: bool,
    /// Whether log messages can come.
    pub logs: bool,
}

/// How a request to use something ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// With a result.
    Complete(Value),
    /// With questions to the client, by key, and what it must bring back with the answers. Only for a client of the
    /// modern era that can be asked.
    NeedsInput {
        /// The questions, as requests of the protocol.
        requests: Map<String, Value>,
        /// Sealed by the host.
        state: String,
    },
    /// It goes on as a task. Only for a client that declares the Tasks extension.
    Task(Task),
}

/// Work that goes on after its request was answered (extension `io.modelcontextprotocol/tasks`, SEP-2663).
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its id: whoever has it may ask any instance.
    pub id: String,
    /// `working`, `input_required`, `completed`, `failed` or `cancelled`.
    pub status: &'static str,
    /// Where it stands, in words.
    pub message: String,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub updated_at: String,
    /// What it asks the client, by key, while it is `input_required`.
    pub requests: Map<String, Value>,
    /// The result of the request, once it is completed.
    pub result: Option<Value>,
    /// How often it is worth asking.
    pub poll_interval_ms: u64,
}

/// An argument that is being typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Completing {
    /// What it is an argument of: a prompt's name or a resource template.
    pub of: Subject,
    /// The argument.
    pub argument: String,
    /// What is typed of it.
    pub value: String,
    /// Arguments that have a value already.
    pub others: Map<String, Value>,
}

/// What an argument is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A prompt of this name.
    Prompt(String),
    /// A resource template.
    Template(String),
}

/// Which changes somebody wants to hear of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Of the list of tools.
    pub tools: bool,
    /// Of the list of prompts.
    pub prompts: bool,
    /// Of the list of resources.
    pub resources: bool,
    /// Of these resources.
    pub uris: Vec<String>,
}

/// Something changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The list of tools.
    Tools,
    /// The list of prompts.
    Prompts,
    /// The list of resources.
    Resources,
    /// What the resource of this URI holds.
    Resource(String),
}

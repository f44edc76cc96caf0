//! The file: `*.case.json`, with a version, because it outlives the release that wrote it.

use crate::file::Problem;
use crate::run::{Outcome, Settings};
use crate::{Annotations, Answer, Message};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version that is written. A file of a newer one is refused; fields are only added within one.
pub const VERSION: u32 = 1;

/// A recorded run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// Of this shape.
    pub version: u32,
    /// The agent's name.
    pub agent: String,
    /// Its environment.
    pub environment: String,
    /// What it was to do.
    pub task: String,
    /// Names of variables that were given with the run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
    /// When it was recorded, RFC 3339.
    pub recorded_at: String,
    /// The run it is from.
    pub run: i64,
    /// The agent's file when it was recorded, for people: what counts is the file as it is at the replay.
    pub source: String,
    /// What the run was begun with.
    pub inputs: Inputs,
    /// The tools it was offered.
    pub tools: Vec<Tool>,
    /// Its steps, in order.
    pub steps: Vec<Step>,
    /// How it ended; `None` where it had not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// What a run was begun with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Inputs {
    /// The rendered system prompt.
    pub system: String,
    /// The rendered turns after it.
    pub opening: Vec<Message>,
    /// The models, in the order in which they were tried.
    pub models: Vec<String>,
    /// How many model turns it might take.
    pub steps: u32,
    /// Model settings.
    #[serde(default)]
    pub settings: Settings,
    /// The schema of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
}

/// A tool that was offered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    /// The name under which the model saw it.
    pub name: String,
    /// What it is.
    pub kind: ToolKind,
    /// The server that offers it; empty for what no server offers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// Its own name: upstream, or the agent's.
    pub tool: String,
    /// What it does.
    pub description: String,
    /// JSON Schema of its arguments.
    pub input_schema: Value,
    /// JSON Schema of its structured result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<Value>,
    /// What the server says of its effects.
    #[serde(default)]
    pub annotations: Annotations,
}

/// What stands behind a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolKind {
    /// A tool of a server.
    Tool,
    /// Another agent.
    Agent,
    /// Station itself: read anew at a replay, never taken from the record.
    Own,
}

/// One answer of the model, and what came of its calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The answer.
    pub answer: Answer,
    /// The calls, in its order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<Call>,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The server; empty for an agent, and for what does not exist.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub server: String,
    /// The tool's own name, or the name the model used where nothing stands behind it.
    pub tool: String,
    /// The arguments.
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// What came of it.
    pub end: CallEnd,
    /// The result, whole.
    pub text: String,
    /// Whether it is an error.
    #[serde(default)]
    pub is_error: bool,
}

/// What came of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallEnd {
    /// An answer.
    Returned,
    /// It was sent, and its outcome was not known.
    Unknown,
    /// It was not sent.
    NotMade,
}

/// Reads a case.
///
/// # Errors
/// Where it is none, or of a newer version.
pub fn read(text: &str, path: &str) -> Result<Case, Problem> {
    let refused = |sentence: String, hint: &str| Problem {
        severity: crate::file::Severity::Error,
        path: path.to_owned(),
        at: None,
        sentence,
        hint: Some(hint.to_owned()),
    };
    let no_case =
        |why: String| refused(format!("this is no case: {why}"), "`stn runs record RUN -o FILE` writes one");
    let value: Value = serde_json::from_str(text).map_err(|error| no_case(error.to_string()))?;
    let version = value.get("version").and_then(Value::as_u64);
    let version = version.ok_or_else(|| no_case("it has no `version`".to_owned()))?;
    if version > u64::from(VERSION) {
        let sentence = format!("the case is of version {version}, and this Station knows {VERSION}");
        return Err(refused(sentence, "update Station, or record it again"));
    }
    serde_json::from_value(value)
        .map_err(|error| refused(format!("the case is broken: {error}"), "record it again"))
}

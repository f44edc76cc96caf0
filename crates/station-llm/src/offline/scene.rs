//! Reads a request: the task, what may be called, what came back so far.

use super::files::are_about;
use super::named::{self, Named};
use super::plan::ranked;
use crate::Request;
use serde_json::Value;
use station_core::Message;
use station_core::rank::{is_stop_word, stem, words};
use station_core::run::{GrantedTool, Target};
use std::collections::BTreeSet;

/// A request, read.
pub(super) struct Scene<'a> {
    /// What is to be done.
    pub(super) task: &'a str,
    /// What to rank by: the task, and the agent's instructions where the task alone says nothing ("how are things?").
    pub(super) query: String,
    /// The stems of the query's words, without stop words.
    pub(super) stems: BTreeSet<String>,
    /// What the task names; where it names no path, the absolute ones of the agent's own instructions.
    pub(super) named: Named,
    /// What may be called.
    pub(super) tools: Vec<&'a GrantedTool>,
    /// Names of tools that are granted but not to this model.
    pub(super) withheld: Vec<&'a str>,
    /// What was called and came back, in order.
    pub(super) findings: Vec<Finding<'a>>,
    /// How often something was called.
    pub(super) turns: usize,
}

/// One call and its result.
pub(super) struct Finding<'a> {
    pub(super) name: &'a str,
    /// The sub-agent's name, if it was one.
    pub(super) agent: Option<&'a str>,
    pub(super) arguments: Value,
    pub(super) text: &'a str,
    pub(super) is_error: bool,
}

/// Reads `request`.
pub(super) fn read<'a>(request: &Request<'a>) -> Scene<'a> {
    let first_call = request.messages.iter().position(|message| match message {
        Message::Assistant { calls, .. } => !calls.is_empty(),
        Message::System { .. } | Message::User { .. } | Message::Tool { .. } => false,
    });
    let (opening, rest) = request.messages.split_at(first_call.unwrap_or(request.messages.len()));
    let mut users = opening.iter().filter_map(|message| match message {
        Message::User { text } => Some(text.as_str()),
        Message::System { .. } | Message::Assistant { .. } | Message::Tool { .. } => None,
    });
    let task = users.next_back().unwrap_or_default();
    let systems = opening.iter().filter_map(|message| match message {
        Message::System { text } => Some(text.as_str()),
        Message::User { .. } | Message::Assistant { .. } | Message::Tool { .. } => None,
    });
    let instructions = systems.collect::<Vec<_>>().join("\n");
    let mut named = named::read(task);
    let names_something = named != Named::default();
    if named.paths.is_empty() {
        let paths = named::read(&instructions).paths.into_iter();
        named.paths = paths.filter(|path| path.starts_with('/')).collect();
    }
    // Station's own tools are for models that read at length.
    let offered = request.tools.iter().filter(|tool| !matches!(tool.target, Target::Own { .. }));
    let (tools, withheld): (Vec<_>, Vec<_>) = offered.partition(|tool| tool.offline);
    let says_something = names_something || are_about(&stems(task)) || !ranked(&tools, task).is_empty();
    let query = if says_something { task.to_owned() } else { format!("{task}\n{instructions}") };
    Scene {
        task,
        stems: stems(&query),
        query,
        named,
        tools,
        withheld: withheld.into_iter().map(|tool| tool.spec.name.as_str()).collect(),
        findings: findings(rest, request.tools),
        turns: rest.iter().filter(|message| matches!(message, Message::Assistant { .. })).count(),
    }
}

/// The stems of what `text` says, without stop words.
pub(super) fn stems(text: &str) -> BTreeSet<String> {
    words(text).iter().filter(|word| !is_stop_word(word)).map(|word| stem(word)).collect()
}

fn findings<'a>(rest: &'a [Message], tools: &'a [GrantedTool]) -> Vec<Finding<'a>> {
    let mut findings = Vec::new();
    let mut open: &[station_core::ToolCall] = &[];
    for message in rest {
        match message {
            Message::Assistant { calls, .. } => open = calls,
            Message::Tool { call, name, text, is_error, .. } => {
                let asked = open.iter().find(|open| open.id == *call);
                let tool = tools.iter().find(|tool| tool.spec.name == *name);
                findings.push(Finding {
                    name,
                    agent: tool.and_then(|tool| match &tool.target {
                        Target::Agent { name, .. } => Some(name.as_str()),
                        Target::Tool { .. } | Target::Own { .. } => None,
                    }),
                    arguments: asked
                        .and_then(|asked| serde_json::from_str(&asked.arguments).ok())
                        .unwrap_or(Value::Null),
                    text,
                    is_error: *is_error,
                });
            }
            Message::System { .. } | Message::User { .. } => {}
        }
    }
    findings
}

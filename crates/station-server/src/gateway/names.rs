//! The tools of an environment by the names that they have here, as they are shown, and the one that searches them.

use crate::tools::{failure, result};
use serde_json::{Map, Value, json};
use station_core::Tool;
use station_core::rank::{Document, rank};
use std::collections::{HashMap, HashSet};

/// The tool that finds others, where there are more than a model likes to read.
pub(super) const SEARCH: &str = "search_tools";

/// From how many tools on it is offered. A tool of this name that a server has goes before it.
pub(super) const SEARCH_FROM: usize = 50;

/// Tools that one search finds.
const FOUND_MAX: usize = 10;

/// What is called what here, of things that servers have by name: the upstream name where that is unique, else with the server's
/// before it; of two that still share a name the first has it, and the other none.
pub(super) fn names<'n>(all: impl Iterator<Item = (&'n str, &'n str)> + Clone) -> Vec<Option<String>> {
    let mut bearers: HashMap<&str, usize> = HashMap::new();
    for (_, name) in all.clone() {
        *bearers.entry(name).or_default() += 1;
    }
    let mut taken = HashSet::new();
    all.map(|(server, name)| {
        let name = match bearers.get(name) {
            Some(1) => name.to_owned(),
            _ => format!("{server}__{name}"),
        };
        taken.insert(name.clone()).then_some(name)
    })
    .collect()
}

/// `tools` by the names that they have here, each with what is said beside it.
pub(super) fn named<T>(tools: Vec<(Tool, T)>) -> Vec<(String, Tool, T)> {
    let names = names(tools.iter().map(|(tool, _)| (tool.server_name.as_str(), tool.name.as_str())));
    names.into_iter().zip(tools).filter_map(|(name, (tool, beside))| Some((name?, tool, beside))).collect()
}

/// A tool as a list shows it.
pub(super) fn listed(name: &str, tool: &Tool) -> Value {
    let mut entry =
        json!({ "name": name, "description": tool.description, "inputSchema": tool.input_schema });
    if !tool.title.is_empty() {
        entry["title"] = tool.title.as_str().into();
    }
    if let Some(schema) = &tool.output_schema {
        entry["outputSchema"] = schema.clone();
    }
    let hints = [
        ("readOnlyHint", tool.annotations.read_only),
        ("destructiveHint", tool.annotations.destructive),
        ("idempotentHint", tool.annotations.idempotent),
        ("openWorldHint", tool.annotations.open_world),
    ];
    let hints: Map<String, Value> =
        hints.into_iter().filter_map(|(name, hint)| Some((name.to_owned(), hint?.into()))).collect();
    if !hints.is_empty() {
        entry["annotations"] = Value::Object(hints);
    }
    entry
}

pub(super) fn search_tool() -> Value {
    json!({
        "name": SEARCH,
        "title": "Search tools",
        "description": "Finds tools of this server by words, best first, with their schemas. Use it before you read the whole list.",
        "inputSchema": {
            "type": "object",
            "properties": { "query": { "type": "string", "description": "What the tool should do, in words." } },
            "required": ["query"],
        },
        "annotations": { "readOnlyHint": true, "idempotentHint": true, "openWorldHint": false },
    })
}

/// The tools that fit a query, ranked as everywhere in Station.
pub(super) fn found(offered: &[Value], arguments: &Map<String, Value>) -> Value {
    let Some(query) = arguments.get("query").and_then(Value::as_str) else {
        return failure("`query` is missing: what the tool should do, in words");
    };
    let documents: Vec<Document<'_>> = offered
        .iter()
        .map(|tool| Document {
            name: text(&tool["name"]),
            description: text(&tool["description"]),
            parameters: Vec::new(),
        })
        .collect();
    let ranked = rank(query, &documents);
    let tools: Vec<&Value> = ranked.iter().take(FOUND_MAX).filter_map(|it| offered.get(it.index)).collect();
    result(&json!({ "tools": tools, "count": tools.len() }))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

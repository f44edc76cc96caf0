//! The tools of an environment by the names that they have here, as they are shown, and the one that searches them.

use crate::tools::{failure, result};
use serde_json::{Map, Value, json};
use station_core::rank::{Document, rank};
use station_core::{Tool, ToolId};
use station_engine::CallableTool;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The tool that finds others, where there are more than a model likes to read.
pub(super) const SEARCH: &str = "search_tools";

/// From how many tools on it is offered. A tool of this name that a server has goes before it.
const SEARCH_FROM: usize = 50;

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

/// The tools of an environment by the names that they have here. What may not be called now has a name of its own all the same:
/// no other takes it meanwhile.
pub(super) struct Shown {
    tools: Arc<[CallableTool]>,
    /// What their servers say of them besides.
    more: BTreeMap<ToolId, Map<String, Value>>,
    names: Vec<Option<String>>,
    by_name: HashMap<String, usize>,
    /// The environment's agents where they are offered, as they are listed.
    agents: Vec<Value>,
    /// The list that a client is given: text, because it is long and the same each time.
    list: Arc<str>,
}

/// A tool by the name that it has here.
#[derive(Clone)]
pub(super) struct Named {
    shown: Arc<Shown>,
    at: usize,
}

impl std::ops::Deref for Named {
    type Target = Tool;

    fn deref(&self) -> &Tool {
        &self.shown.tools[self.at].tool
    }
}

impl Shown {
    /// `agents` are listed behind the tools, but for those that have the name of one.
    pub(super) fn new(
        tools: Arc<[CallableTool]>,
        more: BTreeMap<ToolId, Map<String, Value>>,
        agents: Vec<Value>,
    ) -> Self {
        let names = names(tools.iter().map(|it| (it.tool.server_name.as_str(), it.tool.name.as_str())));
        let named = names.iter().enumerate().filter_map(|(at, name)| Some((name.clone()?, at)));
        let by_name: HashMap<String, usize> = named.collect();
        let is_free = |agent: &Value| !by_name.contains_key(text(&agent["name"]));
        let agents = agents.into_iter().filter(is_free).collect();
        let mut shown = Self { tools, more, names, by_name, agents, list: "[]".into() };
        // A server's own tool of this name goes before it.
        let is_free = !shown.by_name.contains_key(SEARCH);
        let search = (is_free && shown.has_search()).then(search_tool);
        let tools = shown.callable().map(|found| shown.listed(found));
        let list: Vec<Value> = tools.chain(shown.agents.iter().cloned()).chain(search).collect();
        shown.list = Value::Array(list).to_string().into();
        shown
    }

    /// Whether it was made of exactly this list.
    pub(super) fn is_of(&self, tools: &Arc<[CallableTool]>) -> bool {
        Arc::ptr_eq(&self.tools, tools)
    }

    /// The entries that a client is shown: what may be called, and the tool that searches that where it is much.
    pub(super) fn list(&self) -> &Arc<str> {
        &self.list
    }

    /// The tool of this name, whether it may be called or not.
    pub(super) fn find(self: &Arc<Self>, name: &str) -> Option<Named> {
        self.by_name.get(name).map(|at| Named { shown: Arc::clone(self), at: *at })
    }

    /// The names of all tools.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().flatten().map(String::as_str)
    }

    /// Whether there are so many that they can be searched.
    pub(super) fn has_search(&self) -> bool {
        self.callable().count() + self.agents.len() > SEARCH_FROM
    }

    /// Those that may be called.
    fn callable(&self) -> impl Iterator<Item = (&str, &CallableTool)> {
        let named = self.names.iter().zip(self.tools.iter());
        named.filter_map(|(name, it)| it.is_open.then_some((name.as_deref()?, it)))
    }

    /// A tool as a list shows it, with what its server says of it besides.
    fn listed(&self, (name, it): (&str, &CallableTool)) -> Value {
        let mut entry = listed((name, it));
        if let (Some(more), Value::Object(entry)) = (self.more.get(&it.tool.id), &mut entry) {
            entry.extend(more.clone());
        }
        entry
    }
}

/// A tool as a list shows it.
fn listed((name, it): (&str, &CallableTool)) -> Value {
    let tool = &it.tool;
    let mut entry =
        json!({ "name": name, "description": tool.description, "inputSchema": tool.input_schema });
    if !tool.title.is_empty() {
        entry["title"] = tool.title.as_str().into();
    }
    // Answers that are withheld fit no schema.
    if let Some(schema) = tool.output_schema.as_ref().filter(|_| !it.is_secret) {
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

fn search_tool() -> Value {
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
pub(super) fn found(shown: &Shown, arguments: &Map<String, Value>) -> Value {
    let Some(query) = arguments.get("query").and_then(Value::as_str) else {
        return failure("`query` is missing: what the tool should do, in words");
    };
    let offered: Vec<(&str, &CallableTool)> = shown.callable().collect();
    let of_agents = shown.agents.iter().map(|it| (text(&it["name"]), text(&it["description"])));
    let told = offered.iter().map(|(name, it)| (*name, it.tool.description.as_str())).chain(of_agents);
    let document = |(name, description)| Document { name, description, parameters: Vec::new() };
    let documents: Vec<Document<'_>> = told.map(document).collect();
    let ranked = rank(query, &documents);
    let tools = ranked.iter().take(FOUND_MAX).filter_map(|it| match offered.get(it.index) {
        Some(found) => Some(shown.listed(*found)),
        None => shown.agents.get(it.index - offered.len()).cloned(),
    });
    let tools: Vec<Value> = tools.collect();
    result(&json!({ "tools": tools, "count": tools.len() }))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

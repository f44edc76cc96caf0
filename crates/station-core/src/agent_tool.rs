//! An agent as a tool of MCP: what it is called, what it takes, and what a call means for its run.
//!
//! What the agent's file says of its input is the tool's input, so that a client fills it in like any other form. What this
//! is not: a sub-agent as the model of a coordinating one sees it, which takes a task alone.

use crate::tool::WIRE_NAME_CHARS_MAX;
use crate::{Agent, Secret};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What the names of such tools begin with.
pub const PREFIX: &str = "agent_";

/// The argument that says what the agent is to do.
pub const TASK: &str = "task";

/// What stands for the task in a prompt, and so may stand in its input schema.
const USER_INPUT: &str = "userInput";

/// What each of `agents` is called as a tool, in the order given: `agent_` + its name in plain letters. Of several that would
/// be called the same the oldest is, and the others have their number at the end, so that a new agent takes no name over.
#[must_use]
pub fn names(agents: &[Agent]) -> Vec<String> {
    let mut by_age: Vec<usize> = (0..agents.len()).collect();
    by_age.sort_by_key(|at| agents.get(*at).map(|agent| agent.id));
    let mut taken = BTreeSet::new();
    let mut names = vec![String::new(); agents.len()];
    for at in by_age {
        let Some(agent) = agents.get(at) else { continue };
        let plain = agent.name.in_plain();
        let mut name = format!("{PREFIX}{plain}");
        let mut suffix = format!("_{}", agent.id);
        let is_plain = !plain.is_empty() && name.len() <= WIRE_NAME_CHARS_MAX;
        if !is_plain || taken.contains(&name) {
            loop {
                let head: String =
                    format!("{PREFIX}{plain}").chars().take(WIRE_NAME_CHARS_MAX - suffix.len()).collect();
                name = format!("{}{suffix}", head.trim_end_matches('_'));
                if !taken.contains(&name) {
                    break;
                }
                suffix.push('_');
            }
        }
        taken.insert(name.clone());
        if let Some(slot) = names.get_mut(at) {
            *slot = name;
        }
    }
    names
}

/// The input schema of an agent as a tool: what its file declares, and the task.
#[must_use]
pub fn input_schema(declared: Option<&Value>) -> Value {
    let mut schema = declared.and_then(Value::as_object).cloned().unwrap_or_default();
    schema.insert("type".to_owned(), "object".into());
    let mut properties = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
    let user_input = properties.remove(USER_INPUT);
    if !properties.contains_key(TASK) {
        let said = user_input.as_ref().and_then(|it| it["description"].as_str());
        let says = said.unwrap_or("What the agent is to do, with all it needs to know.");
        properties.insert(TASK.to_owned(), json!({ "type": "string", "description": says }));
    }
    schema.insert("properties".to_owned(), Value::Object(properties));
    let declared = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut required = vec![Value::from(TASK)];
    required.extend(declared.into_iter().filter(|it| it != TASK && it != USER_INPUT));
    schema.insert("required".to_owned(), required.into());
    Value::Object(schema)
}

/// The task and the values of variables that a call gives, whose arguments fit the [`input_schema`] of `declared`. Where that
/// has an input named `task`, it has the task.
#[must_use]
pub fn given(declared: Option<&Value>, arguments: &Map<String, Value>) -> (String, BTreeMap<String, Secret>) {
    let task = arguments.get(TASK).map(as_text).unwrap_or_default();
    let has_task = declared.is_some_and(|schema| schema["properties"].get(TASK).is_some());
    let values = arguments.iter().filter(|(name, value)| (has_task || *name != TASK) && !value.is_null());
    (task, values.map(|(name, value)| (name.clone(), Secret::new(as_text(value)))).collect())
}

/// A value as a person would write it.
#[must_use]
pub fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AgentId, AgentName, EnvironmentId, Micros, Origin};

    fn agent(id: i64, name: &str) -> Agent {
        Agent {
            id: AgentId(id),
            environment: EnvironmentId(1),
            name: AgentName::parse(name).unwrap(),
            description: String::new(),
            model: None,
            tags: Vec::new(),
            origin: Origin::File,
            enabled: true,
            created_at: Micros(0),
            updated_at: Micros(0),
        }
    }

    #[test]
    fn names_are_plain_and_an_older_agent_keeps_its_own() {
        let long = "a".repeat(100);
        let agents = [(7, "a b"), (3, "A-B"), (4, "日本"), (5, &long), (6, "triage"), (2, "a b 7")]
            .map(|(id, name)| agent(id, name));
        let names = names(&agents);
        let cut = format!("agent_{}_5", "a".repeat(56));
        let expected = ["agent_a_b_7_", "agent_a_b", "agent_4", &cut, "agent_triage", "agent_a_b_7"];
        assert_eq!(names, expected);
        assert!(names.iter().all(|name| name.len() <= WIRE_NAME_CHARS_MAX));
    }

    #[test]
    fn what_the_file_declares_is_what_the_tool_takes() {
        let check = |declared: Value, expected: Value| {
            assert_eq!(input_schema(Some(&declared)), expected, "{declared}");
        };
        let task =
            json!({ "type": "string", "description": "What the agent is to do, with all it needs to know." });
        let only_task = json!({ "type": "object", "properties": { "task": task }, "required": ["task"] });
        assert_eq!(input_schema(None), only_task);
        check(json!(true), only_task.clone());
        check(
            json!({ "type": "object", "properties": { "userInput": { "type": "string", "description": "The alarm." } }, "required": ["userInput"] }),
            json!({ "type": "object", "properties": { "task": { "type": "string", "description": "The alarm." } }, "required": ["task"] }),
        );
        check(
            json!({
                "type": "object", "additionalProperties": false, "$defs": { "r": {} },
                "properties": { "region": { "$ref": "#/$defs/r" } }, "required": ["region"],
            }),
            json!({
                "type": "object", "additionalProperties": false, "$defs": { "r": {} },
                "properties": { "region": { "$ref": "#/$defs/r" }, "task": task }, "required": ["task", "region"],
            }),
        );
        // An agent that has an input of this name is given it as the task.
        check(
            json!({ "properties": { "task": { "type": "integer" } } }),
            json!({ "type": "object", "properties": { "task": { "type": "integer" } }, "required": ["task"] }),
        );
    }

    #[test]
    fn a_call_gives_a_task_and_values() {
        let arguments =
            json!({ "task": "look", "region": "eu", "count": 3, "none": null, "all": { "a": 1 } });
        let (task, values) = given(None, arguments.as_object().unwrap());
        let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(task, "look");
        assert_eq!(values, [("all", r#"{"a":1}"#), ("count", "3"), ("region", "eu")]);
        let declared = json!({ "properties": { "task": {} } });
        let (_, values) = given(Some(&declared), arguments.as_object().unwrap());
        assert_eq!(values["task"].expose(), "look");
    }
}

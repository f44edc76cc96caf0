//! The JSON of older exports: one agent, with the names of its tools.
//!
//! Two shapes are around. The Go program wrote the agent at the top, its tools as names or as objects; a bundle's
//! manifest and the API have it under `agent`, with `tools` beside it. Both say the same things by the same words.

use super::{Problem, Severity, edit};
use serde_json::Value;

/// An older export, as the file that says the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The agent's name.
    pub name: String,
    /// The text of a `.prompt` file.
    pub text: String,
    /// Servers that its tools came from, where it says so.
    pub servers: Vec<String>,
}

/// Reads an older export.
///
/// # Errors
/// A problem without a path where it is no JSON, or no agent.
pub fn read(text: &str) -> Result<Exported, Problem> {
    let text = text.trim_start_matches('\u{feff}');
    let root: Value = serde_json::from_str(text)
        .map_err(|error| Problem { hint: Some(HINT.to_owned()), ..Problem::of_json("", text, &error) })?;
    let agent = root.get("agent").filter(|agent| agent.is_object()).unwrap_or(&root);
    let word = |key: &str| agent[key].as_str().filter(|text| !text.trim().is_empty());
    let name = word("name").ok_or_else(|| problem("the JSON holds no agent: it has no `name`".to_owned()))?;
    let prompt = word("prompt")
        .or_else(|| word("system_prompt"))
        .ok_or_else(|| problem(format!("agent `{name}` has no `prompt`")))?;
    let tools = [&agent["tools"], &agent["tool_names"], &root["tools"]].into_iter().find(|it| it.is_array());
    let tools = names(tools, &["name", "tool_name"]);
    let servers = names(tools_of(agent, &root), &["server", "mcp_server", "server_name"])
        .into_iter()
        .chain(names(Some(&agent["mcp_servers"]), &["name"]));
    let mut servers: Vec<String> = servers.collect();
    servers.sort();
    servers.dedup();
    let max_steps = max_steps(&agent["max_steps"])?;
    let text = edit::new_agent(
        name,
        word("description").unwrap_or_default(),
        &names(Some(&agent["tags"]), &["name"]),
        word("model"),
        max_steps,
        &tools,
        &names(Some(&agent["agents"]), &["name"]),
        prompt,
    );
    let text = match word("schedule").or_else(|| word("cron_schedule")) {
        Some(cron) => edit::set_field(&text, "schedule.cron", &edit::Field::Text(cron))?,
        None => text,
    };
    Ok(Exported { name: name.to_owned(), text, servers })
}

/// A limit as a number, or as the text of one; 0 is how some exports say that there is none.
fn max_steps(value: &Value) -> Result<Option<i64>, Problem> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) => text.trim().parse().ok(),
        other => other.as_i64(),
    };
    let number: i64 = number.ok_or_else(|| problem("`max_steps` must be a whole number".to_owned()))?;
    Ok((number > 0).then_some(number))
}

fn tools_of<'v>(agent: &'v Value, root: &'v Value) -> Option<&'v Value> {
    [&agent["tools"], &root["tools"]].into_iter().find(|it| it.is_array())
}

/// The texts of a list, or what its objects have under the first of `keys` they know; a name counts once.
fn names(list: Option<&Value>, keys: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    for item in list.and_then(Value::as_array).into_iter().flatten() {
        let of_object = keys.iter().find_map(|key| item[*key].as_str());
        let is_name = keys.contains(&"name");
        let name = item.as_str().filter(|_| is_name).or(of_object);
        names.extend(name.map(str::to_owned).filter(|name| !name.is_empty() && !names.contains(name)));
    }
    names
}

/// What to try where it is none.
const HINT: &str = "give a `.prompt` file, or the JSON that the Go program exported";

fn problem(sentence: String) -> Problem {
    let hint = Some(HINT.to_owned());
    Problem { severity: Severity::Error, path: String::new(), at: None, sentence, hint }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::prompt;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = match read(text) {
            Err(problem) => problem.to_string(),
            Ok(read) => {
                let (prompt, problems) = prompt::read(&read.text, "");
                let prompt = prompt.unwrap_or_else(|| panic!("{problems:?}"));
                let steps = prompt.max_steps.unwrap_or_default();
                format!(
                    "{} | {} | {} | {} | {steps} | {}",
                    read.name,
                    prompt.description,
                    prompt.tools.join(","),
                    prompt.models.join(","),
                    read.servers.join(",")
                )
            }
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn older_exports_are_read() {
        check(
            r#"{"id": 3, "name": "a", "description": "d", "prompt": "You are a.", "max_steps": 7, "tools": ["__read", "__read"]}"#,
            "a | d | __read |  | 7 | ",
        );
        check(
            r#"{"agent": {"name": "a", "prompt": "p {{x", "model": "m"}, "tools": [{"name": "read", "server": "fs"}, {"tool_name": "ls"}]}"#,
            "a |  | read,ls | m | 0 | fs",
        );
        check(
            r#"{"name": "a", "system_prompt": "p", "mcp_servers": ["fs", "git"]}"#,
            "a |  |  |  | 0 | fs,git",
        );
        check(r#"{"name": "a", "prompt": "p", "max_steps": "5"}"#, "a |  |  |  | 5 | ");
        check(r#"{"name": "a", "prompt": "p", "max_steps": 0}"#, "a |  |  |  | 0 | ");
    }

    #[test]
    fn what_is_no_export_is_said() {
        check("{", "this is not JSON: EOF while parsing an object");
        check("[1", "this is not JSON: EOF while parsing a list");
        check("[1]", "the JSON holds no agent: it has no `name`");
        check(r#"{"name": "a", "prompt": "p", "max_steps": "many"}"#, "`max_steps` must be a whole number");
        check("{}", "the JSON holds no agent: it has no `name`");
        check(r#"{"name": "a"}"#, "agent `a` has no `prompt`");
    }
}

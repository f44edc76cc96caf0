//! A small world: tools that look like those of the usual filesystem server, and a run over them.

use crate::Request;
use crate::offline::{SIGNATURE, answer};
use expect_test::Expect;
use serde_json::{Value, json};
use station_core::run::{GrantedTool, Settings, Target};
use station_core::{AgentId, Message, ServerId, ToolSpec};

const LOG: &str = "\
2026-01-05T10:00:01Z INFO started on port 8080
2026-01-05T10:00:05Z ERROR payment: timeout after 3012 ms (order 4711)
2026-01-05T10:00:09Z WARN cache: 91% full
2026-01-05T10:01:05Z ERROR payment: timeout after 2950 ms (order 4712)
2026-01-05T10:02:00Z ERROR mail: connection refused
2026-01-05T10:02:01Z INFO retry after error
2026-01-05T10:03:00Z ERROR payment: timeout after 3100 ms (order 4800)
";
const NOTES: &str = "# Notes\n\nThe shop runs on two machines.\nBackups are made at night.\nDeploys happen on Mondays.\nAsk Kim about mail.\nDisk is watched.\n";

/// What the world holds: whole path and text.
const FILES: &[(&str, &str)] = &[
    ("/data/logs/app.log", LOG),
    ("/data/logs/access.log", "GET / 200\nGET /cart 500\nGET /cart 200\n"),
    ("/data/notes.md", NOTES),
    ("/data/logo.png", "\u{1}"),
];

fn grant(name: &str, description: &str, input_schema: Value, target: Target, offline: bool) -> GrantedTool {
    let spec = ToolSpec { name: name.to_owned(), description: description.to_owned(), input_schema };
    GrantedTool { spec, target, offline }
}

pub(super) fn tool(name: &str, description: &str, input_schema: Value) -> GrantedTool {
    let target = Target::Tool {
        server: ServerId(1),
        server_name: "fs".to_owned(),
        tool: name.to_owned(),
        read_only: !name.starts_with("create"),
        idempotent: true,
    };
    let offline = !matches!(name, "write_file" | "move_file");
    grant(name, description, input_schema, target, offline)
}

pub(super) fn agent(name: &str, description: &str) -> GrantedTool {
    let schema = json!({"type": "object", "properties": {"task": {"type": "string"}}, "required": ["task"]});
    let target = Target::Agent { agent: AgentId(1), name: name.to_owned() };
    grant(&format!("__agent_{name}"), description, schema, target, true)
}

pub(super) fn filesystem() -> Vec<GrantedTool> {
    let path = json!({"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]});
    let text = json!({"type": "object", "required": ["path"], "properties": {"path": {"type": "string"},
        "tail": {"type": "number", "description": "If provided, returns only the last N lines of the file"},
        "head": {"type": "number", "description": "If provided, returns only the first N lines of the file"}}});
    let paths = json!({"type": "object", "required": ["paths"],
        "properties": {"paths": {"type": "array", "items": {"type": "string"}}}});
    let sorted = json!({"type": "object", "required": ["path"], "properties": {"path": {"type": "string"},
        "sortBy": {"type": "string", "enum": ["name", "size"], "default": "name"}}});
    let pattern = json!({"type": "object", "required": ["path", "pattern"],
        "properties": {"path": {"type": "string"}, "pattern": {"type": "string"}}});
    vec![
        tool(
            "read_file",
            "Read the complete contents of a file as text. DEPRECATED: Use read_text_file instead.",
            text.clone(),
        ),
        tool(
            "read_text_file",
            "Read the complete contents of a file from the file system as text. Provides detailed error messages if the file cannot be read.",
            text,
        ),
        tool("read_media_file", "Read an image or audio file.", path.clone()),
        tool("read_multiple_files", "Read the contents of multiple files simultaneously.", paths),
        tool("write_file", "Create a new file or completely overwrite an existing file.", path.clone()),
        tool(
            "list_directory",
            "Get a detailed listing of all files and directories in a specified path.",
            path.clone(),
        ),
        tool(
            "list_directory_with_sizes",
            "Get a detailed listing of all files and directories in a specified path, including sizes.",
            sorted,
        ),
        tool("search_files", "Recursively search for files and directories matching a pattern.", pattern),
        tool(
            "get_file_info",
            "Retrieve detailed metadata about a file or directory: size, times, permissions.",
            path,
        ),
        tool(
            "list_allowed_directories",
            "Returns the list of directories that this server is allowed to access.",
            json!({"type": "object", "properties": {}}),
        ),
    ]
}

pub(super) fn pick(names: &str) -> Vec<GrantedTool> {
    filesystem().into_iter().filter(|tool| names.split(' ').any(|name| name == tool.spec.name)).collect()
}

/// What the world's tools return.
fn perform(name: &str, arguments: &Value) -> Result<String, String> {
    let path = arguments["path"].as_str().unwrap_or_default().trim_end_matches('/');
    let read = |path: &str| {
        let file = FILES.iter().find(|(known, _)| *known == path);
        file.map(|(_, text)| (*text).to_owned())
            .ok_or_else(|| format!("ENOENT: no such file or directory, open '{path}'"))
    };
    match name {
        "read_text_file" | "read_file" => read(path).map(|text| match arguments["tail"].as_u64() {
            Some(tail) => {
                let lines: Vec<&str> = text.lines().collect();
                lines[lines.len().saturating_sub(usize::try_from(tail).unwrap())..].join("\n")
            }
            None => text,
        }),
        "list_directory" | "list_directory_with_sizes" => {
            let mut lines: Vec<String> = FILES
                .iter()
                .filter_map(|(file, _)| file.strip_prefix(path)?.strip_prefix('/'))
                .map(|rest| match rest.split_once('/') {
                    Some((folder, _)) => format!("[DIR] {folder}"),
                    None if name.ends_with("sizes") => format!("[FILE] {rest:<30}    1.00 KB"),
                    None => format!("[FILE] {rest}"),
                })
                .collect();
            lines.dedup();
            if lines.is_empty() {
                Err(format!("ENOENT: no such directory '{path}'"))
            } else {
                Ok(lines.join("\n"))
            }
        }
        "list_allowed_directories" => Ok("Allowed directories:\n/data".to_owned()),
        "create_directory" => Ok(format!("made {path}")),
        "add" => Ok((arguments["a"].as_i64().unwrap() + arguments["b"].as_i64().unwrap()).to_string()),
        "echo" => Ok(arguments["text"].as_str().unwrap().to_owned()),
        "get_weather" => Ok(format!("{{\"city\": {}, \"sky\": \"blue\"}}", arguments["city"])),
        name if name.starts_with("__agent_") => {
            Ok(format!("did: {}\n\n{SIGNATURE}", arguments["task"].as_str().unwrap()))
        }
        name => Err(format!("{name} is broken")),
    }
}

/// A whole run: each turn's calls, then the answer.
pub(super) fn run(task: &str, tools: &[GrantedTool], schema: Option<&Value>) -> (Vec<String>, String) {
    let settings = Settings::default();
    let mut messages = vec![
        Message::System { text: "You look into files.".to_owned() },
        Message::User { text: task.to_owned() },
    ];
    let mut turns = Vec::new();
    for _ in 0..8 {
        let request = Request {
            messages: &messages,
            tools,
            settings: &settings,
            output_schema: schema,
            repeat: crate::Repeat::Any,
            trace: None,
        };
        let said = answer(&request);
        assert_eq!(said, answer(&request), "the same request has the same answer");
        assert!(said.usage.input > 0 && said.usage.output > 0);
        if said.calls.is_empty() {
            return (turns, said.text);
        }
        let shown: Vec<String> =
            said.calls.iter().map(|call| format!("{} {}", call.name, call.arguments)).collect();
        turns.push(shown.join("\n  | "));
        let calls = said.calls.clone();
        messages.push(Message::Assistant { text: said.text, calls: said.calls, thinking: None });
        for call in calls {
            let granted =
                tools.iter().find(|tool| tool.spec.name == call.name).expect("it calls what it has");
            assert!(granted.offline, "it called {}, which it may not", call.name);
            let result = perform(&call.name, &serde_json::from_str(&call.arguments).expect("JSON"));
            let is_error = result.is_err();
            let text = result.unwrap_or_else(|error| error);
            messages.push(Message::Tool {
                call: call.id,
                name: call.name,
                text,
                is_error,
                images: Vec::new(),
            });
        }
    }
    panic!("it never ends: {turns:#?}");
}

pub(super) fn check(task: &str, tools: &[GrantedTool], expected: Expect) {
    let (turns, text) = run(task, tools, None);
    assert!(text.ends_with(SIGNATURE), "it says who answered: {text}");
    let text = text.trim_end_matches(SIGNATURE).trim_end();
    expected.assert_eq(&format!("{}\n---\n{text}\n", turns.join("\n")));
}

//! Servers, and their tools.

use super::environments;
use super::operation::{Needs, Operation, Reply, Verb};
use super::page::{self, CURSOR, LIMIT_GIVEN};
use crate::tools::{Arguments, Desk, Kind, Parameter};
use crate::wire;
use futures::FutureExt as _;
use serde_json::Value;
use station_core::{Action, Caller, Error, Kind as ErrorKind, Result, Tool};
use station_engine::{Consent, NewServer, ServerDetails, ServerRef, ToolCallEnd};
use std::collections::BTreeMap;

const SERVER: Parameter = Parameter::required(
    "server",
    Kind::Ref,
    "A server: its id, or its name in `environment`, or in `default` where that is left out.",
);

/// A server in an example.
macro_rules! example {
    () => {
        r#"{"id": 3, "name": "files", "environment": "default", "environment_id": 1, "config": "files", "transport": "stdio",
            "state": "ok", "problem": null, "era": "legacy", "discovered_at": "2026-11-26T09:30:00Z", "problem_at": null,
            "down_since": null, "tools_count": 1, "login": null}"#
    };
}

/// A tool in an example.
macro_rules! tool_example {
    () => {
        r#"{"id": 9, "name": "read_text_file", "server": "files", "server_id": 3, "title": "", "description": "Reads a file",
            "input_schema": {"type": "object"}, "output_schema": null, "read_only": true, "destructive": null,
            "idempotent": null, "open_world": null}"#
    };
}

/// A server with all that is told of it, in an example.
macro_rules! view_example {
    () => {
        concat!(
            r#"{"server": "#,
            example!(),
            r#", "path": "environments/default/mcp-servers/files.json", "isolation": "environment", "timeout_ms": null,
            "concurrency": null, "allow_agents": null, "allow_roles": ["user"], "variables": [], "tools": ["#,
            tool_example!(),
            r#"], "granted_to": ["triage"]}"#
        )
    };
}

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "list_servers",
        verb: Verb::Get,
        path: "/servers",
        needs: Needs::Right(Action::ReadServers),
        summary: "List servers",
        says: "Servers by environment and name, of one environment or of all, each with how it was when it was asked last, and how its \
            program is kept.",
        parameters: &[environments::OPTIONAL, LIMIT_GIVEN, CURSOR],
        status: 200,
        output: |generator| page::shape::<wire::Server>("servers", generator),
        sends: "",
        answers: concat!(r#"{"servers": ["#, example!(), r#"], "count": 1, "next": null}"#),
        call: |desk, by, arguments| list_servers(desk, by, arguments).boxed(),
    },
    Operation {
        id: "add_server",
        verb: Verb::Post,
        path: "/servers",
        needs: Needs::Right(Action::ManageServers),
        summary: "Add a server",
        says: "Writes a server into a file of the environment, or into the store where files are read-only, and lists its tools. A server \
            is a program that Station starts: an administrator's right. Write secrets as `{{ .NAME }}`, and set that variable.",
        parameters: &[
            Parameter::required("name", Kind::Text, "Its name: not digits alone."),
            Parameter::required("definition", Kind::Object, "Its entry in `mcpServers`."),
            environments::OPTIONAL,
            Parameter::optional(
                "file",
                Kind::Text,
                "The server file it is put into, without `.json`; one of its own if left out.",
            ),
        ],
        status: 201,
        output: |generator| generator.subschema_for::<wire::ServerView>(),
        sends: r#"{"name": "files", "definition": {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "/srv"]}}"#,
        answers: view_example!(),
        call: |desk, by, arguments| add_server(desk, by, arguments).boxed(),
    },
    Operation {
        id: "show_server",
        verb: Verb::Get,
        path: "/servers/{server}",
        needs: Needs::Right(Action::ReadServers),
        summary: "Show a server",
        says: "A server with its settings, its tools, the variables it asks for and the agents with a grant of one of its tools. Its \
            definition is not told: that may hold secrets.",
        parameters: &[SERVER, environments::OPTIONAL],
        status: 200,
        output: |generator| generator.subschema_for::<wire::ServerView>(),
        sends: "",
        answers: view_example!(),
        call: |desk, by, arguments| show_server(desk, by, arguments).boxed(),
    },
    Operation {
        id: "delete_server",
        verb: Verb::Delete,
        path: "/servers/{server}",
        needs: Needs::Right(Action::ManageServers),
        summary: "Delete a server",
        says: "Takes a server out of its file, or out of the store. Its tools go; grants of them stay written, and mean nothing.",
        parameters: &[SERVER, environments::OPTIONAL],
        status: 200,
        output: |generator| generator.subschema_for::<wire::Deletion>(),
        sends: "",
        answers: r#"{"noun": "server", "id": 3, "name": "files", "environment": "default", "files": [], "runs_kept": 0}"#,
        call: |desk, by, arguments| delete_server(desk, by, arguments).boxed(),
    },
    Operation {
        id: "discover_server",
        verb: Verb::Post,
        path: "/servers/{server}/discover",
        needs: Needs::Right(Action::CallTools),
        summary: "List a server's tools anew",
        says: "Starts the server, or connects to it, and asks what it offers. One that fails keeps what is known of it.",
        parameters: &[SERVER, environments::OPTIONAL],
        status: 200,
        output: |generator| generator.subschema_for::<wire::Discovery>(),
        sends: "{}",
        answers: r#"{"servers": [{"server": "files", "status": "ok", "tools_count": 1, "error": null, "duration_ms": 210}], "warnings": []}"#,
        call: |desk, by, arguments| discover_server(desk, by, arguments).boxed(),
    },
    Operation {
        id: "list_tools",
        verb: Verb::Get,
        path: "/tools",
        needs: Needs::Right(Action::ReadServers),
        summary: "List tools",
        says: "Tools of an environment (`default` if left out) by server and name, or of one of its servers, or those that a search finds, best first.",
        parameters: &[
            environments::OPTIONAL,
            Parameter::optional("server", Kind::Ref, "Only those of this server, by id or name."),
            Parameter::optional("search", Kind::Text, "Only those that these words find."),
            LIMIT_GIVEN,
            CURSOR,
        ],
        status: 200,
        output: |generator| page::shape::<wire::Tool>("tools", generator),
        sends: "",
        answers: concat!(r#"{"tools": ["#, tool_example!(), r#"], "count": 1, "next": null}"#),
        call: |desk, by, arguments| list_tools(desk, by, arguments).boxed(),
    },
    Operation {
        id: "call_tool",
        verb: Verb::Post,
        path: "/servers/{server}/tools/{tool}/call",
        needs: Needs::Right(Action::CallTools),
        summary: "Call a tool",
        says: "Calls a tool through the same gate as runs: rules of server and environment hold, and it is in the audit. What the tool calls \
            an error is an answer with `is_error`. Where a rule asks for a person's yes, 409 with the number of the approval: decide it, \
            and call again with the same arguments.",
        parameters: &[
            SERVER,
            Parameter::required("tool", Kind::Text, "The tool's name at its server."),
            Parameter::optional("arguments", Kind::Object, "What it is called with."),
            environments::OPTIONAL,
        ],
        status: 200,
        output: |generator| generator.subschema_for::<wire::CalledTool>(),
        sends: r#"{"arguments": {"path": "notes.txt"}}"#,
        answers: r#"{"effect_id": "0197c1d2-0000-7000-8000-000000000000", "text": "three notes", "structured": null,
            "is_error": false, "cut_bytes": 0, "took_ms": 4}"#,
        call: |desk, by, arguments| call_tool(desk, by, arguments).boxed(),
    },
    Operation {
        id: "read_resource",
        verb: Verb::Post,
        path: "/servers/{server}/resources/read",
        needs: Needs::Right(Action::CallTools),
        summary: "Read a resource",
        says: "Reads a resource of a server, as the protocol's `resources/read` does: texts, and other data in base64.",
        parameters: &[
            SERVER,
            Parameter::required("uri", Kind::Text, "The resource's address at its server."),
            environments::OPTIONAL,
        ],
        status: 200,
        output: |generator| generator.subschema_for::<wire::ReadResource>(),
        sends: r#"{"uri": "file:///srv/notes.txt"}"#,
        answers: r#"{"contents": [{"uri": "file:///srv/notes.txt", "mimeType": "text/plain", "text": "three notes"}]}"#,
        call: |desk, by, arguments| read_resource(desk, by, arguments).boxed(),
    },
    Operation {
        id: "get_prompt",
        verb: Verb::Post,
        path: "/servers/{server}/prompts/{prompt}/get",
        needs: Needs::Right(Action::CallTools),
        summary: "Fill in a prompt",
        says: "Has a server fill in one of its prompts, as the protocol's `prompts/get` does.",
        parameters: &[
            SERVER,
            Parameter::required("prompt", Kind::Text, "The prompt's name at its server."),
            Parameter::optional("arguments", Kind::Object, "What it is filled in with: texts by name."),
            environments::OPTIONAL,
        ],
        status: 200,
        output: |generator| generator.subschema_for::<wire::FilledPrompt>(),
        sends: r#"{"arguments": {"language": "Rust"}}"#,
        answers: r#"{"description": "Reviews code", "messages": [{"role": "user", "content": {"type": "text", "text": "Review this Rust."}}]}"#,
        call: |desk, by, arguments| get_prompt(desk, by, arguments).boxed(),
    },
    Operation {
        id: "logout_server",
        verb: Verb::Delete,
        path: "/servers/{server}/login",
        needs: Needs::Right(Action::ManageServers),
        summary: "Log out at a server",
        says: "Ends the login at a remote server: its tokens are revoked there and forgotten here. Refused with 409 where there is none. \
            `stn mcp login` makes one, since that takes a browser.",
        parameters: &[SERVER, environments::OPTIONAL],
        status: 200,
        output: |generator| generator.subschema_for::<wire::LoggedOut>(),
        sends: "",
        answers: r#"{"server": "github", "server_id": 3, "warning": null}"#,
        call: |desk, by, arguments| logout_server(desk, by, arguments).boxed(),
    },
];

async fn read_resource(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let server = named(desk, by, &arguments).await?;
    let read = desk.station.read_resource(by, &server, arguments.must("uri"), BTreeMap::new()).await?;
    Ok(Reply::of(&wire::ReadResource::from(read)))
}

async fn get_prompt(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let server = named(desk, by, &arguments).await?;
    let given = arguments.object("arguments").cloned().unwrap_or_default();
    let prompt = (arguments.must("prompt"), given);
    let filled = desk.station.get_prompt(by, &server, prompt, BTreeMap::new()).await?;
    Ok(Reply::of(&wire::FilledPrompt::from(filled)))
}

async fn logout_server(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let out = desk.station.logout_server(by, &named(desk, by, &arguments).await?).await?;
    Ok(Reply::of(&wire::LoggedOut::from(&out)))
}

/// The server that the arguments name.
///
/// # Errors
/// `Invalid`; `NotFound` where there is no such environment.
async fn named(desk: &Desk, by: &Caller, arguments: &Arguments) -> Result<ServerRef> {
    let environment = environments::named(desk, by, arguments).await?;
    Ok(ServerRef::parse(arguments.must("server"), environment))
}

async fn list_servers(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let environment = environments::chosen(desk, by, &arguments).await?.map(|it| it.name);
    if let Some(environment) = &environment {
        desk.apply(by, environment).await?;
    }
    let all = desk.station.list_servers(by, environment.as_ref()).await?;
    let kept = desk.station.confinements(by, &all).await?;
    let key = |it: &ServerDetails| format!("{}/{}", it.environment.name, it.server.name);
    let told = |it: &ServerDetails| wire::Server::from(it).kept(kept.get(&it.server.id));
    Ok(Reply::Body(page::of("servers", all, &arguments, key, told)))
}

async fn show_server(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let view = desk.station.show_server(by, &named(desk, by, &arguments).await?).await?;
    Ok(Reply::of(&wire::ServerView::from(&view)))
}

async fn add_server(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let environment = environments::named(desk, by, &arguments).await?;
    let file = arguments.text("file").map(|file| file.strip_suffix(".json").unwrap_or(file).to_owned());
    let new = NewServer {
        name: arguments.must("name").to_owned(),
        environment,
        entry: arguments.object("definition").cloned().map(Value::Object).unwrap_or_default(),
        file,
    };
    let added = ServerRef::Id(desk.station.add_server(by, new).await?.server.id);
    // What is wrong with it is in its row.
    desk.station.discover_server(by, &added).await?;
    Ok(Reply::of(&wire::ServerView::from(&desk.station.show_server(by, &added).await?)))
}

async fn delete_server(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let gone = desk.station.delete_server(by, &named(desk, by, &arguments).await?).await?;
    Ok(Reply::of(&wire::Deletion::from(&gone)))
}

async fn discover_server(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let found = desk.station.discover_server(by, &named(desk, by, &arguments).await?).await?;
    Ok(Reply::of(&wire::Discovery::from(&found)))
}

async fn list_tools(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let environment = environments::named(desk, by, &arguments).await?;
    desk.apply(by, &environment).await?;
    let server = arguments.text("server").map(|server| ServerRef::parse(server, environment.clone()));
    let all = desk.station.list_tools(by, &environment, server.as_ref(), arguments.text("search")).await?;
    if arguments.text("search").is_some() {
        return Ok(Reply::Body(page::in_order("tools", all, &arguments, |it| wire::Tool::from(it))));
    }
    let key = |it: &Tool| format!("{}/{}/{}", it.server_name, it.name, it.id);
    Ok(Reply::Body(page::of("tools", all, &arguments, key, |it| wire::Tool::from(it))))
}

async fn call_tool(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let server = named(desk, by, &arguments).await?;
    let name = arguments.must("tool");
    let given = arguments.object("arguments").cloned().unwrap_or_default();
    let none = BTreeMap::new();
    let called = desk.station.call_tool(by, &server, name, given.clone(), (Consent::Unasked, &none)).await?;
    match called {
        ToolCallEnd::Called(called) => {
            let told = wire::CalledTool::from(&called);
            Ok(if called.is_secret { Reply::once(&told) } else { Reply::of(&told) })
        }
        ToolCallEnd::Asks(basis) => {
            let tool = desk.station.show_tool(by, &server, name).await?;
            let rule = basis.rule.to_string();
            let id = desk.station.ask_for_call(by, &tool, &given, basis).await?;
            let sentence = format!("{rule} asks for a person's yes before `{}` is called", tool.name);
            Err(Error::new(ErrorKind::Conflict, sentence).with_hint(format!(
                "it waits as approval {id}: decide it, then call again with the same arguments"
            )))
        }
    }
}

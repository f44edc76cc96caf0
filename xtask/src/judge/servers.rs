//! `cargo xtask judge servers`: published servers under the default sandbox, listed, and called where no account is needed.

use super::house::{House, row};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::time::Instant;

/// A published server, and one call that needs no account.
struct Judged {
    name: &'static str,
    command: &'static str,
    args: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    /// A tool, its arguments, and a part of what it answers.
    call: Option<(&'static str, &'static str, &'static str)>,
    /// What it cannot be called without, where there is no such call.
    needs: &'static str,
    /// Whether it asks a service before it answers anything: without a route there it cannot be judged.
    asks_first: bool,
}

const PLAIN: Judged = Judged {
    name: "",
    command: "npx",
    args: &[],
    env: &[],
    call: None,
    needs: "an account",
    asks_first: false,
};

/// `{work}` stands for a folder of the judge's home, `{web}` for where its page is.
const SERVERS: [Judged; 18] = [
    Judged {
        name: "everything",
        args: &["-y", "@modelcontextprotocol/server-everything"],
        call: Some(("echo", r#"{"message": "hello"}"#, "hello")),
        ..PLAIN
    },
    Judged {
        name: "filesystem",
        args: &["-y", "@modelcontextprotocol/server-filesystem", "{work}"],
        call: Some(("list_directory", r#"{"path": "{work}"}"#, "note.txt")),
        ..PLAIN
    },
    Judged {
        name: "memory",
        args: &["-y", "@modelcontextprotocol/server-memory"],
        env: &[("MEMORY_FILE_PATH", "{work}/memory.json")],
        call: Some((
            "create_entities",
            r#"{"entities": [{"name": "station", "entityType": "program", "observations": ["it runs"]}]}"#,
            "it runs",
        )),
        ..PLAIN
    },
    Judged {
        name: "sequential-thinking",
        args: &["-y", "@modelcontextprotocol/server-sequential-thinking"],
        call: Some((
            "sequentialthinking",
            r#"{"thought": "one", "nextThoughtNeeded": false, "thoughtNumber": 1, "totalThoughts": 1}"#,
            "thoughtNumber",
        )),
        ..PLAIN
    },
    Judged { name: "github", args: &["-y", "@modelcontextprotocol/server-github"], ..PLAIN },
    Judged {
        name: "gitlab",
        args: &["-y", "@modelcontextprotocol/server-gitlab"],
        env: &[("GITLAB_PERSONAL_ACCESS_TOKEN", "none")],
        ..PLAIN
    },
    Judged {
        name: "slack",
        args: &["-y", "@modelcontextprotocol/server-slack"],
        env: &[("SLACK_BOT_TOKEN", "xoxb-none"), ("SLACK_TEAM_ID", "T0")],
        ..PLAIN
    },
    Judged {
        name: "google-maps",
        args: &["-y", "@modelcontextprotocol/server-google-maps"],
        env: &[("GOOGLE_MAPS_API_KEY", "none")],
        ..PLAIN
    },
    Judged {
        name: "brave-search",
        args: &["-y", "@modelcontextprotocol/server-brave-search"],
        env: &[("BRAVE_API_KEY", "none")],
        ..PLAIN
    },
    Judged {
        name: "postgres",
        args: &["-y", "@modelcontextprotocol/server-postgres", "postgresql://localhost:1/none"],
        needs: "a database",
        ..PLAIN
    },
    Judged { name: "playwright", args: &["-y", "@playwright/mcp"], needs: "a browser", ..PLAIN },
    Judged { name: "context7", args: &["-y", "@upstash/context7-mcp"], needs: "its service", ..PLAIN },
    Judged {
        name: "git",
        command: "uvx",
        args: &["mcp-server-git", "--repository", "{work}"],
        call: Some(("git_status", r#"{"repo_path": "{work}"}"#, "note.txt")),
        ..PLAIN
    },
    Judged {
        name: "time",
        command: "uvx",
        args: &["mcp-server-time"],
        call: Some(("get_current_time", r#"{"timezone": "Europe/Berlin"}"#, "Europe/Berlin")),
        ..PLAIN
    },
    Judged {
        name: "fetch",
        command: "uvx",
        args: &["mcp-server-fetch", "--ignore-robots-txt"],
        call: Some(("fetch", r#"{"url": "http://{web}/", "raw": true}"#, PAGE)),
        ..PLAIN
    },
    Judged {
        name: "sqlite",
        command: "uvx",
        // Its last release was written for the first major version of the SDK, and does not say so.
        args: &["--with", "mcp<2", "mcp-server-sqlite", "--db-path", "{work}/judge.db"],
        call: Some(("list_tables", "{}", "[]")),
        ..PLAIN
    },
    Judged {
        name: "calculator",
        command: "uvx",
        args: &["mcp-server-calculator"],
        call: Some(("calculate", r#"{"expression": "6*7"}"#, "42")),
        ..PLAIN
    },
    Judged {
        name: "aws-api",
        command: "uvx",
        args: &["awslabs.aws-api-mcp-server"],
        env: &[("AWS_REGION", "us-east-1")],
        asks_first: true,
        ..PLAIN
    },
];

/// What the judge's own page says.
const PAGE: &str = "a page of the judge";

/// What a system says where there is no way to a host.
const NO_NETWORK: [&str; 4] = ["NameResolution", "ENOTFOUND", "EAI_AGAIN", "Network is unreachable"];

/// Judges all of them, or those that are named.
pub(super) fn run(names: &[&str]) -> Result<bool> {
    for name in names {
        ensure!(SERVERS.iter().any(|server| server.name == *name), "`{name}` is not among the servers");
    }
    let house = House::new()?;
    std::fs::write(house.path("work/note.txt"), "a note\n")?;
    ensure!(house.command("git").args(["init", "--quiet"]).status()?.success(), "git cannot be used");
    let judged: Vec<&Judged> =
        SERVERS.iter().filter(|server| names.is_empty() || names.contains(&server.name)).collect();
    let web = page()?;
    for server in &judged {
        house.server("default", server.name, &entry(&house, server))?;
    }
    let began = Instant::now();
    // What could not be listed is in the status.
    house.try_stn(&["sync"])?;
    let status = house.json(&["mcp", "status"])?;
    println!("{} servers, fetched and listed in {} s", judged.len(), began.elapsed().as_secs());
    let mut outcomes = Vec::new();
    for server in judged {
        let listed =
            status["servers"].as_array().and_then(|all| all.iter().find(|it| it["name"] == server.name));
        outcomes.push(tell(&house, server, listed.unwrap_or(&Value::Null), web)?);
    }
    let n = |outcome: Outcome| outcomes.iter().filter(|it| **it == outcome).count();
    let (holds, unjudged) = (n(Outcome::Holds), n(Outcome::Unjudged));
    println!("{holds} of {} hold; {unjudged} could not be judged here", outcomes.len());
    Ok(holds + unjudged == outcomes.len())
}

/// What came of one.
#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    Holds,
    Fails,
    /// There is no way to the service that it asks first.
    Unjudged,
}

/// Serves a page on loopback for as long as the judge runs.
fn page() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let length = PAGE.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{PAGE}"
            );
            // Who goes away before the answer is told by the call that fails.
            drop(stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(answer.as_bytes())));
        }
    });
    Ok(address)
}

/// One line, and whether what it says is as it should be.
fn tell(house: &House, server: &Judged, listed: &Value, web: SocketAddr) -> Result<Outcome> {
    let sandbox = listed["sandbox"]["state"].as_str().unwrap_or("?").to_owned();
    if listed["state"] != "ok" {
        let why = listed["problem"].as_str().unwrap_or("it is not among what was listed");
        let no_network = server.asks_first && NO_NETWORK.iter().any(|word| why.contains(word));
        let words = if no_network {
            "not judged: it asks a service first, and there is no way there"
        } else {
            "FAILED"
        };
        row(
            server.name,
            &[sandbox, words.to_owned(), if no_network { String::new() } else { why.to_owned() }],
        );
        return Ok(if no_network { Outcome::Unjudged } else { Outcome::Fails });
    }
    let is_confined = listed["sandbox"]["state"] == "confined";
    let outcome = |holds: bool| if holds && is_confined { Outcome::Holds } else { Outcome::Fails };
    let tools = format!("{:>3} tools, {}", listed["tools_count"], listed["era"].as_str().unwrap_or("?"));
    let Some((tool, arguments, part)) = server.call else {
        row(server.name, &[sandbox, tools, format!("not called: it needs {}", server.needs)]);
        return Ok(outcome(true));
    };
    let arguments = placed(house, arguments).replace("{web}", &web.to_string());
    let said = house.try_stn(&["mcp", "call", server.name, tool, &arguments])?;
    let text = String::from_utf8_lossy(&said.stdout);
    let holds = said.status.success() && text.contains(part);
    let called = if holds {
        format!("{tool}: ok")
    } else {
        format!("{tool}: FAILED {text}{}", String::from_utf8_lossy(&said.stderr))
    };
    row(server.name, &[sandbox, tools, called]);
    Ok(outcome(holds))
}

fn entry(house: &House, server: &Judged) -> Value {
    let args: Vec<String> = server.args.iter().map(|arg| placed(house, arg)).collect();
    let env: serde_json::Map<String, Value> =
        server.env.iter().map(|(name, value)| ((*name).to_owned(), json!(placed(house, value)))).collect();
    json!({ "command": server.command, "args": args, "env": env })
}

fn placed(house: &House, text: &str) -> String {
    text.replace("{work}", &house.path("work").display().to_string())
}

//! Secrets, planted in every place that holds one, are told nowhere: not in the log at its loudest, not over HTTP, not to collectors and
//! models, not by the system of the processes, and to no tool server that was not to have them.
//!
//! What lies on the disk is another test's (`at_rest`), and so is who may ask (`who_may`).

use crate::home::{Home, Said};
use crate::http::Served;
use crate::otlp::Collector;
use crate::watch::until;
use serde_json::{Value, json};
use station_testkit::fake_server;
use station_testkit::openai::{self, OpenAi};
use std::fs;

/// Where each is planted. None of them looks like a secret: nothing takes it out that does not know it.
const PLANTED: [(&str, &str); 10] = [
    ("the model's key", "canary-of-the-model"),
    ("a variable", "canary-of-a-variable"),
    ("a literal of a server's env", "canary-of-a-literal"),
    ("a header of a remote server", "canary-of-a-header"),
    ("the password of an address", "canary-of-an-address"),
    ("a value of the run", "canary-of-the-run"),
    ("a user's password", "canary-of-a-password"),
    ("a password that is wrong", "canary-that-is-wrong"),
    ("a collector's header", "canary-of-the-collector"),
    // What `read` answers, and no part of what it is asked.
    ("a secret result", "contents of the vault"),
];

/// A model that fails once, repeating its key as providers do, then has tools called: one that fails, one that does not.
fn model() -> OpenAi {
    OpenAi::from_fn(|seen| match seen.results().len() {
        0 => openai::calls([
            ("fail", "{}"),
            ("echo", r#"{"text": "hello"}"#),
            ("read", r#"{"path": "the vault"}"#),
        ]),
        _ if seen.body.to_string().contains("repeat the key") => openai::bad_key("canary-of-the-model"),
        _ => openai::reply("done"),
    })
}

/// A home with servers that have secrets: one that works, one that tells its own at its end, two that are not there.
fn home(model: &OpenAi, collector: &Collector) -> Home {
    let home = Home::new()
        .asking(model)
        .set("STN_AI_API_KEY", "canary-of-the-model")
        // Of every library, too.
        .set("STN_LOG_LEVEL", "trace,stn=trace")
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)
        .set("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
        .set("OTEL_EXPORTER_OTLP_HEADERS", "x-key=canary-of-the-collector");
    home.stn(&["init", "--yes"]).done();
    let env =
        json!({ "VARIABLE": "{{ .VARIABLE }}", "LITERAL": "canary-of-a-literal", "GIVEN": "{{ .GIVEN }}" });
    let tells = "echo I have $VARIABLE and $LITERAL >&2; exit 1";
    let servers = json!({ "mcpServers": {
        "has": { "command": fake_server::binary(), "args": ["--pids", home.work("has")], "env": env,
            "station": { "tools": { "secret": ["read"] } } },
        "has_none": { "command": fake_server::binary(), "args": ["--pids", home.work("has_none"), "--name", "other"] },
        "tells": { "command": "/bin/sh", "args": ["-c", tells], "env": env },
        "away": { "url": "http://127.0.0.1:9/mcp", "headers": { "X-Key": "canary-of-a-header" } },
        "addressed": { "url": "http://ann:canary-of-an-address@127.0.0.1:9/mcp" },
    }});
    home.write("environments/default/mcp-servers/all.json", &servers.to_string());
    home.write("environments/default/variables.yml", "VARIABLE: canary-of-a-variable\nGIVEN: nothing\n");
    home.agent("default", "worker", "tools: [has__fail, has__echo, has__read]\n");
    home
}

/// Everything that Station was heard to say, with who was told.
#[derive(Default)]
struct Heard(Vec<(String, Vec<u8>)>);

impl Heard {
    fn add(&mut self, whom: impl Into<String>, said: impl Into<Vec<u8>>) {
        self.0.push((whom.into(), said.into()));
    }

    fn command(&mut self, what: &str, said: &Said) {
        self.add(what, format!("{}{}", said.stdout, said.stderr));
    }
}

/// What the system tells of a process: its command line, its name, and where `is_bare`, the environment that it began with.
fn process(heard: &mut Heard, pid: &str, is_bare: bool) {
    for file in ["cmdline", "comm"].into_iter().chain(is_bare.then_some("environ")) {
        let path = format!("/proc/{pid}/{file}");
        let told = fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        heard.add(path, told);
    }
}

#[test]
fn no_secret_is_told_anywhere() {
    let (model, collector, mut heard) = (model(), Collector::start(), Heard::default());
    let home = home(&model, &collector);
    heard.command("stn sync", &home.stn(&["sync"]));
    let typed = ["user", "create", "ann", "--role", "admin", "--password"];
    heard.command("stn user create", &home.stn_reading(&typed, "canary-of-a-password\n"));
    let key = home.json(&["user", "key", "create", "ann"])["secret"].as_str().unwrap().to_owned();
    let served = Served::start(&home);

    let ask = |heard: &mut Heard, method: &str, path: &str, body: &Value| {
        let answer = served.send_as(&key, &format!("/api/v1{path}"), method, &body.to_string());
        heard.add(format!("{method} {path}"), format!("{}{}", answer.head, answer.body));
        answer
    };
    for task in ["do it", "repeat the key"] {
        let wish = json!({ "task": task, "variables": { "GIVEN": "canary-of-the-run" } });
        let run = ask(&mut heard, "POST", "/agents/worker/runs", &wish).json()["run"]["id"].to_string();
        until("it has ended", || {
            let run = served.send_as(&key, &format!("/api/v1/runs/{run}"), "GET", "").json();
            ["completed", "failed"].contains(&run["run"]["status"].as_str().unwrap())
        });
        for path in ["", "/events", "/record"] {
            ask(&mut heard, "GET", &format!("/runs/{run}{path}"), &Value::Null);
        }
        heard.command("stn runs inspect", &home.stn(&["runs", "inspect", &run]));
    }
    for server in ["has", "has_none", "tells", "away", "addressed"] {
        ask(&mut heard, "POST", &format!("/servers/{server}/discover"), &json!({}));
        ask(&mut heard, "GET", &format!("/servers/{server}"), &Value::Null);
        let call = json!({ "arguments": { "text": "hello" } });
        ask(&mut heard, "POST", &format!("/servers/{server}/tools/echo/call"), &call);
    }
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "has__read", "arguments": { "path": "the vault" }
    }});
    let passed = served.send_as(&key, "/mcp/env/default", "POST", &call.to_string());
    heard.add("a client of the gateway", passed.body);
    for password in ["canary-that-is-wrong", "canary-of-a-password"] {
        ask(&mut heard, "POST", "/sessions", &json!({ "name": "ann", "password": password }));
    }
    ask(&mut heard, "GET", "/environments/default", &Value::Null);
    ask(&mut heard, "POST", "/environments/default/sync", &json!({ "dry_run": true }));
    ask(&mut heard, "GET", "/environments/default/variables", &Value::Null);
    // And whatever else can be read without knowing what there is.
    let document = ask(&mut heard, "GET", "/openapi.json", &Value::Null).json();
    let paths = document["paths"].as_object().unwrap();
    let lists = paths.iter().filter(|(path, of)| !path.contains('{') && of.get("get").is_some());
    for (path, _) in lists {
        let path = path.strip_prefix("/api/v1").unwrap_or(path);
        let asked = match path {
            // Nothing says how long runs are kept here.
            "/runs/prunable" => "/runs/prunable?keep_days=1",
            "/runs/export" => "/runs/export?runs=1",
            other => other,
        };
        assert_eq!(ask(&mut heard, "GET", asked, &Value::Null).status, 200, "{path}");
    }
    heard.add("/metrics", served.send_as(&key, "/metrics", "GET", "").body);

    process(&mut heard, &served.pid().to_string(), false);
    for (name, is_bare) in [("has", false), ("has_none", true)] {
        let pids = fs::read_to_string(home.work(name)).unwrap();
        process(&mut heard, pids.lines().last().expect("it was started"), is_bare);
    }
    served.signal(nix::sys::signal::Signal::SIGTERM);
    until("it has ended", || !std::path::Path::new(&format!("/proc/{}/exe", served.pid())).exists());
    heard.add("the log", served.told().join("\n"));
    heard.add("the collector", collector.bodies_of_all());
    for request in model.requests() {
        heard.add("the model", request.body.to_string());
    }
    heard.command("stn audit list", &home.stn(&["audit", "list", "--json"]));

    let own = [("a user's key", key), ("the token of the file", home.read("api-token").trim().to_owned())];
    let own = own.into_iter().chain([("the store's key", home.read("station.key").trim().to_owned())]);
    let planted = PLANTED.iter().map(|(what, secret)| (*what, (*secret).to_owned())).chain(own);
    let mut told = String::new();
    for (what, secret) in planted {
        for (whom, said) in &heard.0 {
            if let Some(at) = said.windows(secret.len()).position(|window| window == secret.as_bytes()) {
                let around = &said[at.saturating_sub(120)..(at + secret.len() + 20).min(said.len())];
                told += &format!("{what}, to {whom}: …{}…\n", String::from_utf8_lossy(around));
            }
        }
    }
    assert!(told.is_empty(), "{told}");
    // It was told where they were taken out, and everybody who could have been told was listened to.
    for (whom, said) in [
        ("POST /servers/tells/discover", "I have [secret] and [secret]"),
        ("GET /servers/tells", "I have [secret] and [secret]"),
        ("the log", "TRACE"),
        ("/metrics", "station_agent_runs_total"),
        ("the collector", "invoke_agent worker"),
        ("the model", "repeat the key"),
        ("the model", "What `read` answers is secret"),
        ("a client of the gateway", "What `read` answers is secret"),
    ] {
        let heard = heard.0.iter().filter(|(by, _)| by == whom);
        let all: Vec<String> = heard.map(|(_, it)| String::from_utf8_lossy(it).into_owned()).collect();
        assert!(all.iter().any(|it| it.contains(said)), "{whom}: {said} is not in {all:?}");
    }
}

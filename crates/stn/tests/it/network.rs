//! No telemetry, no update check: every outgoing connection of the commands and of a worker, as the kernel sees it, their tool
//! servers included.

use crate::home::{Home, Said};
use crate::http::Served;
use crate::otlp::Collector;
use crate::watch::{descendants, under, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use regex::Regex;
use serde_json::json;
use station_testkit::fake_server::Remote;
use station_testkit::oidc::Oidc;
use station_testkit::openai::{self, OpenAi};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

/// An internet address in a line of strace, with its port before it.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    let of_4 = r#"sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)"#;
    let of_6 = r#"sin6_port=htons\((\d+)\),.*?inet_pton\(AF_INET6, "([^"]+)""#;
    Regex::new(&format!("{of_4}|{of_6}")).unwrap()
});

/// A socket of this machine in a line of strace.
static SOCKET: LazyLock<Regex> = LazyLock::new(|| Regex::new(r#"sun_path=@?"([^"]*)""#).unwrap());

/// What writes into `trace` whom a program and its children send something to.
fn strace(trace: &Path) -> [&str; 9] {
    let calls = "trace=connect,sendto,sendmsg,sendmmsg";
    ["strace", "-f", "-qq", "-e", "signal=none", "-e", calls, "-o", trace.to_str().unwrap()]
}

/// Runs `command` under strace; what it said, and every internet address it or a child of it sent something to.
fn traced(home: &Home, args: &[&str]) -> (Said, BTreeSet<String>) {
    let trace = home.path().join("trace");
    let said = under(home, &strace(&trace), args);
    (said, peers(&trace))
}

/// Every internet address in a trace.
fn peers(trace: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(trace).unwrap();
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| line.contains("AF_INET")) {
        let groups = ADDRESS.captures(line).unwrap_or_else(|| panic!("an address that was not read: {line}"));
        let texts: Vec<&str> = groups.iter().skip(1).flatten().map(|group| group.as_str()).collect();
        found.insert(format!("{}:{}", texts[1], texts[0]));
    }
    found
}

/// Runs the commands; they must succeed and reach nothing but `allowed`.
#[track_caller]
fn check(home: &Home, commands: &[&[&str]], allowed: &[&str]) {
    let mut all = BTreeSet::new();
    for args in commands {
        let (said, found) = traced(home, args);
        said.done();
        let stray: Vec<&String> = found.iter().filter(|it| !allowed.contains(&it.as_str())).collect();
        assert!(stray.is_empty(), "`stn {}` reaches {stray:?}", args.join(" "));
        all.extend(found);
    }
    assert_eq!(all.len(), allowed.len(), "this sees what is reached: {all:?}");
}

#[test]
fn without_a_provider_nothing_is_reached() {
    let home = Home::new();
    check(&home, &[&["init", "--yes"], &["key", "status"], &["env", "create", "other"]], &[]);
    home.server("default", "fake", &[]);
    check(
        &home,
        &[
            &["sync"],
            &["agent", "create", "reader", "Read a file and echo its text", "--model", "offline"],
            &["agent", "list"],
            &["agent", "show", "reader"],
            &["agent", "run", "reader", "read /notes.md"],
            &["runs", "list"],
            &["runs", "inspect", "1"],
            &["env", "list"],
            &["mcp", "list"],
            &["mcp", "tools"],
            &["mcp", "status"],
            &["config", "show"],
            &["--version"],
            &["--help"],
        ],
        &[],
    );
}

#[test]
fn the_demo_reaches_nothing() {
    check(&Home::with_npx(""), &[&["demo"]], &[]);
}

#[test]
fn a_run_reaches_its_model_alone() {
    let model = OpenAi::from_fn(|seen| {
        let messages = seen.body["messages"].as_array().unwrap();
        match messages.iter().any(|message| message["role"] == "tool") {
            false => openai::calls([("echo", r#"{"text": "hello"}"#)]),
            true => openai::reply("It said hello."),
        }
    });
    let base_url = model.base_url();
    let address = base_url.trim_start_matches("http://").trim_end_matches("/v1");
    let home = Home::with_fake()
        .set("STN_AI_PROVIDER", "openai")
        .set("STN_AI_MODEL", "stand-in-1")
        .set("STN_AI_BASE_URL", &base_url)
        .set("STN_AI_API_KEY", "a-key");
    home.agent("default", "talker", "tools: [__echo]\n");
    check(&home, &[&["agent", "run", "talker", "say hello"]], &[address]);
    check(&home, &[&["agent", "list"], &["sync"], &["runs", "inspect", "1"]], &[]);
}

#[test]
fn a_worker_under_load_reaches_what_is_configured_and_nobody_else() {
    let model = OpenAi::from_fn(|seen| match seen.results().len() {
        0 => openai::calls([("fake__echo", r#"{"text": "near"}"#), ("far__echo", r#"{"text": "far"}"#)]),
        _ => openai::reply("Both said it."),
    });
    let (oidc, collector) = (Oidc::start(), Collector::start());
    let home = Home::with_init().asking(&model).set("STN_AI_API_KEY", "a-key");
    let far = Remote::start(home.path(), &[]);
    home.server("default", "fake", &[]);
    let entry = json!({ "mcpServers": { "far": { "url": far.url("/mcp") } } });
    home.write("environments/default/mcp-servers/far.json", &entry.to_string());
    home.agent("default", "talker", "tools: [fake__echo, far__echo]\n");
    home.stn(&["sync", "--quiet"]).done();
    let made = home.json(&["user", "create", "robot", "--admin"]);
    let config = home.read("config.yaml");
    let more = format!(
        "otel_endpoint: {}\noauth: {{issuer: '{}', audience: 'urn:station:load'}}\n",
        collector.url,
        oidc.name()
    );
    home.write("config.yaml", &format!("{config}{more}"));

    let trace = home.path().join("trace");
    let served = Served::under(&home, &strace(&trace));
    let key = made["secret"].as_str().unwrap();
    let token = oidc.grant("urn:station:load", "read run");
    const RUNS: usize = 20;
    std::thread::scope(|scope| {
        for by in [key, &token] {
            let served = &served;
            scope.spawn(move || {
                for n in 0..RUNS / 2 {
                    let task = json!({ "task": format!("say it {n}") }).to_string();
                    let queued = served.send_as(by, "/api/v1/agents/talker/runs", "POST", &task);
                    assert_eq!(queued.status, 202, "{}", queued.body);
                    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
                    assert_eq!(served.send_as(by, "/mcp", "POST", list).status, 200);
                    assert_eq!(served.send_as(by, "/mcp/env/default", "POST", list).status, 200);
                    assert_eq!(served.send_as(by, "/api/v1/agents", "GET", "").status, 200);
                }
            });
        }
    });
    let runs = || served.send_as(key, "/api/v1/runs?limit=100", "GET", "").json();
    until("every run has ended", || {
        let listed = runs();
        let of = |status: &str| {
            listed["runs"].as_array().unwrap().iter().filter(|run| run["status"] == status).count()
        };
        assert_eq!(of("failed"), 0, "{listed}");
        of("completed") == RUNS
    });
    // The worker itself, that strace has started.
    let worker = descendants(served.pid()).first().unwrap().pid();
    kill(Pid::from_raw(i32::try_from(worker).unwrap()), Signal::SIGTERM).unwrap();
    served.end();

    let address = |url: &str| url.trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let configured = [&*model.base_url(), &far.url("/mcp"), &collector.url, oidc.name()];
    // No resolver either, of whatever name: a look at one is sent to an address, too, or to a socket of this machine.
    assert_eq!(peers(&trace), configured.map(address).into_iter().collect());
    let text = std::fs::read_to_string(&trace).unwrap();
    let sockets = SOCKET.captures_iter(&text).map(|groups| groups[1].to_owned());
    // Where the system asks who its users are: by what name this one runs.
    let sockets = sockets.filter(|path| path != "/var/run/nscd/socket");
    let stray: Vec<String> = sockets.filter(|path| !Path::new(path).starts_with(home.path())).collect();
    assert_eq!(stray, Vec::<String>::new());
}

//! No telemetry, no update check: every outgoing connection of the commands, as the kernel sees it, their tool servers
//! included.

use crate::home::{Home, Said};
use crate::watch::under;
use regex::Regex;
use station_testkit::openai::{self, OpenAi};
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// An internet address in a line of strace, with its port before it.
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| {
    let of_4 = r#"sin_port=htons\((\d+)\), sin_addr=inet_addr\("([^"]+)"\)"#;
    let of_6 = r#"sin6_port=htons\((\d+)\),.*?inet_pton\(AF_INET6, "([^"]+)""#;
    Regex::new(&format!("{of_4}|{of_6}")).unwrap()
});

/// Runs `command` under strace; what it said, and every internet address it or a child of it sent something to.
fn traced(home: &Home, args: &[&str]) -> (Said, BTreeSet<String>) {
    let trace = home.path().join("trace");
    let calls = "trace=connect,sendto,sendmsg,sendmmsg";
    let strace = ["strace", "-f", "-qq", "-e", "signal=none", "-e", calls, "-o", trace.to_str().unwrap()];
    let said = under(home, &strace, args);
    let text = std::fs::read_to_string(&trace).unwrap();
    let mut found = BTreeSet::new();
    for line in text.lines().filter(|line| line.contains("AF_INET")) {
        let groups = ADDRESS.captures(line).unwrap_or_else(|| panic!("an address that was not read: {line}"));
        let texts: Vec<&str> = groups.iter().skip(1).flatten().map(|group| group.as_str()).collect();
        found.insert(format!("{}:{}", texts[1], texts[0]));
    }
    (said, found)
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

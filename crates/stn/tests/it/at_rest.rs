//! What lies on the disk after work was done: no task, no result and no secret can be read there without the key.

use crate::home::Home;
use crate::watch::{log, until};
use serde_json::json;
use station_testkit::fake_server;
use station_testkit::openai::{self, OpenAi};
use station_testkit::postgres::cluster;
use std::path::{Path, PathBuf};

/// Texts of a run.
const TEXTS: [(&str, &str); 4] = [
    ("the task", "canary-of-the-task"),
    ("an argument", "canary-of-an-argument"),
    ("a result", "canary-of-a-result"),
    ("the answer", "canary-of-the-answer"),
];

/// Secrets: in variables.yml, in a server's file, with the run, and the model's key.
const SECRETS: [(&str, &str); 4] = [
    ("a variable", "canary-of-a-variable"),
    ("a literal in a server's file", "canary-of-a-literal"),
    ("a value of the run", "canary-of-the-run"),
    ("the model's key", "canary-of-the-key"),
];

/// What people wrote themselves, and what is named as holding the key.
const OWN: [&str; 4] = [
    "environments/default/variables.yml",
    "environments/default/mcp-servers/fake.json",
    "station.key",
    "config.yaml",
];

/// The model calls the server's `env`, then `echo`, then one that waits for the gate.
fn model(gate: PathBuf) -> OpenAi {
    OpenAi::from_fn(move |seen| {
        let messages = seen.body["messages"].as_array().unwrap();
        match messages.iter().filter(|message| message["role"] == "tool").count() {
            0 => openai::calls([
                ("env", r#"{"name": "RESULT"}"#),
                ("echo", r#"{"text": "canary-of-an-argument"}"#),
            ]),
            2 => openai::calls([("slow", &json!({ "ms": 0, "file": gate }).to_string())]),
            _ => openai::reply("canary-of-the-answer"),
        }
    })
}

/// A home whose temporary folder is its own, with a server that gets secrets.
fn home(database: Option<&str>) -> (Home, OpenAi) {
    let home = Home::new();
    let model = model(home.path().join("gate"));
    let temporary = home.path().join("tmp");
    std::fs::create_dir_all(&temporary).unwrap();
    let mut home = home
        .set("TMPDIR", temporary.to_str().unwrap())
        .asking(&model)
        .set("STN_AI_API_KEY", "canary-of-the-key");
    if let Some(url) = database {
        home = home.set("STATION_DATABASE", url);
    }
    home.stn(&["init", "--yes"]).done();
    let log = home.work("calls.jsonl");
    let env = json!({ "RESULT": "canary-of-a-result", "VARIABLE": "{{ .VARIABLE }}", "LITERAL": "canary-of-a-literal",
        "GIVEN": "{{ .GIVEN }}" });
    let entry = json!({ "command": fake_server::binary(), "args": ["--log", log], "env": env });
    let servers = json!({ "mcpServers": { "fake": entry } });
    home.write("environments/default/mcp-servers/fake.json", &servers.to_string());
    home.write("environments/default/variables.yml", "VARIABLE: canary-of-a-variable\nGIVEN: nothing\n");
    home.agent("default", "worker", "tools: [__env, __echo, __slow]\n");
    home.stn(&["sync"]).done();
    (home, model)
}

const RUN: [&str; 6] = ["agent", "run", "worker", "canary-of-the-task", "--var", "GIVEN=canary-of-the-run"];

fn contains(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// Every file below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Looks for every canary in every file but people's own; the names of the files looked at.
fn look(home: &Home, when: &str) -> Vec<String> {
    let mut names = Vec::new();
    for path in files(&home.config("")).into_iter().chain(files(&home.path().join("tmp"))) {
        let name = path.strip_prefix(home.path()).unwrap().display().to_string();
        let bytes = std::fs::read(&path).unwrap();
        let is_own = OWN.iter().any(|own| path == home.config(own));
        for (what, canary) in TEXTS.iter().chain(&SECRETS) {
            let may = is_own && name.contains("environments");
            assert!(may || !contains(&bytes, canary), "{when}: {what} can be read in {name}");
        }
        assert!(!contains(&bytes, "SQLite format 3"), "{when}: {name} has SQLite's header");
        names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    names
}

#[test]
fn nothing_is_readable_in_the_files() {
    let (home, _model) = home(None);
    let called = home.work("calls.jsonl");
    let waits = |n: usize| {
        until("a call waits", || log(&called).iter().filter(|it| it["tool"] == "slow").count() == n);
    };
    let child = home.start(&RUN);
    waits(1);
    let names = look(&home, "while it runs");
    assert!(
        names.contains(&"station.db-wal".to_owned()) && names.contains(&"station.db-shm".to_owned()),
        "{names:?}"
    );
    let mut child = child;
    child.kill().unwrap();
    child.wait().unwrap();
    let names = look(&home, "after a kill");
    assert!(names.contains(&"station.db-wal".to_owned()), "{names:?}");

    std::fs::write(home.path().join("gate"), "").unwrap();
    let said = home.stn(&["runs", "resume", "1"]);
    assert_eq!(said.done().stdout, "canary-of-the-answer\n");
    let names = look(&home, "after the run");
    assert!(
        names.contains(&"station.db".to_owned()) && !names.contains(&"station.db-wal".to_owned()),
        "{names:?}"
    );
    let left = files(&home.path().join("tmp"));
    assert!(left.is_empty(), "left in the temporary folder: {left:?}");

    let inspected = home.stn(&["runs", "inspect", "1", "--full"]).done().stdout.clone();
    for (what, canary) in TEXTS {
        assert!(inspected.contains(canary), "with the key, {what} is there: {inspected}");
    }
    for (what, canary) in SECRETS {
        assert!(!inspected.contains(canary), "{what} is shown: {inspected}");
    }
}

#[test]
fn no_secret_is_readable_in_postgresql() {
    let url = cluster().database();
    let (home, _model) = home(Some(&url));
    std::fs::write(home.path().join("gate"), "").unwrap();
    home.stn(&RUN).done();
    look(&home, "after the run");
    let rows = cluster().dump(&url);
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (what, canary) in TEXTS {
        assert!(rows.contains(canary), "{what} is stored as plain text there: {rows}");
    }
    for (what, canary) in SECRETS {
        assert!(!rows.contains(canary) && !rows.contains(&hex(canary)), "{what} can be read");
    }
}

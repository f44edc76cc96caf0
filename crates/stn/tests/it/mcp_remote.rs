//! Remote servers through the real `stn`: found, listed, called, lost, and never trusted further than they were shown.

use crate::approvals::posts;
use crate::home::Home;
use crate::watch::{effects, log, until};
use expect_test::expect;
use serde_json::{Value, json};
use station_testkit::fake_server::Remote;
use station_testkit::openai::{self, OpenAi, Seen, Turn};
use std::path::{Path, PathBuf};

const KEY: &str = "sk-remote-key-0001";

/// A home whose server `book` is remote and keeps a ledger, beside a local one, `desk`.
struct Scene {
    home: Home,
    far: Remote,
    _model: OpenAi,
}

impl Scene {
    fn new(tools: &Value, choose: impl Fn(&Seen, &Path) -> Turn + Send + Sync + 'static) -> Self {
        let home = Home::new();
        let gate = home.path().join("gate");
        let model = OpenAi::from_fn(move |seen| choose(seen, &gate));
        let home = home.asking(&model).set("STN_AI_API_KEY", "a-key");
        home.stn(&["init", "--yes"]).done();
        let far = far(&home, "book");
        let scene = Self { home, far, _model: model };
        scene.home.write("environments/default/variables.yml", &format!("KEY: {KEY}\n"));
        scene.book(&scene.far, tools);
        scene.home.agent("default", "clerk", "tools: [__post, __echo]\n");
        scene
    }

    /// Writes the server's file: `far`, with these rules over its tools.
    fn book(&self, far: &Remote, tools: &Value) {
        let entry = json!({
            "url": far.url("/mcp"),
            "headers": { "X-Key": "{{ .KEY }}" },
            "station": { "tools": tools },
        });
        let file = json!({ "mcpServers": { "book": entry } });
        self.home.write("environments/default/mcp-servers/book.json", &file.to_string());
    }

    fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn sent(&self, server: &str, tool: &str) -> usize {
        effects(&log(&self.file(&format!("{server}.calls.jsonl"))), tool).len()
    }

    fn posted(&self, server: &str) -> usize {
        log(&self.file(&format!("{server}.ledger.jsonl"))).len()
    }

    fn journal(&self, run: &str) -> String {
        self.home.json(&["runs", "inspect", run])["journal"].to_string()
    }
}

/// A remote ledger that wants the key.
fn far(home: &Home, name: &str) -> Remote {
    let file = |kind: &str| home.path().join(format!("{name}.{kind}.jsonl")).display().to_string();
    let options = [
        ["--log".to_owned(), file("calls")],
        ["--ledger".to_owned(), file("ledger")],
        ["--need-header".to_owned(), format!("X-Key={KEY}")],
    ];
    Remote::start(home.path(), &options.concat())
}

#[test]
fn a_remote_server_is_found_listed_and_called_and_its_end_is_seen() {
    let mut scene = Scene::new(&json!({}), posts);
    scene.home.server("default", "desk", &["--log", "/dev/null"]);
    scene.home.stn(&["sync"]).done();
    scene.home.stn(&["mcp", "list"]).is(&expect![[r#"
        ID  ENVIRONMENT  SERVER  TOOLS  TRANSPORT  FILE  STATE
        1  default  book  18  http  book.json  ok
        2  default  desk  15  stdio  desk.json  ok
    "#]]);
    scene.home.stn(&["mcp", "status"]).is(&expect![[r#"
        default/book: ok, 18 tools, modern protocol, asked [time]
        default/desk: ok, 15 tools, modern protocol, confined, asked [time]
    "#]]);
    let tools = scene.home.stn(&["mcp", "tools", "book", "--search", "ledger post"]).done().shown();
    assert!(tools.contains("book  post  writes  The ledger's tool `post`."), "{tools}");

    let said = scene.home.stn(&["agent", "run", "clerk", "post it"]);
    said.done();
    assert_eq!(said.stdout, "I was told: posted\n");
    assert_eq!((scene.sent("book", "post"), scene.posted("book")), (1, 1));
    let (shown, journal) = (said.shown(), scene.journal("1"));
    assert!(!shown.contains(KEY) && !journal.contains(KEY), "{shown}");
    assert!(journal.contains(r#""transport":"http""#), "{journal}");

    // It goes away: its tools stay known, its state says why and since when, and its sibling works.
    scene.far.kill();
    let said = scene.home.stn(&["agent", "run", "clerk", "post it"]);
    said.done();
    assert!(
        said.stdout.contains("`post` was not called: server `book` cannot be reached"),
        "{}",
        said.stdout
    );
    let status = scene.home.stn(&["mcp", "status"]);
    assert!(
        status.stdout.contains("(18 tools known from before): server `book` cannot be reached"),
        "{}",
        status.shown()
    );
    assert!(status.stdout.contains("default/desk: ok, 15 tools"), "{}", status.shown());
}

/// Posts what waits for the gate before it happens, then says what came of it.
fn posts_behind_a_gate(seen: &Seen, gate: &Path) -> Turn {
    let told = |message: &&Value| message["role"] == "tool";
    match seen.body["messages"].as_array().unwrap().iter().rfind(told) {
        None => {
            let arguments = json!({ "text": "hello", "before": gate }).to_string();
            openai::calls([("post", arguments.as_str())])
        }
        Some(result) => openai::reply(&format!("I was told: {}", result["content"].as_str().unwrap())),
    }
}

#[test]
fn what_a_remote_server_may_still_be_doing_is_not_sent_again() {
    let verify = json!({"verify": {"post": {"tool": "posted", "args": {"effect": "$effect_id"}}}});
    let scene = Scene::new(&verify, posts_behind_a_gate);
    let mut child = scene.home.start(&["agent", "run", "clerk", "post it"]);
    until("the call is out", || scene.sent("book", "post") == 1);
    child.kill().unwrap();
    scene.home.said(child);
    // The look finds nothing yet, and the Station before this one is gone; but the server is not.
    let said = scene.home.stn(&["runs", "resume", "1"]);
    said.done();
    assert!(
        said.stdout.contains("`posted` did not find its effect, but it may still be at work"),
        "{}",
        said.shown()
    );
    assert_eq!((scene.sent("book", "post"), scene.sent("book", "posted"), scene.posted("book")), (1, 1, 0));
    std::fs::write(scene.file("gate"), "").unwrap();
    until("the effect", || scene.posted("book") == 1);
    assert!(scene.journal("1").contains(r#""alone":true"#));
}

#[test]
fn a_yes_does_not_hold_where_the_server_is_another_one() {
    let scene = Scene::new(&json!({"approve": ["post"]}), posts);
    let other = far(&scene.home, "other");
    scene.home.stn(&["agent", "run", "clerk", "post it"]).exits(5);
    scene.home.stn(&["approvals", "approve", "1", "--always"]).done();
    // The same file, the same tool, the same words: elsewhere.
    scene.book(&other, &json!({"approve": ["post"]}));
    scene.home.stn(&["sync"]).done();
    let said = scene.home.stn(&["runs", "resume", "1"]);
    said.exits(5);
    assert!(scene.journal("1").contains("or where its server is, changed"), "{}", scene.journal("1"));
    assert_eq!((scene.sent("book", "post"), scene.sent("other", "post")), (0, 0));
    // Nor does the standing yes for later runs; back where it was given it does.
    scene.home.stn(&["agent", "run", "clerk", "post it"]).exits(5);
    scene.book(&scene.far, &json!({"approve": ["post"]}));
    scene.home.stn(&["agent", "run", "clerk", "post it"]).done();
    assert_eq!((scene.sent("book", "post"), scene.sent("other", "post")), (1, 0));
}

#[test]
fn a_server_that_stands_in_no_file_is_called_at_its_address() {
    let home = Home::new().set("FAR_KEY", KEY);
    let far = far(&home, "book");
    let url = far.url("/mcp");
    let call = |words: &[&str]| home.stn(&[&["mcp", "call", "--url", &url], words].concat());
    let header = ["--header", "X-Key={{ .FAR_KEY }}"];
    let said = call(&[&header[..], &["echo", r#"{"text": "hello"}"#]].concat());
    said.done();
    assert_eq!(said.stdout, "hello\n");
    assert!(!home.config("station.db").exists(), "a store was made");
    let said = call(&["echo"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("asks for a login"), "{}", said.shown());
    let said = call(&["book", "echo", "{}"]);
    assert!(said.stderr.contains("with `--url` there is no server to name"), "{}", said.shown());
}

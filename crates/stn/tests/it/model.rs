//! `stn model …`, and runs that ask models of several providers.

use crate::at_server::{ask, url};
use crate::home::Home;
use crate::http::Served;
use expect_test::expect;
use serde_json::{Value, json};
use station_testkit::aimock::Aimock;
use station_testkit::openai::{OpenAi, Seen, Turn, raw, refused};

/// A home with Anthropic configured at `anthropic` and Ollama at `ollama`, and names for both.
fn home(anthropic: &str, ollama: &str) -> Home {
    let home = Home::with_fake().set("ANTHROPIC_API_KEY", "sk-ant-secret").set("OLLAMA_HOST", ollama);
    let known = home.read("config.yaml");
    let known: String =
        known.lines().filter(|line| !line.starts_with("ai_")).map(|line| format!("{line}\n")).collect();
    home.write(
        "config.yaml",
        &format!(
            "{known}ai_provider: anthropic\nai_model: claude-sonnet-4-5\nai_base_url: {anthropic}\n\
            models:\n  gpt-4o-mini: ollama/qwen3\n  smart: google/gemini-2.5-pro\n\
            prices:\n  anthropic/*: {{input: 3, output: 15, cached: 0.3, date: 2026-11-01, source: the price list}}\n"
        ),
    );
    home
}

#[test]
fn what_there_is_to_ask_is_listed_without_asking() {
    let home = home("http://127.0.0.1:9", "box:1");
    home.stn(&["model", "list"]).is(&expect![[r#"
        PROVIDER  SPEAKS  KEY  ADDRESS
        anthropic (configured)  Anthropic Messages  ANTHROPIC_API_KEY is set  http://127.0.0.1:9/v1
        openai  OpenAI chat  missing: OPENAI_API_KEY  https://api.openai.com/v1
        openai-responses  OpenAI Responses  missing: OPENAI_API_KEY  https://api.openai.com/v1
        gemini  Gemini  missing: GEMINI_API_KEY or GOOGLE_API_KEY  https://generativelanguage.googleapis.com/v1beta
        ollama  Ollama  needs none  http://box:1
        offline  rules  needs none

        NAME  MODEL  KEY  WINDOW  PRICE  SUPPORTS
        claude-sonnet-4-5 (configured)  anthropic/claude-sonnet-4-5  ANTHROPIC_API_KEY is set  200000  3.00 in, 15.00 out USD  tools, schema, images, thinking, caching (marked)
        gpt-4o-mini  ollama/qwen3  needs none  8192  tools, schema (without tools), thinking, caching
        smart  gemini/gemini-2.5-pro  missing: GEMINI_API_KEY or GOOGLE_API_KEY  1048576  tools, schema (without tools), images, thinking, caching
        --- stderr
        hint: `stn model test` asks one model of each provider that is set up
    "#]]);
    let listed = home.json(&["model", "list"]);
    let smart = listed["models"].as_array().unwrap().iter().find(|row| row["name"] == "smart").unwrap();
    assert_eq!(smart["key"], json!({"state": "missing", "variables": ["GEMINI_API_KEY", "GOOGLE_API_KEY"]}));
    assert_eq!(smart["supports"]["schema"], "without_tools");
    assert!(!listed.to_string().contains("sk-ant-secret"), "no key is shown");
}

#[test]
fn each_provider_that_is_set_up_is_asked_once() {
    let aimock =
        Aimock::start(&json!([{"match": {"userMessage": "ready"}, "response": {"content": "ready"}}]));
    let home = home(aimock.url(), aimock.url());
    home.stn(&["model", "test"]).is(&expect![[r#"
        MODEL  ANSWER  TOOK  SUPPORTS
        anthropic/claude-sonnet-4-5  ok, from claude-sonnet-4-5 [span]  tools, schema, images, thinking, caching (marked)
        ollama/qwen3  ok, from qwen3 [span]  tools, schema (without tools), thinking, caching
        gemini/gemini-2.5-pro  failed: model `gemini/gemini-2.5-pro` needs a key: `GEMINI_API_KEY` or `GOOGLE_API_KEY` is not set [span]  tools, schema (without tools), images, thinking, caching
        --- stderr
        hint: set `GEMINI_API_KEY` or `GOOGLE_API_KEY`
        --- exit 1
    "#]]);
    home.stn(&["model", "test", "gpt-4o-mini"]).is(&expect![[r#"
        MODEL  ANSWER  TOOK  SUPPORTS
        ollama/qwen3  ok, from qwen3 [span]  tools, schema (without tools), thinking, caching
    "#]]);
    let tested = home.json(&["model", "test"]);
    let rows: Vec<(&str, bool)> = tested["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["model"].as_str().unwrap(), row["ok"].as_bool().unwrap()))
        .collect();
    assert_eq!(
        rows,
        [("anthropic/claude-sonnet-4-5", true), ("ollama/qwen3", true), ("gemini/gemini-2.5-pro", false)]
    );
}

#[test]
fn a_server_lists_and_tests_its_models_as_here() {
    let aimock =
        Aimock::start(&json!([{"match": {"userMessage": "ready"}, "response": {"content": "ready"}}]));
    let home = home(aimock.url(), aimock.url());
    let made = |name: &str, role: &str| home.key_of(name, &["--role", role]);
    let (root, ann) = (made("root", "admin"), made("ann", "viewer"));
    let (served, elsewhere) = (Served::start(&home), Home::new());
    let by = |key: &str, args: &[&str]| ask(&elsewhere, &url(&served), key, args);
    for args in [
        &["model", "list"] as &[&str],
        &["model", "list", "--json"],
        &["model", "test"],
        &["model", "test", "gpt-4o-mini"],
        &["model", "test", "nobody/knows"],
        &["budget", "prices"],
        &["budget", "prices", "--json"],
    ] {
        assert_eq!(by(&root, args).shown(), home.stn(args).shown(), "{args:?}");
    }
    by(&ann, &["model", "list"]).done();
    by(&ann, &["model", "test"]).is(&expect![[r#"
        --- stderr
        error: `ann` may not run agents: its role is `viewer`
        hint: ask somebody whose role is at least `user`
        --- exit 1
    "#]]);
    let tested = by(&root, &["model", "test", "--json"]);
    let tested: Value = serde_json::from_str(&tested.stdout).unwrap();
    assert_eq!((&tested["count"], &tested["models"][0]["ok"]), (&json!(3), &json!(true)), "{tested}");
    served.stop();
}

/// An Ollama needs no key, so that it is set up is said by its address alone.
#[test]
fn an_ollama_of_which_no_model_is_named_is_asked_which_it_has() {
    let with = |models: Value| {
        let line = json!({"model": "qwen3:8b", "message": {"role": "assistant", "content": "ready"}, "done": true,
            "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 1});
        OpenAi::from_fn(move |seen| match seen.path.as_str() {
            "/api/tags" => raw("application/json", &json!({ "models": models }).to_string()),
            _ => raw("application/x-ndjson", &format!("{line}\n")),
        })
    };
    let test = |ollama: &str| {
        let home = Home::new().set("OLLAMA_HOST", ollama);
        home.write("config.yaml", "");
        home.stn(&["model", "test"])
    };
    let stand_in = with(json!([{"name": "nomic-embed-text:latest"}, {"name": "qwen3:8b"}]));
    test(&stand_in.url()).is(&expect![[r#"
        MODEL  ANSWER  TOOK  SUPPORTS
        ollama/qwen3:8b  ok, from qwen3:8b [span]  tools, schema (without tools), thinking, caching
        --- stderr
        Made a new encryption key: $HOME/.config/station/station.key
        hint: back it up: without it nobody can open the database, and it is kept nowhere else
    "#]]);
    let asked: Vec<String> = stand_in.requests().into_iter().map(|seen| seen.path).collect();
    assert_eq!(asked, ["/api/tags", "/api/chat"]);
    let stand_in = with(json!([]));
    let said = test(&stand_in.url());
    said.exits(1);
    let shown = said.shown().replace(&stand_in.url(), "URL");
    expect![[r#"
        MODEL  ANSWER  TOOK  SUPPORTS
        ollama  failed: Ollama at `URL` has no model [span]
        --- stderr
        Made a new encryption key: $HOME/.config/station/station.key
        hint: back it up: without it nobody can open the database, and it is kept nowhere else
        hint: `ollama pull NAME` brings one
        --- exit 1
    "#]]
    .assert_eq(&shown);
    let url = stand_in.url();
    drop(stand_in);
    let said = test(&url);
    said.exits(1);
    expect![[r#"
        MODEL  ANSWER  TOOK  SUPPORTS
        ollama  failed: Ollama at `URL` cannot be reached [span]
        --- stderr
        Made a new encryption key: $HOME/.config/station/station.key
        hint: back it up: without it nobody can open the database, and it is kept nowhere else
        hint: start it with `ollama serve`, or set `OLLAMA_HOST` to where it listens
        --- exit 1
    "#]]
    .assert_eq(&said.shown().replace(&url, "URL"));
}

#[test]
fn nothing_to_test_says_what_to_set() {
    let home = Home::new();
    home.write("config.yaml", "");
    home.stn(&["sync", "--quiet"]);
    home.stn(&["model", "test"]).is(&expect![[r#"
        --- stderr
        error: no model is configured
        hint: set `STN_AI_PROVIDER` and `STN_AI_MODEL`, or `model:` in the agent's file, e.g. openai/gpt-4o-mini
        hint: for first steps without a provider: `--model offline`, Station's built-in rules
        --- exit 1
    "#]]);
}

fn sse(events: &[Value]) -> Turn {
    let text: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    raw("text/event-stream", &text)
}

/// Claude thinks and wants an image, then is busy for longer than anybody waits.
fn claude(seen: &Seen) -> Turn {
    if seen.body["messages"].as_array().unwrap().len() > 1 {
        let busy = r#"{"type":"error","error":{"type":"rate_limit_error","message":"Too many"}}"#;
        return refused(429, &[("Retry-After", "120")], busy);
    }
    let start = |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    sse(&[
        json!({"type": "message_start", "message": {"model": "claude-x", "usage": {"input_tokens": 100}}}),
        start(0, json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"})),
        json!({"type": "content_block_stop", "index": 0}),
        start(1, json!({"type": "tool_use", "id": "toolu_1", "name": "mixed", "input": {}})),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 20}}),
        json!({"type": "message_stop"}),
    ])
}

#[test]
fn a_run_that_one_provider_began_goes_on_at_another() {
    let anthropic = OpenAi::from_fn(claude);
    let line = json!({"model": "qwen-x", "message": {"role": "assistant", "content": "A picture."}, "done": true,
        "done_reason": "stop", "prompt_eval_count": 50, "eval_count": 5});
    let ollama = OpenAi::from_fn(move |seen| match seen.path.as_str() {
        "/api/show" => raw("application/json", r#"{"capabilities": ["completion", "vision"]}"#),
        _ => raw("application/x-ndjson", &format!("{line}\n")),
    });
    let home = home(&anthropic.url(), &ollama.url());
    home.agent("default", "seer", "model: [claude-sonnet-4-5, gpt-4o-mini]\ntools: [__mixed]\n");
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["agent", "run", "seer", "what do you see"]).is(&expect![[r#"
        A picture.
        --- stderr
        Driving run 1 here.
        run 1 of `seer` in `default`: model anthropic/claude-sonnet-4-5, then ollama/qwen3, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 4 words)
          turn 1: 1 call (claude-x, [span], 100 tokens in, 20 out)
          -> fake/mixed
          <- mixed: 85 bytes in [span], 1 image
          model failed after [span] (rate limited): model `anthropic/claude-sonnet-4-5` answered 429: Too many
          switched from anthropic/claude-sonnet-4-5 to ollama/qwen3: model `anthropic/claude-sonnet-4-5` answered 429: Too many
          turn 2: answer (qwen-x, [span], 50 tokens in, 5 out)
        run 1 completed in [span] (2 steps, 1 tool call, 150 tokens in, 25 out)
    "#]]);
    let again = &anthropic.requests()[1].body["messages"];
    assert_eq!(again[1]["content"][0], json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"}));
    assert_eq!(again[2]["content"][0]["content"][1]["source"]["data"], "AAAA", "{again}");
    let [_, seen] = &ollama.requests()[..] else { panic!("whether it sees, and what it is asked") };
    let body = seen.body.to_string();
    assert!(!body.contains("c2ln") && body.contains(r#""images":["AAAA"]"#), "{body}");
    assert_eq!(seen.body["options"]["num_ctx"], 8_192);
    // The journal keeps both, and a run that is looked at shows neither a thought nor an image's bytes by accident.
    let inspected = home.stn(&["runs", "inspect", "1"]);
    assert!(!inspected.stdout.contains("c2ln") && !inspected.stdout.contains("AAAA"), "{}", inspected.stdout);
}

//! Conversations that grow: long results, and what a model is still told of them.

use crate::home::Home;
use expect_test::expect;
use serde_json::{Value, json};
use station_testkit::openai::{self, OpenAi, Seen};

/// The last result that the model was told.
fn last_result(seen: &Seen) -> Option<String> {
    let messages = seen.body["messages"].as_array().expect("a conversation");
    let last = messages.last().filter(|it| it["role"] == "tool");
    last.and_then(|it| it["content"].as_str()).map(str::to_owned)
}

fn home(model: &OpenAi) -> Home {
    Home::with_fake()
        .set("STN_AI_PROVIDER", "openai")
        .set("STN_AI_MODEL", "stand-in-1")
        .set("STN_AI_BASE_URL", &model.base_url())
}

#[test]
fn a_long_result_is_read_on_by_its_handle() {
    let model = OpenAi::from_fn(|seen| match last_result(seen) {
        None => openai::calls([("big", r#"{"bytes": 300000}"#)]),
        Some(told) if told.contains("are left out here") => {
            openai::calls([("read_result", r#"{"handle": "r1.1", "offset": 49152, "length": 100}"#)])
        }
        Some(told) if told.starts_with("[bytes") => {
            openai::calls([("read_result", r#"{"handle": "r1.1", "search": "y"}"#)])
        }
        Some(told) if told.contains("found 0 times") => {
            openai::calls([("read_result", r#"{"handle": "r7.1"}"#)])
        }
        Some(_) => openai::reply("It is all x."),
    });
    let home = home(&model);
    home.agent("default", "reader", "max_steps: 8\ntools: [__big]\n");
    home.stn(&["agent", "run", "reader", "look"]).is(&expect![[r#"
        It is all x.
        --- stderr
        run 1 of `reader` in `default`: model openai/stand-in-1, at most 8 steps (max_steps of the agent)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/big {"bytes": 300000}
          <- big: 300.0 KB in [span], 65.6 KB of it told, all as r1.1
          turn 2: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> station/read_result {"handle": "r1.1", "offset": 49152, "length": 100}
          <- read_result: 166 bytes in [span]
          turn 3: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> station/read_result {"handle": "r1.1", "search": "y"}
          <- read_result: 67 bytes in [span]
          turn 4: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> station/read_result {"handle": "r7.1"}
          <- read_result failed in [span]: there is no result `r7.1` in this run; handles look like r2.1, the first call of turn 2, and stand where a result was s…
          turn 5: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 1 completed in [span] (5 steps, 4 tool calls, 500 tokens in (320 cached), 100 out)
    "#]]);
    let requests = model.requests();
    let tools: Vec<Vec<&Value>> = requests
        .iter()
        .map(|seen| seen.body["tools"].as_array().unwrap().iter().map(|it| &it["function"]["name"]).collect())
        .collect();
    assert!(
        tools.iter().all(|names| *names == ["big", "read_result"]),
        "from the first request on: {tools:?}"
    );
    let told = last_result(&requests[1]).unwrap();
    assert!(
        told.len() < 66_000 && told.contains(r#"{"handle": "r1.1", "offset": 49152}"#),
        "{} bytes",
        told.len()
    );
    let inspected = home.json(&["runs", "inspect", "1"]);
    let returned =
        inspected["journal"].as_array().unwrap().iter().find(|it| it["event"]["event"] == "returned");
    let whole = &returned.unwrap()["event"]["whole"];
    assert_eq!((&whole["bytes"], &whole["handle"]), (&json!(300_000), &json!("r1.1")));
    assert!(whole["blob"].as_str().unwrap().len() == 64);
}

#[test]
fn how_much_is_told_is_for_the_servers_file_and_the_config_to_say() {
    let model = OpenAi::from_fn(|seen| match last_result(seen) {
        None => openai::calls([("big", r#"{"bytes": 3000}"#)]),
        Some(told) => openai::reply(&format!("{} bytes", told.len())),
    });
    let home = home(&model);
    home.agent("default", "reader", "tools: [__big]\n");
    let answer = || home.stn(&["agent", "run", "reader", "look", "--quiet"]).stdout;
    assert_eq!(answer(), "3000 bytes\n");
    let config = home.read("config.yaml");
    home.write("config.yaml", &format!("{config}\ncontext: {{result_bytes_max: 1000}}\n"));
    let less = answer();
    assert!(less.len() == "1158 bytes\n".len() && less.starts_with('1'), "{less}");
    let file = "environments/default/mcp-servers/fake.json";
    let mut server: Value = serde_json::from_str(&home.read(file)).unwrap();
    server["mcpServers"]["fake"]["station"] = json!({"result_bytes_max": 2900});
    home.write(file, &server.to_string());
    assert!(answer().starts_with('3'), "the server's own limit, and the note");
}

//! Conversations that grow: long results, and what a model is still told of them.

use crate::home::Home;
use expect_test::expect;
use serde_json::{Value, json};
use station_testkit::openai::{self, OpenAi, Seen};
use std::io::{BufRead as _, BufReader};
use std::process::Command;

/// The last result that the model was told.
fn last_result(seen: &Seen) -> Option<String> {
    let messages = seen.body["messages"].as_array().expect("a conversation");
    let last = messages.last().filter(|it| it["role"] == "tool");
    last.and_then(|it| it["content"].as_str()).map(str::to_owned)
}

fn home(model: &OpenAi) -> Home {
    Home::with_fake().asking(model)
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
        Driving run 1 here.
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

/// A home whose model reads so many tokens.
fn with_window(model: &OpenAi, tokens: u64) -> Home {
    let home = home(model);
    let config = home.read("config.yaml");
    home.write("config.yaml", &format!("{config}\ncontext: {{windows: {{stand-in-1: {tokens}}}}}\n"));
    home
}

fn messages(seen: &Seen) -> &[Value] {
    seen.body["messages"].as_array().expect("a conversation")
}

/// How many calls the model has asked for so far, as far as it can see them or is told of them.
fn turns(seen: &Seen) -> usize {
    let calls = messages(seen).iter().filter(|it| it["tool_calls"].is_array()).count();
    let summed_up = messages(seen).iter().filter_map(|it| it["content"].as_str()).find_map(|text| {
        let rest = text.strip_prefix("[Station] To save room, the first ")?;
        rest.split(' ').next()?.parse::<usize>().ok().or(Some(1))
    });
    calls + summed_up.unwrap_or(0)
}

#[test]
fn a_conversation_beyond_the_models_window_goes_on() {
    let model = OpenAi::from_fn(|seen| match turns(seen) {
        n @ 0..10 => openai::calls([("big", format!("{{\"bytes\": {}}}", 3_000 + n).as_str())]),
        _ => openai::reply("All looked at."),
    });
    let home = with_window(&model, 4_000);
    home.agent("default", "reader", "max_steps: 20\ntools: [__big]\n");
    let said = home.stn(&["agent", "run", "reader", "look"]);
    assert_eq!(said.stdout, "All looked at.\n", "{}", said.shown());
    let shortened: Vec<&str> =
        said.stderr.lines().map(str::trim).filter(|line| line.contains("shortened")).collect();
    expect![[r#"
          conversation shortened from about 3270 to 1881 tokens (the model reads 4000): turns up to 2 summed up
          conversation shortened from about 3418 to 1975 tokens (the model reads 4000): turns up to 4 summed up
          conversation shortened from about 2744 to 2023 tokens (the model reads 4000): turns up to 5 summed up
          conversation shortened from about 2792 to 2070 tokens (the model reads 4000): turns up to 6 summed up
          conversation shortened from about 2839 to 2116 tokens (the model reads 4000): turns up to 7 summed up
          conversation shortened from about 2886 to 2164 tokens (the model reads 4000): turns up to 8 summed up"#]].assert_eq(&shortened.join("\n"));
    for seen in model.requests() {
        assert_eq!(messages(&seen)[0]["role"], "system");
        assert_eq!(messages(&seen)[1]["content"], "look", "the task is never dropped");
    }
    let inspected = home.stn(&["runs", "inspect", "1", "--full"]);
    assert!(
        inspected.stdout.contains("- big {\"bytes\": 3000} -> r1.1: 3000 bytes, beginning"),
        "{}",
        inspected.shown()
    );
}

#[test]
fn a_run_that_is_killed_goes_on_with_the_same_bytes() {
    let model = OpenAi::from_fn(|seen| match turns(seen) {
        n @ 0..6 => openai::calls([("big", format!("{{\"bytes\": {}}}", 3_000 + n).as_str())]),
        6 => openai::calls([("hang", "{}")]),
        _ => openai::reply("It went on."),
    });
    let home = with_window(&model, 4_000);
    home.agent("default", "reader", "max_steps: 20\ntools: [__big, __hang]\n");
    let mut child = home.start(&["agent", "run", "reader", "look"]);
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("-> fake/hang")));
    assert!(Command::new("kill").args(["-KILL", &child.id().to_string()]).status().unwrap().success());
    child.wait().unwrap();
    let before = model.requests().pop().expect("it was asked");
    let said = home.stn(&["runs", "resume", "1"]);
    assert_eq!(said.stdout, "It went on.\n", "{}", said.shown());
    let after = &model.requests()[model.requests().len() - 1];
    assert!(messages(&before).iter().any(|it| it.to_string().contains("save room")));
    assert_eq!(&messages(after)[..messages(&before).len()], messages(&before), "nothing is told anew");
    assert_eq!(before.body["tools"], after.body["tools"]);
}

#[test]
fn a_request_that_is_refused_as_too_long_is_shortened_and_asked_again() {
    let model = OpenAi::start(vec![
        openai::calls([("big", r#"{"bytes": 40000}"#)]),
        openai::overflow(),
        openai::reply("Now it fits."),
    ]);
    let home = home(&model);
    home.agent("default", "reader", "tools: [__big]\n");
    home.stn(&["agent", "run", "reader", "look"]).is(&expect![[r#"
        Now it fits.
        --- stderr
        Driving run 1 here.
        run 1 of `reader` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 1 word)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/big {"bytes": 40000}
          <- big: 40.0 KB in [span]
          model failed after [span] (conversation too long): the conversation is longer than model `openai/stand-in-1` takes
          conversation shortened from about 10216 to 4334 tokens (it was refused as too long): results of turns up to 1 cut to 16.3 KB each
          turn 2: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 1 completed in [span] (2 steps, 1 tool call, 200 tokens in (128 cached), 40 out)
    "#]]);
    let [_, refused, asked] = &model.requests()[..] else { panic!("three requests") };
    assert_eq!(messages(refused)[..3], messages(asked)[..3]);
    assert!(last_result(asked).unwrap().len() < last_result(refused).unwrap().len() / 2);
}

//! A home that the Go program made: its owner's first commands work, or say precisely what is missing; nothing is lost.

use crate::home::Home;
use expect_test::expect;
use serde_json::json;
use station_testkit::openai::{self, OpenAi};
use std::path::{Path, PathBuf};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/old-home")
}

/// Every file below `folder`, relative to it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found
}

/// The fixture's text or bytes as they stand in this home.
fn body(home: &Home, relative: &Path) -> Vec<u8> {
    let bytes = std::fs::read(fixture().join(relative)).unwrap();
    match String::from_utf8(bytes) {
        Ok(text) => text.replace("/home/user", &home.path().display().to_string()).into_bytes(),
        Err(binary) => binary.into_bytes(),
    }
}

fn old_home() -> Home {
    let home = Home::with_npx("old-home");
    for relative in files(&fixture()) {
        let path = if relative.starts_with("samples") {
            home.path().join(&relative)
        } else {
            home.config("").join(&relative)
        };
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, body(&home, &relative)).unwrap();
    }
    home
}

#[test]
fn the_first_five_commands_work_or_say_what_is_missing() {
    let home = old_home();
    home.stn(&["agent", "list"]).is(&expect![[r#"
        ID  ENVIRONMENT  NAME  MODEL  DESCRIPTION
        1  default  Cost Spike Investigator  gpt-4o-mini  Finds what a cost went to
        2  default  coordinator  gpt-4o-mini  Asks the others
        3  default  triage  openai/gpt-4o  Reads one log file
        4  staging  triage  openai/gpt-4o  Reads one log file
        --- stderr
        $HOME/.config/station/station.db is a database of the Go program: it is kept as $HOME/.config/station/station.go.db.
        hint: agents, servers and variables come from your files; runs of the Go program stay in that file
        hint: the key is in config.yaml, which people commit: move it with `stn key set`, then take that line out
        Read the files of environment `default`.
        Read the files of environment `staging`.
    "#]]);
    home.stn(&["sync", "default"]).is(&expect![[r#"
        Environment `default`: nothing to change, 7 definitions up to date.
          server filesystem: 14 tools in [span]
          server memory: 9 tools in [span]
        --- stderr
        note: environments/default/agents/Cost Spike Investigator.prompt:6:3: `metadata.app` is kept, but has no effect here
        note: environments/default/agents/Cost Spike Investigator.prompt:7:3: `metadata.app_type` is kept, but has no effect here
        note: environments/default/agents/Cost Spike Investigator.prompt:16:1: `harness` is kept, but has no effect here
        warning: environments/default/agents/coordinator.prompt:6:12: `max_steps` is 40, outside of 1 to 25
          6 | max_steps: 40
            |            ^
        hint: a run takes 25; write a number from 1 to 25
        note: environments/default/agents/coordinator.prompt:9:1: `schedule` is kept, but has no effect here
        warning: agent `triage`: nothing offers `__does_not_exist`; it works without it
    "#]]);
    home.stn(&["mcp", "list"]).is(&expect![[r#"
        ID  ENVIRONMENT  SERVER  TOOLS  TRANSPORT  FILE  STATE
        1  default  filesystem  14  stdio  template.json  ok
        2  default  memory  9  stdio  template.json  ok
        3  staging  filesystem  0  stdio  template.json  never listed
        4  staging  memory  0  stdio  template.json  never listed
    "#]]);
    home.stn(&["agent", "show", "triage"]).is(&expect![[r#"
        Agent 3 `triage` in environment `default`
          description  Reads one log file
          model  openai/gpt-4o
          steps  computed for each run
          file  $HOME/.config/station/environments/default/agents/triage.prompt
          updated  [time]
          tools
            read_text_file = filesystem/read_text_file
            __does_not_exist (nothing offers it now)
          prompt
            Read the file that the task names and say what is wrong.
        --- stderr
        warning: environments/default/agents/triage.prompt: nothing offers the tool `__does_not_exist`: agent `triage` works without it
        hint: `stn mcp tools` shows what there is
    "#]]);
    home.stn(&["agent", "run", "Cost Spike Investigator", "why did the costs rise?"]).is(&expect![[r#"
        --- stderr
        Driving run 1 here.
        run 1 failed in [span] (0 steps, 0 tool calls)
        error: run 1 failed: model `openai/gpt-4o-mini` needs a key: `OPENAI_API_KEY` is not set
        hint: set `OPENAI_API_KEY`
        hint: or map the name to a model you have, in config.yaml: `models: {gpt-4o-mini: <provider>/<model>}`
        hint: see what happened with `stn runs inspect 1`
        --- exit 3
    "#]]);
    home.stn(&["sync", "staging", "--quiet"]).is(&expect![[r#"
        Environment `staging`: nothing to change, 2 definitions up to date.
          server filesystem: failed: server `filesystem` cannot start: no value for `ROOT_DIR` (environments/staging/template.json:7:76)
          server memory: failed: server `memory` cannot start: no value for `DATABASE_URL` (environments/staging/template.json:12:33)
        --- stderr
        warning: agent `triage`: nothing offers `__does_not_exist`; it works without it
        warning: agent `triage`: nothing offers `read_text_file`; it works without it
        --- exit 4
    "#]]);

    let aside = std::fs::read(home.config("station.go.db")).unwrap();
    assert_eq!(
        aside,
        std::fs::read(fixture().join("station.db")).unwrap(),
        "the old database is kept as it was"
    );
    for relative in files(&fixture()).iter().filter(|path| path.starts_with("environments")) {
        assert_eq!(
            std::fs::read(home.config("").join(relative)).unwrap(),
            body(&home, relative),
            "{relative:?}"
        );
    }
    let config = home.read("config.yaml");
    let before = String::from_utf8(body(&home, Path::new("config.yaml"))).unwrap();
    assert!(config.strip_prefix(&before).unwrap().starts_with("workspace_id: "), "{config}");
}

#[test]
fn an_old_agent_does_its_work_with_a_model_that_is_there() {
    let home = old_home();
    let arguments = json!({ "path": home.path().join("samples") }).to_string();
    let model = OpenAi::from_fn(move |seen| {
        let messages = seen.body["messages"].as_array().unwrap();
        match messages.iter().filter(|message| message["role"] == "tool").count() {
            0 => openai::calls([("list_directory", &arguments)]),
            _ => openai::reply(r#"{"finding": "one log"}"#),
        }
    });
    let home = home
        .set("STN_AI_PROVIDER", "openai")
        .set("STN_AI_BASE_URL", &model.base_url())
        .set("STN_AI_API_KEY", "a-key");
    let said = home.stn(&["agent", "run", "Cost Spike Investigator", "which files are there?"]);
    assert_eq!(said.done().stdout, "{\"finding\":\"one log\"}\n", "{}", said.shown());
    assert!(said.stderr.contains("<- list_directory: 14 bytes"), "{}", said.shown());
}

#[test]
fn variables_with_quotes_reach_the_servers_exactly() {
    let home = old_home();
    let npx = home.path().join("npx");
    let script = std::fs::read_to_string(&npx).unwrap();
    let seen = home.work("seen");
    let spy = format!(
        "#!/bin/sh\nprintf '%s|%s|%s\\n' \"$DATABASE_URL\" \"$NOTE\" \"$#\" >> '{}'\n{}",
        seen.display(),
        script.strip_prefix("#!/bin/sh\n").unwrap()
    );
    std::fs::write(&npx, spy).unwrap();
    home.stn(&["agent", "list"]).done();
    home.stn(&["sync", "default"]).done();
    let text = std::fs::read_to_string(seen).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let memory = r#"postgres://reader:pa"ss@db.example.com/app|line one, "quoted"|2"#;
    assert_eq!(lines, [memory, "||3"], "the other server gets neither");
}

#[test]
fn a_name_that_old_files_use_can_be_mapped() {
    let home = old_home();
    let config = home.read("config.yaml");
    home.write("config.yaml", &format!("{config}models: {{gpt-4o-mini: offline}}\n"));
    // The schemas of that server's tools name no arguments, so rules have nothing to fill in, and say so.
    let task = format!("what is in {}/samples/app.log", home.path().display());
    home.stn(&["agent", "run", "Cost Spike Investigator", &task, "--quiet"]).is(&expect![[r#"
        {"finding":"No tool that rules may call fits this task, or the task does not say what it needs.\n\nAt hand: `read_text_file`, `list_directory`.\n\n— answered by Station's offline model: rules, not a language model"}
    "#]]);
    // One without a model is the configured provider's, as before.
    home.agent("default", "plain", "");
    home.stn(&["agent", "run", "plain", "anything"]).is(&expect![[r#"
        --- stderr
        Driving run 2 here.
        run 2 failed in [span] (0 steps, 0 tool calls)
        error: run 2 failed: model `gemini/gemini-2.5-flash` needs a key: `GEMINI_API_KEY` or `GOOGLE_API_KEY` or `STN_AI_API_KEY` is not set
        hint: set `GEMINI_API_KEY` or `GOOGLE_API_KEY` or `STN_AI_API_KEY`
        hint: or map the name to a model you have, in config.yaml: `models: {gemini-2.5-flash: <provider>/<model>}`
        hint: see what happened with `stn runs inspect 2`
        --- exit 3
    "#]]);
}

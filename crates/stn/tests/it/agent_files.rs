//! `stn agent update|delete|export|import`: what they do to files.

use crate::at_server::{ask, url};
use crate::home::Home;
use crate::http::Served;
use expect_test::expect;

const FILE: &str = "environments/default/agents/triage.prompt";
const TEXT: &str = "---\n# who it is\nmetadata:\n  name: \"triage\"\n  description: \"Looks\" # short\nmodel: offline\nharness: {kept: [1, 2]}\ntools:\n  - \"__echo\" # first\n---\n\nYou are triage.\n";

fn home() -> Home {
    let home = Home::with_fake();
    home.write(FILE, TEXT);
    home.stn(&["sync", "--quiet"]).done();
    home
}

#[test]
fn one_field_changes_and_the_rest_stays() {
    let home = home();
    home.stn(&["agent", "update", "triage", "--description", "Looks closer", "--add-tool", "__add"])
        .is(&expect![[r#"
            Changed agent 1 `triage` of environment `default`.
            --- stderr
            note: environments/default/agents/triage.prompt:7:1: `harness` is kept, but has no effect here
            warning: environments/default/agents/triage.prompt: nothing offers the tool `__add`: agent `triage` works without it
            hint: `stn mcp tools` shows what there is
        "#]]);
    let expected = TEXT
        .replace("\"Looks\" # short", "\"Looks closer\" # short")
        .replace("# first\n", "# first\n  - \"__add\"\n");
    assert_eq!(home.read(FILE), expected);
    assert_eq!(home.json(&["agent", "show", "1"])["agent"]["description"], "Looks closer");
    home.stn(&["agent", "update", "1", "--remove-tool", "__ehco"]).is(&expect![[r#"
        --- stderr
        error: environments/default/agents/triage.prompt: the agent has no grant `__ehco` to remove
        hint: did you mean `__echo`?
        --- exit 1
    "#]]);
    home.stn(&["agent", "update", "triga"]).is(&expect![[r#"
        --- stderr
        error: nothing is named that is to change
        hint: e.g. `--model NAME` or `--add-tool TOOL`; `stn agent update --help` shows all
        --- exit 1
    "#]]);
    home.stn(&["agent", "update", "triga", "--model", "x"]).is(&expect![[r#"
        --- stderr
        error: agent `triga` does not exist in environment `default`
        hint: did you mean `triage`?
        --- exit 1
    "#]]);
    home.stn(&["agent", "update", "1", "--unset", "tools", "--unset", "speed"]).is(&expect![[r#"
        --- stderr
        error: invalid value 'speed' for '--unset <FIELD>': it is one of model, max_steps, tools, agents, tags, schedule

        For more information, try '--help'.
        --- exit 2
    "#]]);
    assert_eq!(home.read(FILE), expected);
}

#[test]
fn an_agent_that_would_call_itself_is_refused_before_anything_is_written() {
    let home = home();
    home.agent("default", "other", "agents: [triage]\n");
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["agent", "update", "triage", "--add-agent", "other"]).is(&expect![[r#"
        --- stderr
        error: environments/default/agents/triage.prompt: agent `triage` would call itself: triage → other → triage
        hint: take one of these out of the `agents` of another
        --- exit 1
    "#]]);
    assert_eq!(home.read(FILE), TEXT);
}

#[test]
fn deleting_says_what_goes_and_asks() {
    let home = home();
    home.stn(&["agent", "run", "triage", "hello", "--quiet"]).done();
    home.stn(&["agent", "delete", "triage"]).is(&expect![[r#"
        --- stderr
        Agent 1 `triage` of environment `default` would go.
          its file environments/default/agents/triage.prompt would go too
          1 run would be kept.
        error: nobody can be asked: delete agent `triage`?
        hint: say yes with `--yes`
        --- exit 1
    "#]]);
    assert_eq!(home.read(FILE), TEXT);
    home.stn(&["agent", "delete", "1", "--yes"]).is(&expect![[r#"
        Deleted agent `triage`.
        --- stderr
        Agent 1 `triage` of environment `default` would go.
          its file environments/default/agents/triage.prompt would go too
          1 run would be kept.
    "#]]);
    assert!(!home.config(FILE).exists());
    home.stn(&["agent", "list"]).is(&expect![[r#"
        --- stderr
        hint: there are no agents yet: `stn agent create NAME DESCRIPTION`, or `stn demo` for a first look
    "#]]);
    assert_eq!(home.json(&["runs", "list"])["runs"][0]["agent"], "triage");
    home.stn(&["audit", "verify"]).done();
    // The same name returns with the same id.
    home.write(FILE, TEXT);
    home.stn(&["sync", "--quiet"]).done();
    assert_eq!(home.json(&["agent", "show", "triage"])["agent"]["id"], 1);
}

#[test]
fn a_round_trip_is_the_same_byte_for_byte() {
    let home = home();
    home.stn(&["env", "create", "prod"]).done();
    let text = TEXT.replace('\n', "\r\n");
    home.write(FILE, &text);
    home.stn(&["sync", "default", "--quiet"]).done();
    home.stn(&["agent", "export", "triage", "--to", "triage.prompt"]).is(&expect![[r#"
        Wrote agent `triage` to triage.prompt
    "#]]);
    assert_eq!(std::fs::read_to_string(home.path().join("triage.prompt")).unwrap(), text);
    home.stn(&["agent", "export", "triage", "--to", "triage.prompt"]).is(&expect![[r#"
        --- stderr
        error: the file triage.prompt exists already
        hint: `--force` writes over it
        --- exit 1
    "#]]);
    home.stn(&["agent", "import", "triage.prompt", "--env", "prod"]).is(&expect![[r#"
        Imported agent 3 `triage` into environment `prod`.
          file  $HOME/.config/station/environments/prod/agents/triage.prompt
        --- stderr
        note: environments/prod/agents/triage.prompt:7:1: `harness` is kept, but has no effect here
        warning: environments/prod/agents/triage.prompt: nothing offers the tool `__echo`: agent `triage` works without it
        hint: `stn mcp tools` shows what there is
    "#]]);
    assert_eq!(home.read("environments/prod/agents/triage.prompt"), text);
    assert_eq!(home.stn(&["agent", "export", "triage", "--env", "prod", "--to", "-"]).done().stdout, text);
    home.stn(&["agent", "import", "triage.prompt", "--env", "prod"]).done();
    home.write("environments/prod/agents/triage.prompt", "---\nmodel: offline\n---\nOther.\n");
    home.stn(&["agent", "import", "triage.prompt", "--env", "prod"]).is(&expect![[r#"
        --- stderr
        error: agent `triage` exists already in environment `prod`
        hint: replace it with --yes, or name the new one with --rename
        --- exit 1
    "#]]);
    home.stn(&["agent", "import", "triage.prompt", "--env", "prod", "--rename", "second"]).done();
    assert_eq!(home.read("environments/prod/agents/second.prompt"), text.replace("\"triage\"", "second"));
    home.stn(&["agent", "import", "triage.prompt", "--env", "prod", "--yes"]).done();
    assert_eq!(home.read("environments/prod/agents/triage.prompt"), text);
}

#[test]
fn an_older_export_is_taken_in_and_what_it_lacks_is_listed() {
    let home = home();
    let json = r#"{"agent": {"id": 7, "name": "Old One", "description": "d", "prompt": "You are old.", "max_steps": 6},
        "tools": [{"name": "echo", "server": "fake"}, {"name": "vanished", "server": "gone"}]}"#;
    home.stn_reading(&["agent", "import", "-"], json).is(&expect![[r#"
        Imported agent 2 `Old One` into environment `default`.
          file  $HOME/.config/station/environments/default/agents/Old One.prompt
        --- stderr
        warning: environments/default/agents/Old One.prompt: nothing offers the tool `vanished`: agent `Old One` works without it
        hint: `stn mcp tools` shows what there is
        warning: this environment has no server `gone`
        hint: add it with `stn mcp add`
    "#]]);
    expect![[r#"
        ---
        metadata:
          name: "Old One"
          description: "d"
        max_steps: 6
        tools:
          - "echo"
          - "vanished"
        ---
        {{role "system"}}
        You are old.

        {{role "user"}}
        {{userInput}}
    "#]]
    .assert_eq(&home.read("environments/default/agents/Old One.prompt"));
    home.stn_reading(&["agent", "import", "-"], "{\"name\": 3}").is(&expect![[r#"
        --- stderr
        error: the JSON holds no agent: it has no `name`
        hint: give a `.prompt` file, or the JSON that the Go program exported
        --- exit 1
    "#]]);
    std::fs::write(home.path().join("broken.prompt"), "---\nmodel: [\n---\n").unwrap();
    home.stn(&["agent", "import", "broken.prompt"]).is(&expect![[r#"
        --- stderr
        error: broken.prompt:2:8: this is not YAML: unclosed bracket '['
          2 | model: [
            |        ^
        --- exit 1
    "#]]);
}

#[test]
fn an_agent_of_the_store_becomes_a_file() {
    let home = Home::with_init();
    let config = home.read("config.yaml");
    home.write("config.yaml", &format!("{config}files: readonly\n"));
    home.stn(&["agent", "create", "helper", "It helps"]).done();
    home.stn(&["agent", "update", "helper", "--description", "It helps more"]).is(&expect![[r#"
        Changed agent 1 `helper` of environment `default`.
    "#]]);
    home.stn(&["agent", "export", "helper"]).is(&expect![[r#"
        --- stderr
        error: environment `default` is managed by files in $HOME/.config/station/environments/default
        hint: config.yaml says `files: readonly`: change the files where they are kept, then `stn sync`
        --- exit 1
    "#]]);
    home.write("config.yaml", &config);
    // Somebody else's file of that name is left as it is, and the agent stays where it is.
    let file = "environments/default/agents/helper.prompt";
    home.write(file, "mine\n");
    home.stn(&["agent", "export", "helper", "--quiet"]).exits(1);
    assert_eq!(home.read(file), "mine\n");
    std::fs::remove_file(home.config(file)).unwrap();
    home.stn(&["agent", "export", "helper"]).is(&expect![[r#"
        Agent `helper` is a file now: environments/default/agents/helper.prompt
    "#]]);
    home.stn(&["sync"]).is(&expect![[r#"
        Environment `default`: nothing to change, 1 definition up to date.
    "#]]);
    let source = home.read("environments/default/agents/helper.prompt");
    assert!(source.contains("It helps more"), "{source}");
    home.stn(&["agent", "export", "helper"]).is(&expect![[r#"
        Agent `helper` is a file already: environments/default/agents/helper.prompt
        --- stderr
        hint: `--to FILE` writes a copy, `--to -` prints it
    "#]]);
    home.write("config.yaml", &format!("{config}files: readonly\n"));
    home.stn(&["agent", "delete", "helper", "--yes"]).is(&expect![[r#"
        --- stderr
        error: environment `default` is managed by files in $HOME/.config/station/environments/default
        hint: config.yaml says `files: readonly`: change the files where they are kept, then `stn sync`
        --- exit 1
    "#]]);
}

#[test]
fn an_agent_that_is_renamed_keeps_its_number_and_its_runs() {
    let home = Home::with_fake();
    home.agent("default", "reader", "model: offline\ntools: [fake__echo]\n");
    home.agent("default", "boss", "model: offline\nagents: [reader]\n");
    home.stn(&["agent", "run", "reader", "echo \"hello\"", "--quiet"]).done();
    let id = home.json(&["agent", "show", "reader"])["agent"]["id"].clone();
    let is_it = |name: &str| {
        let shown = home.json(&["agent", "show", name]);
        assert_eq!(shown["agent"]["id"], id, "{shown}");
        assert_eq!(home.json(&["runs", "list", "--agent", name])["count"], 1);
    };
    // In the folder, as `git mv` does.
    let path = |name: &str| home.config(&format!("environments/default/agents/{name}.prompt"));
    std::fs::rename(path("reader"), path("scanner")).unwrap();
    home.stn(&["sync", "--dry-run"]).is(&expect![[r#"
        Environment `default`: 1 change to apply, 2 unchanged. This was a dry run.
          ~ agent scanner (renamed from reader)
        --- stderr
        warning: environments/default/agents/boss.prompt: there is no agent `reader` in this environment: `boss` works without it
    "#]]);
    home.stn(&["agent", "run", "scanner", "echo \"again\"", "--no-sync"]).exits(1);
    home.stn(&["sync"]).is(&expect![[r#"
        Environment `default`: 1 change applied, 2 unchanged.
          ~ agent scanner (renamed from reader)
        --- stderr
        warning: environments/default/agents/boss.prompt: there is no agent `reader` in this environment: `boss` works without it
    "#]]);
    is_it("scanner");
    // By its verb: the name that the file says goes along, and nothing else of it.
    home.write(
        "environments/default/agents/scanner.prompt",
        "---\n# mine\nmetadata: {name: scanner}\nmodel: offline\n---\nYou scan.\n",
    );
    home.stn(&["agent", "update", "scanner", "--name", "finder", "--max-steps", "3"]).is(&expect![[r#"
        Changed agent 2 `finder` of environment `default`.
    "#]]);
    is_it("finder");
    expect![[r#"
        ---
        # mine
        metadata: {name: finder}
        model: offline
        max_steps: 3
        ---
        You scan.
    "#]]
    .assert_eq(&home.read("environments/default/agents/finder.prompt"));
    home.stn(&["sync"]).is(&expect![[r#"
        Environment `default`: nothing to change, 3 definitions up to date.
        --- stderr
        warning: environments/default/agents/boss.prompt: there is no agent `reader` in this environment: `boss` works without it
    "#]]);
    home.stn(&["agent", "update", "finder", "--name", "boss"]).is(&expect![[r#"
        --- stderr
        error: agent `boss` exists already in environment `default`
        hint: choose another name
        --- exit 1
    "#]]);
    home.stn(&["agent", "delete", "boss", "--yes", "--quiet"]).done();
    home.stn(&["agent", "update", "finder", "--name", "boss"]).is(&expect![[r#"
        --- stderr
        error: an agent `boss` was deleted, and its runs are kept under this name
        hint: choose another name
        --- exit 1
    "#]]);
}

#[test]
fn an_agent_goes_out_of_a_server_and_into_one() {
    let home = home();
    let made = |name: &str, role: &str| home.key_of(name, &["--role", role, "--env", "default"]);
    let (root, ann) = (made("root", "admin"), made("ann", "viewer"));
    let (served, elsewhere) = (Served::start(&home), Home::new());
    let by = |key: &str, args: &[&str]| {
        let mut said = ask(&elsewhere, &url(&served), key, args);
        said.stdout = said.stdout.replace(&home.path().display().to_string(), "$THERE");
        said
    };
    by(&ann, &["agent", "export", "triage", "--to", "."]).is(&expect![[r#"
        Wrote agent `triage` to ./triage.prompt
    "#]]);
    let path = elsewhere.path().join("triage.prompt");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), TEXT);
    by(&ann, &["agent", "export", "triage", "--to", "triage.prompt"]).is(&expect![[r#"
        --- stderr
        error: the file triage.prompt exists already
        hint: `--force` writes over it
        --- exit 1
    "#]]);
    by(&ann, &["agent", "import", "triage.prompt", "--rename", "second"]).is(&expect![[r#"
        --- stderr
        error: `ann` may not make, change or delete agents: its role is `viewer`
        hint: ask somebody whose role is at least `user`
        --- exit 1
    "#]]);
    by(&root, &["agent", "import", "triage.prompt", "--rename", "second"]).is(&expect![[r#"
        Imported agent 2 `second` into environment `default`.
          file  $THERE/.config/station/environments/default/agents/second.prompt
        --- stderr
        note: environments/default/agents/second.prompt:7:1: `harness` is kept, but has no effect here
    "#]]);
    // The same again is no conflict, another one is.
    by(&root, &["agent", "import", "triage.prompt"]).done();
    std::fs::write(&path, TEXT.replace("You are triage", "You are better").replace("__echo", "__nothing"))
        .unwrap();
    by(&root, &["agent", "import", "triage.prompt"]).is(&expect![[r#"
        --- stderr
        error: agent `triage` exists already in environment `default`
        hint: replace it with --yes, or name the new one with --rename
        --- exit 1
    "#]]);
    by(&root, &["agent", "import", "triage.prompt", "--yes"]).is(&expect![[r#"
        Imported agent 1 `triage` into environment `default`.
          file  $THERE/.config/station/environments/default/agents/triage.prompt
        --- stderr
        note: environments/default/agents/triage.prompt:7:1: `harness` is kept, but has no effect here
        warning: environments/default/agents/triage.prompt: nothing offers the tool `__nothing`: agent `triage` works without it
        hint: `stn mcp tools` shows what there is
    "#]]);
    assert!(home.read(FILE).contains("You are better"));
    std::fs::write(&path, "---\nmodel: [\n---\nx\n").unwrap();
    by(&root, &["agent", "import", "triage.prompt", "--yes"]).is(&expect![[r#"
        --- stderr
        error: triage.prompt:2:8: this is not YAML: unclosed bracket '['
        --- exit 1
    "#]]);
    by(&root, &["agent", "import", "triage.prompt", "--env", "nowhere"]).is(&expect![[r#"
        --- stderr
        error: environment `nowhere` does not exist
        hint: there are `default`; make one with `stn env create nowhere`
        --- exit 1
    "#]]);
    served.stop();
}

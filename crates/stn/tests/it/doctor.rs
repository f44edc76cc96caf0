//! `stn doctor`

use crate::home::{Home, Said};
use expect_test::{Expect, expect};

/// What a doctor says, without what is this machine's own.
#[track_caller]
fn check(said: &Said, expected: &Expect) {
    let shown = said.shown();
    let ours = shown.lines().filter(|line| {
        !["Node", "Python", "sandbox"].iter().any(|name| line.contains(&format!(" {name} ")))
            && !line.contains("-> Linux 5.13")
            && !line.contains("-> install it if you use such servers")
    });
    let lines: Vec<String> = ours.map(str::to_owned).collect();
    let id = regex::Regex::new("id [0-9a-f]+").unwrap();
    expected.assert_eq(&(id.replace_all(&lines.join("\n"), "id [id]") + "\n"));
}

#[test]
fn a_sound_home_is_well() {
    let home = Home::with_fake();
    check(
        &home.stn(&["doctor"]),
        &expect![[r#"
        ok  configuration $HOME/.config/station/config.yaml
        ok  key  id [id], $HOME/.config/station/station.key
        ok  database  $HOME/.config/station/station.db
        ok  files  environment `default`: 1 definition
        ok  servers  1 server answered when asked last
        ok  worker  none runs: `stn agent run` drives its runs itself, `stn serve` starts one
        ok  model  provider `offline`, model `offline`
    "#]],
    );
    let told = home.json(&["doctor"]);
    let names: Vec<&str> =
        told["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    for name in [
        "configuration",
        "key",
        "database",
        "files",
        "servers",
        "worker",
        "model",
        "Node",
        "Python",
        "sandbox",
    ] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
}

#[test]
fn an_empty_home_is_told_what_to_do_and_nothing_is_made() {
    let home = Home::new();
    check(
        &home.stn(&["doctor"]),
        &expect![[r#"
        note  configuration there is no $HOME/.config/station/config.yaml: defaults hold
                            -> make it with `stn init`
        note  key  there is none yet
                            -> the first command that needs one makes it
        note  database  there is no $HOME/.config/station/station.db yet
                            -> the first command that needs one makes it
        note  files  there is no environment in $HOME/.config/station/environments
                            -> make one with `stn init`, or name the folder with `workspace` in config.yaml
        note  model  no provider is configured: only agents that name theirs can run
                            -> `stn settings set ai_provider openai`, or `offline` for the built-in one
    "#]],
    );
    assert!(!home.config("").exists());
}

#[test]
fn each_thing_that_is_broken_has_its_line() {
    let home = Home::with_init();
    home.server("default", "broken", &["--exit-at-start", "3"]);
    home.write("environments/default/agents/a.prompt", "---\nmodel: [\n---\n");
    home.stn(&["sync", "--quiet"]);
    home.write("config.yaml", "ai_provider: openai\nai_modle: x\n");
    check(
        &home.stn(&["doctor"]),
        &expect![[r#"
            note  configuration $HOME/.config/station/config.yaml has keys that Station does not know: ai_modle
                                -> docs/reference/config.md has those that it knows
            ok  key  id [id], $HOME/.config/station/station.key
            ok  database  $HOME/.config/station/station.db
            bad  files  environment `default`: 1 file refused: environments/default/agents/a.prompt:2:8: this is not YAML: unclosed bracket '['
                                -> mend it; `stn sync default --dry-run` shows all
            bad  servers  default/broken failed when it was asked last: server `broken` ended with exit code 3 before it answered; it said: fatal: this server was told to end at once
                                -> mend it, then `stn mcp sync broken --env default`
            ok  worker  none runs: `stn agent run` drives its runs itself, `stn serve` starts one
            bad  model  model `openai/MODEL` needs a key: `OPENAI_API_KEY` or `STN_AI_API_KEY` is not set
                                -> set `OPENAI_API_KEY` or `STN_AI_API_KEY`
            --- exit 1
        "#]],
    );
    home.write("station.key", &"ab".repeat(32));
    check(
        &home.stn(&["doctor"]),
        &expect![[r#"
            note  configuration $HOME/.config/station/config.yaml has keys that Station does not know: ai_modle
                                -> docs/reference/config.md has those that it knows
            ok  key  id [id], $HOME/.config/station/station.key
            bad  database  `$HOME/.config/station/station.db` cannot be opened: wrong key, or not a Station database
                                -> nothing was changed; `stn key status` shows which key is used
            bad  files  environment `default`: 1 file refused: environments/default/agents/a.prompt:2:8: this is not YAML: unclosed bracket '['
                                -> mend it; `stn sync default --dry-run` shows all
            bad  model  model `openai/MODEL` needs a key: `OPENAI_API_KEY` or `STN_AI_API_KEY` is not set
                                -> set `OPENAI_API_KEY` or `STN_AI_API_KEY`
            --- exit 1
        "#]],
    );
    std::fs::remove_file(home.config("station.key")).unwrap();
    home.write("config.yaml", "ai_provider: [\n");
    std::fs::remove_dir_all(home.config("environments")).unwrap();
    home.write("environments", "a file where a folder should be");
    check(
        &home.stn(&["doctor"]),
        &expect![[r#"
            bad  configuration $HOME/.config/station/config.yaml:1:14: this is not YAML: unclosed bracket '['
                                -> mend that line; the checks below are made as if the file said nothing
            bad  key  a database is there and no key: nobody can open it
                                -> put the key back with `stn key set`, or set STATION_ENCRYPTION_KEY
            bad  database  $HOME/.config/station/station.db cannot be opened without its key
                                -> see the key above
            bad  files  $HOME/.config/station/environments cannot be read: not a directory
                                -> it should be a folder that you can read
            note  model  no provider is configured: only agents that name theirs can run
                                -> `stn settings set ai_provider openai`, or `offline` for the built-in one
            --- exit 1
        "#]],
    );
    home.write("station.db", "SQLite format 3\0 of the Go program");
    check(
        &home.stn(&["doctor"]),
        &expect![[r#"
            bad  configuration $HOME/.config/station/config.yaml:1:14: this is not YAML: unclosed bracket '['
                                -> mend that line; the checks below are made as if the file said nothing
            note  key  there is none yet
                                -> the first command that needs one makes it
            note  database  $HOME/.config/station/station.db is the Go program's
                                -> the next command keeps it as station.go.db and makes a new one from your files
            bad  files  $HOME/.config/station/environments cannot be read: not a directory
                                -> it should be a folder that you can read
            note  model  no provider is configured: only agents that name theirs can run
                                -> `stn settings set ai_provider openai`, or `offline` for the built-in one
            --- exit 1
        "#]],
    );
    assert_eq!(home.read("station.db"), "SQLite format 3\0 of the Go program");
}

#[test]
fn a_doctor_says_what_keeps_every_run_from_beginning() {
    for (config, expected) in [
        (
            "ai_provider: antropic\nai_model: claude-x\n",
            "bad  model  provider `antropic` is not known\n                    -> did you mean `anthropic`?",
        ),
        (
            "ai_provider: openai-responses\nai_model: gpt-x\n",
            "bad  model  model `openai-responses/gpt-x` needs a key: `OPENAI_API_KEY`",
        ),
        ("ai_provider: google\nai_model: g\n", "bad  model  model `gemini/g` needs a key: `GEMINI_API_KEY`"),
        (
            "ai_provider: openai\nai_model: g\nai_base_url: notaurl\n",
            "bad  model  the configured address of the models is no http or https URL",
        ),
        (
            "ai_provider: offline\n",
            "bad  model  `default/worker` cannot run: model `anthropic/claude-x` needs a key",
        ),
    ] {
        let home = Home::with_init();
        home.agent("default", "worker", "model: claude-x\n");
        home.write("config.yaml", config);
        let said = home.stn(&["doctor"]);
        assert!(said.shown().contains(expected), "{config}{}", said.shown());
        said.exits(1);
    }
}

#[test]
fn a_doctor_of_a_home_that_was_not_synced_says_so() {
    let home = Home::with_init();
    home.server("default", "one", &[]);
    home.server("default", "two", &[]);
    home.agent("default", "worker", "model: offline\ntools: [nope]\n");
    check(
        &home.stn(&["doctor"]),
        &expect![[r#"
        ok  configuration $HOME/.config/station/config.yaml
        ok  key  id [id], $HOME/.config/station/station.key
        ok  database  $HOME/.config/station/station.db
        note  files  environment `default`: 3 definitions, 3 of them not applied yet
                            -> apply them with `stn sync default`
        note  servers  none is known yet: agents have no tools
                            -> `stn mcp add` makes one, `stn sync` applies those of files
        ok  worker  none runs: `stn agent run` drives its runs itself, `stn serve` starts one
        ok  model  provider `offline`, model `offline`
    "#]],
    );
    home.stn(&["sync", "--quiet"]);
    check(
        &home.stn(&["doctor"]),
        &expect![[r#"
        ok  configuration $HOME/.config/station/config.yaml
        ok  key  id [id], $HOME/.config/station/station.key
        ok  database  $HOME/.config/station/station.db
        note  files  environment `default`: 3 definitions, 1 warning: environments/default/agents/worker.prompt: nothing offers the tool `nope`: agent `worker` works without it
                            -> `stn mcp tools` shows what there is
        ok  servers  2 servers answered when asked last
        ok  worker  none runs: `stn agent run` drives its runs itself, `stn serve` starts one
        ok  model  provider `offline`, model `offline`
    "#]],
    );
    home.write("config.yaml", "ai_provider: offline\ndatabase_url: gone/station.db\n");
    check(
        &home.stn(&["doctor"]),
        &expect![[r#"
        ok  configuration $HOME/.config/station/config.yaml
        ok  key  id [id], $HOME/.config/station/station.key
        bad  database  there is no folder $HOME/.config/station/gone for the database
                            -> make it, or name another place: config.yaml says this one
        note  files  environment `default`: 3 definitions, 3 of them not applied yet
                            -> apply them with `stn sync default`
        ok  model  provider `offline`, model `offline`
        --- exit 1
    "#]],
    );
}

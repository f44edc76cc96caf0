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
        bad  model  provider `openai` has no key
                            -> set OPENAI_API_KEY, or `stn settings set ai_api_key < FILE`
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
        bad  model  provider `openai` has no key
                            -> set OPENAI_API_KEY, or `stn settings set ai_api_key < FILE`
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

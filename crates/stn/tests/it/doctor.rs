//! `stn doctor`

use crate::home::{Home, Said};
use crate::http::Served;
use expect_test::{Expect, expect};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

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

/// The lines of a doctor that hold `what`.
fn lines(said: &Said, what: &str) -> Vec<String> {
    said.shown().lines().filter(|line| line.contains(what)).map(str::to_owned).collect()
}

#[test]
fn a_file_with_two_faults_is_one_file() {
    let home = Home::with_init();
    home.write("environments/default/agents/a.prompt", "---\nmax_steps: many\nmodel: {a: b}\n---\n");
    let refused =
        "bad  files  environment `default`: 1 file refused: environments/default/agents/a.prompt:2:12: ";
    assert!(home.stn(&["doctor"]).shown().contains(refused), "{}", home.stn(&["doctor"]).shown());
    home.write("environments/default/agents/b.prompt", "---\nmax_steps: many\n---\n");
    let said = home.stn(&["doctor"]);
    assert!(said.shown().contains("environment `default`: 2 files refused: "), "{}", said.shown());
}

#[test]
fn the_programs_of_servers_are_looked_for_where_they_would_be_started() {
    let home = Home::with_init().set("PATH", "");
    let said = home.stn(&["doctor"]);
    said.exits(0);
    let shown: Vec<String> =
        ["Node", "Python", "install it"].into_iter().flat_map(|what| lines(&said, what)).collect();
    expect![[r#"
        note  Node  neither npx nor node is in PATH: servers that are started with `npx` do not start
        note  Python  neither uvx nor python3 is in PATH: servers that are started with `uvx` or `python3` do not start
                            -> install it if you use such servers
                            -> install it if you use such servers
    "#]].assert_eq(&format!("{}\n", shown.join("\n")));

    let folder = home.work("bin");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, mode) in [("npx", 0o755), ("node", 0o755), ("uvx", 0o644), ("python3", 0o755)] {
        let file = folder.join(name);
        std::fs::write(&file, "").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let home = home.set("PATH", &format!("/nowhere:{}", folder.display()));
    let said = home.stn(&["doctor"]);
    let shown: Vec<String> = ["Node", "Python"].into_iter().flat_map(|what| lines(&said, what)).collect();
    expect![[r#"
        ok  Node  npx is $HOME/work/bin/npx
        ok  Python  python3 is $HOME/work/bin/python3
    "#]]
    .assert_eq(&format!("{}\n", shown.join("\n")));
}

/// What a kernel can keep is its own; that it is said, and what to do where it can keep less, is not.
#[test]
fn the_sandbox_has_its_line() {
    let told = Home::with_init().json(&["doctor"]);
    let checks = told["checks"].as_array().unwrap();
    let [check] = &checks.iter().filter(|check| check["name"] == "sandbox").collect::<Vec<_>>()[..] else {
        panic!("{told}")
    };
    let is_kept =
        check["message"].as_str().unwrap().starts_with("tool servers are kept from Station's own files");
    assert_eq!(
        (is_kept, check["hint"].is_null()),
        (check["state"] == "ok", check["state"] == "ok"),
        "{check}"
    );
}

#[test]
fn servers_and_workers_are_counted() {
    let home = Home::with_init();
    home.server("default", "one", &[]);
    home.server("default", "two", &[]);
    home.stn(&["sync", "--no-discover", "--quiet"]).done();
    let said = home.stn(&["doctor"]);
    assert_eq!(lines(&said, "never asked"), ["note  servers  2 servers never asked for tools"]);
    let served = Served::start(&home);
    let said = home.stn(&["doctor"]);
    let found = lines(&said, " worker ");
    assert!(found.len() == 1 && found[0].starts_with("ok  worker  1 worker reached: "), "{found:?}");
    served.stop();
}

#[test]
fn a_database_that_is_not_there_has_its_line() {
    let home = Home::with_init();
    // Nobody listens at a port that was let go of; this one takes what comes and says nothing.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for address in [gone, silent.local_addr().unwrap()] {
        home.write(
            "config.yaml",
            &format!("ai_provider: offline\ndatabase_url: postgres://a:s3cret@{address}/b\n"),
        );
        let said = home.stn(&["doctor"]);
        said.exits(1);
        let expected = format!("bad  database  the database `b at {address}` cannot be reached");
        assert!(said.shown().contains(&expected), "{}", said.shown());
        assert!(!said.shown().contains("s3cret"), "{}", said.shown());
    }
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

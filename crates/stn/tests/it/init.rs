//! `stn init`

use crate::home::Home;
use expect_test::{Expect, expect};
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn a_second_init_changes_nothing() {
    let home = Home::new();
    home.stn(&["init"]).is(&expect![[r#"
        Station is set up in $HOME/.config/station
          made configuration $HOME/.config/station/config.yaml
          made database $HOME/.config/station/station.db
          made environment `default` in $HOME/.config/station/environments/default
        --- stderr
        Made a new encryption key: $HOME/.config/station/station.key
        hint: back it up: without it nobody can open the database, and it is kept nowhere else
        The model is `offline`: built-in rules without a network, for first steps.
        hint: for a real model change `ai_provider` and `ai_model` in config.yaml
        hint: make an agent with `stn agent create NAME DESCRIPTION`, or see one at work with `stn demo`
    "#]]);
    let config = home.read("config.yaml");
    let key = home.read("station.key");
    let mode = std::fs::metadata(home.config("station.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    home.stn(&["init"]).is(&expect![[r#"
        Station is set up already in $HOME/.config/station; nothing was changed.
    "#]]);
    assert_eq!((config, key), (home.read("config.yaml"), home.read("station.key")));
}

#[test]
fn a_provider_is_written_once_and_never_changed() {
    let home = Home::new();
    let args =
        ["init", "--provider", "openai", "--model", "gpt-4o-mini", "--base-url", "http://127.0.0.1:1/v1"];
    home.stn(&args).is(&expect![[r#"
        Station is set up in $HOME/.config/station
          made configuration $HOME/.config/station/config.yaml
          made database $HOME/.config/station/station.db
          made environment `default` in $HOME/.config/station/environments/default
        --- stderr
        Made a new encryption key: $HOME/.config/station/station.key
        hint: back it up: without it nobody can open the database, and it is kept nowhere else
        hint: if that address wants a key, set STN_AI_API_KEY: it is read from the environment
        hint: see whether it answers with `stn model test`
        hint: make an agent with `stn agent create NAME DESCRIPTION`, or see one at work with `stn demo`
    "#]]);
    home.stn(&["init", "--provider", "ollama"]).is(&expect![[r#"
        --- stderr
        error: $HOME/.config/station/config.yaml says `ai_provider: openai` already
        hint: change that line to `ai_provider: ollama`
        --- exit 1
    "#]]);
    home.stn(&args).is(&expect![[r#"
        Station is set up already in $HOME/.config/station; nothing was changed.
    "#]]);
}

#[test]
fn each_provider_says_what_it_still_needs() {
    let check = |args: &[&str], expected: Expect| {
        let home = Home::new();
        let said = home.stn(&[&["init", "--provider"], args].concat());
        let told = said.stderr.lines().filter(|line| !line.contains("key: ") && !line.contains("stn "));
        let told: Vec<&str> = told.filter(|line| !line.contains("back it up")).collect();
        expected.assert_eq(&told.join("\n"));
    };
    check(
        &["openai", "--model", "gpt-4o-mini"],
        expect!["hint: set OPENAI_API_KEY: it is read from the environment"],
    );
    check(
        &["openai-responses", "--model", "gpt-5"],
        expect!["hint: set OPENAI_API_KEY: it is read from the environment"],
    );
    check(
        &["anthropic", "--model", "claude-sonnet-4-5"],
        expect!["hint: set ANTHROPIC_API_KEY: it is read from the environment"],
    );
    check(
        &["google", "--model", "gemini-2.5-flash"],
        expect!["hint: set GEMINI_API_KEY or GOOGLE_API_KEY: it is read from the environment"],
    );
    check(
        &["ollama", "--model", "qwen3"],
        expect!["hint: Ollama must be running (`ollama serve`) and have the model: `ollama pull qwen3`"],
    );
    check(
        &["anthropic"],
        expect![[r#"
        hint: set ANTHROPIC_API_KEY: it is read from the environment
        hint: name a model: `ai_model` in config.yaml, or `model:` in the agent's file"#]],
    );
    check(
        &["antropic", "--model", "large"],
        expect![[r#"
        error: there is no provider `antropic`
        hint: did you mean `anthropic`?
        hint: it is one of openai, openai-responses, anthropic, gemini, ollama, offline
        hint: one that speaks like OpenAI has an address: add `--base-url URL`"#]],
    );
    check(
        &["mistral", "--model", "large"],
        expect![[r#"
            error: there is no provider `mistral`
            hint: it is one of openai, openai-responses, anthropic, gemini, ollama, offline
            hint: one that speaks like OpenAI has an address: add `--base-url URL`"#]],
    );
}

#[test]
fn what_others_wrote_stays() {
    let home = Home::new();
    home.write("config.yaml", "# mine\nfrobnicate: 1\n");
    home.stn(&["init", "--provider", "offline"]).done();
    let config = home.read("config.yaml");
    let rest = config
        .strip_prefix("# mine\nfrobnicate: 1\nai_provider: \"offline\"\nai_model: \"offline\"\n")
        .unwrap();
    assert!(rest.starts_with("workspace_id: "), "{rest}");
}

#[test]
fn what_no_run_could_use_is_refused_before_anything_is_written() {
    for (args, sentence) in [
        (["--provider", "nosuch"], "there is no provider `nosuch`"),
        (["--base-url", "notaurl"], "`notaurl` is no address of a provider"),
        (["--base-url", "http://"], "`http://` is no address of a provider"),
    ] {
        let home = Home::new();
        let said = home.stn(&["init", "--yes", args[0], args[1]]);
        assert!(said.exits(1).stderr.contains(sentence), "{}", said.shown());
        assert!(!home.config("").exists());
    }
}

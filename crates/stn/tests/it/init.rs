//! `stn init`

use crate::home::Home;
use expect_test::expect;
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
        hint: set OPENAI_API_KEY: it is read from the environment
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

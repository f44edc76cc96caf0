//! `stn settings …`, `stn config set`

use crate::at_server::{ask, url};
use crate::home::Home;
use crate::http::Served;
use expect_test::expect;
use serde_json::json;

#[test]
fn a_setting_is_read_and_written_and_the_rest_stays() {
    let home = Home::new();
    let text = "# ours\r\nai_provider: offline # b\r\nexecution: {workers: 4}\r\ntelemetry: {kept: 1}\r\n";
    home.write("config.yaml", text);
    home.stn(&["settings", "set", "ai_provider", "openai"]).is(&expect![[r#"
        --- stderr
        Set `ai_provider` in $HOME/.config/station/config.yaml
    "#]]);
    home.stn(&["config", "set", "execution.timeout", "2m"]).done();
    home.stn_reading(&["settings", "set", "ai_api_key"], "sk-s3cret\n").done();
    let expected = text.replace("offline # b", "openai # b").replace("4}", "4, timeout: \"2m\"}");
    assert_eq!(home.read("config.yaml"), expected.clone() + "ai_api_key: sk-s3cret\r\n");
    home.stn(&["settings", "get", "execution.workers"]).is(&expect![[r#"
        4
    "#]]);
    home.stn(&["settings", "get", "ai_api_key"]).is(&expect![[r#"
        set
    "#]]);
    home.stn(&["settings", "get", "ai_model"]).is(&expect![[r#"
        --- stderr
        error: `ai_model` is not set
        hint: set it with `stn settings set ai_model VALUE`
        --- exit 1
    "#]]);
    home.stn(&["settings", "get", "ai_modle"]).is(&expect![[r#"
        --- stderr
        error: there is no setting `ai_modle`
        hint: did you mean `ai_model`?
        --- exit 1
    "#]]);
    home.stn(&["settings", "set", "execution.workers", "none"]).is(&expect![[r#"
        --- stderr
        error: `execution.workers` must be a whole number of 1 or more
        --- exit 1
    "#]]);
    home.stn(&["settings", "set", "otel_endpoint", "http://o"]).is(&expect![[r#"
        --- stderr
        Set `otel_endpoint` in $HOME/.config/station/config.yaml
    "#]]);
    for (name, value) in [
        ("otel_endpoint", "http://o"),
        ("runs.keep_days", "30"),
        ("limits.day.usd", "5"),
        ("execution.model_max.gpt-4o", "3"),
        ("debug", "true"),
    ] {
        home.stn(&["config", "set", name, value, "--quiet"]).done();
        assert_eq!(home.stn(&["settings", "get", name]).shown(), format!("{value}\n"));
        if name != "otel_endpoint" {
            home.stn(&["config", "set", name, "--unset", "--quiet"]).done();
        }
    }
    home.stn(&["settings", "set", "otel_endpoint", "--unset"]).is(&expect![[r#"
        --- stderr
        Took `otel_endpoint` out of $HOME/.config/station/config.yaml
    "#]]);
    home.stn(&["settings", "set", "ai_api_key", "--unset"]).done();
    assert_eq!(home.read("config.yaml"), expected);
    assert_eq!(home.json(&["settings", "list"]), home.json(&["config", "show"]));
    assert!(!home.config("station.key").exists(), "settings make no store");
}

#[test]
fn the_settings_of_a_server_are_read_and_changed_where_they_stand() {
    let home = Home::with_init();
    let config = format!("{}# ours\nai_api_key: s3cret-canary # b\n", home.read("config.yaml"));
    home.write("config.yaml", &config);
    let made = |name: &str, role: &str| home.key_of(name, &["--role", role]);
    let (root, ann) = (made("root", "admin"), made("ann", "viewer"));
    let (served, elsewhere) = (Served::start(&home), Home::new());
    let by = |key: &str, args: &[&str]| ask(&elsewhere, &url(&served), key, args);
    let asked = |args: &[&str]| by(&root, args);
    asked(&["settings", "set", "execution.workers", "7"]).is(&expect![[r#"
        --- stderr
        Set `execution.workers` in config.yaml of URL
        hint: a server keeps what it began with: start it again, and this holds
    "#]]);
    asked(&["settings", "get", "execution.workers"]).is(&expect![[r#"
        7
    "#]]);
    assert_eq!(home.read("config.yaml"), format!("{config}execution:\n  workers: 7\n"));
    asked(&["settings", "set", "execution.workers", "--unset"]).is(&expect![[r#"
        --- stderr
        Took `execution.workers` out of config.yaml of URL
        hint: a server keeps what it began with: start it again, and this holds
    "#]]);
    asked(&["settings", "get", "execution.workers"]).is(&expect![[r#"
        50
    "#]]);
    asked(&["settings", "get", "ai_api_key"]).is(&expect![[r#"
        set
    "#]]);
    asked(&["settings", "get", "models.fast"]).is(&expect![[r#"
        --- stderr
        error: `models.fast` is not set
        hint: set it with `stn settings set models.fast VALUE`
        --- exit 1
    "#]]);
    asked(&["settings", "get", "execution.wokers"]).is(&expect![[r#"
        --- stderr
        error: there is no setting `execution.wokers`
        hint: did you mean `execution.workers`?
        --- exit 1
    "#]]);
    asked(&["settings", "set", "execution.workers", "many"]).is(&expect![[r#"
        --- stderr
        error: `execution.workers` must be a whole number of 1 or more
        --- exit 1
    "#]]);
    asked(&["settings", "set", "ai_api_key", "another-canary"]).is(&expect![[r#"
        --- stderr
        Set `ai_api_key` in config.yaml of URL
        hint: it stands in your shell's history now: give a secret on standard input
        hint: a server keeps what it began with: start it again, and this holds
    "#]]);
    by(&ann, &["settings", "list"]).is(&expect![[r#"
        --- stderr
        error: `ann` may not change settings: its role is `viewer`
        hint: ask somebody whose role is at least `admin`
        --- exit 1
    "#]]);
    asked(&["config", "show"]).is(&expect![[r#"
        --- stderr
        error: `stn config show` shows what config.yaml and the environment mean on this machine, so URL cannot do it
        hint: `stn settings` asks a server what its config.yaml says, and changes it
        hint: STN_SERVER names a server: without it, the Station of this machine is meant
        --- exit 1
    "#]]);
    let listed = asked(&["settings", "list", "--json"]).done().stdout.clone();
    assert!(!listed.contains("canary"), "{listed}");
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let row =
        |name: &str| listed["settings"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
    assert_eq!(*row("ai_api_key"), json!({ "name": "ai_api_key", "value": "set", "from": "config.yaml" }));
    assert_eq!(*row("discovery.ttl"), json!({ "name": "discovery.ttl", "value": "24h", "from": "default" }));
    assert_eq!(
        (&listed["count"], &listed["unknown"]),
        (&json!(listed["settings"].as_array().unwrap().len()), &json!(null))
    );
    assert!(home.read("config.yaml").contains("ai_api_key: another-canary # b"));
    assert!(!elsewhere.config("config.yaml").exists(), "it was written here");
    served.stop();
}

/// It was written, and no command worked from then on.
#[test]
fn a_value_that_nothing_can_be_done_with_is_not_written() {
    let home = Home::with_init();
    let before = home.read("config.yaml");
    let mut said = String::new();
    for (name, value) in [
        ("log_level", "nonsense"),
        ("log_level", "station_engine=loud"),
        ("ai_base_url", "notaurl"),
        ("otel_endpoint", "xx"),
        ("ai_provider", "nosuchprov"),
        ("api_port", "99999"),
        ("execution.workers", "99999999999"),
    ] {
        said += &home.stn(&["config", "set", name, value]).exits(1).stderr;
    }
    expect![[r#"
        error: `nonsense` says no levels of the log
        hint: write error, warn, info, debug or trace, or levels by module: `info,station_mcp=debug`
        error: `station_engine=loud` says no levels of the log
        hint: write error, warn, info, debug or trace, or levels by module: `info,station_mcp=debug`
        error: `notaurl` is no address of a provider
        hint: it looks like http://127.0.0.1:8000/v1
        error: `otel_endpoint` is `xx`, and no address of a collector
        hint: write where it takes OTLP over HTTP: `http://localhost:4318`
        error: there is no provider `nosuchprov`
        hint: it is one of openai, openai-responses, anthropic, gemini, ollama, offline
        hint: one that speaks like OpenAI has an address: set `ai_base_url` before it
        error: `api_port` must be a whole number from 1 to 65535
        error: `execution.workers` must be a whole number from 1 to 4294967295
    "#]]
    .assert_eq(&said);
    assert_eq!(home.read("config.yaml"), before);
    for (name, value) in
        [("ai_base_url", "http://127.0.0.1:9/v1"), ("ai_provider", "own"), ("log_level", "warn,stn=debug")]
    {
        home.stn(&["config", "set", name, value]).done();
    }
}

#[test]
fn wrong_levels_of_the_log_are_mended_by_the_command_that_sets_them() {
    let home = Home::with_init();
    let text = home.read("config.yaml");
    home.write("config.yaml", &format!("{text}log_level: nonsense\n"));
    home.stn(&["agent", "list"]).exits(1);
    let doctor = home.stn(&["doctor"]).exits(1).shown();
    assert!(doctor.contains("bad  log  `nonsense` in config.yaml says no levels of the log"), "{doctor}");
    home.stn(&["config", "set", "log_level", "--unset"]).is(&expect![[r#"
        --- stderr
        warning: `nonsense` in config.yaml says no levels of the log
        hint: write error, warn, info, debug or trace, or levels by module: `info,station_mcp=debug`
        Took `log_level` out of $HOME/.config/station/config.yaml
    "#]]);
    home.stn(&["agent", "list"]).done();
}

#[test]
fn a_duration_is_told_as_it_can_be_set() {
    let home = Home::new();
    home.stn(&["settings", "set", "execution.timeout", "5m"]).done();
    let told = home.stn(&["settings", "get", "execution.timeout"]).stdout.clone();
    assert_eq!(told, "5m\n");
    home.stn(&["settings", "set", "execution.timeout", told.trim()]).done();
}

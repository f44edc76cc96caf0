//! `stn settings …`, `stn config set`

use crate::home::Home;
use expect_test::expect;

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

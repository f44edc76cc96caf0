//! `stn config …`, and where settings come from.

use crate::home::Home;
use expect_test::expect;

#[test]
fn every_setting_says_where_it_comes_from() {
    let home = Home::new()
        .set("STN_AI_MODEL", "gpt-4o")
        .set("OPENAI_API_KEY", "sk-s3cret")
        .set("STATION_DATABASE", "postgres://ann:s3cret@db.example.com/station");
    home.write(
        "config.yaml",
        "ai_provider: openai\nai_model: old\nai_api_key: ${NOT_SET}\nmodels: {fast: openai/gpt-4o-mini}\n\
         execution: {timeout: 2m, workers: 4, agent_max: 3, model_max: {fast: 2}}\notel_endpoint: http://o\ntelemetry: {enabled: false}\n",
    );
    let said = home.stn(&["config", "show"]);
    said.is(&expect![[r#"
        SETTING  VALUE  FROM
        config folder  $HOME/.config/station  default
        config file  $HOME/.config/station/config.yaml  default
        database  postgres://db.example.com/station  STATION_DATABASE
        workspace  $HOME/.config/station  default
        workspace_id  -
        files  readwrite  default
        encryption key  -
        ai_provider  openai  config.yaml
        ai_model  gpt-4o  STN_AI_MODEL
        ai_base_url  -
        ai_api_key  not set: it asks for NOT_SET  config.yaml
        OPENAI_API_KEY  set  environment
        ANTHROPIC_API_KEY  -
        GEMINI_API_KEY  -
        GOOGLE_API_KEY  -
        OLLAMA_HOST  -
        models.fast  openai/gpt-4o-mini  config.yaml
        execution.timeout  2m  config.yaml
        execution.workers  4  config.yaml
        execution.queue  1000  default
        execution.environment_max  -
        execution.agent_max  3  config.yaml
        execution.model_max  fast: 2  config.yaml
        execution.drain_s  25s  default
        pool.processes_max  128  default
        pool.idle_close  5m  default
        context.result_bytes_max  65536  default
        discovery.ttl  24h  default
        discovery.timeout  1m  default
        approvals.timeout  30d  default
        limits.run  -
        limits.day  -
        runs.keep_days  -
        rate_limits  -
        child_env  -
        env_passthrough  -
        api_host  127.0.0.1  default
        api_port  0  STN_API_PORT
        mcp_port  -
        http.requests_max  512  default
        http.streams_max  256  default
        http.user_per_minute  6000  default
        http.address_per_minute  12000  default
        http.administrator_per_minute  0  default
        http.headers_max  100  default
        http.head_bytes_max  65536  default
        http.body_bytes_max  16777216  default
        http.body_within  30s  default
        http.public_url  -
        oauth.issuer  -
        oauth.audience  -
        oauth.user_claim  sub  default
        oauth.scope_prefix  -
        oauth.token_type  at+jwt  default
        oauth.jwks_url  -
        oauth.allow_private  false  default
        tls.cert  -
        tls.key  -
        tls.client_ca  -
        tls.redirect_port  -
        cors.origins  -
        log level  off  default
        log format  text  default
        --- stderr
        warning: config.yaml has keys that Station does not know; they are kept: telemetry
    "#]]);
    assert!(!said.stdout.contains("s3cret"));
    let json = home.json(&["config", "show"]);
    assert_eq!(json["unknown"][0], "telemetry");
    assert!(!home.config("station.key").exists(), "looking makes nothing");
}

#[test]
fn a_broken_configuration_is_told_with_its_place() {
    let home = Home::new();
    home.write("config.yaml", "ai_provider: openai\nexecution: {timeout: soon}\n");
    home.stn(&["agent", "list"]).is(&expect![[r#"
        --- stderr
        error: $HOME/.config/station/config.yaml:2:22: `execution.timeout` must be a duration like `30s`, `10m` or `1h30m`, or a number of seconds
          2 | execution: {timeout: soon}
            |                      ^
        --- exit 1
    "#]]);
}

#[test]
fn the_folder_is_chosen_by_flag_then_environment() {
    let home = Home::new();
    for (args, variable, folder) in [
        (vec!["--config", "team"], None, "team"),
        (vec!["--config", "team2/config.yaml"], Some(("STATION_CONFIG_DIR", "dir")), "team2"),
        (vec![], Some(("STATION_CONFIG_DIR", "dir")), "dir"),
    ] {
        let mut command = home.command(&args);
        command.args(["init", "--yes"]).envs(variable.map(|(name, value)| (name, home.path().join(value))));
        assert!(command.output().unwrap().status.success());
        assert!(home.path().join(folder).join("station.db").exists(), "{folder}");
    }
    assert!(!home.config("").exists());
}

#[test]
fn a_mistyped_configuration_makes_no_home() {
    let home = Home::new();
    for path in ["nowhere", "nowhere/config.yaml"] {
        for args in [["agent", "list"], ["config", "show"]] {
            let said = home.stn(&["--config", path, args[0], args[1]]);
            assert!(said.exits(1).stderr.contains("and there is nothing"), "{}", said.shown());
        }
        assert!(!home.path().join("nowhere").exists());
    }
}

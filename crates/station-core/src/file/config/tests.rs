//! Rows for every key.

use super::*;
use crate::budget::{Caps, Limits};

/// The config of the fixture workspace, written by the Go program.
const FIXTURE: &str = "\
admin_username: admin
ai_model: gemini-2.5-flash
ai_provider: gemini
api_port: 8585
database_url: /home/user/.config/station/station.db
debug: false
dev_mode: false
encryption_key: 5b6c68970632ec436f93e7fbbaa039a9cc694d4284d3ab006b07e88c2861d053
harness:
    compaction:
        enabled: true
        threshold: \"0.85\"
lattice_url: \"\"
mcp_port: 8586
otel_endpoint: http://localhost:4318
otel_content: true
ssh_port: 2222
telemetry_enabled: false
";

#[test]
fn the_config_of_an_old_home_is_read() {
    let (config, problems) = read(FIXTURE, "config.yaml");
    assert_eq!(problems, []);
    let config = config.unwrap();
    assert_eq!(config.ai_provider.as_deref(), Some("gemini"));
    assert_eq!(config.ai_model.as_deref(), Some("gemini-2.5-flash"));
    assert_eq!(config.database_url.unwrap().expose(), "/home/user/.config/station/station.db");
    assert_eq!((config.api_port, config.mcp_port, config.debug), (Some(8585), Some(8586), Some(false)));
    assert_eq!(config.encryption_key.unwrap().expose().len(), 64);
    assert_eq!(
        config.unknown,
        ["admin_username", "dev_mode", "harness", "lattice_url", "ssh_port", "telemetry_enabled"]
    );
}

#[test]
fn every_key_is_understood() {
    let (config, problems) = read(
        "ai_api_key: ${KEY}\nai_base_url: http://x/v1\nworkspace: /w\nworkspace_id: abc\nfiles: readonly\n\
         models: {gpt-4o-mini: anthropic/claude, x: y}\nenv_passthrough: [A, B]\nchild_env: [HTTPS_PROXY]\n\
         execution: {workers: 5, queue: 10, timeout: 10m, drain_s: 25}\npool: {processes_max: 7, idle_close: 90s}\n\
         discovery: {ttl: 1h30m, timeout: 20s}\napprovals: {timeout: 7d}\nruns: {keep_days: 30, colour: red}\n\
         context: {result_bytes_max: 9000, windows: {\"gpt-4o*\": 64000, own: 500}}\n",
        "",
    );
    assert_eq!(problems, []);
    let config = config.unwrap();
    assert_eq!(config.ai_api_key.unwrap().expose(), "${KEY}");
    assert_eq!(config.files, Files::ReadOnly);
    assert_eq!(config.models["gpt-4o-mini"], "anthropic/claude");
    assert_eq!((config.env_passthrough.len(), config.child_env.len()), (2, 1));
    let execution = Execution {
        workers: Some(5),
        queue: Some(10),
        timeout_ms: Some(600_000),
        drain_s: Some(25),
        concurrency: crate::Concurrency::UNLIMITED,
    };
    assert_eq!(config.execution, execution);
    assert_eq!(config.pool, Pool { processes_max: Some(7), idle_close_ms: Some(90_000) });
    assert_eq!(config.discovery, Discovery { ttl_ms: Some(5_400_000), timeout_ms: Some(20_000) });
    assert_eq!(config.approvals.timeout_ms, Some(7 * 86_400_000));
    assert_eq!((config.runs.keep_days, config.context.result_bytes_max), (Some(30), Some(9_000)));
    assert_eq!(config.context.windows, [("gpt-4o*".to_owned(), 64_000), ("own".to_owned(), 500)].into());
    assert_eq!(config.unknown, ["runs.colour"]);
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_without_its_value() {
    for (text, expected) in [
        ("", None),
        ("ai_model:\n", None),
        ("encryption_key: \"\"\n", None),
        ("debug: sometimes", Some("c:1:8: `debug` must be `true` or `false`")),
        ("x: 1\napi_port: 99999", Some("c:2:11: `api_port` must be a whole number from 1 to 65535")),
        ("encryption_key: abc", Some("c:1:17: `encryption_key` must be 64 hexadecimal digits")),
        ("files: maybe", Some("c:1:8: `files` must be `readwrite` or `readonly`")),
        ("ai_model: [a]", Some("c:1:11: `ai_model` must be a text")),
        ("execution:\n  timeout: 0", Some("c:2:12: `execution.timeout` must be longer than nothing")),
        ("runs: {keep_days: 0}", Some("c:1:19: `runs.keep_days` must be a whole number of 1 or more")),
        (
            "limits: {day: {usd: 1e3}}",
            Some(
                "c:1:21: `limits.day.usd` must be an amount of USD above 0 with at most six decimals, like `1.50`",
            ),
        ),
        ("limits: {tokens: 0}", Some("c:1:18: `limits.tokens` must be a whole number of 1 or more")),
        (
            "prices: {m: {input: 1}}",
            Some("c:1:10: `prices.m` must say `input` and `output`, prices per million tokens"),
        ),
        (
            "prices: {m: {input: -1}}",
            Some(
                "c:1:21: `prices.m.input` must be a price per million tokens with at most six decimals, like `0.15`",
            ),
        ),
        (
            "rate_limits: {servers: {x: 0}}",
            Some("c:1:28: `rate_limits.servers.x` must be a whole number of 1 or more"),
        ),
        ("pool: 3", Some("c:1:7: `pool` must be a map of names to values")),
        ("a: 1\na: 2", Some("c:2:1: `a` stands twice in `the file`")),
        ("a: 1\n b: 2", Some("c:2:3: this is not YAML: mapping values are not allowed in this context")),
    ] {
        let (config, problems) = read(text, "c");
        let told = problems.first().map(ToString::to_string);
        assert_eq!((config.is_none(), told.as_deref()), (expected.is_some(), expected), "{text}");
    }
}

#[test]
fn durations_are_read() {
    for (text, ms) in [
        ("10m", Some(600_000)),
        ("30s", Some(30_000)),
        ("1h30m", Some(5_400_000)),
        ("500ms", Some(500)),
        ("2d", Some(172_800_000)),
        ("15", Some(15_000)),
        ("0", Some(0)),
        ("", None),
        ("m", None),
        ("5", Some(5_000)),
        ("5x", None),
        ("5m3", None),
        ("-5m", None),
        ("99999999999999999999h", None),
        ("18446744073709551615", None),
    ] {
        assert_eq!(duration_ms(text), ms, "{text}");
    }
}

#[test]
fn names_in_a_text_are_expanded() {
    let lookup = |name: &str| (name == "A").then(|| "1${B}".to_owned());
    for (text, expected) in [
        ("x", Ok("x")),
        ("${A}", Ok("1${B}")),
        ("-${A}-${A}-", Ok("-1${B}-1${B}-")),
        ("$A ${ ${} ${a b} $", Ok("$A ${ ${} ${a b} $")),
        ("${C}${A}${B}${C}", Err(vec!["C".to_owned(), "B".to_owned()])),
    ] {
        assert_eq!(expand(text, &lookup), expected.map(str::to_owned), "{text}");
    }
}

#[test]
fn limits_prices_and_rates_are_read() {
    let (config, problems) = read(
        "limits: {tokens: 50_000, run: {usd: 0.5, tokens: 60000}, day: {calls: 7, time: 2h, colour: red}}\n\
         prices:\n  openai/gpt-4o-mini: {input: 0.15, output: .6, cached: 0.075, date: 2026-11-01, source: a page}\n  \
         local*: {input: 0, output: 0, reasoning: 1, currency: eur}\n\
         rate_limits:\n  providers: {openai: {requests_per_min: 60, tokens_per_min: 90000}}\n  servers: {github: 30, prod/github: 10}\n",
        "c",
    );
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "c:1:84: `limits.day.colour` is kept, but has no effect here",
            "c:4:3: `prices.local*` does not say from when and where its price is",
        ]
    );
    let config = config.unwrap();
    let run = Caps { tokens: Some(50_000), micro_usd: Some(500_000), ..Caps::default() };
    let day = Caps { calls: Some(7), time_ms: Some(7_200_000), ..Caps::default() };
    assert_eq!(config.limits, Limits { run, day });
    let mini = &config.prices.rows["openai/gpt-4o-mini"];
    assert_eq!((mini.input, mini.output, mini.cached), (150_000, 600_000, Some(75_000)));
    assert_eq!((mini.date.as_deref(), mini.source.as_deref()), (Some("2026-11-01"), Some("a page")));
    let local = &config.prices.rows["local*"];
    assert_eq!((local.currency.as_str(), local.reasoning), ("EUR", Some(1_000_000)));
    let openai = ProviderRate { requests_per_min: Some(60), tokens_per_min: Some(90_000) };
    assert_eq!(config.rate_limits.providers["openai"], openai);
    assert_eq!(config.rate_limits.servers["prod/github"], 10);
}

#[test]
fn a_slip_in_a_key_is_met_with_the_key_that_has_effect() {
    for (text, expected) in [
        ("ai_modle: x", "`ai_modle` is kept, but has no effect here: did you mean `ai_model`?"),
        (
            "execution: {worker: 3}",
            "`execution.worker` is kept, but has no effect here: did you mean `execution.workers`?",
        ),
        ("limit: {run: {usd: 1}}", "`limit` is kept, but has no effect here: did you mean `limits`?"),
    ] {
        let (_, problems) = read(text, "");
        let told: Vec<String> = problems
            .iter()
            .map(|it| format!("{}: {}", it.sentence, it.hint.as_deref().unwrap_or_default()))
            .collect();
        assert_eq!(told, [expected], "{text}");
    }
}

#[test]
fn a_duration_is_shown_as_it_is_read() {
    for (ms, shown) in [
        (0, "0s"),
        (300_000, "5m"),
        (90_500, "1m30s500ms"),
        (5_400_000, "1h30m"),
        (86_400_000, "24h"),
        (30 * 86_400_000, "30d"),
    ] {
        assert_eq!(duration_shown(ms), shown);
        assert_eq!(duration_ms(shown), Some(ms));
    }
}

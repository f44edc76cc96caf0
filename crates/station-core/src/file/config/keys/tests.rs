//! Every row is read, and what is set is what is read back.

use super::*;

/// A value that each key takes.
fn sample(key: &Key) -> String {
    match (key.name, key.shape) {
        ("encryption_key", _) => "0".repeat(64),
        ("limits.run" | "limits.day", _) => "{tokens: 5}".to_owned(),
        ("prices", _) => "{m: {input: 1, output: 2, date: 2026-11-01, source: a list}}".to_owned(),
        ("rate_limits", _) => "{providers: {openai: {requests_per_min: 5}}}".to_owned(),
        ("context.windows", _) => "{m: 5000}".to_owned(),
        ("http.public_url" | "oauth.issuer" | "oauth.jwks_url", _) => "https://a.example".to_owned(),
        ("http.head_bytes_max" | "http.body_bytes_max", _) => "2048".to_owned(),
        (_, Shape::Number | Shape::NumberOrMap | Shape::Duration) => "5".to_owned(),
        (_, Shape::Flag) => "true".to_owned(),
        (_, Shape::Word(words)) => words[words.len() - 1].to_owned(),
        ("cors.origins", _) => "[\"https://a.example\"]".to_owned(),
        (_, Shape::Names) => "[A]".to_owned(),
        (_, Shape::Map(_)) => "{a: b}".to_owned(),
        (_, Shape::Text | Shape::Secret | Shape::Block | Shape::Made(_)) => "x".to_owned(),
    }
}

#[test]
fn the_reader_knows_every_row() {
    for key in KEYS {
        let indented = key.name.split('.').enumerate();
        let lines: Vec<String> =
            indented.map(|(depth, part)| format!("{}{part}:", "  ".repeat(depth))).collect();
        let text = format!("{} {}\n", lines.join("\n"), sample(key));
        let (config, problems) = super::super::read(&text, "");
        assert_eq!(problems, [], "{text}");
        let config = config.expect("it is sound");
        assert_eq!(config.unknown, Vec::<String>::new(), "{text}");
        assert_ne!(config, super::super::Config::default(), "{text} says nothing");
    }
}

#[track_caller]
fn check(text: &str, name: &str, value: &str, expected: &str) {
    let shown = match set(text, name, value) {
        Ok(text) => text,
        Err(error) => format!("{error}; {}", error.hints().join("; ")),
    };
    assert_eq!(shown, expected, "{name} = {value}");
}

#[test]
fn a_setting_is_written_where_it_stands() {
    let text = "# ours\nai_model: a # b\nexecution: {workers: 4}\ntelemetry: {kept: 1}\n";
    check(text, "ai_model", "gpt-4o", &text.replace("a # b", "gpt-4o # b"));
    check(text, "execution.workers", "8", &text.replace('4', "8"));
    check(text, "execution.timeout", "2m", &text.replace("4}", "4, timeout: \"2m\"}"));
    check("", "context.windows.gpt-4.1", "9000", "context:\n  windows:\n    gpt-4.1: 9000\n");
    check("", "models.fast", "openai/x", "models:\n  fast: openai/x\n");
    check("", "child_env", "A, B", "child_env: [\"A\", \"B\"]\n");
    check("", "debug", "true", "debug: true\n");
    check("", "limits.run.usd", "2", "limits:\n  run:\n    usd: 2\n");
}

#[test]
fn what_was_set_is_what_is_read_back() {
    for (name, value, shown) in [
        ("ai_model", "gpt-4o", "gpt-4o"),
        ("api_host", "0.0.0.0", "0.0.0.0"),
        ("api_port", "8585", "8585"),
        ("otel_endpoint", "http://localhost:4318", "http://localhost:4318"),
        ("debug", "true", "true"),
        ("otel_content", "true", "true"),
        ("limits.day.usd", "5", "5"),
        ("execution.model_max.gpt-4.1", "3", "3"),
        ("execution.timeout", "2m", "2m"),
        ("child_env", "A, B", "A, B"),
    ] {
        let text = set("# ours\n", name, value).expect(name);
        assert_eq!(Written::read(&text).value(name).expect(name).as_deref(), Some(shown), "{text}");
    }
    assert_eq!(
        Written::read("limits: {day: {usd: 5}}").value("limits.day").expect("known").as_deref(),
        Some("{\"usd\":5}")
    );
    assert_eq!(Written::read("ai_api_key: s3cret").value("ai_api_key").expect("known"), None);
    assert!(Written::read("ai_api_key: s3cret").has("ai_api_key").expect("known"));
    assert!(!Written::read("ai_api_key:").has("ai_api_key").expect("known"));
    assert!(!Written::read("").has("limits.day").expect("known"));
    assert_eq!(Written::read("").value("debug").expect("known"), None);
    assert!(Written::read("").value("speed").is_err());
}

#[test]
fn what_does_not_fit_is_said() {
    check("", "ai_modle", "x", "there is no setting `ai_modle`; did you mean `ai_model`?");
    check("", "execution.workers", "many", "`execution.workers` must be a whole number of 1 or more; ");
    check("", "files", "maybe", "`files` must be `readwrite` or `readonly`; ");
    check("", "models", "x", "`models` is not set this way; name what is below it: `models.NAME`");
    check("", "encryption_key", "x", "`encryption_key` is not set this way; use `stn key set`");
    check("ai_model: [\n", "ai_model", "x", "this is not YAML: unclosed bracket '['; ");
}

#[test]
fn a_setting_is_taken_out() {
    let text = "ai_model: a\nexecution: {workers: 4}\n";
    assert_eq!(unset(text, "execution.workers").expect("it is there"), "ai_model: a\n");
    assert!(unset(text, "speed").is_err());
}

#[test]
fn what_two_texts_say_differently_is_told_by_key() {
    let check = |before: &str, after: &str, expected: &[&str]| {
        let differing = Written::read(before).differing(&Written::read(after));
        assert_eq!(
            differing.iter().map(|key| key.name).collect::<Vec<_>>(),
            expected,
            "{before:?} {after:?}"
        );
    };
    check("", "", &[]);
    check("ai_model: a # old\n", "# new\nai_model: \"a\"\n", &[]);
    check("telemetry: 1\n", "telemetry: 2\n", &[]);
    check(
        "ai_model: a\nai_api_key: x\n",
        "ai_api_key: y\ndebug: true\n",
        &["ai_model", "ai_api_key", "debug"],
    );
    check("execution: {workers: 4}\n", "execution:\n  workers: 4\n  queue: 9\n", &["execution.queue"]);
    check("models: {a: b}\n", "models: {a: c}\n", &["models"]);
    check("debug:\n", "", &[]);
}

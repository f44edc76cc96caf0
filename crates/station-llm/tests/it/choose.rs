//! From what people write to models, by the rules of formats.md.

use expect_test::{Expect, expect};
use station_core::Secret;
use station_llm::{Config, Models};

/// `settings` are words like `provider=openai`; `KEY` alone is a variable that is set; `map:a=b` an entry of `models:`.
fn config(settings: &str) -> Config {
    let mut config = Config::default();
    for word in settings.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, "sk-x"));
        let text = || Some(value.to_owned());
        match name {
            "provider" => config.provider = text(),
            "model" => config.model = text(),
            "base" => config.base_url = text(),
            "key" => config.api_key = Some(Secret::new(value)),
            "ollama" => config.ollama_host = text(),
            _ => match name.strip_prefix("map:") {
                Some(from) => drop(config.map.insert(from.to_owned(), value.to_owned())),
                None => drop(config.keys.insert(name.to_owned(), Secret::new(value))),
            },
        }
    }
    config
}

fn check(settings: &str, written: &str, expected: Expect) {
    let written: Vec<String> = written.split_whitespace().map(str::to_owned).collect();
    let shown = match Models::new(config(settings)).choices(&written) {
        Ok(choices) => {
            let usable = choices.usable.iter().map(|choice| {
                let tools = if choice.tools { "" } else { " (no tools)" };
                let schema = if choice.schema { "" } else { " (no schema)" };
                format!("{}{tools}{schema}", choice.model)
            });
            let skipped = choices.skipped.iter().map(|(name, why)| format!("skipped {name}: {why}"));
            usable.chain(skipped).collect::<Vec<_>>().join("\n")
        }
        Err(error) => {
            let hints = error.hints().iter().map(|hint| format!("\nhint: {hint}")).collect::<String>();
            format!("error: {error}{hints}")
        }
    };
    expected.assert_eq(&shown);
}

#[test]
fn a_bare_name_goes_to_the_provider_its_prefix_tells() {
    check("OPENAI_API_KEY", "gpt-4o-mini", expect!["openai/gpt-4o-mini"]);
    check("OPENAI_API_KEY", "o3-mini", expect!["openai/o3-mini"]);
    check("OPENAI_API_KEY provider=ollama model=llama3", "gpt-4o", expect!["openai/gpt-4o"]);
    check("OPENAI_API_KEY", "openai/gpt-4o", expect!["openai/gpt-4o"]);
    check("OPENAI_API_KEY", "gpt-3.5-turbo", expect!["openai/gpt-3.5-turbo (no schema)"]);
    check("OPENAI_API_KEY", "o1-mini", expect!["openai/o1-mini (no tools) (no schema)"]);
    check("OPENAI_API_KEY", "gpt-4", expect!["openai/gpt-4 (no schema)"]);
    check("", "offline", expect!["offline"]);
    check("provider=offline", "", expect!["offline"]);
    check("ollama=0.0.0.0", "ollama/llama3", expect!["ollama/llama3"]);
}

#[test]
fn a_bare_name_goes_to_the_configured_provider_if_it_has_an_address() {
    let gateway = "provider=gateway base=http://gw/v1";
    check(gateway, "gpt-4o-mini", expect!["gateway/gpt-4o-mini"]);
    check(gateway, "claude-sonnet", expect!["gateway/claude-sonnet"]);
    check(gateway, "meta-llama/llama-3", expect!["gateway/meta-llama/llama-3"]);
    check(gateway, "gateway/openai/gpt-4o", expect!["gateway/openai/gpt-4o"]);
    check(gateway, "offline", expect!["offline"]);
    check("provider=anthropic base=http://gw/v1", "claude-sonnet", expect!["anthropic/claude-sonnet"]);
    check("base=http://gw/v1 model=qwen3", "", expect!["openai/qwen3"]);
}

#[test]
fn each_provider_by_its_name() {
    check("ANTHROPIC_API_KEY", "claude-sonnet-4-5", expect!["anthropic/claude-sonnet-4-5"]);
    check("GEMINI_API_KEY", "gemini-2.5-pro", expect!["gemini/gemini-2.5-pro"]);
    check("GOOGLE_API_KEY", "google/gemini-2.5-pro", expect!["gemini/gemini-2.5-pro"]);
    check("provider=google key model=gemini-2.5-pro", "", expect!["gemini/gemini-2.5-pro"]);
    check("provider=google key model=google/gemini-2.5-pro", "", expect!["gemini/gemini-2.5-pro"]);
    check("OPENAI_API_KEY", "openai-responses/gpt-5", expect!["openai-responses/gpt-5"]);
    // Who configured OpenAI's other dialect means it for bare names too, and for no full ones.
    check(
        "OPENAI_API_KEY provider=openai-responses model=gpt-5",
        "gpt-4o",
        expect!["openai-responses/gpt-4o"],
    );
    check("OPENAI_API_KEY provider=openai-responses model=gpt-5", "openai/gpt-4o", expect!["openai/gpt-4o"]);
    check(
        "provider=openai-responses model=gpt-5",
        "",
        expect![[r#"
            error: model `openai-responses/gpt-5` needs a key: `OPENAI_API_KEY` or `STN_AI_API_KEY` is not set
            hint: set `OPENAI_API_KEY` or `STN_AI_API_KEY`
            hint: or map the name to a model you have, in config.yaml: `models: {gpt-5: <provider>/<model>}`"#]],
    );
    check(
        "",
        "google/gemini-2.5-pro",
        expect![[r#"
            error: model `gemini/gemini-2.5-pro` needs a key: `GEMINI_API_KEY` or `GOOGLE_API_KEY` is not set
            hint: set `GEMINI_API_KEY` or `GOOGLE_API_KEY`
            hint: or map the name to a model you have, in config.yaml: `models: {gemini-2.5-pro: <provider>/<model>}`"#]],
    );
}

#[test]
fn the_map_comes_first() {
    check("OPENAI_API_KEY map:gpt-4o-mini=openai/gpt-5", "gpt-4o-mini", expect!["openai/gpt-5"]);
    check("OPENAI_API_KEY map:gpt-4o-mini=openai/gpt-5", "openai/gpt-4o-mini", expect!["openai/gpt-5"]);
    check("OPENAI_API_KEY map:openai/gpt-4o-mini=gpt-5", "gpt-4o-mini", expect!["openai/gpt-5"]);
    check("map:gpt-4o-mini=ollama/llama3", "gpt-4o-mini", expect!["ollama/llama3"]);
    check("map:gpt-4o-mini=offline", "gpt-4o-mini", expect!["offline"]);
    check("map:gpt-4o-mini=ollama/llama3", "ollama/gpt-4o-mini", expect!["ollama/gpt-4o-mini"]);
    check("provider=openai model=fast map:fast=ollama/llama3", "", expect!["ollama/llama3"]);
}

#[test]
fn what_is_missing_is_named() {
    check(
        "",
        "",
        expect![[r#"
        error: no model is configured
        hint: set `STN_AI_PROVIDER` and `STN_AI_MODEL`, or `model:` in the agent's file, e.g. openai/gpt-4o-mini
        hint: for first steps without a provider: `--model offline`, Station's built-in rules"#]],
    );
    check(
        "provider=openai",
        "",
        expect![[r#"
        error: provider `openai` is configured, but no model
        hint: set `STN_AI_MODEL`, `ai_model` in config.yaml, or `model:` in the agent's file"#]],
    );
    check(
        "",
        "gpt-4o-mini",
        expect![[r#"
        error: model `openai/gpt-4o-mini` needs a key: `OPENAI_API_KEY` is not set
        hint: set `OPENAI_API_KEY`
        hint: or map the name to a model you have, in config.yaml: `models: {gpt-4o-mini: <provider>/<model>}`"#]],
    );
    check(
        "provider=openai",
        "gpt-4o-mini",
        expect![[r#"
        error: model `openai/gpt-4o-mini` needs a key: `OPENAI_API_KEY` or `STN_AI_API_KEY` is not set
        hint: set `OPENAI_API_KEY` or `STN_AI_API_KEY`
        hint: or map the name to a model you have, in config.yaml: `models: {gpt-4o-mini: <provider>/<model>}`"#]],
    );
    check(
        "",
        "some-model",
        expect![[r#"
        error: nothing says which provider has the model `some-model`
        hint: set `STN_AI_PROVIDER` and `STN_AI_MODEL`, or `model:` in the agent's file, e.g. openai/gpt-4o-mini
        hint: for first steps without a provider: `--model offline`, Station's built-in rules"#]],
    );
    check(
        "",
        "claude-sonnet",
        expect![[r#"
            error: model `anthropic/claude-sonnet` needs a key: `ANTHROPIC_API_KEY` is not set
            hint: set `ANTHROPIC_API_KEY`
            hint: or map the name to a model you have, in config.yaml: `models: {claude-sonnet: <provider>/<model>}`"#]],
    );
    check(
        "",
        "mistral/large",
        expect![[r#"
            error: provider `mistral` is not known
            hint: known are openai, openai-responses, anthropic, gemini, ollama, offline; others by `STN_AI_PROVIDER` and `STN_AI_BASE_URL`
            hint: or map the name in config.yaml: `models: {<name>: <provider>/<model>}`"#]],
    );
    check(
        "",
        "openai/",
        expect![[r#"
        error: `openai/` names a provider, but no model
        hint: set `STN_AI_PROVIDER` and `STN_AI_MODEL`, or `model:` in the agent's file, e.g. openai/gpt-4o-mini
        hint: for first steps without a provider: `--model offline`, Station's built-in rules"#]],
    );
    check(
        "provider=openai base=gw",
        "gpt-4o",
        expect![[r#"
            error: the configured address of the models is no http or https URL
            hint: set `STN_AI_BASE_URL` or `ai_base_url`, e.g. https://models.example.com/v1"#]],
    );
}

#[test]
fn the_configured_key_and_address_go_to_no_other_provider() {
    check(
        "provider=gateway base=http://gw/v1 key",
        "openai/gpt-4o",
        expect![[r#"
        error: model `openai/gpt-4o` needs a key: `OPENAI_API_KEY` is not set
        hint: set `OPENAI_API_KEY`
        hint: or map the name to a model you have, in config.yaml: `models: {gpt-4o: <provider>/<model>}`"#]],
    );
    check(
        "provider=anthropic key",
        "gpt-4o",
        expect![[r#"
        error: model `openai/gpt-4o` needs a key: `OPENAI_API_KEY` is not set
        hint: set `OPENAI_API_KEY`
        hint: or map the name to a model you have, in config.yaml: `models: {gpt-4o: <provider>/<model>}`"#]],
    );
    check("provider=openai key", "gpt-4o", expect!["openai/gpt-4o"]);
}

#[test]
fn of_several_what_cannot_be_used_is_skipped_with_its_reason() {
    check(
        "OPENAI_API_KEY",
        "claude-sonnet gpt-4o offline",
        expect![[r#"
            openai/gpt-4o
            offline
            skipped claude-sonnet: model `anthropic/claude-sonnet` needs a key: `ANTHROPIC_API_KEY` is not set"#]],
    );
    check(
        "",
        "gpt-4o claude-sonnet",
        expect![[r#"
        error: model `openai/gpt-4o` needs a key: `OPENAI_API_KEY` is not set
        hint: set `OPENAI_API_KEY`
        hint: or map the name to a model you have, in config.yaml: `models: {gpt-4o: <provider>/<model>}`"#]],
    );
}

/// A key alone sets a provider up; one of each is asked.
#[test]
fn whatever_is_set_up_is_tested_by_one_model() {
    for (settings, expected) in [
        ("OPENAI_API_KEY", "openai/gpt-4o-mini"),
        ("OPENAI_API_KEY ANTHROPIC_API_KEY", "openai/gpt-4o-mini anthropic/claude-haiku-4-5"),
        ("GOOGLE_API_KEY provider=offline model=offline", "offline gemini/gemini-2.5-flash"),
        ("OPENAI_API_KEY provider=openai model=gpt-x map:a=ollama/llama3", "openai/gpt-x ollama/llama3"),
        ("OPENAI_API_KEY=", ""),
        ("", ""),
    ] {
        let samples = Models::new(config(settings)).samples();
        let shown: Vec<String> = samples.iter().map(ToString::to_string).collect();
        assert_eq!(shown.join(" "), expected, "{settings}");
    }
}

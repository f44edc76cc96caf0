//! What every scene needs: models that talk to a stand-in, and a request.

use serde_json::{Value, json};
use station_core::run::{GrantedTool, Settings, Target};
use station_core::{Answer, Message, ModelRef, Secret, ServerId, ToolSpec};
use station_llm::{AskError, Config, Delta, Models, Patience, Repeat, Request};
use station_testkit::openai::OpenAi;
use std::sync::Mutex;
use std::time::Duration;

/// The key that no sentence may show.
pub(crate) const KEY: &str = "sk-very-secret-0815";

pub(crate) fn model() -> ModelRef {
    ModelRef { provider: "openai".to_owned(), model: "gpt-4o-mini".to_owned() }
}

pub(crate) fn config(stand_in: &OpenAi) -> Config {
    Config {
        provider: Some("openai".to_owned()),
        model: Some("gpt-4o-mini".to_owned()),
        api_key: Some(Secret::new(KEY)),
        base_url: Some(stand_in.base_url()),
        retries: 0,
        backoff: Duration::from_millis(1),
        ..Config::default()
    }
}

pub(crate) fn tool(name: &str, input_schema: Value) -> GrantedTool {
    GrantedTool {
        spec: ToolSpec { name: name.to_owned(), description: format!("Does {name}"), input_schema },
        target: Target::Tool {
            server: ServerId(1),
            server_name: "srv".to_owned(),
            tool: name.to_owned(),
            read_only: true,
            idempotent: true,
        },
        offline: true,
    }
}

pub(crate) fn conversation() -> Vec<Message> {
    vec![Message::System { text: "be brief".to_owned() }, Message::User { text: "what is up".to_owned() }]
}

/// What came of one request, and the deltas on the way.
pub(crate) struct Asked {
    pub(crate) outcome: Result<Answer, AskError>,
    pub(crate) deltas: Vec<Delta>,
}

impl Asked {
    /// The text as a person who watches would have it at the end.
    pub(crate) fn watched(&self) -> String {
        let after_retry = self.deltas.rsplit(|delta| matches!(delta, Delta::Retry { .. })).next();
        after_retry
            .unwrap_or_default()
            .iter()
            .map(|delta| match delta {
                Delta::Text(text) => text.as_str(),
                Delta::Retry { .. } => "",
            })
            .collect()
    }
}

pub(crate) async fn ask(models: &Models, messages: &[Message], schema: Option<&Value>) -> Asked {
    ask_with(models, &model(), messages, schema, &settings()).await
}

pub(crate) async fn ask_within(models: &Models, messages: &[Message], patience: Patience) -> Asked {
    asked(models, &model(), messages, (None, &settings()), patience).await
}

fn settings() -> Settings {
    Settings { temperature: Some(0.5), max_output_tokens: Some(99), ..Settings::default() }
}

/// One model of each dialect: provider word, and a name that takes everything that the dialect has.
pub(crate) const MODELS: [(&str, &str); 5] = [
    ("openai", "gpt-4o-mini"),
    ("openai-responses", "gpt-5"),
    ("anthropic", "claude-sonnet-4-5"),
    ("gemini", "gemini-3-pro-preview"),
    ("ollama", "qwen3"),
];

pub(crate) fn at(provider: &str, model: &str) -> ModelRef {
    ModelRef { provider: provider.to_owned(), model: model.to_owned() }
}

/// Models of which `provider` is at `url`, a stand-in's address without a path.
pub(crate) fn at_url(provider: &str, url: &str) -> Config {
    let path = if provider.starts_with("openai") { "/v1" } else { "" };
    Config {
        provider: Some(provider.to_owned()),
        api_key: Some(Secret::new(KEY)),
        base_url: Some(format!("{url}{path}")),
        retries: 0,
        backoff: Duration::from_millis(1),
        ..Config::default()
    }
}

pub(crate) async fn ask_with(
    models: &Models,
    model: &ModelRef,
    messages: &[Message],
    schema: Option<&Value>,
    settings: &Settings,
) -> Asked {
    asked(models, model, messages, (schema, settings), Patience::Long).await
}

async fn asked(
    models: &Models,
    model: &ModelRef,
    messages: &[Message],
    (schema, settings): (Option<&Value>, &Settings),
    patience: Patience,
) -> Asked {
    // What `main` does in the product. A lost race means that another test did it: as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let tools = [tool("get_time", json!({"type": "object"})), tool("read", json!({}))];
    let request = Request {
        messages,
        tools: &tools,
        settings,
        output_schema: schema,
        repeat: Repeat::Any,
        trace: None,
    };
    let deltas = Mutex::new(Vec::new());
    let outcome = models
        .ask_within(model, &request, patience, &|| Duration::ZERO, &|delta| {
            deltas.lock().unwrap().push(delta);
        })
        .await;
    if let Err(error) = &outcome {
        let shown = format!("{error} {:?} {error:?}", error.hint);
        assert!(!shown.contains(KEY) && !shown.contains("sk-"), "a key is shown: {shown}");
    }
    Asked { outcome, deltas: deltas.into_inner().unwrap() }
}

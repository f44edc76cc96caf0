//! Models: what there is to ask, what it costs, and whether it answers.

use super::operation::{Needs, Operation, Reply, Verb};
use super::page::{self, CURSOR, LIMIT_GIVEN};
use crate::tools::{Arguments, Desk, Kind, Parameter};
use crate::wire;
use futures::FutureExt as _;
use serde_json::json;
use station_core::{Action, Caller, Result};
use std::time::Duration;

/// How long a model may take to answer where nothing is said.
const TIMEOUT_S: i64 = 60;

/// A key of a provider, what a model takes, and a price, in an example.
macro_rules! example {
    (key) => {
        r#"{"state": "set", "variables": ["OPENAI_API_KEY"]}"#
    };
    (supports) => {
        r#"{"tools": true, "schema": "always", "images": true, "thinking": false, "caching": "automatic", "window": 128000}"#
    };
    (price) => {
        r#"{"model": "openai/gpt-4o-mini", "input": 150000, "output": 600000, "cached": 75000, "cache_write": 150000,
            "reasoning": 600000, "currency": "USD", "date": "2026-11-01", "source": "the price list"}"#
    };
}

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "list_models",
        verb: Verb::Get,
        path: "/models",
        needs: Needs::Right(Action::ReadModels),
        summary: "List models",
        says: "Providers with the state of their keys, and the configured model and names of config.yaml with the models that they mean. Nobody \
            is asked, and no key is told. Providers are on every page.",
        parameters: &[LIMIT_GIVEN, CURSOR],
        status: 200,
        output: |generator| {
            let mut page = page::shape::<wire::Model>("models", generator);
            let providers = generator.subschema_for::<wire::Provider>();
            page.ensure_object()["properties"]["providers"] = json!({ "type": "array", "items": providers });
            page.ensure_object()["required"]
                .as_array_mut()
                .expect("a page requires its fields")
                .push("providers".into());
            page
        },
        sends: "",
        answers: concat!(
            r#"{"models": [{"name": "gpt-4o-mini", "named_by": "configured", "model": "openai/gpt-4o-mini", "key": "#,
            example!(key),
            r#", "supports": "#,
            example!(supports),
            r#", "price": "#,
            example!(price),
            r#", "error": null}], "count": 1, "next": null, "providers": [{"provider": "openai", "dialect": "OpenAI chat",
                "address": "https://api.openai.com/v1", "configured": true, "key": "#,
            example!(key),
            "}]}"
        ),
        call: |desk, by, arguments| list_models(desk, by, arguments).boxed(),
    },
    Operation {
        id: "test_models",
        verb: Verb::Post,
        path: "/models/test",
        needs: Needs::Right(Action::RunAgents),
        summary: "Test models",
        says: "Asks each model once, and tells whether and how fast it answers; without names, one model of each provider that is set up. Each \
            costs a few tokens, and counts against no budget.",
        parameters: &[
            Parameter::optional("names", Kind::Texts, "Models as an agent's file would name them."),
            Parameter::optional(
                "timeout_s",
                Kind::Whole(1, 600),
                "Seconds to wait for each answer; 60 if left out.",
            ),
        ],
        status: 200,
        output: |generator| generator.subschema_for::<wire::TestedModels>(),
        sends: r#"{"names": ["openai/gpt-4o-mini"]}"#,
        answers: concat!(
            r#"{"models": [{"name": "openai/gpt-4o-mini", "model": "openai/gpt-4o-mini", "ok": true, "took_ms": 420,
                "answered_by": "gpt-4o-mini-2024-07-18", "input_tokens": 12, "output_tokens": 1, "failure": null,
                "message": null, "hint": null, "supports": "#,
            example!(supports),
            r#"}], "count": 1}"#
        ),
        call: |desk, by, arguments| test_models(desk, by, arguments).boxed(),
    },
    Operation {
        id: "list_prices",
        verb: Verb::Get,
        path: "/prices",
        needs: Needs::Right(Action::ReadModels),
        summary: "List prices",
        says: "What models cost by the table `prices` of config.yaml, in millionths of the currency per million tokens.",
        parameters: &[LIMIT_GIVEN, CURSOR],
        status: 200,
        output: |generator| page::shape::<wire::Price>("prices", generator),
        sends: "",
        answers: concat!(r#"{"prices": ["#, example!(price), r#"], "count": 1, "next": null}"#),
        call: |desk, by, arguments| list_prices(desk, by, arguments).boxed(),
    },
];

async fn list_models(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let wire::ModelList { models, providers, .. } = wire::ModelList::from(&desk.station.list_models(by)?);
    let mut body = page::in_order("models", models, &arguments, Clone::clone);
    body["providers"] = json!(providers);
    Ok(Reply::Body(body))
}

async fn test_models(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let names = arguments.texts("names").unwrap_or_default();
    let timeout_s = arguments.whole("timeout_s").unwrap_or(TIMEOUT_S);
    let within = Duration::from_secs(timeout_s.unsigned_abs());
    let tests = desk.station.test_models(by, &names, within).await?;
    Ok(Reply::of(&wire::TestedModels::from(&tests[..])))
}

async fn list_prices(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let rows = &desk.station.list_prices(by)?.rows;
    let all = rows.iter().map(|(model, price)| wire::Price::new(model, price)).collect();
    Ok(Reply::Body(page::in_order("prices", all, &arguments, Clone::clone)))
}

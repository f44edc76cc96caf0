//! `stn model list`

use super::{key, supports};
use crate::at::At;
use crate::error::{Code, Result};
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
use station_core::budget;
use station_server::wire::{self, Model, Provider};

/// Show providers with the state of their keys, and names with the models they mean
///
/// Nobody is asked. Names are the configured model and those that `models:` in config.yaml maps; with each stand the tokens
/// that the model reads at most, its price by the table `prices`, and what it takes: tools, a schema for its answer, images in
/// results of tools, thinking, caching.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let list = match at {
                    At::Here(station) => wire::ModelList::from(&station.list_models(&session.by)?),
                    At::There(server) => list_there(server).await?,
                };
                tell(session, &list)
            })
            .await
    }
}

/// All that a server tells, over as many pages as that takes.
async fn list_there(server: &Server) -> Result<wire::ModelList> {
    let mut list: wire::ModelList = server.ask("list_models", json!({})).await?;
    while let Some(cursor) = list.next.take() {
        let more: wire::ModelList = server.ask("list_models", json!({ "cursor": cursor })).await?;
        // A page of nothing is the last, whatever it says.
        list.next = more.next.filter(|_| !more.models.is_empty());
        list.models.extend(more.models);
    }
    list.count = list.models.len();
    Ok(list)
}

fn tell(session: &Session<'_>, list: &wire::ModelList) -> Result {
    let out = session.out;
    if out.is_json() {
        out.json(list)?;
        return Ok(Code::Done);
    }
    let wire::ModelList { models, providers, .. } = list;
    let header = ["PROVIDER", "SPEAKS", "KEY", "ADDRESS"];
    out.table(header, providers.iter().map(provider_row).collect())?;
    if models.is_empty() {
        out.hint("no model is configured: `stn init --provider anthropic --model claude-sonnet-4-5`, or `model:` in an agent's file");
        return Ok(Code::Done);
    }
    out.answer("")?;
    let header = ["NAME", "MODEL", "KEY", "WINDOW", "PRICE", "SUPPORTS"];
    out.table(header, models.iter().map(model_row).collect())?;
    for error in models.iter().filter_map(|model| model.error.as_ref()) {
        error.hints.first().into_iter().for_each(|hint| out.hint(hint));
    }
    out.hint("`stn model test` asks one model of each provider that is set up");
    Ok(Code::Done)
}

fn provider_row(provider: &Provider) -> [String; 4] {
    let mark = if provider.configured { " (configured)" } else { "" };
    [
        format!("{}{mark}", provider.provider),
        provider.dialect.to_string(),
        key(&provider.key),
        provider.address.clone(),
    ]
}

fn model_row(model: &Model) -> [String; 6] {
    let mark = if model.named_by == "configured" { " (configured)" } else { "" };
    let problem = model.error.as_ref().map(|error| error.message.clone()).unwrap_or_default();
    let window =
        model.supports.as_ref().map(|it| it.window.map_or_else(|| "all".to_owned(), |it| it.to_string()));
    let price = model.price.as_ref().map(|price| {
        let shown = budget::Price::shown;
        format!("{} in, {} out {}", shown(price.input), shown(price.output), price.currency)
    });
    [
        format!("{}{mark}", model.name),
        model.model.clone().unwrap_or(problem),
        model.key.as_ref().map(key).unwrap_or_default(),
        window.unwrap_or_default(),
        price.unwrap_or_default(),
        model.supports.as_ref().map(supports).unwrap_or_default(),
    ]
}

//! `stn budget prices`

use crate::error::{Code, Result};
use crate::session::Session;
use serde_json::json;
use station_core::budget::Price;
use station_server::wire;

/// Show what models cost, by the table `prices` of config.yaml
///
/// Prices are per million tokens. Station ships none, because they change: the table says when and where each was looked
/// up. A run with a limit of money asks no model that has no price; the built-in offline model costs nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(&self, session: &Session<'_>) -> Result {
        let rows: Vec<wire::Price> = match &session.server {
            None => {
                let rows = &session.settings.config.prices.rows;
                rows.iter().map(|(model, price)| wire::Price::new(model, price)).collect()
            }
            Some(target) => {
                session.there(target, async |server| Ok(server.all("list_prices", json!({})).await?)).await?
            }
        };
        if session.out.is_json() {
            session.out.json(&wire::list("prices", &rows))?;
            return Ok(Code::Done);
        }
        if rows.is_empty() {
            session.out.hint(
                "config.yaml has no prices; e.g. `prices: {openai/gpt-4o-mini: {input: 0.15, output: 0.60, date: 2026-11-01, source: …}}`",
            );
        }
        let header =
            ["MODEL", "INPUT", "OUTPUT", "CACHED", "CACHE WRITE", "REASONING", "CURRENCY", "DATE", "SOURCE"];
        session.out.table(header, rows.iter().map(row).collect())?;
        Ok(Code::Done)
    }
}

fn row(price: &wire::Price) -> [String; 9] {
    [
        price.model.clone(),
        Price::shown(price.input),
        Price::shown(price.output),
        Price::shown(price.cached),
        Price::shown(price.cache_write),
        Price::shown(price.reasoning),
        price.currency.clone(),
        price.date.clone().unwrap_or_default(),
        price.source.clone().unwrap_or_default(),
    ]
}

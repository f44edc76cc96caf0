//! `stn budget prices`

use crate::error::{Code, Result};
use crate::session::Session;
use station_core::budget::Price;
use station_server::wire;

/// Show what models cost, by the table `prices` of config.yaml
///
/// Prices are per million tokens. Station ships none, because they change: the table says when and where each was looked
/// up. A run with a limit of money asks no model that has no price; the built-in offline model costs nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(&self, session: &Session<'_>) -> Result {
        let prices = &session.settings.config.prices;
        if session.out.is_json() {
            let rows: Vec<wire::Price> =
                prices.rows.iter().map(|(model, price)| wire::Price::new(model, price)).collect();
            session.out.json(&wire::list("prices", &rows))?;
            return Ok(Code::Done);
        }
        if prices.rows.is_empty() {
            session.out.hint(
                "config.yaml has no prices; e.g. `prices: {openai/gpt-4o-mini: {input: 0.15, output: 0.60, date: 2026-11-01, source: …}}`",
            );
        }
        let header =
            ["MODEL", "INPUT", "OUTPUT", "CACHED", "CACHE WRITE", "REASONING", "CURRENCY", "DATE", "SOURCE"];
        session.out.table(header, prices.rows.iter().map(row).collect())?;
        Ok(Code::Done)
    }
}

fn row((model, price): (&String, &Price)) -> [String; 9] {
    [
        model.clone(),
        Price::shown(price.input),
        Price::shown(price.output),
        price.cached.map(Price::shown).unwrap_or_default(),
        price.cache_write.map(Price::shown).unwrap_or_default(),
        price.reasoning.map(Price::shown).unwrap_or_default(),
        price.currency.clone(),
        price.date.clone().unwrap_or_default(),
        price.source.clone().unwrap_or_default(),
    ]
}

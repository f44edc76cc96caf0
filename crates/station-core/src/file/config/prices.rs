//! `prices` and `rate_limits` of config.yaml.

use crate::budget::{Price, Prices};
use crate::file::sheet::Sheet;
use crate::file::tree::{Member, Node};
use std::collections::BTreeMap;

/// How often providers and tool servers may be asked: `rate_limits`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// By the provider's word.
    pub providers: BTreeMap<String, ProviderRate>,
    /// Calls per minute, by `<server>` or `<environment>/<server>`.
    pub servers: BTreeMap<String, u32>,
}

/// How often one provider may be asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProviderRate {
    /// Requests per minute.
    pub requests_per_min: Option<u32>,
    /// Tokens per minute, by the estimate of what a request takes.
    pub tokens_per_min: Option<u32>,
}

/// Currencies as their codes: a word that is none is a typo.
const CODE_CHARS: usize = 3;

/// The keys of one price.
const PRICE: [&str; 8] =
    ["input", "output", "cached", "cache_write", "reasoning", "currency", "date", "source"];

pub(super) fn prices(sheet: &mut Sheet<'_>, node: &Node) -> Prices {
    let mut prices = Prices::default();
    for member in sheet.members(node, "prices") {
        if let Some(price) = price(sheet, member) {
            prices.rows.insert(member.key.clone(), price);
        }
    }
    prices
}

fn price(sheet: &mut Sheet<'_>, row: &Member) -> Option<Price> {
    let what = format!("prices.{}", row.key.escape_debug());
    let (mut input, mut output, mut cached, mut cache_write, mut reasoning) = (None, None, None, None, None);
    let (mut currency, mut date, mut source) = ("USD".to_owned(), None, None);
    for member in sheet.members(&row.node, &what) {
        let (node, what) = (&member.node, format!("{what}.{}", member.key.escape_debug()));
        if node.is_null() {
            continue;
        }
        let place = match member.key.as_str() {
            "input" => &mut input,
            "output" => &mut output,
            "cached" => &mut cached,
            "cache_write" => &mut cache_write,
            "reasoning" => &mut reasoning,
            "currency" => {
                let must_be = "the code of a currency, like `USD`";
                let code = sheet.value(node, &what, must_be, |text| {
                    let fits = text.len() == CODE_CHARS && text.chars().all(|c| c.is_ascii_alphabetic());
                    fits.then(|| text.to_ascii_uppercase())
                });
                currency = code.unwrap_or(currency);
                continue;
            }
            "date" => {
                date = sheet.value(node, &what, "a date like `2026-11-01`", |text| {
                    text.parse::<jiff::civil::Date>().ok().map(|date| date.to_string())
                });
                continue;
            }
            "source" => {
                source = sheet.text(node, &what);
                continue;
            }
            _ => {
                sheet.unknown(member.at, &what, &PRICE);
                continue;
            }
        };
        let must_be = "a price per million tokens with at most six decimals, like `0.15`";
        *place = sheet.value(node, &what, must_be, crate::budget::parse_micros);
    }
    let (Some(input), Some(output)) = (input, output) else {
        if !sheet.is_broken() {
            sheet.error(row.at, format!("`{what}` must say `input` and `output`, prices per million tokens"));
        }
        return None;
    };
    if date.is_none() || source.is_none() {
        let sentence = format!("`{what}` does not say from when and where its price is");
        sheet.warning(row.at, sentence, "add `date: 2026-11-01` and `source:`, so that others can check it");
    }
    Some(Price { input, output, cached, cache_write, reasoning, currency, date, source })
}

pub(super) fn rate_limits(sheet: &mut Sheet<'_>, node: &Node) -> RateLimits {
    let mut limits = RateLimits::default();
    for member in sheet.members(node, "rate_limits") {
        let (node, what) = (&member.node, format!("rate_limits.{}", member.key.escape_debug()));
        match member.key.as_str() {
            "providers" | "servers" if node.is_null() => {}
            "providers" => {
                for member in sheet.members(node, &what) {
                    let what = format!("{what}.{}", member.key.escape_debug());
                    limits.providers.insert(member.key.clone(), provider(sheet, &member.node, &what));
                }
            }
            "servers" => {
                for member in sheet.members(node, &what) {
                    let what = format!("{what}.{}", member.key.escape_debug());
                    if let Some(per_min) = sheet.number(&member.node, &what, 1) {
                        limits.servers.insert(member.key.clone(), per_min);
                    }
                }
            }
            _ => sheet.unknown(member.at, &what, &["providers", "servers"]),
        }
    }
    limits
}

fn provider(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> ProviderRate {
    let mut rate = ProviderRate::default();
    for member in sheet.members(node, what) {
        let what = format!("{what}.{}", member.key.escape_debug());
        match member.key.as_str() {
            "requests_per_min" => rate.requests_per_min = sheet.number(&member.node, &what, 1),
            "tokens_per_min" => rate.tokens_per_min = sheet.number(&member.node, &what, 1),
            _ => sheet.unknown(member.at, &what, &["requests_per_min", "tokens_per_min"]),
        }
    }
    rate
}

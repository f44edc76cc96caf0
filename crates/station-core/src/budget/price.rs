//! What models cost: a table that people keep, with the date and source of each row.

use crate::{ModelRef, Usage, tool};
use std::collections::BTreeMap;

/// Tokens that a price is for.
const PER_TOKENS: i128 = 1_000_000;

/// The currency in which limits are written.
const USD: &str = "USD";

/// The provider word of the built-in planner, which costs nothing.
const OFFLINE: &str = "offline";

/// The price of a model, in micro-units of its currency per million tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Tokens read.
    pub input: i64,
    /// Tokens written.
    pub output: i64,
    /// Tokens read from the provider's cache; as `input` where not said.
    pub cached: Option<i64>,
    /// Tokens written into the provider's cache; as `input` where not said.
    pub cache_write: Option<i64>,
    /// Tokens of reasoning; as `output` where not said.
    pub reasoning: Option<i64>,
    /// The currency's code.
    pub currency: String,
    /// When it was looked up, as written.
    pub date: Option<String>,
    /// Where.
    pub source: Option<String>,
}

impl Price {
    /// An amount of the table as people write it: `0.15`.
    #[must_use]
    pub fn shown(micros: i64) -> String {
        super::amount::micros_shown(micros)
    }

    /// Whether limits of money can be counted in it.
    #[must_use]
    pub fn is_usd(&self) -> bool {
        self.currency == USD
    }

    /// What `usage` costs in micro-units, rounded up.
    #[must_use]
    pub fn cost(&self, usage: &Usage) -> i64 {
        let cached = usage.cached.min(usage.input);
        let written = usage.cache_written.min(usage.input - cached);
        let reasoning = usage.reasoning.min(usage.output);
        let parts = [
            (usage.input - cached - written, self.input),
            (cached, self.cached.unwrap_or(self.input)),
            (written, self.cache_write.unwrap_or(self.input)),
            (usage.output - reasoning, self.output),
            (reasoning, self.reasoning.unwrap_or(self.output)),
        ];
        let sum = parts.into_iter().fold(0_i128, |sum, (tokens, price)| {
            sum.saturating_add(i128::from(tokens).saturating_mul(i128::from(price)))
        });
        // Prices and tokens are not negative, so rounding up is adding what is missing.
        i64::try_from(sum.saturating_add(PER_TOKENS - 1) / PER_TOKENS).unwrap_or(i64::MAX)
    }
}

/// The table: a model's name, or a pattern of names, to its price.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// By name as written: `openai/gpt-4o-mini`, `gpt-4o-mini`, `openai/gpt-4o*`.
    pub rows: BTreeMap<String, Price>,
}

impl Prices {
    /// The price of `model`: the row of its full name, of its name at the provider, or of the longest pattern.
    #[must_use]
    pub fn of(&self, model: &ModelRef) -> Option<&Price> {
        let full = format!("{}/{}", model.provider, model.model);
        let exact = [full.as_str(), model.model.as_str()].into_iter().find_map(|name| self.rows.get(name));
        let by_pattern = || {
            let fits = self
                .rows
                .iter()
                .filter(|(pattern, _)| tool::matches(pattern, &full) || tool::matches(pattern, &model.model));
            fits.max_by_key(|(pattern, _)| pattern.len()).map(|(_, price)| price)
        };
        exact.or_else(by_pattern)
    }

    /// What `usage` of `model` costs in micro-USD. `None` where the table cannot say; the built-in planner is free.
    #[must_use]
    pub fn cost(&self, model: &ModelRef, usage: &Usage) -> Option<i64> {
        if model.provider == OFFLINE {
            return Some(0);
        }
        self.of(model).filter(|price| price.is_usd()).map(|price| price.cost(usage))
    }

    /// Why `model` cannot be asked under a limit of money, if it cannot.
    #[must_use]
    pub fn missing(&self, model: &ModelRef) -> Option<String> {
        if self.cost(model, &Usage::default()).is_some() {
            return None;
        }
        Some(match self.of(model) {
            Some(price) => format!(
                "the price of model `{model}` in the table `prices` of config.yaml is in {}, and limits of money are in {USD}",
                price.currency
            ),
            None => format!("model `{model}` has no price in the table `prices` of config.yaml"),
        })
    }
}

//! Budgets: limits, and what was spent of them. Money is in millionths of a USD.

use super::Word;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use station_core::budget::{Amounts, Caps, Limit, Measure, Standing};

/// A limit that holds.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Budget {
    /// `installation`, `environment`, `agent` or `run`.
    pub scope: Word,
    /// Its row; 0 for the installation.
    pub scope_id: i64,
    /// What it is called; empty for the installation and for a run.
    pub name: String,
    /// `run`: each run by itself; `day`: a day in UTC.
    pub period: Word,
    /// How much, and what was spent of it today or by the one run; `null` where each run has an account of its own.
    #[serde(flatten)]
    pub amounts: Spent,
    /// Where it is written.
    pub source: String,
    /// Who set it by hand.
    pub set_by: Option<String>,
    /// When.
    pub set_at: Option<String>,
}

/// Limits and what was spent of them, measure by measure.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Spent {
    /// Tokens read and written.
    pub tokens: Measured,
    /// Money.
    pub micro_usd: Measured,
    /// Tool calls and sub-agents.
    pub calls: Measured,
    /// Driven time.
    pub time_ms: Measured,
}

/// One measure.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Measured {
    /// At most so much.
    pub limit: Option<i64>,
    /// What is spent.
    pub spent: Option<i64>,
    /// What is reserved for requests that are out.
    pub reserved: Option<i64>,
}

/// The price of a model, in millionths of its currency per million tokens.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Price {
    /// The model's name, or a pattern of names.
    pub model: String,
    /// Tokens read.
    pub input: i64,
    /// Tokens written.
    pub output: i64,
    /// Tokens read from a cache.
    pub cached: i64,
    /// Tokens written into a cache.
    pub cache_write: i64,
    /// Tokens of reasoning.
    pub reasoning: i64,
    /// The currency's code.
    pub currency: String,
    /// When it was looked up.
    pub date: Option<String>,
    /// Where.
    pub source: Option<String>,
}

impl Spent {
    /// What there is of `measure`.
    #[must_use]
    pub fn of(&self, measure: Measure) -> &Measured {
        match measure {
            Measure::Tokens => &self.tokens,
            Measure::Usd => &self.micro_usd,
            Measure::Calls => &self.calls,
            Measure::Time => &self.time_ms,
        }
    }

    fn new(caps: &Caps, standing: Option<&Standing>) -> Self {
        let of = |measure| {
            let added = standing.map_or(0, |it| it.added.get(measure));
            let get = |amounts: fn(&Standing) -> &Amounts| standing.map(|it| amounts(it).get(measure));
            Measured {
                limit: caps.get(measure).map(|cap| cap.saturating_add(added)),
                spent: get(|it| &it.spent),
                reserved: get(|it| &it.reserved),
            }
        };
        Self {
            tokens: of(Measure::Tokens),
            micro_usd: of(Measure::Usd),
            calls: of(Measure::Calls),
            time_ms: of(Measure::Time),
        }
    }
}

impl From<&station_engine::RunBudget> for Spent {
    fn from(budget: &station_engine::RunBudget) -> Self {
        Self::new(&budget.caps, Some(&budget.standing))
    }
}

impl Budget {
    /// A limit of which nothing is known but what it says.
    #[must_use]
    pub fn of(limit: &Limit) -> Self {
        Self {
            scope: limit.scope.as_str().into(),
            scope_id: limit.scope.id(),
            name: limit.name.clone(),
            period: limit.period.as_str().into(),
            amounts: Spent::new(&limit.caps, None),
            source: limit.source.clone(),
            set_by: None,
            set_at: None,
        }
    }
}

impl From<&station_engine::Budget> for Budget {
    fn from(budget: &station_engine::Budget) -> Self {
        let (by, at) = budget.set.clone().unzip();
        Self {
            amounts: Spent::new(&budget.limit.caps, budget.standing.as_ref()),
            set_by: by,
            set_at: at.map(|at| at.to_string()),
            ..Self::of(&budget.limit)
        }
    }
}

impl Price {
    /// A row of the table.
    #[must_use]
    pub fn new(model: &str, price: &station_core::budget::Price) -> Self {
        Self {
            model: model.to_owned(),
            input: price.input,
            output: price.output,
            cached: price.cached.unwrap_or(price.input),
            cache_write: price.cache_write.unwrap_or(price.input),
            reasoning: price.reasoning.unwrap_or(price.output),
            currency: price.currency.clone(),
            date: price.date.clone(),
            source: price.source.clone(),
        }
    }
}

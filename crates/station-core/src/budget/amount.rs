//! Amounts of what is limited, and how people write and read them.

use crate::file::config::duration_ms;
use crate::plural;
use serde::{Deserialize, Serialize};

/// Micro-USD of one USD.
const MICROS: i64 = 1_000_000;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Tokens read and written by models.
    Tokens,
    /// Money, by the price table.
    Usd,
    /// Tool calls and sub-agents started.
    Calls,
    /// Time in which a run was driven.
    Time,
}

impl Measure {
    /// All of them, in the order shown.
    pub const ALL: [Self; 4] = [Self::Tokens, Self::Usd, Self::Calls, Self::Time];

    /// The word in files, on the command line and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Usd => "usd",
            Self::Calls => "calls",
            Self::Time => "time",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.as_str() == word)
    }

    /// What an amount of it must look like, for people.
    #[must_use]
    pub fn must_be(self) -> &'static str {
        match self {
            Self::Tokens | Self::Calls => "a whole number of 1 or more",
            Self::Usd => "an amount of USD above 0 with at most six decimals, like `1.50`",
            Self::Time => "a duration like `30s`, `10m` or `1h30m`, or a number of seconds",
        }
    }

    /// Reads an amount as people write it: `50000`, `1.50`, `10m`.
    #[must_use]
    pub fn parse(self, text: &str) -> Option<i64> {
        let amount = match self {
            Self::Tokens | Self::Calls => text.replace('_', "").parse().ok(),
            Self::Usd => parse_micros(text),
            Self::Time => duration_ms(text).and_then(|ms| i64::try_from(ms).ok()),
        };
        amount.filter(|amount| *amount > 0)
    }

    /// `50000 tokens`, `1.50 USD`, `1 tool call`, `90 s`.
    #[must_use]
    pub fn show(self, amount: i64) -> String {
        match self {
            Self::Tokens => plural(amount, "token"),
            Self::Usd => format!("{} USD", micros_shown(amount)),
            Self::Calls => plural(amount, "tool call"),
            Self::Time if amount % 1_000 == 0 => format!("{} s", amount / 1_000),
            Self::Time => format!("{amount} ms"),
        }
    }
}

/// Micro-units of a decimal number with at most six decimals. By digits: a binary fraction would not be the amount.
pub(crate) fn parse_micros(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) || part.len() > 6 {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let part: i64 = format!("{part:0<6}").parse().ok()?;
    whole.checked_mul(MICROS)?.checked_add(part)
}

/// At least two decimals, and no more than say something.
pub(crate) fn micros_shown(micros: i64) -> String {
    let (sign, micros) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    let part = format!("{:06}", micros % MICROS.unsigned_abs());
    let part = format!("{:0<2}", part.trim_end_matches('0'));
    format!("{sign}{}.{part}", micros / MICROS.unsigned_abs())
}

/// One amount of each measure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Tokens.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokens: i64,
    /// Millionths of a USD.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub micro_usd: i64,
    /// Tool calls.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub calls: i64,
    /// Milliseconds of driven time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub time_ms: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(n: &i64) -> bool {
    *n == 0
}

impl Amounts {
    /// The amount of one measure.
    #[must_use]
    pub fn get(&self, measure: Measure) -> i64 {
        match measure {
            Measure::Tokens => self.tokens,
            Measure::Usd => self.micro_usd,
            Measure::Calls => self.calls,
            Measure::Time => self.time_ms,
        }
    }

    /// Sets the amount of one measure.
    pub fn set(&mut self, measure: Measure, amount: i64) {
        match measure {
            Measure::Tokens => self.tokens = amount,
            Measure::Usd => self.micro_usd = amount,
            Measure::Calls => self.calls = amount,
            Measure::Time => self.time_ms = amount,
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            micro_usd: self.micro_usd.saturating_add(other.micro_usd),
            calls: self.calls.saturating_add(other.calls),
            time_ms: self.time_ms.saturating_add(other.time_ms),
        }
    }

    /// What takes these away.
    #[must_use]
    pub fn negated(self) -> Self {
        Self {
            tokens: self.tokens.saturating_neg(),
            micro_usd: self.micro_usd.saturating_neg(),
            calls: self.calls.saturating_neg(),
            time_ms: self.time_ms.saturating_neg(),
        }
    }

    /// Whether there is nothing of anything.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// `50000 tokens, 1.50 USD`: what there is.
    #[must_use]
    pub fn shown(&self) -> String {
        let some = Measure::ALL.into_iter().filter(|measure| self.get(*measure) != 0);
        some.map(|measure| measure.show(self.get(measure))).collect::<Vec<_>>().join(", ")
    }
}

/// At most so much of each measure; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<i64>,
    /// Millionths of a USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_usd: Option<i64>,
    /// Tool calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<i64>,
    /// Milliseconds of driven time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_ms: Option<i64>,
}

impl Caps {
    /// The cap of one measure.
    #[must_use]
    pub fn get(&self, measure: Measure) -> Option<i64> {
        match measure {
            Measure::Tokens => self.tokens,
            Measure::Usd => self.micro_usd,
            Measure::Calls => self.calls,
            Measure::Time => self.time_ms,
        }
    }

    /// Sets the cap of one measure.
    pub fn set(&mut self, measure: Measure, cap: Option<i64>) {
        match measure {
            Measure::Tokens => self.tokens = cap,
            Measure::Usd => self.micro_usd = cap,
            Measure::Calls => self.calls = cap,
            Measure::Time => self.time_ms = cap,
        }
    }

    /// Whether nothing is limited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The stricter of both, measure by measure.
    #[must_use]
    pub fn tightened(self, other: Self) -> Self {
        let mut caps = Self::default();
        for measure in Measure::ALL {
            let both = [self.get(measure), other.get(measure)];
            caps.set(measure, both.into_iter().flatten().min());
        }
        caps
    }

    /// `50000 tokens, 1.50 USD`: what is limited.
    #[must_use]
    pub fn shown(&self) -> String {
        let some = Measure::ALL.into_iter().filter_map(|measure| Some(measure.show(self.get(measure)?)));
        some.collect::<Vec<_>>().join(", ")
    }
}

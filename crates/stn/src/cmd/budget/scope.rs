//! How scopes, periods and amounts are typed.

use crate::at::named;
use crate::error::Result;
use crate::named::environment_ref;
use crate::session::Session;
use serde_json::{Value, json};
use station_core::budget::{Amounts, Caps, Measure, Period};
use station_engine::{AgentRef, BudgetRef, EnvironmentRef, Station};
use std::collections::BTreeMap;

/// For whom a budget is, as typed.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    All,
    Environment(EnvironmentRef),
    Agent(String),
    Run(station_core::RunId),
}

impl Scope {
    /// What is meant; the environment counts for an agent's name.
    ///
    /// # Errors
    /// `NotFound` for a number that nothing has.
    pub(super) async fn meant(
        &self,
        session: &Session<'_>,
        station: &Station,
        environment: Option<&EnvironmentRef>,
    ) -> Result<BudgetRef> {
        Ok(match self {
            Self::All => BudgetRef::Installation,
            Self::Environment(of) => BudgetRef::Environment(station.environment_name(&session.by, of).await?),
            Self::Agent(text) => BudgetRef::Agent(session.agent(station, text, environment).await?.0),
            Self::Run(run) => BudgetRef::Run(*run),
        })
    }
}

impl Scope {
    /// What is meant, as a server is told of it.
    pub(super) fn given(&self, environment: Option<&EnvironmentRef>) -> Value {
        match self {
            Self::All => json!({}),
            Self::Environment(of) => json!({ "environment": of.to_string() }),
            Self::Agent(text) => json!({ "agent": text, "environment": named(environment) }),
            Self::Run(run) => json!({ "run": run.to_string() }),
        }
    }

    /// For whom it is, in words, where a server alone knows more.
    pub(super) fn shown_as_typed(&self) -> String {
        match self {
            Self::All => "all runs".to_owned(),
            Self::Environment(of) => format!("environment `{of}`"),
            Self::Agent(text) if text.parse::<i64>().is_ok() => format!("agent {text}"),
            Self::Agent(text) => format!("agent `{text}`"),
            Self::Run(run) => format!("run {run}"),
        }
    }
}

/// For whom a budget is, in words.
pub(super) fn shown(of: &BudgetRef) -> String {
    match of {
        BudgetRef::Installation => "all runs".to_owned(),
        BudgetRef::Environment(name) => format!("environment `{name}`"),
        BudgetRef::Agent(AgentRef::Name { name, .. }) => format!("agent `{name}`"),
        BudgetRef::Agent(AgentRef::Id(id)) => format!("agent {id}"),
        BudgetRef::Run(run) => format!("run {run}"),
    }
}

pub(super) fn scope(text: &str) -> Result<Scope, String> {
    let wrong = || "write all, env:NAME, agent:NAME or run:ID".to_owned();
    match text.split_once(':') {
        None if text == "all" => Ok(Scope::All),
        Some(("env", name)) => environment_ref(name).map(Scope::Environment),
        Some(("agent", name)) if !name.is_empty() => Ok(Scope::Agent(name.to_owned())),
        Some(("run", id)) => id.parse().map(Scope::Run).map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

pub(super) fn period(text: &str) -> Result<Period, String> {
    Period::from_word(text).ok_or_else(|| "write run or day".to_owned())
}

/// `tokens=50000`, `usd=1.50`, `calls=20`, `time=10m`.
pub(crate) fn amount(text: &str) -> Result<(Measure, i64), String> {
    let (word, amount) = text.split_once('=').unwrap_or((text, ""));
    let Some(measure) = Measure::from_word(word.trim()) else {
        return Err("write tokens=50000, usd=1.50, calls=20 or time=10m".to_owned());
    };
    let parsed = measure.parse(amount.trim());
    parsed.map(|amount| (measure, amount)).ok_or_else(|| format!("`{word}` must be {}", measure.must_be()))
}

/// Caps of what was typed; of two of one measure the stricter.
pub(crate) fn caps(typed: &[(Measure, i64)]) -> Caps {
    typed.iter().fold(Caps::default(), |caps, (measure, amount)| {
        let mut one = Caps::default();
        one.set(*measure, Some(*amount));
        caps.tightened(one)
    })
}

/// The sum of what was typed.
pub(crate) fn sum(typed: &[(Measure, i64)]) -> Amounts {
    typed.iter().fold(Amounts::default(), |sum, (measure, amount)| {
        let mut one = Amounts::default();
        one.set(*measure, *amount);
        sum.plus(one)
    })
}

/// Amounts as a server is told of them; nothing where there is none.
pub(crate) fn given_amounts(get: impl Fn(Measure) -> Option<i64>) -> Option<BTreeMap<&'static str, String>> {
    let told = |measure: Measure, amount: i64| match measure {
        Measure::Tokens | Measure::Calls => amount.to_string(),
        Measure::Usd => format!("{}.{:06}", amount / 1_000_000, amount % 1_000_000),
        Measure::Time => format!("{amount}ms"),
    };
    let all =
        Measure::ALL.into_iter().filter_map(|measure| Some((measure.as_str(), told(measure, get(measure)?))));
    Some(all.collect()).filter(|all: &BTreeMap<_, _>| !all.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_is_told_is_what_was_typed() {
        for text in ["tokens=50000", "usd=1.50", "usd=0.000001", "calls=20", "time=10m", "time=1h30m"] {
            let (measure, amount) = super::amount(text).unwrap();
            let given = given_amounts(|it| (it == measure).then_some(amount)).unwrap();
            assert_eq!(given.len(), 1);
            assert_eq!(measure.parse(&given[measure.as_str()]), Some(amount), "{text}: {given:?}");
        }
        assert_eq!(given_amounts(|_| None), None);
    }
}

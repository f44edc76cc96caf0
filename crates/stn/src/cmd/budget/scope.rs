//! How scopes, periods and amounts are typed.

use crate::error::Result;
use crate::named::environment_ref;
use crate::session::Session;
use station_core::budget::{Amounts, Caps, Measure, Period};
use station_engine::{AgentRef, BudgetRef, EnvironmentRef, Station};

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

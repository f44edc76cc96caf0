//! Limits, the accounts they open for a run, and whether there is room in one.

use super::{Amounts, Caps, Measure};
use crate::{AgentId, EnvironmentId, Micros, RunId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Microseconds of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// A run that found an account full of reservations looks again after so long, if no settlement woke it before: the
/// driver that reserved may be gone, and then its successor settles.
pub const CROWDED_FOR_MS: u64 = 30_000;

/// For whom a limit holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything on this store.
    Installation,
    /// All runs of an environment.
    Environment(EnvironmentId),
    /// All runs of an agent, and of the sub-agents they start.
    Agent(AgentId),
    /// One run, and its sub-agents'.
    Run(RunId),
}

impl Scope {
    /// The word in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Installation => "installation",
            Self::Environment(_) => "environment",
            Self::Agent(_) => "agent",
            Self::Run(_) => "run",
        }
    }

    /// The row it is about; 0 for the installation.
    #[must_use]
    pub fn id(self) -> i64 {
        match self {
            Self::Installation => 0,
            Self::Environment(id) => id.0,
            Self::Agent(id) => id.0,
            Self::Run(id) => id.0,
        }
    }

    /// Reads word and row back.
    #[must_use]
    pub fn from_parts(word: &str, id: i64) -> Option<Self> {
        match word {
            "installation" => Some(Self::Installation),
            "environment" => Some(Self::Environment(EnvironmentId(id))),
            "agent" => Some(Self::Agent(AgentId(id))),
            "run" => Some(Self::Run(RunId(id))),
            _ => None,
        }
    }
}

/// For how long a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Each run by itself, its sub-agents included.
    Run,
    /// A day in UTC.
    Day,
}

impl Period {
    /// The word in files, in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Day => "day",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Run, Self::Day].into_iter().find(|period| period.as_str() == word)
    }
}

/// What one file says: a `limits` block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of each run.
    pub run: Caps,
    /// Of all runs of a day.
    pub day: Caps,
}

impl Limits {
    /// As limits of `scope`.
    pub fn of(self, scope: Scope, name: &str, source: &str) -> impl Iterator<Item = Limit> {
        let limit =
            |period, caps| Limit { scope, period, caps, name: name.to_owned(), source: source.to_owned() };
        [limit(Period::Run, self.run), limit(Period::Day, self.day)]
            .into_iter()
            .filter(|limit| !limit.caps.is_empty())
    }
}

/// A limit, and who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// For whom.
    pub scope: Scope,
    /// For how long.
    pub period: Period,
    /// How much.
    pub caps: Caps,
    /// What the scope is called by people; empty for the installation and for a run.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where it is written, in words.
    pub source: String,
}

/// A run and whose it is, in a line of runs that spawned each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// The run.
    pub run: RunId,
    /// Its agent.
    pub agent: AgentId,
}

/// Where spending is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Account {
    /// Whose.
    pub scope: Scope,
    /// Days since 1970 in UTC; `None` where it is not by day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<i64>,
}

/// An account that a run counts against, and how far it may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The account.
    pub account: Account,
    /// The strictest caps of all limits.
    pub caps: Caps,
}

/// The day of `at` in UTC, in days since 1970.
#[must_use]
pub fn day_of(at: Micros) -> i64 {
    at.0.div_euclid(DAY)
}

/// When `day` is over.
#[must_use]
pub fn day_end(day: i64) -> Micros {
    Micros(day.saturating_add(1).saturating_mul(DAY))
}

/// The accounts that a run counts against, in the one order in which they are taken. `line` is the run, then the runs
/// above it up to the root: a sub-agent's run counts against those as well.
#[must_use]
pub fn claims(limits: &[Limit], line: &[Ancestor], environment: EnvironmentId, now: Micros) -> Vec<Claim> {
    let mut accounts: BTreeMap<Account, Caps> = BTreeMap::new();
    for limit in limits {
        for account in accounts_of(limit, line, environment, now) {
            let caps = accounts.entry(account).or_default();
            *caps = caps.tightened(limit.caps);
        }
    }
    accounts.into_iter().map(|(account, caps)| Claim { account, caps }).collect()
}

fn accounts_of(limit: &Limit, line: &[Ancestor], environment: EnvironmentId, now: Micros) -> Vec<Account> {
    let root = line.last().map(|ancestor| ancestor.run);
    let runs: Vec<RunId> = match limit.scope {
        Scope::Installation => root.into_iter().collect(),
        Scope::Environment(id) => root.filter(|_| id == environment).into_iter().collect(),
        Scope::Agent(id) => line.iter().filter(|it| it.agent == id).map(|it| it.run).collect(),
        Scope::Run(id) => line.iter().map(|it| it.run).filter(|run| *run == id).collect(),
    };
    match limit.period {
        Period::Run => runs.into_iter().map(|run| Account { scope: Scope::Run(run), day: None }).collect(),
        Period::Day if runs.is_empty() => Vec::new(),
        Period::Day => vec![Account { scope: limit.scope, day: Some(day_of(now)) }],
    }
}

/// Whether some claim limits `measure`.
#[must_use]
pub fn is_limited_in(claims: &[Claim], measure: Measure) -> bool {
    claims.iter().any(|claim| claim.caps.get(measure).is_some())
}

/// The limit that made the cap of `measure` on `account`: the one to be told.
#[must_use]
pub fn culprit<'l>(
    limits: &'l [Limit],
    line: &[Ancestor],
    environment: EnvironmentId,
    account: Account,
    measure: Measure,
) -> Option<&'l Limit> {
    let now = Micros(account.day.unwrap_or(0).saturating_mul(DAY));
    let holds = |limit: &&Limit| {
        accounts_of(limit, line, environment, now).contains(&account) && limit.caps.get(measure).is_some()
    };
    limits.iter().filter(holds).min_by_key(|limit| limit.caps.get(measure))
}

/// How an account stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What is spent.
    pub spent: Amounts,
    /// What is reserved for requests that are out.
    pub reserved: Amounts,
    /// What people added to its limits.
    pub added: Amounts,
}

/// Whether there is room in an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// There is.
    Free,
    /// Not until requests that are out are settled: then there may be.
    Crowded(Measure),
    /// Not any more.
    Reached(Measure),
}

/// Whether `reserve` may be reserved and `spend` spent. What is limited by tokens, money or time goes on while its cap is
/// not reached: the size of a request is known only afterwards. Calls are counted before they are sent, so they never
/// pass their cap. A measure of which nothing is wanted does not matter, but time is always spent.
#[must_use]
pub fn room(caps: &Caps, standing: &Standing, reserve: &Amounts, spend: &Amounts) -> Room {
    let mut found = Room::Free;
    for measure in Measure::ALL {
        let Some(cap) = caps.get(measure) else { continue };
        let cap = cap.saturating_add(standing.added.get(measure));
        let (wanted, spending) = (reserve.get(measure), spend.get(measure));
        let spent = standing.spent.get(measure).saturating_add(spending);
        let (reached, crowded) = match measure {
            Measure::Calls => (spending > 0 && spent > cap, false),
            Measure::Time => (spent >= cap, false),
            Measure::Tokens | Measure::Usd => {
                let all = spent.saturating_add(standing.reserved.get(measure));
                (wanted > 0 && spent >= cap, wanted > 0 && all >= cap)
            }
        };
        if reached {
            return Room::Reached(measure);
        }
        if crowded && found == Room::Free {
            found = Room::Crowded(measure);
        }
    }
    found
}

/// What people are told of a run that has to wait: `budget: environment `prod` has spent 10.02 of 10.00 USD today (set by
/// hand)`.
#[must_use]
pub fn sentence(
    account: Account,
    limit: Option<&Limit>,
    (caps, standing, room): (&Caps, &Standing, Room),
    wanted: &Amounts,
) -> String {
    let (Room::Reached(measure) | Room::Crowded(measure)) = room else { return "budget".to_owned() };
    let cap = caps.get(measure).unwrap_or(0).saturating_add(standing.added.get(measure));
    let name = limit.map(|limit| limit.name.as_str()).filter(|name| !name.is_empty());
    let whose = match (account.scope, name) {
        (Scope::Installation, _) => "this installation".to_owned(),
        (Scope::Run(run), _) => format!("run {run}"),
        (scope, Some(name)) => format!("{} `{name}`", scope.as_str()),
        (scope, None) => format!("{} {}", scope.as_str(), scope.id()),
    };
    let today = if account.day.is_some() { " today" } else { "" };
    let source = limit.map(|limit| format!(" ({})", limit.source)).unwrap_or_default();
    let (spent, reserved) = (standing.spent.get(measure), standing.reserved.get(measure));
    match room {
        Room::Crowded(_) => format!(
            "budget: {whose} has {} of {} reserved for requests that are out{today}{source}",
            measure.show(spent.saturating_add(reserved)),
            measure.show(cap)
        ),
        Room::Free | Room::Reached(_) => {
            // The calls of one turn are begun together or not at all.
            let wanted = match (measure, wanted.calls) {
                (Measure::Calls, n) if n > 1 && spent < cap => format!(", and {n} are wanted at once"),
                _ => String::new(),
            };
            format!(
                "budget: {whose} has spent {} of {}{today}{wanted}{source}",
                measure.show(spent),
                measure.show(cap)
            )
        }
    }
}

/// The measure that a sentence tells of: its limit stands behind the first `of`, with its unit.
#[must_use]
pub fn measure_of(sentence: &str) -> Option<Measure> {
    let unit = |text: &str| text.split_whitespace().nth(1).map(|unit| unit.trim_end_matches(',').to_owned());
    let told = unit(sentence.split_once(" of ")?.1)?;
    let shown = |measure: &Measure| [1, 2, 1_000].map(|n| unit(&measure.show(n)));
    Measure::ALL.into_iter().find(|measure| shown(measure).contains(&Some(told.clone())))
}

//! Budgets as people see them: set, taken away, listed; and what runs have spent of theirs.

use crate::Station;
use crate::agents::AgentRef;
use crate::prepare::read_prompt;
use crate::runs::ENTRIES_MAX;
use crate::spend::Raise;
use station_core::budget::{Account, Amounts, Caps, Limit, Period, Scope, Standing, day_of};
use station_core::file::rules;
use station_core::run::limit_reached;
use station_core::{Action, AgentId, Caller, EnvironmentName, Error, Result, RunId};
use station_store::{AccountRow, SetLimit};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long limits set by hand are believed: whoever sets one does not wait longer for it to hold everywhere, and a
/// request takes longer than that anyway.
const BELIEVED_FOR: Duration = Duration::from_secs(1);

/// For whom a budget is set, as a person names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BudgetRef {
    /// All runs on this store.
    Installation,
    /// All runs of an environment.
    Environment(EnvironmentName),
    /// All runs of an agent.
    Agent(AgentRef),
    /// One run.
    Run(RunId),
}

/// A limit that holds, and how its account stands today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The limit, and where it is written.
    pub limit: Limit,
    /// Who set it by hand, and when; `None` where a file says it.
    pub set: Option<(String, station_core::Micros)>,
    /// What was spent of it, where it has one account: not where each run has its own.
    pub standing: Option<Standing>,
}

/// What one run has spent of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunBudget {
    /// The strictest limits, without what was added.
    pub caps: Caps,
    /// How it stands.
    pub standing: Standing,
}

/// Limits set by hand as they were read last, and when that was, since boot.
#[derive(Debug, Default)]
pub(crate) struct ByHand(Mutex<Option<(Duration, Arc<[Limit]>)>>);

impl ByHand {
    fn recent(&self, now: Duration) -> Option<Arc<[Limit]>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known
            .as_ref()
            .filter(|(at, _)| now.saturating_sub(*at) < BELIEVED_FOR)
            .map(|(_, limits)| Arc::clone(limits))
    }

    fn keep(&self, now: Duration, limits: &Arc<[Limit]>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(limits)));
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Station {
    /// Sets a limit by hand, in place of the one of this scope and period. It holds for runs that are under way, too, and
    /// can only tighten what files say.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` where nothing is limited, or where one run is limited by day.
    pub async fn set_budget(&self, by: &Caller, of: &BudgetRef, period: Period, caps: Caps) -> Result<Limit> {
        by.may(Action::ManageBudgets)?;
        if caps.is_empty() {
            return Err(Error::invalid("a budget must limit something")
                .with_hint("e.g. `tokens=50000`, `usd=1.50`, `calls=20` or `time=10m`"));
        }
        let (scope, name) = self.scope(by, of).await?;
        if matches!((scope, period), (Scope::Run(_), Period::Day)) {
            return Err(Error::invalid("a run has no budget by day").with_hint("leave `--per day` out"));
        }
        let limit = Limit { scope, period, caps, name, source: "set by hand".to_owned() };
        let set = SetLimit { limit: limit.clone(), by: by.actor(), at: self.now() };
        self.store().set_limit(&set).await?;
        self.by_hand().forget();
        Ok(limit)
    }

    /// Takes away what was set by hand, of one period or of both.
    ///
    /// # Errors
    /// `NotFound` where nothing was set.
    pub async fn unset_budget(&self, by: &Caller, of: &BudgetRef, period: Option<Period>) -> Result<()> {
        by.may(Action::ManageBudgets)?;
        let (scope, _) = self.scope(by, of).await?;
        let gone = self.store().unset_limits(scope, period, by.actor(), self.now()).await?;
        self.by_hand().forget();
        if gone == 0 {
            return Err(Error::not_found("no budget was set by hand there")
                .with_hint("`stn budget list` shows them; limits in files are changed in their files"));
        }
        Ok(())
    }

    /// Every limit that holds, of files and by hand, the widest scope first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_budgets(&self, by: &Caller) -> Result<Vec<Budget>> {
        by.may(Action::ReadBudgets)?;
        let mut found: Vec<(Limit, Option<(String, station_core::Micros)>)> = Vec::new();
        let of_config = self.config().limits.of(Scope::Installation, "", "config.yaml");
        if by.seen_by().is_none() {
            found.extend(of_config.map(|limit| (limit, None)));
        }
        for environment in self.list_environments(by).await? {
            let text = self.store().rules(environment.id).await?;
            let (rules, _) = rules::read(&text, "environment.yml");
            let limits = rules.map(|rules| rules.limits).unwrap_or_default();
            let scope = Scope::Environment(environment.id);
            found.extend(
                limits.of(scope, environment.name.as_str(), "environment.yml").map(|limit| (limit, None)),
            );
        }
        let agents = self.list_agents(by, None).await?;
        let seen: BTreeSet<AgentId> = agents.iter().map(|agent| agent.id).collect();
        for agent in agents {
            // A broken file has no limits to show; `stn sync` says what is wrong with it.
            let Ok(prompt) = read_prompt(self, &agent).await else { continue };
            let limits = prompt.limits.of(Scope::Agent(agent.id), agent.name.as_str(), "its file");
            found.extend(limits.map(|limit| (limit, None)));
        }
        for SetLimit { limit, by: setter, at } in self.store().set_limits().await? {
            if self.is_seen(by, &seen, limit.scope).await? {
                found.push((limit, Some((setter.name, at))));
            }
        }
        found.sort_by_key(|(limit, _)| limit.scope);
        let mut budgets = Vec::with_capacity(found.len());
        for (limit, set) in found {
            let standing = self.standing_of(&limit).await?;
            budgets.push(Budget { limit, set, standing });
        }
        Ok(budgets)
    }

    /// Whether what is limited is in an environment that `by` sees.
    async fn is_seen(&self, by: &Caller, agents: &BTreeSet<AgentId>, scope: Scope) -> Result<bool> {
        Ok(match scope {
            _ if by.seen_by().is_none() => true,
            Scope::Installation => false,
            Scope::Environment(id) => by.sees(id),
            Scope::Agent(id) => agents.contains(&id),
            Scope::Run(id) => self.store().run(id).await?.is_some_and(|run| by.sees(run.environment)),
        })
    }

    /// What these runs have spent of their own limits; those that have none are left out.
    ///
    /// # Errors
    /// The store's.
    pub async fn run_budgets(&self, runs: &[RunId]) -> Result<BTreeMap<RunId, RunBudget>> {
        let rows = self.store().run_accounts(runs).await?;
        let of_run = |row: AccountRow| match row.account.scope {
            Scope::Run(run) => Some((run, RunBudget { caps: row.caps, standing: row.standing })),
            Scope::Installation | Scope::Environment(_) | Scope::Agent(_) => None,
        };
        Ok(rows.into_iter().filter_map(of_run).collect())
    }

    /// Limits set by hand, as they were within the last second.
    pub(crate) async fn limits_by_hand(&self) -> Result<Arc<[Limit]>> {
        match self.by_hand().recent(self.since_boot()) {
            Some(limits) => Ok(limits),
            None => self.limits_by_hand_now().await,
        }
    }

    /// Limits set by hand as they are.
    pub(crate) async fn limits_by_hand_now(&self) -> Result<Arc<[Limit]>> {
        let now = self.since_boot();
        let limits: Arc<[Limit]> =
            self.store().set_limits().await?.into_iter().map(|set| set.limit).collect();
        self.by_hand().keep(now, &limits);
        Ok(limits)
    }

    /// What a person adds to the limits of a run, if that can help it.
    pub(crate) async fn raise(&self, by: &Caller, id: RunId, added: Amounts) -> Result<Raise> {
        let journal = self.store().journal(id, 0, ENTRIES_MAX).await?;
        match limit_reached(&journal) {
            Some((account, sentence)) if account.scope != Scope::Run(id) => {
                Err(Error::conflict(format!("adding to run {id} does not help it: {sentence}"))
                    .with_hint("`stn budget list` shows where that limit is written")
                    .with_hint("one by day lets it go on when the day is over (UTC)"))
            }
            _ => Ok(Raise { run: id, by: format!("{} ({})", by.name, self.config().worker), added }),
        }
    }

    async fn scope(&self, by: &Caller, of: &BudgetRef) -> Result<(Scope, String)> {
        Ok(match of {
            BudgetRef::Installation => (Scope::Installation, String::new()),
            BudgetRef::Environment(name) => {
                let found = self.store().environment(name.as_str()).await?.filter(|it| by.sees(it.id));
                let missing = || {
                    Error::not_found(format!("environment `{name}` does not exist"))
                        .with_hint("`stn env list` shows them")
                };
                (Scope::Environment(found.ok_or_else(missing)?.id), name.to_string())
            }
            BudgetRef::Agent(agent) => {
                let agent = self.find_agent(by, agent).await?;
                (Scope::Agent(agent.id), agent.name.to_string())
            }
            BudgetRef::Run(run) => (Scope::Run(self.find_run(by, *run).await?.id), String::new()),
        })
    }

    /// How the one account of a limit stands; a limit of each run of many has none.
    async fn standing_of(&self, limit: &Limit) -> Result<Option<Standing>> {
        let day = match (limit.period, limit.scope) {
            (Period::Day, _) => Some(day_of(self.now())),
            (Period::Run, Scope::Run(_)) => None,
            (Period::Run, _) => return Ok(None),
        };
        let row = self.store().account(Account { scope: limit.scope, day }).await?;
        Ok(Some(row.map(|row| row.standing).unwrap_or_default()))
    }
}

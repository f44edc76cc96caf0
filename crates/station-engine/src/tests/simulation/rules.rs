//! What must hold, whatever the dice say. ARCHITECTURE.md lists the same rules.

use super::schedule::Report;
use super::world::{Arrival, REPEATABLE, Shared};
use crate::{Seen, Watch};
use serde::Serialize;
use station_core::approval::{Approved, Basis, Level, Rule};
use station_core::budget::{Account, Scope, day_of};
use station_core::run::{Effect, Entry, Event, Status};
use station_core::{Concurrency, Fence, Micros, RunId, ToolCall};
use station_store::{AccountRow, Run, RunFilter, StandingApproval, Store};
use std::collections::BTreeMap;

/// Entries of a journal per turn, call, question and adoption; more would mean that something is kept twice.
const ENTRIES_PER_DEED: usize = 6;

/// Bytes of a journal per deed, and per byte that was said to the run or returned to it: what a tool gives as text and as data
/// stands there as both, and JSON writes a quotation mark as two bytes.
const BYTES_PER_DEED: usize = 600;
const BYTES_PER_BYTE: usize = 2;

/// A tool as it was defined for a while.
#[derive(Default)]
struct Edition {
    definition: String,
    /// Who drove runs when another took its place: they may have been told that they may send before.
    drivers: BTreeMap<RunId, Fence>,
}

pub(super) struct Rules {
    store: Store,
    world: Shared,
    /// Every entry that a watcher was told, and so was acknowledged.
    told: BTreeMap<(RunId, i64), Entry>,
    /// What `guarded` was, the last as it is.
    editions: Vec<Edition>,
    /// Every yes for always that was ever given.
    standing: BTreeMap<i64, StandingApproval>,
    /// Those that were taken back, and how many calls were sent on each by then.
    revoked: BTreeMap<i64, usize>,
    unknown: u64,
    looks: u64,
    resent: u64,
    voided: u64,
    completed: u64,
}

impl Rules {
    pub(super) fn new(store: &Store, world: &Shared) -> Self {
        Self {
            store: store.clone(),
            world: world.clone(),
            told: BTreeMap::new(),
            editions: Vec::new(),
            standing: BTreeMap::new(),
            revoked: BTreeMap::new(),
            unknown: 0,
            looks: 0,
            resent: 0,
            voided: 0,
            completed: 0,
        }
    }

    pub(super) fn told(&mut self, watch: &mut Watch) {
        while let Some(live) = watch.try_next() {
            if let Seen::Journal(entry) = &live.seen {
                if let Event::Adopted { fence, .. } = entry.event {
                    self.world.owned(live.run, fence);
                }
                let before = self.told.insert((live.run, entry.seq), (**entry).clone());
                assert!(
                    before.is_none_or(|before| before == **entry),
                    "run {}: told twice, differently",
                    live.run
                );
            }
        }
    }

    /// `guarded` is defined as `definition` from here on.
    pub(super) async fn defined(&mut self, definition: String) {
        if let Some(last) = self.editions.last_mut() {
            let runs = self.store.runs(&RunFilter::default(), 10_000).await.expect("it reads");
            last.drivers = runs.iter().map(|run| (run.id, run.fence)).collect();
        }
        self.editions.push(Edition { definition, ..Edition::default() });
    }

    /// Somebody may have said yes for always.
    pub(super) async fn allowed(&mut self) {
        let standing = self.store.standing_approvals(None).await.expect("it reads");
        self.standing.extend(standing.into_iter().map(|it| (it.id, it)));
    }

    /// Nothing is sent on this yes for always from here on.
    pub(super) async fn revoked(&mut self, id: i64) {
        let sent = self.sent_on(id).await;
        self.revoked.insert(id, sent);
    }

    /// How many calls were sent on a yes for always.
    async fn sent_on(&self, standing: i64) -> usize {
        let is_sent = |entry: &&Entry| {
            matches!(&entry.event, Event::EffectStarted { effect: Effect::Call { approved, .. }, .. }
                if *approved == Some(Approved::Always { id: standing }))
        };
        let mut sent = 0;
        for run in self.store.runs(&RunFilter::default(), 10_000).await.expect("it reads") {
            let journal = self.store.journal(run.id, 0, 100_000).await.expect("it reads");
            sent += journal.iter().filter(is_sent).count();
        }
        sent
    }

    /// What was counted in all journals.
    pub(super) fn count(&self, report: &mut Report) {
        report.unknown = self.unknown;
        report.looks = self.looks;
        report.resent = self.resent;
        report.voided = self.voided;
        report.revoked = u64::try_from(self.revoked.len()).expect("a few");
        report.completed = self.completed;
    }

    /// What tools were just given was sent by whoever had the run, committed before, and approved where it has to be.
    pub(super) async fn check_arrivals(&self) {
        let arrived = std::mem::take(&mut self.world.lock().arrived);
        for arrival in arrived {
            self.check_arrival(&arrival).await;
        }
    }

    async fn check_arrival(&self, arrival: &Arrival) {
        let Arrival { run, fence, owner, .. } = *arrival;
        assert!(fence >= owner, "run {run}: {arrival:?}, when somebody else had it");
        let journal = self.store.journal(run, 0, 100_000).await.expect("it reads");
        let (mut adopted, mut sent) = (None, None);
        for entry in &journal {
            match &entry.event {
                Event::Adopted { fence, .. } => adopted = Some(*fence),
                Event::EffectStarted { id, effect } if *id == arrival.effect && adopted == Some(fence) => {
                    sent = Some(effect);
                }
                _ => {}
            }
        }
        let (tool, approved) = match sent {
            Some(Effect::Call { tool, approved, .. }) => (tool, approved.as_ref()),
            Some(Effect::Verify { tool, .. }) => (tool, None),
            other => panic!("run {run}: {arrival:?} was sent before it was committed: {other:?}"),
        };
        assert_eq!(*tool, arrival.tool, "run {run}");
        let is_repeatable = REPEATABLE.contains(&arrival.tool.as_str());
        let may_be_sent = arrival.nth == 1 || is_repeatable || arrival.was_absent;
        assert!(may_be_sent, "run {run}: {arrival:?}, and nobody had seen that it did not take effect");
        if arrival.tool == "guarded" {
            self.check_approval(arrival, approved).await;
        }
    }

    /// A person has said yes to this call, of the tool as it is.
    async fn check_approval(&self, arrival: &Arrival, approved: Option<&Approved>) {
        let run = arrival.run;
        let definition = match approved {
            Some(Approved::Once { basis }) => {
                let rule = Rule { level: Level::Server, pattern: "guarded".to_owned() };
                let shown = Basis::new(&arrival.arguments, basis.definition.clone(), rule);
                assert_eq!(*basis, shown, "run {run}: the yes was for something else");
                let approvals = self.store.approvals_of(run).await.expect("it reads");
                let given = approvals.iter().find(|it| it.effect == arrival.effect);
                let given = given.unwrap_or_else(|| panic!("run {run}: nobody was asked for {arrival:?}"));
                assert_eq!((given.status.as_str(), &given.basis), ("approved", &shown), "run {run}");
                assert!(given.used_at.is_some(), "run {run}: its use was not recorded with it");
                &basis.definition
            }
            Some(Approved::Always { id }) => {
                let given = self.standing.get(id).unwrap_or_else(|| panic!("run {run}: nobody gave {id}"));
                let agent = self.store.run(run).await.expect("it reads").expect("it is there").agent_name;
                let allowed = (given.agent.as_str(), given.server.as_str(), given.tool.as_str());
                assert_eq!(allowed, (agent.as_str(), "book", "guarded"), "run {run}: the yes was for others");
                &given.definition_hash
            }
            None => panic!("run {run}: {arrival:?} was sent without a yes"),
        };
        let edition = self.editions.iter().rposition(|it| it.definition == *definition);
        let edition = edition.unwrap_or_else(|| panic!("run {run}: the yes was for another tool"));
        let was_there = self.editions[edition].drivers.get(&run).is_some_and(|fence| arrival.fence <= *fence);
        let is_last = edition + 1 == self.editions.len();
        assert!(is_last || was_there, "run {run}: {arrival:?}, and the tool is another since it was allowed");
    }

    /// Looks at everything when all is over. How many runs there were.
    pub(super) async fn check_all(&mut self) -> u64 {
        let runs = self.store.runs(&RunFilter::default(), 10_000).await.expect("it reads");
        for run in &runs {
            assert!(run.status.is_final(), "run {} is {} for ever", run.id, run.status.as_str());
            let journal = self.store.journal(run.id, 0, 100_000).await.expect("it reads");
            self.check_journal(run.id, &journal);
            self.completed += u64::from(run.status == Status::Completed);
        }
        for ((run, seq), entry) in &self.told {
            let stored = self.store.journal(*run, seq - 1, 1).await.expect("it reads");
            assert_eq!(stored.first(), Some(entry), "run {run}: an acknowledged step is lost");
        }
        self.check_effects();
        for (id, sent) in &self.revoked {
            assert_eq!(self.sent_on(*id).await, *sent, "a call was sent on {id}, which was taken back");
        }
        self.check_ledger(&runs).await;
        self.store.check_audit().await.expect("it reads").expect("the audit's chain");
        runs.len() as u64
    }

    /// What may not be repeated has happened once at most.
    fn check_effects(&self) {
        for (id, call) in &self.world.lock().calls {
            let is_repeatable = REPEATABLE.contains(&call.tool.as_str());
            assert!(is_repeatable || call.applied <= 1, "effect {id} happened more than once: {call:?}");
        }
    }

    /// No more is driven at a time than may be, whoever drives it.
    pub(super) async fn check_at_once(&self, at_once: &Concurrency) {
        let (Some(of_environment), Some(of_agent)) = (at_once.environment_max, at_once.agent_max) else {
            return;
        };
        let running = RunFilter { status: Some(Status::Running), ..RunFilter::default() };
        let running = self.store.runs(&running, 100).await.expect("it reads");
        let mut by_agent: BTreeMap<&str, u32> = BTreeMap::new();
        for run in &running {
            *by_agent.entry(&run.agent_name).or_default() += 1;
        }
        assert!(by_agent.values().all(|n| *n <= of_agent), "{by_agent:?} are driven, {of_agent} may be");
        let all = by_agent.values().sum::<u32>();
        assert!(all <= of_environment, "{all} are driven, {of_environment} may be");
    }

    /// No account is over its limit by more than one reservation. `day_tokens` is the highest limit that the day had.
    pub(super) async fn check_spending(&self, day_tokens: i64, now: Micros) {
        let runs = self.store.runs(&RunFilter::default(), 10_000).await.expect("it reads");
        let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
        // Accounts first: what is reserved later cannot be in them.
        let mut rows = self.store.run_accounts(&ids).await.expect("it reads");
        // Clocks jump, also over midnight.
        for day in day_of(now) - 1..=day_of(now) + 1 {
            let account = Account { scope: Scope::Installation, day: Some(day) };
            rows.extend(self.store.account(account).await.expect("it reads"));
        }
        // What one request took at most of each account.
        let mut biggest: BTreeMap<Account, i64> = BTreeMap::new();
        for id in &ids {
            for entry in self.store.journal(*id, 0, 100_000).await.expect("it reads") {
                let Event::BudgetReserved { accounts, amounts, expected, .. } = entry.event else { continue };
                let tokens = expected.unwrap_or(amounts).tokens;
                for account in accounts {
                    let most = biggest.entry(account).or_default();
                    *most = tokens.max(*most);
                }
            }
        }
        for AccountRow { account, standing, caps } in rows {
            let limit = if account.day.is_some() { Some(day_tokens) } else { caps.tokens };
            let limit = limit.map_or(i64::MAX / 2, |limit| limit + standing.added.tokens);
            // What is reserved may be more: the first request to a model holds the rest of the account.
            let (spent, biggest) = (standing.spent.tokens, biggest.get(&account).copied().unwrap_or(0));
            assert!(spent <= limit + biggest, "{account:?}: {spent} of {limit}, requests take {biggest}");
        }
    }

    /// What is counted in budgets is what the journals say, whoever was killed in between; nothing stays reserved.
    async fn check_ledger(&self, runs: &[Run]) {
        let (mut told, ids) = (0, runs.iter().map(|run| run.id).collect::<Vec<_>>());
        for id in &ids {
            let journal = self.store.journal(*id, 0, 100_000).await.expect("it reads");
            told += journal
                .iter()
                .map(|entry| match &entry.event {
                    Event::BudgetSettled { spent, .. } => spent.tokens,
                    _ => 0,
                })
                .sum::<i64>();
        }
        let accounts = self.store.run_accounts(&ids).await.expect("it reads");
        let counted: i64 = accounts.iter().map(|row| row.standing.spent.tokens).sum();
        assert_eq!(counted, told, "the ledger is not what the journals say");
        let reserved: i64 = accounts.iter().map(|row| row.standing.reserved.tokens).sum();
        assert_eq!(reserved, 0, "something is reserved for ever");
    }

    fn check_journal(&mut self, run: RunId, journal: &[Entry]) {
        let mut fence = 0;
        let mut deeds = 1;
        for (at, entry) in (1_i64..).zip(journal) {
            assert_eq!(entry.seq, at, "run {run}: a gap");
            match &entry.event {
                Event::Adopted { fence: now, .. } => {
                    assert!(now.0 > fence, "run {run}: two owners at a time");
                    fence = now.0;
                    deeds += 1;
                }
                Event::EffectStarted { effect: Effect::Call { repeatable, attempt, .. }, .. } => {
                    deeds += 1;
                    self.resent += u64::from(*attempt > 1 && !repeatable);
                }
                Event::EffectStarted { effect: Effect::Verify { .. }, .. } => {
                    deeds += 1;
                    self.looks += 1;
                }
                Event::OutcomeUnknown { .. } => self.unknown += 1,
                Event::ApprovalVoided { .. } => self.voided += 1,
                Event::EffectStarted { .. } | Event::EffectPlanned { .. } | Event::Answered { .. } => {
                    deeds += 1;
                }
                _ => {}
            }
        }
        let (n, heard) =
            (journal.len(), journal.iter().map(|entry| bytes_heard(&entry.event)).sum::<usize>());
        assert!(n <= ENTRIES_PER_DEED * deeds, "run {run}: {n} entries, {deeds} deeds");
        let bytes: usize = journal.iter().map(json_bytes).sum();
        let bytes_max = BYTES_PER_DEED * deeds + BYTES_PER_BYTE * heard;
        assert!(bytes <= bytes_max, "run {run}: {bytes} bytes, {deeds} deeds, {heard} bytes were heard");
    }
}

/// Bytes that came to a run from outside, by what its journal says of `event`.
fn bytes_heard(event: &Event) -> usize {
    match event {
        Event::Answered { answer, .. } => {
            let call = |call: &ToolCall| call.id.len() + call.name.len() + call.arguments.len();
            answer.text.len() + answer.calls.iter().map(call).sum::<usize>()
        }
        Event::Returned { text, structured, .. } => text.len() + structured.as_ref().map_or(0, json_bytes),
        Event::ChildEnded { text, .. } => text.len(),
        _ => 0,
    }
}

fn json_bytes(value: &impl Serialize) -> usize {
    serde_json::to_string(value).expect("it is JSON").len()
}

//! What a driven run spends: room is made before a request, what it cost is counted after, and a limit parks the run.
//!
//! The decisions are `station_core::budget`'s and the ledger is the store's; here they meet the journal. What an effect
//! takes is part of the append of its `EffectStarted`: where there is no room nothing of the append is written, and the run
//! is put back to where it stood before. A reservation whose answer was not seen (a kill, a stop) is charged whole by
//! whoever drives the run next. **Invariant:** a run without limits does nothing here but look at an empty list.

use crate::Station;
use crate::drive::{Drive, Left};
use crate::journal::{Mark, Standing};
use crate::lease::millis;
use crate::perform::Started;
use station_core::budget::{
    self, Account, Amounts, Ancestor, CROWDED_FOR_MS, Caps, Claim, Limit, Measure, Measured, OUTPUT_TOKENS,
    Room,
};
use station_core::run::{Effect, Entry, Event, Machine, Status, Todo, WaitKind, WaitsOn, limit_reached};
use station_core::{Answer, EffectId, Micros, ModelRef, Result, RunId, Usage};
use station_store::{Charge, Refusal, Run, Wait};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What somebody adds to a run's own limits.
#[derive(Clone, Debug)]
pub(crate) struct Raise {
    pub(crate) run: RunId,
    /// Who, for people.
    pub(crate) by: String,
    pub(crate) added: Amounts,
}

/// What this process has measured of models. Not kept: after a start the first request to each goes alone again.
#[derive(Debug, Default)]
pub(crate) struct Measures(Mutex<HashMap<ModelRef, Measured>>);

impl Measures {
    fn of(&self, model: &ModelRef) -> Option<Measured> {
        self.lock().get(model).copied()
    }

    fn note(&self, model: &ModelRef, estimate: &Usage, usage: &Usage) {
        let mut all = self.lock();
        let measured = Measured::after(all.get(model).copied(), estimate, usage);
        all.insert(model.clone(), measured);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ModelRef, Measured>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a driver knows of its run's budgets.
pub(crate) struct Spending {
    /// Limits kept with the run.
    kept: Vec<Limit>,
    /// The run, and those above it.
    line: Vec<Ancestor>,
    /// Since when driven time was not counted, since boot.
    since: Duration,
    /// The model of the request that is out, and what that was estimated to take, by its bytes.
    asked: Option<(ModelRef, Usage)>,
    /// Limits set by hand were not read yet by this driver.
    is_first: bool,
    /// The journal says already that the run waits for room, and nothing was sent since.
    is_told: bool,
}

impl Spending {
    pub(crate) fn new(station: &Station, run: &Run, machine: &Machine, journal: &[Entry]) -> Self {
        let inputs = machine.inputs();
        let own = Ancestor { run: run.id, agent: run.agent };
        let above = inputs.map(|inputs| inputs.above.clone()).unwrap_or_default();
        Self {
            kept: inputs.map(|inputs| inputs.limits.clone()).unwrap_or_default(),
            line: std::iter::once(own).chain(above).collect(),
            since: station.since_boot(),
            asked: None,
            is_first: true,
            is_told: limit_reached(journal).is_some(),
        }
    }

    /// Driven time since this was asked last; `now` is since boot.
    fn take_time_ms(&mut self, now: Duration) -> i64 {
        let spent = millis(now.saturating_sub(self.since));
        self.since = now;
        i64::try_from(spent).unwrap_or(i64::MAX)
    }

    /// What a sub-agent's run inherits.
    pub(crate) fn inherited(&self) -> (Vec<Limit>, Vec<Ancestor>) {
        (self.kept.clone(), self.line.clone())
    }
}

/// What became of what was to be begun.
pub(crate) enum Begun {
    /// It may be sent: that is committed.
    Out(Vec<Started>),
    /// There is nothing to send.
    Nothing,
    /// There is no room for it, and the run was let go of.
    Parked(Left),
}

/// Why a request for a tool server is not begun.
pub(crate) enum NoRoom {
    /// Room is reserved by others; the sentence is for people.
    Crowded(String),
    /// There is none.
    Reached(String),
}

/// How old the limits set by hand may be that one goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// A second: who sets a limit does not wait longer for it to hold.
    Recent,
    /// Not at all.
    Now,
}

impl Drive<'_> {
    /// Counts what is open from before: a lost reservation, what somebody adds, and that the run waits no longer.
    pub(crate) fn take_up_budget(&mut self) {
        self.charge_lost();
        if let Some(Raise { run, by, added }) = self.signals.take_raise(self.run.id) {
            let account = Account { scope: budget::Scope::Run(run), day: None };
            self.journal
                .charge([Charge { add: added, ..counted(account, Amounts::default(), Amounts::default()) }]);
            let event = self.machine.apply(Event::BudgetRaised { by, added });
            self.journal.add(event);
        }
        if self.run.status == Status::Waiting {
            self.journal.wait(Wait::Leave);
        }
    }

    /// Begins what is to do, in one commit with the room it takes; parks the run where there is none. After an error
    /// nothing of it has happened.
    pub(crate) async fn begin_within_budget(&mut self, todos: Vec<Todo>) -> Result<Begun> {
        // One that was set before a run began holds for all of it.
        let read = if std::mem::take(&mut self.spending.is_first) { Read::Now } else { Read::Recent };
        let claims = self.claims(read).await?;
        let before = self.before();
        let mut started = match self.begin(todos).await {
            Ok(started) => started,
            Err(error) => {
                self.take_back(before);
                return Err(error);
            }
        };
        let is_spawn =
            |event: &Event| matches!(event, Event::EffectStarted { effect: Effect::Spawn { .. }, .. });
        if started.is_empty() && self.journal.count_since(before.mark.seq(), is_spawn) == 0 {
            return Ok(Begun::Nothing);
        }
        let reserve = |drive: &mut Self| drive.reserve(&claims, &mut started);
        match self.commit_within(&claims, before, reserve).await? {
            None => Ok(Begun::Out(started)),
            Some(refused) => self.pause(&claims, refused).await.map(Begun::Parked),
        }
    }

    /// Commits what was begun since `before`, with the room that `reserve` says it takes; where there is none, takes it back.
    async fn commit_within(
        &mut self,
        claims: &[Claim],
        before: Before,
        reserve: impl FnOnce(&mut Self) -> Result<Amounts, String>,
    ) -> Result<Option<Refused>> {
        if claims.is_empty() {
            self.flush(Standing::Running).await?;
            return Ok(None);
        }
        let refused = match reserve(self) {
            Err(sentence) => Refused::Unpriced(sentence),
            Ok(amounts) => {
                self.charge_begun(claims, amounts, before.mark.seq());
                match self.journal.try_flush(&self.machine, Standing::Running, self.lease).await? {
                    None => return Ok(None),
                    Some(refusal) => Refused::NoRoom(Box::new(refusal)),
                }
            }
        };
        self.take_back(before);
        Ok(Some(refused))
    }

    fn before(&self) -> Before {
        Before { machine: self.machine.clone(), mark: self.journal.mark(), since: self.spending.since }
    }

    /// Makes everything as it was.
    fn take_back(&mut self, before: Before) {
        self.machine = before.machine;
        self.journal.retract(&before.mark);
        self.spending.since = before.since;
    }

    /// Begins a request for a tool server, in one commit with the room that it takes; where there is none, nothing has happened.
    /// Its call is out, so the run goes on either way.
    pub(crate) async fn begin_sample(
        &mut self,
        id: EffectId,
        effect: Effect,
        (model, estimate): (&ModelRef, Usage),
    ) -> Result<std::result::Result<(), NoRoom>> {
        let limits = match self.limits(Read::Recent).await {
            Ok(limits) => limits,
            Err(error) => return Ok(Err(NoRoom::Crowded(format!("its budgets cannot be read: {error}")))),
        };
        let claims = budget::claims(&limits, &self.spending.line, self.run.environment, self.station.now());
        let before = self.before();
        self.journal.add(self.machine.apply(Event::EffectStarted { id, effect }));
        let reserve = |drive: &mut Self| drive.reserve_for(&claims, id, model, estimate);
        Ok(match self.commit_within(&claims, before, reserve).await? {
            None => Ok(()),
            Some(Refused::Unpriced(sentence)) => Err(NoRoom::Reached(sentence)),
            Some(Refused::NoRoom(refusal)) => {
                let sentence = self.room_in_words(&limits, &refusal);
                Err(match refusal.room {
                    Room::Reached(_) => NoRoom::Reached(sentence),
                    Room::Crowded(_) | Room::Free => NoRoom::Crowded(sentence),
                })
            }
        })
    }

    /// Counts what an answer cost. Of a request without a reservation nothing is counted.
    pub(crate) fn settle(&mut self, event: &Event) {
        let Some(reserved) = self.machine.reservation().cloned() else { return };
        let spent = match event {
            Event::Answered { id, answer, .. } | Event::Sampled { id, answer, .. } if *id == reserved.id => {
                self.cost(answer, reserved.expected)
            }
            Event::AskFailed { id, failure, .. } | Event::SampleFailed { id, failure: Some(failure), .. }
                if *id == reserved.id =>
            {
                budget::charged_for(*failure, reserved.expected)
            }
            _ => return,
        };
        self.charge(&reserved.accounts, reserved.amounts.negated(), spent);
        let event = self.machine.apply(Event::BudgetSettled { id: reserved.id, spent, lost: false });
        self.journal.add(event);
    }

    /// Counts a reservation whose answer will not be seen as if all of it were spent.
    pub(crate) fn charge_lost(&mut self) {
        let Some(reserved) = self.machine.reservation().cloned() else { return };
        self.charge(&reserved.accounts, reserved.amounts.negated(), reserved.expected);
        let (id, spent) = (reserved.id, reserved.expected);
        let event = self.machine.apply(Event::BudgetSettled { id, spent, lost: true });
        self.journal.add(event);
    }

    /// What `answer` cost; a provider that counts no tokens is believed to have taken what was estimated.
    fn cost(&self, answer: &Answer, reserved: Amounts) -> Amounts {
        let (model, estimate) = self.spending.asked.as_ref().map(|(model, usage)| (model, *usage)).unzip();
        let estimate = estimate.unwrap_or_default();
        let usage = budget::usage_of(answer, estimate);
        if let Some(model) = model {
            self.station.measures().note(model, &estimate, &usage);
        }
        let price = model.and_then(|model| self.station.config().prices.cost(model, &usage));
        let tokens = i64::try_from(usage.input.saturating_add(usage.output)).unwrap_or(i64::MAX);
        Amounts { tokens, micro_usd: price.unwrap_or(reserved.micro_usd), ..Amounts::default() }
    }

    fn charge(&mut self, accounts: &[Account], reserve: Amounts, spent: Amounts) {
        let spend = Amounts { time_ms: self.spending.take_time_ms(self.station.since_boot()), ..spent };
        self.journal.charge(accounts.iter().map(|account| counted(*account, reserve, spend)));
    }

    /// The limits that hold for this run now.
    async fn limits(&self, read: Read) -> Result<Vec<Limit>> {
        let by_hand = match read {
            Read::Recent => self.station.limits_by_hand().await?,
            Read::Now => self.station.limits_by_hand_now().await?,
        };
        Ok(self.spending.kept.iter().chain(by_hand.iter()).cloned().collect())
    }

    async fn claims(&self, read: Read) -> Result<Vec<Claim>> {
        let limits = self.limits(read).await?;
        let (line, now) = (&self.spending.line, self.station.now());
        Ok(budget::claims(&limits, line, self.run.environment, now))
    }

    /// Adds the reservation of what `started` asks to the append; `Err` where it cannot be said what that costs.
    fn reserve(&mut self, claims: &[Claim], started: &mut [Started]) -> Result<Amounts, String> {
        let mut reserve = Amounts::default();
        for it in started {
            let Started::Ask { id, model, messages, max_output } = it else { continue };
            let estimate = budget::estimate(messages, self.machine.prepared());
            reserve = self.reserve_for(claims, *id, model, estimate)?;
            let limited = |measure| budget::is_limited_in(claims, measure);
            if limited(Measure::Usd) || limited(Measure::Tokens) {
                let written = self.machine.prepared().settings.max_output_tokens;
                *max_output = Some(written.unwrap_or(OUTPUT_TOKENS));
            }
        }
        Ok(reserve)
    }

    /// Adds the reservation of one request to `model` to the append; `Err` where it cannot be said what that costs.
    fn reserve_for(
        &mut self,
        claims: &[Claim],
        id: EffectId,
        model: &ModelRef,
        estimate: Usage,
    ) -> Result<Amounts, String> {
        let measured = self.station.measures().of(model);
        let usage = measured.map_or(estimate, |measured| measured.scaled(&estimate));
        let prices = &self.station.config().prices;
        let is_paid = budget::is_limited_in(claims, Measure::Usd);
        let price = match prices.missing(model).filter(|_| is_paid) {
            Some(sentence) => return Err(sentence),
            None => prices.cost(model, &usage).unwrap_or(0),
        };
        let tokens = i64::try_from(usage.input.saturating_add(usage.output)).unwrap_or(i64::MAX);
        let expected = Amounts { tokens, micro_usd: price, ..Amounts::default() };
        let reserve = if measured.is_some() { expected } else { budget::held_alone(claims, expected) };
        self.spending.asked = Some((model.clone(), estimate));
        let accounts = claims.iter().map(|claim| claim.account).collect();
        let expected = (expected != reserve).then_some(expected);
        let event = self.machine.apply(Event::BudgetReserved { id, accounts, amounts: reserve, expected });
        self.journal.add(event);
        Ok(reserve)
    }

    /// Adds to the append what is counted with it: `reserve`, the calls that were begun from `from_seq` on, and driven time.
    fn charge_begun(&mut self, claims: &[Claim], reserve: Amounts, from_seq: i64) {
        let calls = self.journal.count_since(from_seq, |event| match event {
            Event::EffectStarted { effect: Effect::Call { attempt, .. }, .. } => *attempt == 1,
            Event::EffectStarted { effect: Effect::Spawn { .. }, .. } => true,
            _ => false,
        });
        let time_ms = self.spending.take_time_ms(self.station.since_boot());
        let spend = Amounts { calls: i64::from(calls), time_ms, ..Amounts::default() };
        self.journal.charge(
            claims.iter().map(|claim| Charge { caps: claim.caps, ..counted(claim.account, reserve, spend) }),
        );
    }

    /// Lets go of the run because of a limit.
    async fn pause(&mut self, claims: &[Claim], refused: Refused) -> Result<Left> {
        let limits = self.limits(Read::Now).await?;
        let now = self.station.now();
        let fresh = budget::claims(&limits, &self.spending.line, self.run.environment, now);
        // Whatever comes of it, the time until here was driven.
        let time_ms = self.spending.take_time_ms(self.station.since_boot());
        let time = Amounts { time_ms, ..Amounts::default() };
        self.journal.charge(fresh.iter().map(|claim| counted(claim.account, Amounts::default(), time)));
        let (on, left) = match refused {
            Refused::Unpriced(sentence) => self.wait_for_price(claims, &sentence),
            Refused::NoRoom(refusal) => self.wait_for_room(&limits, &refusal, now),
        };
        self.flush(Standing::Parked(on)).await?;
        // Who changed the limits between the refusal and the parking did not see that this run waits. It is let go of by
        // now, so what fails from here on is not its driver's to try again.
        match self.is_still_kept(claims, &fresh).await {
            Ok(true) => Ok(left),
            Ok(false) => Ok(Left::Crowded),
            Err(error) => {
                tracing::warn!(run = %self.run.id, %error, "limits could not be read again; the run waits for its time");
                Ok(left)
            }
        }
    }

    /// Whether the limits that keep the run are as they were; otherwise it is put back in the queue.
    async fn is_still_kept(&self, claims: &[Claim], fresh: &[Claim]) -> Result<bool> {
        if fresh == claims && self.claims(Read::Now).await? == fresh {
            return Ok(true);
        }
        self.station.store().free_run(self.run.id, self.station.now()).await?;
        Ok(false)
    }

    fn wait_for_price(&mut self, claims: &[Claim], sentence: &str) -> (WaitsOn, Left) {
        // No budget: adding to one would not help it.
        let on = WaitsOn::new(WaitKind::Price, sentence);
        if let Some(claim) = claims.iter().find(|claim| claim.caps.micro_usd.is_some()) {
            let (account, sentence) = (claim.account, on.words.clone());
            let event = self.machine.apply(Event::BudgetReached { account, sentence, until: None });
            self.journal.add(event);
        }
        (on, Left::Parked)
    }

    fn wait_for_room(&mut self, limits: &[Limit], refusal: &Refusal, now: Micros) -> (WaitsOn, Left) {
        let Refusal { charge, room, .. } = refusal;
        let words = self.room_in_words(limits, refusal);
        if *room == Room::Free {
            return (WaitsOn::new(WaitKind::Budget, words), Left::Crowded);
        }
        let account = charge.account;
        let crowded = matches!(room, Room::Crowded(_));
        let wakes_at =
            if crowded { Some(now.plus_ms(CROWDED_FOR_MS)) } else { account.day.map(budget::day_end) };
        self.journal.wait(Wait::Park { charge: Box::new(*charge), crowded, wakes_at });
        // Whoever takes turns would fill the journal with it.
        if !(crowded && self.spending.is_told) {
            let event = Event::BudgetReached { account, sentence: words.clone(), until: wakes_at };
            let event = self.machine.apply(event);
            self.journal.add(event);
        }
        let left = if crowded { Left::Crowded } else { Left::Parked };
        (WaitsOn::new(WaitKind::Budget, words), left)
    }

    /// What people are told of a refusal.
    fn room_in_words(&self, limits: &[Limit], refusal: &Refusal) -> String {
        let Refusal { charge, standing, room } = refusal;
        let (Room::Crowded(measure) | Room::Reached(measure)) = *room else { return "budget".to_owned() };
        let (account, line) = (charge.account, &self.spending.line);
        let culprit = budget::culprit(limits, line, self.run.environment, account, measure);
        budget::sentence(account, culprit, (&charge.caps, standing, *room), &charge.spend)
    }
}

/// How everything was before something was begun.
struct Before {
    machine: Machine,
    mark: Mark,
    /// Since when driven time was not counted.
    since: Duration,
}

/// Why nothing was started.
enum Refused {
    NoRoom(Box<Refusal>),
    /// A limit of money holds, and the table has no price.
    Unpriced(String),
}

/// A charge that holds whatever the account says.
fn counted(account: Account, reserve: Amounts, spend: Amounts) -> Charge {
    Charge { account, caps: Caps::default(), reserve, spend, add: Amounts::default() }
}

/// Where the limits of a run come from, beside those set by hand.
pub(crate) fn own_limits(
    station: &Station,
    run: &Run,
    (agent, rules): (budget::Limits, budget::Limits),
    asked: Caps,
) -> Vec<Limit> {
    use budget::Scope;
    let environment = &run.environment_name;
    let mut limits: Vec<Limit> = agent
        .of(Scope::Agent(run.agent), &run.agent_name, &format!("by the file of agent `{}`", run.agent_name))
        .collect();
    if run.parent.is_none() {
        let asked = budget::Limits { run: asked, day: Caps::default() };
        limits.extend(station.config().limits.of(Scope::Installation, "", "by config.yaml"));
        limits.extend(rules.of(
            Scope::Environment(run.environment),
            environment,
            &format!("by environment.yml of `{environment}`"),
        ));
        limits.extend(asked.of(Scope::Run(run.id), "", "asked for with the run"));
    }
    limits
}

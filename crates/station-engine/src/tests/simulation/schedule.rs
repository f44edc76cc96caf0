//! The scheduler: one step at a time, each chosen by the dice.

use super::rules::Rules;
use super::scene::{DAY_TOKENS, RUN_TOKENS, Scene, Stakes};
use super::workers::Worker;
use super::world::{Dice, Shared};
use crate::drive::Left;
use crate::lease::{Before, LEASE, Lease, millis};
use crate::signals::Signals;
use crate::spend::Raise;
use crate::{Station, Watch, worker};
use futures::future::BoxFuture;
use futures::task::noop_waker;
use station_core::budget::{Account, Amounts, Caps, Limit, Period, Scope};
use station_core::run::{Status, WaitKind, limit_reached};
use station_core::{Caller, Concurrency, Fence, Kind, Result, RunId};
use station_store::{
    ApprovalFilter, Claim, NewRun, Owner, Run, RunFilter, Say, SetLimit, Settlement, Wake, Wanted,
};
use std::collections::BTreeMap;
use std::task::{Context, Poll};
use std::time::Duration;

/// Workers at a time.
const WORKERS: usize = 3;

/// Runs that are started from outside in one schedule, and steps in which things go wrong.
const RUNS: u64 = 20;
const STEPS: u64 = 2_000;

/// Steps that may follow in which nothing goes wrong until every run has ended.
const CALM_STEPS_MAX: u64 = 60_000;

/// Runs of processes that are gone that one process takes up at a time.
const ADOPTED_MAX: u32 = 8;

/// In half of the schedules so little may be driven at a time that runs wait for each other, and parents for their
/// sub-agents.
fn at_once(seed: u64) -> Concurrency {
    let limit = |most| (seed % 2 == 1).then_some(most);
    Concurrency { environment_max: limit(4), agent_max: limit(2), ..Concurrency::UNLIMITED }
}

/// What one schedule came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) steps: u64,
    pub(super) crashes: u64,
    pub(super) runs: u64,
    pub(super) calls: u64,
    pub(super) unknown: u64,
    pub(super) looks: u64,
    pub(super) resent: u64,
    pub(super) voided: u64,
    pub(super) revoked: u64,
    pub(super) completed: u64,
}

impl Report {
    pub(super) fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.crashes += other.crashes;
        self.runs += other.runs;
        self.calls += other.calls;
        self.unknown += other.unknown;
        self.looks += other.looks;
        self.resent += other.resent;
        self.voided += other.voided;
        self.revoked += other.revoked;
        self.completed += other.completed;
    }
}

/// A process: what it drives is gone with it.
struct Process {
    number: u32,
    station: Station,
    watch: Watch,
    drivers: Vec<Driver>,
    /// In some schedules a worker that claims and drives by itself; then the drivers are people's.
    worker: Option<Worker>,
    /// It stands still until this step: a machine that was suspended.
    frozen_until: u64,
}

struct Driver {
    run: RunId,
    future: BoxFuture<'static, Result<Left>>,
}

pub(super) struct Schedule {
    dice: Dice,
    scene: Scene,
    world: Shared,
    processes: Vec<Process>,
    /// Which process held a run last, and under which fence.
    held: BTreeMap<RunId, (u32, Fence)>,
    n_processes: u32,
    /// A process is gone after one of so many polls: often in some schedules, seldom in others.
    crash_every: u64,
    /// What all runs of a day may spend, where that is limited.
    day_tokens: i64,
    /// How much may be driven at a time, over all processes.
    at_once: Concurrency,
    /// Whether processes are whole workers.
    whole: bool,
    /// Whether a yes for always is taken back now and then, and a tool that people are asked about becomes another.
    changes: bool,
    rules: Rules,
    report: Report,
}

impl Schedule {
    pub(super) async fn new(seed: u64) -> Self {
        let (mut scene, world) = (Scene::new(Stakes::of(seed)).await, Shared::new(seed));
        scene.at_once = at_once(seed);
        let mut schedule = Self {
            dice: Dice::new(seed),
            rules: Rules::new(&scene.store, &world),
            scene,
            world,
            processes: Vec::new(),
            held: BTreeMap::new(),
            n_processes: 0,
            crash_every: 2 + seed % 12,
            day_tokens: 0,
            at_once: at_once(seed),
            whole: seed % 4 == 3,
            changes: matches!(seed % 5, 2 | 4),
            report: Report::default(),
        };
        let definition = schedule.scene.definition_of_guarded().await;
        schedule.rules.defined(definition).await;
        if schedule.scene.stakes == Stakes::Day {
            schedule.allow_today(DAY_TOKENS).await;
        }
        for _ in 0..WORKERS {
            schedule.start_process().await;
        }
        schedule
    }

    pub(super) async fn run(mut self) -> Report {
        for _ in 0..STEPS {
            self.step().await;
        }
        self.rules.check_spending(self.day_tokens, self.scene.now()).await;
        self.world.lock().calm = true;
        self.processes.iter_mut().for_each(|process| process.frozen_until = 0);
        for _ in 0..CALM_STEPS_MAX {
            if self.is_over().await {
                break;
            }
            self.calm_step().await;
        }
        self.processes_told();
        self.rules.check_arrivals().await;
        self.report.runs = self.rules.check_all().await;
        let world = self.world.lock();
        self.report.calls = world.calls.values().map(|call| u64::from(call.sent)).sum();
        drop(world);
        self.rules.count(&mut self.report);
        self.report
    }

    fn processes_told(&mut self) {
        for process in &mut self.processes {
            self.rules.told(&mut process.watch);
        }
    }

    async fn start_process(&mut self) {
        self.n_processes += 1;
        let name = format!("worker-{}", self.n_processes);
        let station = match self.whole {
            true => self.scene.station_apart(&self.world, &name).await,
            false => self.scene.station(&self.world, &name),
        };
        let watch = station.watch();
        let worker = self.whole.then(|| Worker::start(&station));
        self.processes.push(Process {
            number: self.n_processes,
            station,
            watch,
            drivers: Vec::new(),
            worker,
            frozen_until: 0,
        });
    }

    /// One step in which anything may go wrong.
    async fn step(&mut self) {
        self.report.steps += 1;
        match self.dice.roll(100) {
            0..60 if self.whole => self.let_work().await,
            0..60 => self.poll_one().await,
            60..75 => tokio::task::yield_now().await,
            75..82 if self.whole => self.replace_stopped().await,
            75..79 => self.claim().await,
            79..82 => self.adopt().await,
            82..88 => self.time_passes().await,
            88..90 => self.enqueue().await,
            90..98 => self.people().await,
            98 => self.look_at_the_clock().await,
            _ => self.cancel_one().await,
        }
    }

    async fn calm_step(&mut self) {
        for process in 0..self.processes.len() {
            for driver in (0..self.processes[process].drivers.len()).rev() {
                self.poll(process, driver).await;
            }
        }
        tokio::task::yield_now().await;
        self.people().await;
        if self.whole {
            self.replace_stopped().await;
            self.see_all().await;
        } else {
            self.look_at_the_clock().await;
            self.claim().await;
        }
        self.scene.pass(Duration::from_millis(500)).await;
    }

    /// One of those that have something to do.
    async fn poll_one(&mut self) {
        let steps = self.report.steps;
        let can = |process: &Process| !process.drivers.is_empty() && process.frozen_until <= steps;
        let able: Vec<usize> = (0..self.processes.len()).filter(|at| can(&self.processes[*at])).collect();
        if able.is_empty() {
            return;
        }
        let process = able[self.dice.pick(able.len())];
        let driver = self.dice.pick(self.processes[process].drivers.len());
        self.poll(process, driver).await;
        if self.dice.roll(self.crash_every) == 0 {
            self.crash(process).await;
        }
    }

    /// The runtime polls whoever has something to do; then a worker may be gone, or told to stop.
    async fn let_work(&mut self) {
        tokio::task::yield_now().await;
        self.see_all().await;
        let process = self.dice.pick(self.processes.len());
        if self.dice.roll(2) == 0 {
            // What others wrote is told to some, and found by the others when they look.
            let store = self.processes[process].station.store();
            [Wake::Cancel, Wake::Time].into_iter().for_each(|news| store.wake(news));
        }
        if !self.processes[process].drivers.is_empty() {
            self.poll(process, 0).await;
        }
        if self.dice.roll(2 * self.crash_every) == 0 {
            match (self.dice.roll(5), &self.processes[process].worker) {
                (0, Some(worker)) => worker.stop(),
                _ => self.crash(process).await,
            }
        }
    }

    async fn see_all(&mut self) {
        self.processes_told();
        self.rules.check_arrivals().await;
        if self.whole {
            self.rules.check_at_once(&self.at_once).await;
        }
    }

    /// Starts a new process for each whose worker was told to stop and did.
    async fn replace_stopped(&mut self) {
        let is_over = |process: &Process| process.worker.as_ref().is_some_and(Worker::is_over);
        for process in (0..self.processes.len()).rev() {
            if is_over(&self.processes[process]) && self.processes[process].drivers.is_empty() {
                let mut gone = self.processes.swap_remove(process);
                self.rules.told(&mut gone.watch);
                self.start_process().await;
            }
        }
    }

    async fn poll(&mut self, process: usize, driver: usize) {
        let Driver { run, future } = &mut self.processes[process].drivers[driver];
        let run = *run;
        let polled = future.as_mut().poll(&mut Context::from_waker(&noop_waker()));
        if let Poll::Ready(left) = polled {
            if let Err(error) = &left {
                // Another took it over, or its time was over: what is right for a late one.
                assert_eq!(error.kind(), Kind::Conflict, "run {run}: {error} {:?}", error.causes());
            }
            drop(self.processes[process].drivers.swap_remove(driver));
        }
        if self.whole {
            return self.see_all().await;
        }
        self.rules.told(&mut self.processes[process].watch);
        self.rules.check_arrivals().await;
    }

    /// The process is gone, whatever it was doing. What it had asked the store for may still be done.
    async fn crash(&mut self, process: usize) {
        self.report.crashes += 1;
        let mut gone = self.processes.swap_remove(process);
        if let Some(worker) = gone.worker.take() {
            worker.crash().await;
        }
        self.rules.told(&mut gone.watch);
        drop(gone);
        self.start_process().await;
    }

    async fn claim(&mut self) {
        let process = self.dice.pick(self.processes.len());
        let process_of = &self.processes[process];
        if process_of.frozen_until > self.report.steps {
            return;
        }
        let (owner, station) = (self.owner(process), process_of.station.clone());
        let wanted = Wanted { n: 4, at_once: self.at_once.clone() };
        let asked_at = station.since_boot();
        let claimed = self.scene.store.claim_next(&owner, millis(LEASE), &wanted, self.scene.now()).await;
        for (run, fence) in claimed.expect("the store works") {
            self.take_up(process, run, fence, (asked_at, None));
        }
        self.rules.check_at_once(&self.at_once).await;
    }

    /// Takes up runs whose process is seen to be gone, before their leases lapse.
    async fn adopt(&mut self) {
        let process = self.dice.pick(self.processes.len());
        if self.processes[process].frozen_until > self.report.steps {
            return;
        }
        let (owner, station) = (self.owner(process), self.processes[process].station.clone());
        let running = RunFilter { status: Some(Status::Running), ..RunFilter::default() };
        let running = self.scene.store.runs(&running, ADOPTED_MAX).await.expect("the store works");
        for run in running {
            if self.before(run.id) == Before::Unsure {
                continue;
            }
            let (asked_at, now) = (station.since_boot(), self.scene.now());
            let claim = (&owner, millis(LEASE), Some(run.fence));
            let claim = self.scene.store.claim_within(&self.at_once, run.id, claim, now).await;
            if let Claim::Claimed { fence, .. } = claim.expect("the store works") {
                self.take_up(process, run, fence, (asked_at, None));
            }
        }
    }

    fn owner(&self, process: usize) -> Owner {
        let number = self.processes[process].number;
        Owner { worker: format!("worker-{number}"), host: "here".to_owned(), pid: number, pid_start: 1 }
    }

    /// `process` drives a run that it has claimed.
    fn take_up(
        &mut self,
        process: usize,
        run: Run,
        fence: Fence,
        (asked_at, raise): (Duration, Option<Raise>),
    ) {
        let before = self.before(run.id);
        let (number, station) = (self.processes[process].number, self.processes[process].station.clone());
        self.held.insert(run.id, (number, fence));
        self.world.owned(run.id, fence);
        let id = run.id;
        let lease = Lease::new(&station, id, fence, asked_at, before);
        let signals = Signals::default().resumed(self.scene.now()).raising(raise);
        let future = async move { worker::drive_claimed(&station, &run, &lease, &signals).await };
        self.processes[process].drivers.push(Driver { run: id, future: Box::pin(future) });
    }

    /// Whether who held the run last is known to be gone.
    fn before(&self, run: RunId) -> Before {
        match self.held.get(&run) {
            // Whom a whole worker drove for is not noted here.
            Some((number, fence)) if !self.whole && !self.is_there(*number) => Before::Gone(*fence),
            _ => Before::Unsure,
        }
    }

    fn is_there(&self, number: u32) -> bool {
        self.processes.iter().any(|process| process.number == number)
    }

    async fn time_passes(&mut self) {
        let time = match self.dice.roll(20) {
            // Long enough for every lease to lapse that nobody renews meanwhile; one process does not notice for a while.
            0 => {
                let process = self.dice.pick(self.processes.len());
                self.processes[process].frozen_until = self.report.steps + 500;
                Duration::from_secs(35)
            }
            1 => {
                let jump = i64::try_from(self.dice.roll(7_200)).expect("a small number") - 3_600;
                self.scene.wall.fetch_add(jump * 1_000_000, std::sync::atomic::Ordering::SeqCst);
                Duration::from_millis(1)
            }
            2..6 => Duration::from_secs(3),
            _ => Duration::from_millis(1 + self.dice.roll(200)),
        };
        self.scene.pass(time).await;
    }

    async fn enqueue(&mut self) {
        if self.report.runs >= RUNS {
            return;
        }
        self.report.runs += 1;
        let agent = self.scene.agents[self.dice.pick(self.scene.agents.len())];
        let new = NewRun::new(agent, self.scene.environment, Caller::LOCAL_USER, "do it");
        self.scene.store.enqueue(&new, None, self.scene.now()).await.expect("the store works");
    }

    /// What a worker does now and then.
    async fn look_at_the_clock(&self) {
        let (store, now) = (&self.scene.store, self.scene.now());
        store.expire_approvals(now).await.expect("the store works");
        store.free_due(now).await.expect("the store works");
    }

    /// What was allowed is not any more, or is no more what it was.
    async fn change(&mut self) {
        let (store, now) = (self.scene.store.clone(), self.scene.now());
        match self.dice.roll(12) {
            0 => {
                self.scene.redefine_guarded(self.report.steps).await;
                let definition = self.scene.definition_of_guarded().await;
                self.rules.defined(definition).await;
            }
            1..4 => {
                let standing = store.standing_approvals(None).await.expect("it reads");
                let Some(yes) = standing.first() else { return };
                store.revoke_standing_approval(yes.id, "ann", now).await.expect("it holds");
                self.rules.revoked(yes.id).await;
            }
            _ => {}
        }
    }

    /// People decide what waits for them, truthfully.
    async fn people(&mut self) {
        if self.changes && !self.world.lock().calm {
            self.change().await;
        }
        let (store, now) = (self.scene.store.clone(), self.scene.now());
        for approval in store.approvals(&ApprovalFilter::pending(), 3).await.expect("the store works") {
            let say = match self.dice.roll(6) {
                0 => Say::Deny { reason: "no".to_owned() },
                1 => Say::Always,
                2 => continue,
                _ => Say::Once,
            };
            // It may have timed out meanwhile.
            let is_always = say == Say::Always;
            let decided = store.decide(approval.id, say, "ann", now).await;
            assert!(decided.is_ok() || decided.is_err_and(|error| error.kind() == Kind::Conflict));
            if is_always {
                self.rules.allowed().await;
            }
        }
        let waiting = RunFilter { status: Some(Status::Waiting), ..RunFilter::default() };
        for run in store.runs(&waiting, 50).await.expect("the store works") {
            let Some(kind @ (WaitKind::Budget | WaitKind::Outcome)) = run.waiting_kind else { continue };
            let journal = store.journal(run.id, 0, 10_000).await.expect("it reads");
            if kind == WaitKind::Budget {
                // Nobody adds to what is only reserved: that frees itself.
                if let Some((account, sentence)) = limit_reached(&journal)
                    && sentence.contains("has spent")
                    && self.dice.roll(3) == 0
                {
                    self.give_more(account).await;
                }
                continue;
            }
            let station = &self.processes[0].station;
            for effect in station.unsettled(&journal).await.expect("it folds") {
                let Some(done) = self.world.outcome(effect) else { continue };
                let settlement = Settlement { effect, done, note: String::new(), by: "ann".into() };
                let settled = store.settle(run.id, settlement, now).await;
                assert!(settled.is_ok() || settled.is_err_and(|error| error.kind() == Kind::Conflict));
            }
        }
    }

    /// A person adds to what is spent.
    async fn give_more(&mut self, account: Account) {
        self.rules.check_spending(self.day_tokens, self.scene.now()).await;
        match account {
            Account { scope: Scope::Run(run), day: None } => self.raise(run).await,
            _ => self.allow_today(self.day_tokens + DAY_TOKENS).await,
        }
    }

    async fn allow_today(&mut self, tokens: i64) {
        self.day_tokens = tokens;
        let limit = Limit {
            scope: Scope::Installation,
            period: Period::Day,
            caps: Caps { tokens: Some(tokens), ..Caps::default() },
            name: String::new(),
            source: "set by hand".to_owned(),
        };
        let set = SetLimit { limit, by: "ann".into(), at: self.scene.now() };
        self.scene.store.set_limit(&set).await.expect("the store works");
    }

    /// What `stn runs resume --add` does: whoever is free drives the run on.
    async fn raise(&mut self, run: RunId) {
        let process = self.dice.pick(self.processes.len());
        if self.processes[process].frozen_until > self.report.steps {
            return;
        }
        let (owner, station) = (self.owner(process), self.processes[process].station.clone());
        let (asked_at, now) = (station.since_boot(), self.scene.now());
        let claim = (&owner, millis(LEASE), None);
        let claim = self.scene.store.claim_within(&self.at_once, run, claim, now).await;
        let Claim::Claimed { fence, .. } = claim.expect("the store works") else { return };
        let run = self.scene.store.run(run).await.expect("the store works").expect("it is there");
        let added = Amounts { tokens: RUN_TOKENS, ..Amounts::default() };
        let raise = Raise { run: run.id, by: "ann".to_owned(), added };
        self.take_up(process, run, fence, (asked_at, Some(raise)));
    }

    async fn cancel_one(&mut self) {
        let runs = self.scene.store.runs(&RunFilter::default(), 50).await.expect("the store works");
        if runs.is_empty() || self.dice.roll(4) != 0 {
            return;
        }
        let run = runs[self.dice.pick(runs.len())].id;
        self.scene.store.request_cancel(run, "ann", self.scene.now()).await.expect("the store works");
    }

    async fn is_over(&self) -> bool {
        let depth = self.scene.store.queue_depth().await.expect("the store works");
        let drivers = self.processes.iter().all(|process| process.drivers.is_empty());
        drivers && depth.queued + depth.running + depth.waiting + depth.lapsed == 0
    }
}

//! Leases and fences under a schedule that a seed decides: several workers over two open stores, which claim, renew, append
//! late and let go, while leases lapse and the clock of the day jumps. A model of a few lines says what must come of each
//! step; both engines play the same script, and must come to the same.

use crate::fixture::{
    Engine, Home, LEASE_MS, NOW, Seed, agent_row, entry, env_name, new_run, owner, put_agent,
};
use station_core::run::Status;
use station_core::sync::Change;
use station_core::{Concurrency, Fence, Micros, RunId};
use station_store::{Append, Appended, Bound, Claim, Renewed, RunUpdate, Store, Wanted};
use std::sync::atomic::Ordering;

const SEEDS: u64 = 6;
const STEPS: u32 = 260;
const RUNS_MAX: usize = 24;
const WORKERS: usize = 4;

/// Runs at a time of each environment; of each agent one more, so that both limits bite.
const MOST: u32 = 3;

/// What must be true of a run.
#[derive(Clone, Debug)]
struct Known {
    run: RunId,
    environment: usize,
    status: Status,
    fence: i64,
    lapses_at: i64,
    seq: i64,
}

/// What a worker believes to hold; it is not told when it loses it.
#[derive(Clone, Debug)]
struct Hold {
    run: usize,
    worker: usize,
    fence: i64,
    seq: i64,
}

struct Play {
    home: Home,
    /// Two instances.
    stores: [Store; 2],
    seeds: [Seed; 2],
    dice: u64,
    now: Micros,
    runs: Vec<Known>,
    holds: Vec<Hold>,
    trace: Vec<String>,
}

impl Play {
    async fn new(engine: Engine, seed: u64) -> Self {
        let home = Home::new(engine);
        let stores = [home.open().await, home.open().await];
        let mut seeds = Vec::new();
        for name in ["one", "two"] {
            let changes = [Change::CreateEnvironment, put_agent(agent_row("triage"))];
            let env = stores[0].apply(&env_name(name), name, &changes, "ada", NOW).await.unwrap();
            let agent = stores[0].agents_named("triage", Some(env)).await.unwrap()[0].id;
            seeds.push(Seed { env, agent });
        }
        let seeds = seeds.try_into().ok().unwrap();
        let dice = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
        let (runs, holds, trace) = (Vec::new(), Vec::new(), Vec::new());
        Self { home, stores, seeds, dice, now: NOW, runs, holds, trace }
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.dice >> 33).unwrap() % sides
    }

    fn clock(&self) -> i64 {
        self.home.lease_clock.load(Ordering::SeqCst)
    }

    /// How many are driven in an environment, as the store counts: also those whose lease lapsed unseen.
    fn driven(&self, environment: usize) -> usize {
        self.runs.iter().filter(|it| it.status == Status::Running && it.environment == environment).count()
    }

    fn is_full(&self, environment: usize) -> bool {
        self.driven(environment) >= MOST as usize
    }

    async fn step(&mut self) {
        match self.roll(100) {
            0..14 if self.runs.len() < RUNS_MAX => self.enqueue().await,
            0..40 => self.claim_next().await,
            40..48 => self.claim_one().await,
            48..54 => self.take_over().await,
            54..66 => self.append(None).await,
            66..76 => self.renew().await,
            76..86 => {
                let how = [Status::Completed, Status::Waiting, Status::Queued][self.roll(3)];
                self.append(Some(how)).await;
            }
            _ => self.time_passes(),
        }
        for environment in 0..2 {
            assert!(self.driven(environment) <= MOST as usize, "{:?}", self.runs);
        }
    }

    fn time_passes(&mut self) {
        let ms = if self.roll(4) == 0 { 31_000 } else { 500 + 500 * i64::try_from(self.roll(6)).unwrap() };
        self.home.pass_ms(ms);
        // The clock of the day is set by whoever likes.
        let jump = i64::try_from(self.roll(7_200)).unwrap() - 3_600;
        self.now = Micros(self.now.0 + jump * 1_000_000);
    }

    async fn enqueue(&mut self) {
        let environment = self.roll(2);
        let new = new_run(&self.seeds[environment], "task");
        let run = self.stores[0].enqueue(&new, None, self.now).await.unwrap();
        self.trace.push(format!("{run} queued"));
        self.runs.push(Known { run, environment, status: Status::Queued, fence: 0, lapses_at: 0, seq: 0 });
    }

    fn at_once() -> Concurrency {
        let (environment_max, agent_max) = (Some(MOST), Some(MOST + 1));
        Concurrency { environment_max, agent_max, ..Concurrency::UNLIMITED }
    }

    fn taken(&mut self, at: usize, worker: usize, fence: Fence) {
        let lapses_at = self.clock() + i64::try_from(LEASE_MS).unwrap() * 1_000;
        let known = &mut self.runs[at];
        assert_eq!(fence.0, known.fence + 1, "run {}: a fence is raised by each claim", known.run);
        (known.status, known.fence, known.lapses_at) = (Status::Running, fence.0, lapses_at);
        self.holds.push(Hold { run: at, worker, fence: fence.0, seq: known.seq });
    }

    async fn claim_next(&mut self) {
        let (worker, n) = (self.roll(WORKERS), self.roll(4));
        let wanted = Wanted { n: u32::try_from(n).unwrap(), at_once: Self::at_once() };
        let clock = self.clock();
        for known in &mut self.runs {
            if known.status == Status::Running && known.lapses_at <= clock {
                // Its driver is not told, and everything of it is refused from now on.
                (known.status, known.fence) = (Status::Queued, known.fence + 1);
            }
        }
        let store = &self.stores[worker % 2];
        let claimed =
            store.claim_next(&owner(&format!("worker {worker}")), LEASE_MS, &wanted, self.now).await.unwrap();
        for (run, fence) in &claimed {
            let at = self.runs.iter().position(|known| known.run == run.id).unwrap();
            assert_eq!(
                self.runs[at].status,
                Status::Queued,
                "run {} had a driver, or none may have it",
                run.id
            );
            self.taken(at, worker, *fence);
            self.trace.push(format!("{} taken by {worker} under {fence}", run.id));
        }
        if claimed.len() < n {
            for known in self.runs.iter().filter(|known| known.status == Status::Queued) {
                assert!(self.is_full(known.environment), "run {} could have been taken", known.run);
            }
        }
    }

    async fn claim_one(&mut self) {
        if self.runs.is_empty() {
            return;
        }
        let at = self.roll(self.runs.len());
        self.claim(at, None).await;
    }

    /// Whoever believes to hold a run is seen to have died: it is taken over without waiting for its lease, unless another has
    /// it by now. What the dead one had asked the store for may still come.
    async fn take_over(&mut self) {
        let Some(at) = self.hold() else { return };
        let Hold { run, fence, .. } = self.holds[at];
        self.claim(run, Some(Fence(fence))).await;
    }

    async fn claim(&mut self, at: usize, dead: Option<Fence>) {
        let worker = self.roll(WORKERS);
        let (name, clock) = (format!("worker {worker}"), self.clock());
        let known = self.runs[at].clone();
        let is_full = self.is_full(known.environment);
        let store = &self.stores[worker % 2];
        let claim = (&owner(&name), LEASE_MS, dead);
        let is_dead = dead.is_some_and(|dead| dead.0 == known.fence);
        let claim = store.claim_within(&Self::at_once(), known.run, claim, self.now).await.unwrap();
        match (&claim, known.status) {
            (Claim::Final(status), _) => assert_eq!(*status, known.status),
            (Claim::Full(Bound::Environment, MOST), Status::Queued | Status::Waiting) => assert!(is_full),
            (Claim::Claimed { fence, .. }, Status::Queued | Status::Waiting) => {
                assert!(!is_full, "{known:?}");
                self.taken(at, worker, *fence);
            }
            // Who takes over what is counted already makes nobody more.
            (Claim::Claimed { fence, .. }, Status::Running) => {
                assert!(is_dead || known.lapses_at <= clock, "{known:?} was taken from its driver");
                self.taken(at, worker, *fence);
            }
            (Claim::Held(lease), Status::Running) => {
                assert!(!is_dead && known.lapses_at > clock, "{known:?}");
                assert_eq!(lease.fence.0, known.fence);
            }
            _ => panic!("{known:?}: {claim:?}"),
        }
        let why = if dead.is_some() { " after a death" } else { "" };
        self.trace.push(format!("{} asked for by {worker}{why}: {claim:?}", known.run));
    }

    fn hold(&mut self) -> Option<usize> {
        let n = self.holds.len();
        (n > 0).then(|| self.roll(n))
    }

    /// Appends one entry for whoever believes to hold a run; lets go of it where `how` says so.
    async fn append(&mut self, how: Option<Status>) {
        let Some(at) = self.hold() else { return };
        let Hold { run, worker, fence, seq } = self.holds[at].clone();
        let known = self.runs[run].clone();
        let row = how.map(RunUpdate::new);
        let append = Append { row, ..Append::new(known.run, Fence(fence), vec![entry(seq + 1, "x")]) };
        let appended = self.stores[worker % 2].append(append).await.unwrap();
        let is_owner = fence == known.fence;
        assert_eq!(appended == Appended::Fenced, !is_owner, "{known:?} by {worker} under {fence}");
        self.trace.push(format!("{} appended by {worker} under {fence}: {is_owner}", known.run));
        if !is_owner || how.is_some() {
            self.holds.remove(at);
        }
        if is_owner {
            self.runs[run].seq += 1;
            self.runs[run].status = how.unwrap_or(known.status);
            if how.is_none() {
                self.holds[at].seq += 1;
            }
        }
    }

    async fn renew(&mut self) {
        let Some(at) = self.hold() else { return };
        let Hold { run, worker, fence, .. } = self.holds[at];
        let known = self.runs[run].clone();
        let renewed = self.stores[worker % 2].renew(known.run, Fence(fence), LEASE_MS).await.unwrap();
        let is_kept = fence == known.fence;
        assert_eq!(matches!(renewed, Renewed::Kept { .. }), is_kept, "{known:?} by {worker} under {fence}");
        if is_kept {
            self.runs[run].lapses_at = self.clock() + i64::try_from(LEASE_MS).unwrap() * 1_000;
        } else {
            self.holds.remove(at);
        }
        self.trace.push(format!("{} renewed by {worker} under {fence}: {is_kept}", known.run));
    }

    /// What is in the store is what the model says, entry by entry.
    async fn end(mut self) -> Vec<String> {
        for known in &self.runs {
            let run = self.stores[0].run(known.run).await.unwrap().unwrap();
            assert_eq!((run.status, run.fence.0), (known.status, known.fence), "run {}", known.run);
            let journal = self.stores[1].journal(known.run, 0, 10_000).await.unwrap();
            assert_eq!(journal.len(), usize::try_from(known.seq).unwrap(), "run {}", known.run);
        }
        for store in &self.stores {
            store.close().await;
        }
        std::mem::take(&mut self.trace)
    }
}

#[tokio::test]
async fn whoever_holds_a_run_is_alone_on_both_engines_whatever_the_dice_say() {
    for seed in 0..SEEDS {
        let mut traces = Vec::new();
        for engine in [Engine::Sqlite, Engine::Postgres] {
            eprintln!("script {seed} on {engine:?}");
            let mut play = Play::new(engine, seed).await;
            for _ in 0..STEPS {
                play.step().await;
            }
            traces.push(play.end().await);
        }
        assert_eq!(traces[0], traces[1], "the engines differ in script {seed}");
        for word in ["taken by", "Claimed", "Held", "Full", "Final", "death: Claimed", ": true", ": false"] {
            assert!(traces[0].iter().any(|line| line.contains(word)), "script {seed} has no `{word}`");
        }
    }
}

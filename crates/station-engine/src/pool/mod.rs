//! Connections to tool servers, shared by key and never by name alone.
//!
//! The key is environment, server, and an HMAC of the resolved configuration under a secret made at process start, so
//! two environments with a server of the same name share nothing, and neither do two values of one variable. A
//! connection starts at its first use, is reused, is renewed only before a request is written, and is closed when
//! idle. What it is not: it decides nothing about who may call; `send_call` has one caller, the gate in `call`.

mod calls;
mod lingering;
mod logins;
mod look;
mod open;
mod place;
mod send;
mod slot;
#[cfg(test)]
mod tests;
mod turn;

use crate::{Clock, Config, OwnServer};
use hmac::{KeyInit as _, Mac as _};
use lingering::Lingering;
use open::said;
use place::Bound;
use slot::{Opened, Slot};
use station_core::discovery::Discovery;
use station_core::sandbox::Private;
use station_core::{
    Definition, EffectId, EnvironmentId, Era, Error, Fence, Isolation, Result, RunId, RunToken, ServerId,
    ServerSettings, Transport,
};
use station_mcp::{Asks, CallEnd, Shim};
use station_store::Store;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

pub(crate) use logins::Logins;
pub use look::Look;
pub(crate) use send::{MaySend, Outgoing, Wanted};
pub(crate) use turn::{CallTurn, Turn};

/// Calls at a time on one connection where the server's file does not say: most servers are one small process.
const CONCURRENCY: u32 = 8;

/// Most calls at a time that a server's file can ask for.
const CONCURRENCY_MAX: u32 = 256;

/// Distinct configurations of one server in one environment: a caller that varies a variable per run would otherwise
/// start a process each time.
const CONFIGURATIONS_MAX: usize = 16;

/// A server that could not be reached is left alone for so long, doubled with each failure.
const BACKOFF: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How a server is reached, with everything resolved.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) environment: EnvironmentId,
    pub(crate) server: ServerId,
    pub(crate) name: String,
    pub(crate) definition: Definition,
    pub(crate) settings: ServerSettings,
    pub(crate) era: Option<Era>,
    /// What is known of why it could not be reached last.
    pub(crate) problem: Option<String>,
    /// What the run may do that it is reached for, where it is Station itself.
    pub(crate) token: Option<RunToken>,
    /// What it may ask of who uses it.
    pub(crate) asks: Asks,
}

/// What the last try to use a server showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Up,
    /// It cannot be reached, for this reason.
    Down(String),
    /// Nobody knows just now.
    Unclear,
}

pub(crate) struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    slots: Mutex<HashMap<Key, Arc<Slot>>>,
    secret: [u8; 32],
    processes: Bound,
    remotes: Bound,
    /// Runs that were parked a moment ago.
    lingering: Lingering,
    /// Told whenever a slot is let go of.
    released: Notify,
    /// What is being closed that makes room for whoever waits.
    leaving: TaskTracker,
    /// Counts how often any list of any server changed.
    news: watch::Sender<u64>,
    launch: LaunchBase,
    own_server: Option<OwnServer>,
    call_timeout: Duration,
    output_bytes_max: u64,
    idle_close: Duration,
    /// Whether the task that closes idle connections was started; a command that calls nothing needs none.
    sweeping: AtomicBool,
    closing: CancellationToken,
    tasks: TaskTracker,
    /// Answers in place of every server.
    played: Option<Played>,
    /// What is shown to remote servers; nothing where it is played.
    logins: Option<Logins>,
}

/// What stands in for every server in a replay or a simulation: it is given what would have been written to one.
pub(crate) type Played =
    Arc<dyn Fn(PlayedCall) -> futures::future::BoxFuture<'static, CallEnd> + Send + Sync>;

/// A call as it would have been written.
pub(crate) struct PlayedCall {
    pub(crate) server: String,
    pub(crate) tool: String,
    pub(crate) arguments: serde_json::Map<String, serde_json::Value>,
    #[cfg_attr(not(test), expect(dead_code, reason = "a replay sends nothing"))]
    pub(crate) effect: EffectId,
    /// The run that sends it, and under which fence.
    #[cfg_attr(not(test), expect(dead_code, reason = "a replay sends nothing"))]
    pub(crate) sender: Option<(RunId, Fence)>,
}

struct LaunchBase {
    shim: Shim,
    inherited: BTreeMap<String, String>,
    child_env: Vec<String>,
    folder: PathBuf,
    private: Private,
    connect_timeout: Duration,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    environment: EnvironmentId,
    server: ServerId,
    configuration: [u8; 32],
    transport: Transport,
    run: Option<RunId>,
    /// A server is told once what it may ask, so who can be asked and who cannot share no connection.
    asks: Asks,
}

/// A slot in use. Letting go of it, also by a cancelled call, wakes whoever waits for a process.
struct InUse {
    slot: Option<Arc<Slot>>,
    shared: Arc<Shared>,
}

impl Pool {
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|cause| Error::internal("asking the system for random bytes", cause))?;
        let inherited =
            config.process.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
        let shared = Shared {
            slots: Mutex::new(HashMap::new()),
            secret,
            processes: Bound::of_processes(config.processes_max),
            remotes: Bound::of_remotes(),
            lingering: Lingering::default(),
            released: Notify::new(),
            leaving: TaskTracker::new(),
            news: watch::Sender::new(0),
            launch: LaunchBase {
                shim: config.shim.clone(),
                inherited,
                child_env: config.child_env.clone(),
                folder: config.workspace.folder().to_owned(),
                private: config.private.clone(),
                connect_timeout: config.connect_timeout,
            },
            own_server: config.own_server.clone(),
            call_timeout: config.call_timeout,
            output_bytes_max: config.output_bytes_max,
            idle_close: config.idle_close,
            sweeping: AtomicBool::new(false),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
            played: None,
            logins: None,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// With logins at remote servers, which are kept in `store`.
    pub(crate) fn with_logins(mut self, store: Store, clock: Clock) -> Self {
        let shared = Arc::get_mut(&mut self.shared).expect("nobody else has a new pool");
        shared.logins = Some(Logins::new(store, clock, shared.tasks.clone()));
        self
    }

    /// A pool in which `played` answers in place of every server.
    pub(crate) fn played(config: &Config, played: Played) -> Result<Self> {
        let mut pool = Self::new(config)?;
        let shared = Arc::get_mut(&mut pool.shared).expect("nobody else has a new pool");
        shared.played = Some(played);
        Ok(pool)
    }

    /// Connects and lists what the server offers.
    ///
    /// # Errors
    /// Why it could not be reached or did not answer, with its last words on stderr, without secrets.
    pub(crate) async fn list(&self, reach: &Reach) -> Result<Discovery, String> {
        let reach = &self.told_by(reach);
        let slot = self.slot(reach, None).map_err(|error| error.sentence().to_owned())?;
        let Opened { connection, place: _place } = self.connection(&slot, reach, None).await?;
        // Read before listing: what changes meanwhile is a change since.
        let told = *connection.list_changed().borrow();
        let mut listed = connection.list(self.connect_timeout(reach)).await;
        if listed.is_err() && self.may_try_again(&slot, reach).await? {
            listed = connection.list(self.connect_timeout(reach)).await;
        }
        slot.touch();
        slot.open.lock().await.listed = told;
        match listed {
            Ok(found) => Ok(found),
            Err(error) => Err(self.told(&slot, reach, said(&error, &slot, reach)).await),
        }
    }

    /// The same server over the connection that said that its lists have changed: another one need not know of it.
    fn told_by(&self, reach: &Reach) -> Reach {
        let key = self.key(reach, None);
        let is_same = |other: &Key| Key { asks: key.asks, ..other.clone() } == key;
        let slots = self.slots();
        let told = slots.iter().find(|(other, slot)| is_same(other) && slot.has_changed());
        Reach { asks: told.map_or(reach.asks, |(other, _)| other.asks), ..reach.clone() }
    }

    /// How the server was found when it was used last, by whoever used it.
    pub(crate) fn standing(&self, reach: &Reach, run: Option<RunId>) -> Standing {
        let slot = self.slots().get(&self.key(reach, run)).map(Arc::clone);
        let Some(slot) = slot else { return Standing::Unclear };
        let Ok(open) = slot.open.try_lock() else { return Standing::Unclear };
        match (&open.connection, &open.failed) {
            (Some(opened), _) if !opened.connection.is_closed() => Standing::Up,
            (None, Some(failed)) => Standing::Down(failed.sentence.clone()),
            _ => Standing::Unclear,
        }
    }

    /// Servers of `environment` that said, since they were last listed, that their lists have changed.
    pub(crate) fn changed(&self, environment: EnvironmentId) -> BTreeSet<ServerId> {
        let slots = self.slots();
        let told = slots.iter().filter(|(key, slot)| key.environment == environment && slot.has_changed());
        told.map(|(key, _)| key.server).collect()
    }

    /// A number that grows whenever any server says that one of its lists has changed.
    pub(crate) fn news(&self) -> watch::Receiver<u64> {
        self.shared.news.subscribe()
    }

    /// Closes the connections that belonged to one run alone.
    pub(crate) async fn end_run(&self, run: RunId) {
        self.close_where(|key, _| key.run == Some(run)).await;
    }

    /// Closes what is open to a server: whoever uses it next begins anew.
    pub(crate) async fn end_server(&self, server: ServerId) {
        self.close_where(|key, _| key.server == server).await;
    }

    pub(crate) async fn close(&self) {
        self.shared.closing.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.close_where(|_, _| true).await;
    }

    fn key(&self, reach: &Reach, run: Option<RunId>) -> Key {
        Key {
            environment: reach.environment,
            server: reach.server,
            configuration: self.configuration(&reach.definition, &reach.settings),
            transport: reach.definition.transport(),
            // Station itself acts for one run alone.
            run: run.filter(|_| reach.settings.isolation == Isolation::Run || reach.definition.is_station()),
            asks: reach.asks,
        }
    }

    fn slot(&self, reach: &Reach, run: Option<RunId>) -> Result<InUse> {
        self.slot_of(self.key(reach, run), reach)
    }

    fn slot_of(&self, key: Key, reach: &Reach) -> Result<InUse> {
        let mut slots = self.slots();
        // As its file says now, also of a connection that is there: the number is no part of the key.
        let calls = reach.settings.concurrency.unwrap_or(CONCURRENCY).clamp(1, CONCURRENCY_MAX);
        if let Some(slot) = slots.get(&key) {
            slot.calls.limit_to(calls);
            return Ok(self.in_use(slot));
        }
        let same = |other: &Key| {
            other.environment == key.environment && other.server == key.server && other.run.is_none()
        };
        if key.run.is_none() && slots.keys().filter(|other| same(other)).count() >= CONFIGURATIONS_MAX {
            let idlest = slots
                .iter()
                .filter(|(other, slot)| same(other) && Arc::strong_count(slot) == 1)
                .min_by_key(|(_, slot)| slot.used())
                .map(|(other, _)| other.clone());
            let Some(idlest) = idlest else {
                return Err(Error::new(
                    station_core::Kind::Busy,
                    format!(
                        "server `{}` is in use with {CONFIGURATIONS_MAX} different configurations already",
                        reach.name
                    ),
                ));
            };
            slots.remove(&idlest);
        }
        let slot = Arc::new(Slot::new());
        slot.calls.limit_to(calls);
        let in_use = self.in_use(&slot);
        slots.insert(key, slot);
        if self.shared.played.is_none() && !self.shared.sweeping.swap(true, Ordering::Relaxed) {
            self.shared.tasks.spawn(close_idle(Arc::clone(&self.shared)));
        }
        Ok(in_use)
    }

    fn in_use(&self, slot: &Arc<Slot>) -> InUse {
        InUse { slot: Some(Arc::clone(slot)), shared: Arc::clone(&self.shared) }
    }

    async fn close_where(&self, pick: impl Fn(&Key, &Arc<Slot>) -> bool) {
        self.shared.close_where(pick).await;
    }

    fn configuration(&self, definition: &Definition, settings: &ServerSettings) -> [u8; 32] {
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&self.shared.secret)
            .expect("HMAC takes a key of any length");
        let (sandbox, answers) = (settings.sandbox.fingerprint(), settings.answers.fingerprint());
        for part in [&definition.fingerprint()[..], &sandbox, &answers] {
            // Its length first, so that no two can run together into the same bytes.
            mac.update(&part.len().to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    fn slots(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Arc<Slot>>> {
        self.shared.slots.lock().expect("no holder of this lock can panic")
    }
}

impl Shared {
    /// Closes connections, which makes room for whoever waits.
    async fn close_where(&self, pick: impl Fn(&Key, &Arc<Slot>) -> bool) {
        let (picked, leaving) = {
            let mut slots = self.slots.lock().expect("no holder of this lock can panic");
            let keys: Vec<Key> =
                slots.iter().filter(|(key, slot)| pick(key, slot)).map(|(key, _)| key.clone()).collect();
            let picked: Vec<Arc<Slot>> = keys.iter().filter_map(|key| slots.remove(key)).collect();
            // Before they are missed among what is open.
            let leaving = picked.iter().any(|slot| slot.is_open()).then(|| self.leaving.token());
            (picked, leaving)
        };
        self.close_all(picked, leaving).await;
    }

    async fn close_all(&self, picked: Vec<Arc<Slot>>, leaving: Option<TaskTrackerToken>) {
        let closing = picked.iter().map(|slot| async {
            if let Some(opened) = slot.open.lock().await.connection.take() {
                opened.connection.close().await;
            }
        });
        futures::future::join_all(closing).await;
        // Whoever waits for a place finds theirs.
        drop((picked, leaving));
        self.released.notify_waiters();
    }
}

impl std::ops::Deref for InUse {
    type Target = Slot;

    fn deref(&self) -> &Slot {
        self.slot.as_ref().expect("only `drop` takes the slot")
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        // First let go, then tell: whoever wakes must find it idle.
        drop(self.slot.take());
        self.shared.released.notify_waiters();
    }
}

/// Closes what was not used for a while, until the pool closes.
async fn close_idle(shared: Arc<Shared>) {
    let every = (shared.idle_close / 2).max(Duration::from_millis(100));
    while shared.closing.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
        // What belongs to a run is not idle before the run has ended: its state is why it is apart.
        let idle = |key: &Key, slot: &Arc<Slot>| {
            key.run.is_none() && Arc::strong_count(slot) == 1 && slot.used().elapsed() > shared.idle_close
        };
        shared.close_where(idle).await;
    }
}

//! Waking: who waits for work is told when there may be some, by this process at once, by others as each engine can.
//!
//! After the COMMIT that queued a run, or that made room while others wait, the writer rings this process's bell. Others hear of it by
//! NOTIFY on PostgreSQL, sent in the same transaction; SQLite has no such thing, so there whoever waits sleeps until the
//! kernel says that the file was written (`written`), and then looks at its `data_version`: nothing is done while nothing
//! happens. Where the kernel does not say so, that is looked at once a second. What listens is one task per store, started
//! for the first who asks.
//! **Invariant:** no wake-up is lost: what is said between two calls of [`Wakes::next`] is kept for the second, and
//! what may have been missed (before listening began, around a lost connection) counts as said.
//! A lease that lapses says nothing: whoever adopts runs looks by itself when there is reason to ([`Store::ahead`]).

use crate::connect::Target;
use crate::db::{Blocking, Conn};
use crate::written::Written;
use crate::{Store, postgres};
use station_core::{Error, Result};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Between two looks at an SQLite file: what this process writes itself is written again and again, and is no news to it.
/// What another process writes after a quiet second is heard at once.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Before PostgreSQL is asked for a connection again.
const RECONNECT_PAUSE: Duration = Duration::from_secs(2);

/// What workers of this process wait for.
pub(crate) struct Bell {
    rings: watch::Sender<()>,
    wishes: watch::Sender<()>,
    times: watch::Sender<()>,
    audience: watch::Sender<Audience>,
    /// Tells this store's notifications from those of others.
    id: String,
    /// Whether there may be others that write what is waited for here.
    others: Others,
    listening: Mutex<Option<JoinHandle<()>>>,
}

/// Whether other processes may write the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    Heard,
    /// There are none: a simulation, in which nothing may depend on when the kernel says what.
    None,
}

#[derive(Default)]
struct Audience {
    waiting: usize,
    closed: bool,
}

/// What there is news of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Work.
    Work,
    /// A wish that a run should end, which may be work too.
    Cancel,
    /// A time at which something will be due.
    Time,
}

impl Wake {
    /// Where nobody knows what there is.
    pub(crate) const ALL: [Self; 2] = [Self::Cancel, Self::Time];

    /// The word behind a store's id in a notification. A Station that does not know it looks for work.
    fn word(self) -> &'static str {
        match self {
            Self::Work => "",
            Self::Cancel => " cancel",
            Self::Time => " time",
        }
    }

    /// The store that a notification is from, and of what it is.
    fn read(notification: &str) -> (&str, Self) {
        let of = |wake: Self| Some((notification.strip_suffix(wake.word())?, wake));
        of(Self::Cancel).or_else(|| of(Self::Time)).unwrap_or((notification, Self::Work))
    }
}

/// Wake-ups from the moment it was made. To be made before the queue is looked at, so that nothing falls in between.
pub struct Wakes {
    bell: Arc<Bell>,
    rings: watch::Receiver<()>,
}

impl Store {
    /// Wake-ups from now on.
    ///
    /// Must be called within a tokio runtime: the first call starts the task that listens for other processes.
    #[must_use]
    pub fn wakes(&self) -> Wakes {
        self.listening(&self.inner.bell.rings)
    }

    /// As [`Store::wakes`], for who drives runs: there may be one that somebody asked to end.
    #[must_use]
    pub fn cancels(&self) -> Wakes {
        self.listening(&self.inner.bell.wishes)
    }

    /// As [`Store::wakes`], for who sleeps until something is due: it may be sooner than [`Store::ahead`] said.
    #[must_use]
    pub fn times(&self) -> Wakes {
        self.listening(&self.inner.bell.times)
    }

    /// Wakes whoever listens in this process, as another process told it by a way of its own.
    pub fn wake(&self, news: Wake) {
        self.inner.bell.ring(news);
    }

    fn listening(&self, rings: &watch::Sender<()>) -> Wakes {
        let bell = &self.inner.bell;
        let wakes = Wakes { bell: Arc::clone(bell), rings: rings.subscribe() };
        bell.listen(&self.inner.target);
        wakes
    }
}

impl Wakes {
    /// Resolves when there may be work that was not there at the last call, at once where that is so already.
    /// Wakes up once more when the store is closed, and then never again. Safe to be dropped and called anew.
    pub async fn next(&mut self) {
        self.bell.audience.send_modify(|audience| audience.waiting += 1);
        let _waiting = Waiting(&self.bell);
        // The bell is ours as well, so its sender lives as long as this.
        self.rings.changed().await.expect("the bell outlives who listens to it");
    }
}

impl std::fmt::Debug for Wakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wakes").finish_non_exhaustive()
    }
}

/// Somebody waits, until this is dropped.
struct Waiting<'a>(&'a Bell);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.audience.send_modify(|audience| audience.waiting -= 1);
    }
}

impl Bell {
    pub(crate) fn new(others: Others) -> Result<Self> {
        let mut id = [0; 8];
        getrandom::fill(&mut id).map_err(|cause| Error::internal("naming this store", cause))?;
        Ok(Self {
            rings: watch::Sender::new(()),
            wishes: watch::Sender::new(()),
            times: watch::Sender::new(()),
            audience: watch::Sender::default(),
            id: hex::encode(id),
            others,
            listening: Mutex::default(),
        })
    }

    pub(crate) fn ring(&self, news: Wake) {
        let of = match news {
            Wake::Work => &[&self.rings][..],
            Wake::Cancel => &[&self.rings, &self.wishes],
            Wake::Time => &[&self.times],
        };
        for bell in of {
            bell.send_replace(());
        }
    }

    fn ring_all(&self) {
        Wake::ALL.into_iter().for_each(|news| self.ring(news));
    }

    /// Ends the task that listens.
    pub(crate) fn close(&self) {
        let first = self.audience.send_if_modified(|audience| !std::mem::replace(&mut audience.closed, true));
        if first {
            self.ring_all();
        }
    }

    pub(crate) async fn close_and_wait(&self) {
        self.close();
        let listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listening) = listening
            && listening.await.is_err()
        {
            tracing::error!("what listens for other processes ended early");
        }
    }

    fn listen(self: &Arc<Self>, target: &Target) {
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.others == Others::Heard && listening.is_none() && !self.audience.borrow().closed {
            // tracked: `close_and_wait` waits for it, and a store that is dropped ends it.
            *listening = Some(tokio::spawn(listen(Arc::clone(self), target.clone())));
        }
    }

    async fn closed(&self) {
        // The sender is ours, so this cannot fail before it is true.
        drop(self.audience.subscribe().wait_for(|audience| audience.closed).await);
    }

    async fn awaited(&self) {
        drop(self.audience.subscribe().wait_for(|audience| audience.closed || audience.waiting > 0).await);
    }
}

/// Tells what the open transaction has to tell; what this process is to be told as well.
pub(crate) async fn announce(conn: &mut Conn, bell: &Bell) -> Result<Vec<Wake>> {
    const QUEUED: &str = "select 1 from agent_runs where status = 'queued' limit 1";
    const NOTIFY: &str = "select 1 from pg_notify('station_queue', $1)";
    let news = *conn.news();
    // Room is news only to those who wait for it, and a run that was claimed in the same commit to nobody.
    let is_news = (news.queued || news.freed) && conn.row(QUEUED, Vec::new()).await?.is_some();
    let work = match (news.cancelled, is_news) {
        (true, _) => Some(Wake::Cancel),
        (false, true) => Some(Wake::Work),
        (false, false) => None,
    };
    let wakes: Vec<Wake> = work.into_iter().chain(news.timed.then_some(Wake::Time)).collect();
    if !conn.is_sqlite() {
        for wake in &wakes {
            conn.rows(NOTIFY, vec![format!("{}{}", bell.id, wake.word()).into()]).await?;
        }
    }
    Ok(wakes)
}

async fn listen(bell: Arc<Bell>, target: Target) {
    match &target {
        Target::Sqlite { options, .. } => look(&bell, &target, &options.path).await,
        Target::Postgres { options, .. } => tokio::select! {
            () = bell.closed() => {}
            () = hear(&bell, options) => {}
        },
    }
}

async fn hear(bell: &Bell, options: &sqlx::postgres::PgConnectOptions) {
    loop {
        let heard = async {
            let mut listener = postgres::Listener::connect(options).await?;
            // Whatever was said before.
            bell.ring_all();
            loop {
                let heard = listener.next().await?;
                let (id, news) = Wake::read(&heard);
                if id != bell.id {
                    bell.ring(news);
                }
            }
        };
        let lost: Result<std::convert::Infallible, sqlx::Error> = heard.await;
        let Err(cause) = lost;
        tracing::warn!(%cause, "notifications of PostgreSQL are not heard for a moment");
        tokio::time::sleep(RECONNECT_PAUSE).await;
    }
}

async fn look(bell: &Bell, target: &Target, database: &Path) {
    let mut conn = None;
    let mut seen = None;
    let mut written = None;
    loop {
        bell.awaited().await;
        tokio::select! {
            () = bell.closed() => break,
            () = may_have_changed(&mut written, seen) => {}
        }
        if seen.is_none() && written.is_none() {
            // Only now, by those who stay: a kernel takes many milliseconds to let go of a watch, also at the end of a process.
            // Before the look, so that nothing falls in between.
            written = watch(database);
        }
        match data_version(&mut conn, target).await {
            Ok(version) if seen == Some(version) => {}
            Ok(version) => {
                seen = Some(version);
                // What was committed is not told.
                bell.ring_all();
            }
            Err(error) => {
                tracing::debug!(%error, "the database was not looked at");
                conn = None;
                seen = None;
            }
        }
    }
    if let Some(conn) = conn {
        conn.close().await;
    }
}

fn watch(database: &Path) -> Option<Written> {
    let watched = Written::watch(database).inspect_err(|cause| {
        tracing::debug!(%cause, "the kernel does not say when the database is written");
    });
    watched.ok()
}

/// Waits until there is reason to look: the file was written, or nobody would say so.
async fn may_have_changed(written: &mut Option<Written>, seen: Option<i64>) {
    tokio::time::sleep(LOOK_EVERY).await;
    // What was committed before it was looked at for the first time is not known.
    let (Some(told), Some(_)) = (&written, seen) else { return };
    if let Err(cause) = told.next().await {
        tracing::debug!(%cause, "the kernel does not say any more when the database is written");
        *written = None;
    }
}

/// A number that changes when another connection commits; that may be this process's own writer. Asked under the lock
/// for writers: one that is writing was heard already, and its commit is not to be missed.
async fn data_version(conn: &mut Option<Conn>, target: &Target) -> Result<i64> {
    let conn = match conn {
        Some(conn) => conn,
        None => conn.insert(target.connect(Blocking::Elsewhere).await?),
    };
    conn.begin().await?;
    let row = conn.row("pragma data_version", Vec::new()).await;
    conn.rollback().await;
    row?.ok_or_else(|| crate::db::unreadable("a pragma is missing"))?.int()
}

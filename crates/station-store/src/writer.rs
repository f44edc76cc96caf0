//! The one writer: commits are what costs, so it groups them.
//!
//! It owns one connection, and on SQLite a thread. It takes every write that waits, runs them in one transaction and answers all of them
//! after COMMIT, so that fifty runs that append at once pay for a few disk flushes and not for fifty. On SQLite those that come while it
//! runs them come along: a worker that hears of a run as it is put in the queue claims it in the same commit. A write that
//! is refused by its own condition (a late fence) changes nothing and disturbs nobody. A write that fails takes the
//! group back, and each of the group is then done alone; so a job may be run twice and must depend on its input only.
//! **Invariant:** nobody is answered before COMMIT, and a COMMIT that failed fails all that waited for it.

use crate::connect::Target;
use crate::db::{Blocking, Conn};
use crate::failure;
use crate::turns::{self, Reach};
use crate::wakes::{self, Bell, Wake};
use futures::future::BoxFuture;
use station_core::{Error, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};

/// Writes that may wait; more is back-pressure on those who write.
const QUEUE_MAX: usize = 1_024;

/// Writes of one commit: enough to be cheap, few enough that the first does not wait long for the last.
const GROUP_MAX: usize = 128;

/// How often a write is tried that the database asked to give way.
const ATTEMPTS_MAX: u32 = 5;

/// What a write does inside the transaction.
pub(crate) type Work<I, T> = for<'a> fn(&'a mut Conn, &'a I) -> BoxFuture<'a, Result<T>>;

pub(crate) struct Writer {
    state: Mutex<State>,
    commits: Arc<AtomicU64>,
    bell: Arc<Bell>,
    place: Place,
}

/// Where SQLite's statements are run; they block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On a thread of their own, which waits for the disk and for nobody else.
    OwnThread,
    /// By a task of the caller's runtime, which has one thread: for simulations.
    ThisThread,
}

enum State {
    /// Nothing was written yet: whoever only reads needs no second connection.
    Resting(Target),
    Writing {
        queue: mpsc::Sender<Box<dyn Job>>,
        end: End,
    },
    Closed,
}

/// The end of what writes.
struct End {
    /// Answers when the last write is done and the connection closed.
    ended: oneshot::Receiver<()>,
    /// SQLite's thread.
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// A writer that connects when the first write comes.
    pub(crate) fn new(target: Target, bell: Arc<Bell>, place: Place) -> Self {
        let commits = Arc::new(AtomicU64::new(0));
        Self { state: Mutex::new(State::Resting(target)), commits, bell, place }
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Does `work` with `input` in a transaction, probably together with others; returns after its COMMIT. `reach`
    /// says which rows of others it locks.
    pub(crate) async fn write<I, T>(&self, reach: Reach, input: I, work: Work<I, T>) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.write_with(reach, input, work, None).await
    }

    /// As [`Writer::write`], of what others have something to write about: they are told while it waits, so that theirs may come
    /// along, and after COMMIT as always.
    pub(crate) async fn write_with<I, T>(
        &self,
        reach: Reach,
        input: I,
        work: Work<I, T>,
        news: Option<Wake>,
    ) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending { reach, input, work, done: None, reply });
        self.queue()?.send(job).await.map_err(|_| closed())?;
        if let Some(news) = news {
            self.bell.ring(news);
        }
        answer.await.map_err(|_| closed())?
    }

    /// Takes no more writes and waits for those that were taken.
    pub(crate) async fn close(&self) {
        let state = std::mem::replace(&mut *self.lock(), State::Closed);
        if let State::Writing { queue, end } = state {
            drop(queue);
            if end.ended.await.is_err() {
                tracing::error!("the writer of the database ended early");
            }
            // It has nothing left to do. A thread that is still ending while the process exits meets OpenSSL being
            // taken down, and crashes the process.
            if end.thread.is_some_and(|thread| thread.join().is_err()) {
                tracing::error!("the writer of the database panicked");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> Result<mpsc::Sender<Box<dyn Job>>> {
        let mut state = self.lock();
        match &*state {
            State::Closed => Err(closed()),
            State::Writing { queue, .. } => Ok(queue.clone()),
            State::Resting(target) => {
                let (queue, jobs) = mpsc::channel(QUEUE_MAX);
                let writing = Writing {
                    target: target.clone(),
                    conn: None,
                    commits: Arc::clone(&self.commits),
                    bell: Arc::clone(&self.bell),
                };
                let end = start(writing, jobs, self.place)?;
                *state = State::Writing { queue: queue.clone(), end };
                Ok(queue)
            }
        }
    }
}

/// Starts what writes: SQLite's on the thread that it was given, PostgreSQL's as a task.
fn start(writing: Writing, jobs: mpsc::Receiver<Box<dyn Job>>, place: Place) -> Result<End> {
    let (end, ended) = oneshot::channel();
    let is_sqlite = matches!(writing.target, Target::Sqlite { .. });
    let writing = async move {
        writing.run(jobs).await;
        answer_to(end, ());
    };
    let thread = match place {
        Place::OwnThread if is_sqlite => {
            let runtime = tokio::runtime::Handle::current();
            let started = std::thread::Builder::new()
                .name("station-writer".to_owned())
                .spawn(move || runtime.block_on(writing));
            Some(started.map_err(|cause| Error::internal("starting the writer of the database", cause))?)
        }
        Place::OwnThread => {
            // tracked: `Writer::close` waits for `ended`; without it the task ends when the queue is dropped.
            tokio::spawn(writing);
            None
        }
        Place::ThisThread => {
            // tracked: as above. Never interrupted, so that no transaction is open while others have their turn.
            tokio::spawn(tokio::task::unconstrained(writing));
            None
        }
    };
    Ok(End { ended, thread })
}

fn closed() -> Error {
    Error::conflict("the store is closed")
}

/// A write that waits, whatever its types.
trait Job: Send {
    fn reach(&self) -> Reach;
    fn run<'a>(&'a mut self, conn: &'a mut Conn) -> BoxFuture<'a, Result<()>>;
    fn committed(self: Box<Self>);
    fn failed(self: Box<Self>, error: Error);
}

struct Pending<I, T> {
    reach: Reach,
    input: I,
    work: Work<I, T>,
    done: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<I: Send + Sync, T: Send> Job for Pending<I, T> {
    fn reach(&self) -> Reach {
        self.reach
    }

    fn run<'a>(&'a mut self, conn: &'a mut Conn) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.done = Some((self.work)(conn, &self.input).await?);
            Ok(())
        })
    }

    fn committed(self: Box<Self>) {
        let answer = self.done.ok_or_else(|| Error::internal("writing to the database", "committed unrun"));
        answer_to(self.reply, answer);
    }

    fn failed(self: Box<Self>, error: Error) {
        answer_to(self.reply, Err(error));
    }
}

fn answer_to<T>(reply: oneshot::Sender<T>, answer: T) {
    if reply.send(answer).is_err() {
        tracing::debug!("nobody waits for a write any more");
    }
}

/// Writes of one transaction.
type Group = Vec<Box<dyn Job>>;

/// Where a group failed: it decides who is told.
enum Trouble {
    /// One job failed before COMMIT; the others may be fine without it.
    Job(Error),
    /// The transaction itself: everybody is told.
    Transaction(Error),
}

struct Writing {
    target: Target,
    conn: Option<Conn>,
    commits: Arc<AtomicU64>,
    bell: Arc<Bell>,
}

impl Writing {
    async fn run(mut self, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
        while let Some(first) = jobs.recv().await {
            let mut group = vec![first];
            // Those who became ready in the same moment get their chance to come along.
            tokio::task::yield_now().await;
            while group.len() < GROUP_MAX
                && let Ok(next) = jobs.try_recv()
            {
                group.push(next);
            }
            // Everybody takes rows in the same order; writes of one run stay in theirs.
            group.sort_by_key(|job| job.reach().run());
            self.write_group(group, &mut jobs).await;
        }
        if let Some(conn) = self.conn.take() {
            conn.close().await;
        }
    }

    /// Writes a group, with those of `late` that can come along.
    async fn write_group(&mut self, mut group: Group, late: &mut mpsc::Receiver<Box<dyn Job>>) {
        match self.attempt(&mut group, Some(late)).await {
            Ok(()) => group.into_iter().for_each(Job::committed),
            Err(Trouble::Transaction(error)) => {
                group.into_iter().for_each(|job| job.failed(failure::again(&error)));
            }
            Err(Trouble::Job(error)) if group.len() == 1 && !self.should_retry() => {
                group.into_iter().for_each(|job| job.failed(failure::again(&error)));
            }
            Err(Trouble::Job(_)) => {
                for job in group {
                    self.write_alone(job).await;
                }
            }
        }
    }

    async fn write_alone(&mut self, job: Box<dyn Job>) {
        let mut alone = vec![job];
        let mut attempt = 1;
        let outcome = loop {
            match self.attempt(&mut alone, None).await {
                Err(Trouble::Job(_)) if self.should_retry() && attempt < ATTEMPTS_MAX => attempt += 1,
                outcome => break outcome,
            }
        };
        // Nothing comes along with it.
        let Some(job) = alone.pop() else { return };
        match outcome {
            Ok(()) => job.committed(),
            Err(Trouble::Job(error) | Trouble::Transaction(error)) => job.failed(error),
        }
    }

    fn should_retry(&self) -> bool {
        self.conn.as_ref().is_some_and(Conn::should_retry)
    }

    async fn attempt(
        &mut self,
        group: &mut Group,
        late: Option<&mut mpsc::Receiver<Box<dyn Job>>>,
    ) -> Result<(), Trouble> {
        let mut conn = self.begin().await.map_err(Trouble::Transaction)?;
        let outcome = match perform(&mut conn, group, late, &self.bell).await {
            Ok(news) => conn.commit().await.map(|()| news).map_err(Trouble::Transaction),
            Err(error) => Err(Trouble::Job(error)),
        };
        match &outcome {
            Ok(news) => {
                self.commits.fetch_add(1, Ordering::Relaxed);
                news.iter().for_each(|wake| self.bell.ring(*wake));
            }
            Err(_) => conn.rollback().await,
        }
        if conn.is_lost() {
            // Dropped, not closed: there is nobody to say goodbye to. The next write connects anew.
            drop(conn);
        } else {
            self.conn = Some(conn);
        }
        outcome.map(drop)
    }

    /// Begins a transaction, over a new connection where the old one turns out to be gone: nothing was sent yet.
    async fn begin(&mut self) -> Result<Conn> {
        self.target.check()?;
        if let Some(mut conn) = self.conn.take() {
            match conn.begin().await {
                Ok(()) => return Ok(conn),
                Err(_) if conn.is_lost() => {}
                Err(error) => {
                    self.conn = Some(conn);
                    return Err(error);
                }
            }
        }
        let mut conn = self.target.connect(Blocking::Here).await?;
        conn.begin().await?;
        Ok(conn)
    }
}

/// The body of one transaction; whom of this process to wake after its COMMIT.
async fn perform(
    conn: &mut Conn,
    group: &mut Group,
    late: Option<&mut mpsc::Receiver<Box<dyn Job>>>,
    bell: &Bell,
) -> Result<Vec<Wake>> {
    let reaches: Vec<Reach> = group.iter().map(|job| job.reach()).collect();
    turns::take(conn, &reaches).await?;
    for job in group.iter_mut() {
        job.run(conn).await?;
    }
    // On PostgreSQL it would take its locks out of turn.
    let mut late = late.filter(|_| conn.is_sqlite());
    while group.len() < GROUP_MAX
        && let Some(Ok(mut job)) = late.as_mut().map(|late| late.try_recv())
    {
        let ran = job.run(conn).await;
        // Whatever becomes of it: whoever is in the group is answered.
        group.push(job);
        ran?;
    }
    wakes::announce(conn, bell).await
}

//! The one writer: commits are what costs, so it groups them.
//!
//! A task owns one connection. It takes every write that waits, runs them in one transaction and answers all of them
//! after COMMIT, so that fifty runs that append at once pay for a few disk flushes and not for fifty. A write that
//! is refused by its own condition (a late fence) changes nothing and disturbs nobody. A write that fails takes the
//! group back, and each of the group is then done alone; so a job may be run twice and must depend on its input only.
//! **Invariant:** nobody is answered before COMMIT, and a COMMIT that failed fails all that waited for it.

use crate::connect::Target;
use crate::db::Conn;
use crate::failure::{self, Failure};
use futures::future::BoxFuture;
use station_core::{Error, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Writes that may wait; more is back-pressure on those who write.
const QUEUE_MAX: usize = 1_024;

/// Writes of one commit: enough to be cheap, few enough that the first does not wait long for the last.
const GROUP_MAX: usize = 128;

/// How often a write is tried that the database asked to give way.
const ATTEMPTS_MAX: u32 = 5;

/// What a write does inside the transaction.
pub(crate) type Work<I, T> = for<'a> fn(&'a mut Conn, &'a I) -> BoxFuture<'a, Result<T>>;

pub(crate) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the task; it connects when the first write comes.
    pub(crate) fn start(target: Target) -> Self {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let commits = Arc::new(AtomicU64::new(0));
        let writing = Writing { target, conn: None, commits: Arc::clone(&commits) };
        let task = tokio::spawn(writing.run(jobs));
        Self { queue: Mutex::new(Some(queue)), task: Mutex::new(Some(task)), commits }
    }

    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Does `work` with `input` in a transaction, probably together with others; returns after its COMMIT.
    pub(crate) async fn write<I, T>(&self, input: I, work: Work<I, T>) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending { input, work, done: None, reply });
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let queue = queue.ok_or_else(closed)?;
        queue.send(job).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Takes no more writes and waits for those that were taken.
    pub(crate) async fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task
            && let Err(cause) = task.await
        {
            tracing::error!(%cause, "the writer of the database ended early");
        }
    }
}

fn closed() -> Error {
    Error::conflict("the store is closed")
}

/// A write that waits, whatever its types.
trait Job: Send {
    fn run<'a>(&'a mut self, conn: &'a mut Conn) -> BoxFuture<'a, Result<()>>;
    fn committed(self: Box<Self>);
    fn failed(self: Box<Self>, error: Error);
}

struct Pending<I, T> {
    input: I,
    work: Work<I, T>,
    done: Option<T>,
    reply: oneshot::Sender<Result<T>>,
}

impl<I: Send + Sync, T: Send> Job for Pending<I, T> {
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

fn answer_to<T>(reply: oneshot::Sender<Result<T>>, answer: Result<T>) {
    if reply.send(answer).is_err() {
        tracing::debug!("nobody waits for a write any more");
    }
}

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
            self.write_group(group).await;
        }
        if let Some(conn) = self.conn.take() {
            conn.close().await;
        }
    }

    async fn write_group(&mut self, mut group: Vec<Box<dyn Job>>) {
        match self.attempt(&mut group).await {
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
        let mut alone = [job];
        let mut attempt = 1;
        let outcome = loop {
            match self.attempt(&mut alone).await {
                Err(Trouble::Job(_)) if self.should_retry() && attempt < ATTEMPTS_MAX => attempt += 1,
                outcome => break outcome,
            }
        };
        let [job] = alone;
        match outcome {
            Ok(()) => job.committed(),
            Err(Trouble::Job(error) | Trouble::Transaction(error)) => job.failed(error),
        }
    }

    fn should_retry(&self) -> bool {
        self.conn.as_ref().and_then(Conn::last_failure) == Some(Failure::GiveWay)
    }

    async fn attempt(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), Trouble> {
        let mut conn = self.begin().await.map_err(Trouble::Transaction)?;
        let mut outcome = Ok(());
        for job in group {
            if let Err(error) = job.run(&mut conn).await {
                conn.rollback().await;
                outcome = Err(Trouble::Job(error));
                break;
            }
        }
        if outcome.is_ok() {
            match conn.commit().await {
                Ok(()) => {
                    self.commits.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    conn.rollback().await;
                    outcome = Err(Trouble::Transaction(error));
                }
            }
        }
        if conn.last_failure() == Some(Failure::Disconnected) {
            // Dropped, not closed: there is nobody to say goodbye to. The next write connects anew.
            drop(conn);
        } else {
            self.conn = Some(conn);
        }
        outcome
    }

    /// Begins a transaction, over a new connection where the old one turns out to be gone: nothing was sent yet.
    async fn begin(&mut self) -> Result<Conn> {
        if let Some(mut conn) = self.conn.take() {
            match conn.begin().await {
                Ok(()) => return Ok(conn),
                Err(_) if conn.last_failure() == Some(Failure::Disconnected) => {}
                Err(error) => {
                    self.conn = Some(conn);
                    return Err(error);
                }
            }
        }
        let mut conn = self.target.connect().await?;
        conn.begin().await?;
        Ok(conn)
    }
}

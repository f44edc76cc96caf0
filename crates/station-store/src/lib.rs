//! The memory of Station: the only SQL.
//!
//! One [`Store`], two engines: SQLite, encrypted whole by SQLCipher, and PostgreSQL, with the same code and the same
//! statements. One writer groups commits ([`Store::append`] says why that is safe), readers read beside it. Secrets
//! are sealed value by value before they reach a row, on both engines.
//! **Invariants:** no SQL outside this crate; no wall clock is read here, times come as parameters; every list is
//! ordered and limited; a write that carries an old fence changes nothing.

mod agents;
mod ahead;
mod approvals;
mod asked;
mod audit;
mod budgets;
mod call_approvals;
mod cancel;
mod changes;
mod claim;
mod configs;
mod connect;
mod credentials;
mod db;
mod discovery;
mod environments;
mod exclusive;
mod failure;
mod family;
mod figures;
mod fork;
mod generation;
mod grants;
mod inspect;
mod instances;
mod invitations;
mod journal;
mod kept;
mod key;
mod lease;
mod ledger;
mod logins;
mod migrate;
mod once;
mod pins;
mod postgres;
mod prune;
mod queue;
mod reader;
mod removal;
mod reseal;
mod ring;
mod runs;
mod seal;
mod sealer;
mod servers;
mod settlements;
mod sqlite;
mod standing;
mod sync;
#[cfg(test)]
mod tests;
mod tokens;
mod turns;
mod users;
mod waiting;
mod wakes;
mod writer;
mod written;

pub use agents::SubAgent;
pub use approvals::{Approval, Asker, NewApproval, Say};
pub use asked::ApprovalFilter;
pub use audit::{AuditEntry, AuditFault, AuditFilter, AuditHead, Deed};
pub use budgets::{AccountRow, SetLimit};
pub use call_approvals::CallQuestion;
pub use cancel::Cancelled;
pub use claim::{Bound, Claim, Renewed};
pub use configs::ServerFile;
pub use credentials::{ApiKey, NewApiKey};
pub use db::OPERATIONS;
pub use exclusive::Exclusive;
pub use failure::failure_words;
pub use family::Relative;
pub use figures::Figures;
pub use fork::NewFork;
pub use inspect::{FileState, inspect, is_go_database, of_another_program};
pub use instances::Instance;
pub use invitations::Acceptance;
pub use journal::{Append, Appended, RunUpdate};
pub use key::Key;
pub use lease::{LeaseClock, LeaseInfo, Owner};
pub use ledger::{Charge, Ledger, Refusal, Wait};
pub use logins::{KeptLogin, LoginRow};
pub use migrate::Standing;
pub use once::{BegunRequest, KeptRequest, NewRequest, RequestClaim};
pub use pins::StoredLock;
pub use prune::{Prunable, PruneCursor, Pruned};
pub use queue::{QueueDepth, Wanted};
pub use reseal::{KeyNames, Resealed};
pub use ring::KeyRing;
pub use runs::{NewRun, Run, RunFilter};
pub use servers::{ConfigSource, Offered};
pub use settlements::Settlement;
pub use standing::StandingApproval;
pub use users::{Last, NewUser, User, UserEdit};
pub use wakes::{Wake, Wakes};

use connect::Target;
use db::Value;
use lease::Leases;
use reader::{Reader, Readers};
use sealer::Sealer;
use station_core::{Kind, Result, Secret};
use std::path::PathBuf;
use std::sync::Arc;
use turns::Reach;
use wakes::{Bell, Others};
use writer::{Place, Work, Writer};

/// Rows of one listing. Far above what people have, so that reaching it means something is wrong; a listing that
/// can grow without end (runs, journals) takes its limit as a parameter.
pub(crate) const ROWS_MAX: i64 = 100_000;

/// Where a store lives.
#[derive(Clone, Debug)]
pub enum Location {
    /// An encrypted file.
    Sqlite(PathBuf),
    /// A `postgres://` URL; it may hold a password.
    Postgres(Secret),
}

/// Whether a store of ours may be at `location`: a file that is no plain database, or our table in PostgreSQL. Makes
/// nothing, and needs no key.
///
/// # Errors
/// Where that cannot be found out: then nobody may act as if there were none.
pub async fn is_there(location: &Location) -> Result<bool> {
    match location {
        Location::Sqlite(path) => Ok(inspect(path)? == FileState::Opaque),
        Location::Postgres(url) => migrate::is_there(&connect::prepare_postgres(url.expose())?).await,
    }
}

/// What it takes to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it lives.
    pub location: Location,
    /// The master key, and what is needed beside it while it is rotated.
    pub keys: KeyRing,
    /// The clock of its leases.
    pub lease_clock: LeaseClock,
}

/// An open store; a cheap handle that can be cloned.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    readers: Readers,
    writer: Writer,
    context: Arc<Context>,
    target: Target,
    bell: Arc<Bell>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.bell.close();
    }
}

/// What statements need beside their values.
pub(crate) struct Context {
    pub(crate) sealer: Sealer,
    pub(crate) leases: Leases,
}

impl Context {
    /// What `runs::select_runs!` is given first.
    pub(crate) fn lease_values(&self) -> Result<Vec<Value>> {
        Ok(vec![self.leases.now()?, self.leases.boot()])
    }
}

impl Store {
    /// Opens a store; makes it where there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// A sentence of its own for each: wrong key, an unencrypted database, a newer schema, a folder that cannot be
    /// written, a full disk, a locked file, a server that cannot be reached or refuses. None of them changes anything.
    pub async fn open(options: Options) -> Result<Self> {
        Self::open_in(options, Place::OwnThread).await
    }

    /// As [`Store::open`], with everything on the thread of the caller's runtime, which must have only one: for
    /// simulations, in which the order of things is chosen and not left to the machine.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_on_this_thread(options: Options) -> Result<Self> {
        Self::open_in(options, Place::ThisThread).await
    }

    async fn open_in(options: Options, place: Place) -> Result<Self> {
        let target = Target::prepare(&options.location, options.keys.current())?;
        let refused = match Self::open_at(target, options.clone(), place).await {
            Err(error) if error.kind() == Kind::Invalid => error,
            done => return done,
        };
        match Target::by_another_key(&options.location, &options.keys).await? {
            Some(target) => Self::open_at(target, options, place).await,
            None => Err(refused),
        }
    }

    async fn open_at(target: Target, options: Options, place: Place) -> Result<Self> {
        let sealer = Sealer::new(options.keys);
        let first = migrate::open(&target, &sealer).await?;
        let leases = Leases::new(options.lease_clock, first.is_sqlite())?;
        let context = Arc::new(Context { sealer, leases });
        let readers = Readers::new(target.clone(), first);
        let others = match place {
            Place::ThisThread => Others::None,
            Place::OwnThread => Others::Heard,
        };
        let bell = Arc::new(Bell::new(others)?);
        let writer = Writer::new(target.clone(), Arc::clone(&bell), place);
        Ok(Self { inner: Arc::new(Inner { readers, writer, context, target, bell }) })
    }

    /// Waits for writes that were begun and closes every connection. Later calls fail with `Conflict`.
    pub async fn close(&self) {
        self.inner.bell.close_and_wait().await;
        self.inner.writer.close().await;
        self.inner.readers.close().await;
    }

    /// How the store stands to this Station now.
    ///
    /// # Errors
    /// Where the database cannot be asked.
    pub async fn standing(&self) -> Result<Standing> {
        self.inner.target.check()?;
        migrate::standing(&mut *self.read().await?, &self.context().sealer).await
    }

    /// How many write transactions were committed since the store was opened.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.inner.writer.commits()
    }

    async fn read(&self) -> Result<Reader<'_>> {
        self.inner.readers.get().await
    }

    async fn write<I, T>(&self, input: I, work: Work<I, T>) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.write_reaching(Reach::Nothing, input, work).await
    }

    async fn write_reaching<I, T>(&self, reach: Reach, input: I, work: Work<I, T>) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
    {
        self.inner.writer.write(reach, input, work).await
    }

    fn context(&self) -> &Context {
        &self.inner.context
    }

    fn shared_context(&self) -> Arc<Context> {
        Arc::clone(&self.inner.context)
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("commits", &self.commits()).finish_non_exhaustive()
    }
}

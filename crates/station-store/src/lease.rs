//! Leases: who drives a run, until when, and by which clock.
//!
//! On PostgreSQL the database's `now()` decides and no instance's clock does: it is read by the view `lease_clock`,
//! which is empty-handed on SQLite, so that the statements are the same. On SQLite all owners are on one machine, and
//! its clock since boot decides: it stands still for nobody and jumps for nobody. A lease of an earlier boot is over.

use crate::db::{Row, Value, unreadable};
use nix::time::ClockId;
use station_core::{Error, Fence, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Which clock leases are measured by.
#[derive(Clone, Debug, Default)]
pub enum LeaseClock {
    /// The database's on PostgreSQL, the machine's time since boot on SQLite.
    #[default]
    System,
    /// A test's: microseconds that it moves itself.
    Manual(Arc<AtomicI64>),
}

/// A process that drives runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The worker's name, for people.
    pub worker: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// When that process started, as the kernel counts, so that a reused pid is not taken for it.
    pub pid_start: u64,
}

/// Who holds a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseInfo {
    /// The holder.
    pub owner: Owner,
    /// The number its writes carry.
    pub fence: Fence,
    /// Whether its time is over.
    pub lapsed: bool,
}

/// The clock of one open store.
pub(crate) struct Leases {
    clock: LeaseClock,
    /// The boot this machine is in; empty where the database's clock decides.
    boot: String,
    by_database: bool,
}

impl Leases {
    pub(crate) fn new(clock: LeaseClock, is_sqlite: bool) -> Result<Self> {
        let (boot, by_database) = match &clock {
            LeaseClock::Manual(_) => ("manual".to_owned(), false),
            LeaseClock::System if is_sqlite => (boot_id()?, false),
            LeaseClock::System => (String::new(), true),
        };
        Ok(Self { clock, boot, by_database })
    }

    /// What a statement is given as `now`: nothing where the database knows better.
    pub(crate) fn now(&self) -> Result<Value> {
        if self.by_database {
            return Ok(Value::Int(None));
        }
        match &self.clock {
            LeaseClock::Manual(micros) => Ok(micros.load(Ordering::SeqCst).into()),
            LeaseClock::System => {
                let since_boot = ClockId::CLOCK_BOOTTIME
                    .now()
                    .map_err(|cause| Error::internal("reading the clock for a lease", cause))?;
                Ok((since_boot.tv_sec() * 1_000_000 + since_boot.tv_nsec() / 1_000).into())
            }
        }
    }

    pub(crate) fn boot(&self) -> Value {
        self.boot.as_str().into()
    }
}

fn boot_id() -> Result<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_err(|cause| Error::internal("reading this machine's boot id", cause))?;
    Ok(text.trim().to_owned())
}

/// A duration as leases store it.
pub(crate) fn micros_of(lease_ms: u64) -> i64 {
    i64::try_from(lease_ms).unwrap_or(i64::MAX).saturating_mul(1_000)
}

/// Reads `fence, lease_worker, lease_host, lease_pid, lease_pid_start` and whether it lapsed (null: no lease).
pub(crate) fn read(row: &mut Row) -> Result<(Fence, Option<LeaseInfo>)> {
    let fence = Fence(row.int()?);
    let (worker, host) = (row.opt_text()?, row.opt_text()?);
    let (pid, pid_start) = (row.opt_int()?, row.opt_int()?);
    let Some(lapsed) = row.opt_int()? else { return Ok((fence, None)) };
    let (Some(worker), Some(host), Some(pid), Some(pid_start)) = (worker, host, pid, pid_start) else {
        return Err(unreadable("a lease without its owner"));
    };
    let owner = Owner {
        worker,
        host,
        pid: u32::try_from(pid).map_err(|_| unreadable("a pid out of range"))?,
        // Stored bit for bit: the column is signed and the kernel's count is not.
        pid_start: pid_start.cast_unsigned(),
    };
    Ok((fence, Some(LeaseInfo { owner, fence, lapsed: lapsed == 1 })))
}

//! The one place where Station reads the time and mints effect ids.

use nix::time::{ClockId, clock_gettime};
use station_core::{EffectId, Micros};
use station_store::LeaseClock;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's.
    #[default]
    System,
    /// A test's: microseconds since the epoch.
    Manual(Arc<AtomicI64>),
    /// A simulation's, which owns the time since boot as well, and with it every lease: microseconds of each.
    Simulated {
        /// Since the epoch.
        wall: Arc<AtomicI64>,
        /// Since boot.
        boot: Arc<AtomicI64>,
    },
}

impl Clock {
    /// Now.
    #[must_use]
    pub fn now(&self) -> Micros {
        match self {
            Self::System => {
                #[expect(clippy::disallowed_methods, reason = "the one place that reads the system's clock")]
                let since =
                    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
            }
            Self::Manual(micros) | Self::Simulated { wall: micros, .. } => {
                Micros(micros.load(Ordering::SeqCst))
            }
        }
    }

    /// Time since boot, suspends included (CLOCK_BOOTTIME): a laptop that slept has not kept its lease.
    pub(crate) fn since_boot(&self) -> Duration {
        match self {
            Self::System | Self::Manual(_) => clock_gettime(ClockId::CLOCK_BOOTTIME)
                .map(Duration::from)
                .expect("every Linux kernel has CLOCK_BOOTTIME"),
            Self::Simulated { boot, .. } => {
                Duration::from_micros(boot.load(Ordering::SeqCst).try_into().unwrap_or_default())
            }
        }
    }

    /// The clock by which the store measures leases.
    pub(crate) fn of_leases(&self) -> LeaseClock {
        match self {
            Self::System | Self::Manual(_) => LeaseClock::System,
            Self::Simulated { boot, .. } => LeaseClock::Manual(Arc::clone(boot)),
        }
    }

    /// A new effect id (UUIDv7: ordered by time, so journals and logs sort alike).
    #[must_use]
    pub(crate) fn effect_id() -> EffectId {
        EffectId(uuid::Uuid::now_v7())
    }
}

//! The one place where Station reads the time and mints effect ids.

use station_core::{EffectId, Micros};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's.
    #[default]
    System,
    /// A test's: microseconds since the epoch.
    Manual(Arc<AtomicI64>),
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
            Self::Manual(micros) => Micros(micros.load(Ordering::SeqCst)),
        }
    }

    /// A new effect id (UUIDv7: ordered by time, so journals and logs sort alike).
    #[must_use]
    pub(crate) fn effect_id() -> EffectId {
        EffectId(uuid::Uuid::now_v7())
    }
}

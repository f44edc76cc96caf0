//! Ids by which a session may begin later: `later.INSTANCE.SECOND.UUID`.
//!
//! All that is to be known of one stands in it, since nothing is kept of it: which instance gave it, and in which second of that one's
//! life, by a clock that nobody sets.

use std::time::{Duration, Instant};
use uuid::Uuid;

/// What such an id begins with.
const PROMISED: &str = "later.";

/// The ids of one instance.
pub(super) struct Promises {
    instance: Uuid,
    began_at: Instant,
}

/// What such an id says.
pub(super) enum Promise {
    /// It was given here, so long ago.
    Here(Duration),
    Elsewhere,
}

/// Whether an id has the form of one, as far as its beginning.
pub(super) fn is_one(id: &str) -> bool {
    id.starts_with(PROMISED)
}

impl Promises {
    pub(super) fn new() -> Self {
        Self { instance: Uuid::now_v7(), began_at: Instant::now() }
    }

    /// An id for a session that begins at once.
    pub(super) fn kept_id(&self) -> String {
        format!("{}.{}", self.instance.simple(), Uuid::now_v7().simple())
    }

    pub(super) fn give(&self, now: Instant) -> String {
        self.spell(now.duration_since(self.began_at).as_secs(), Uuid::now_v7())
    }

    /// `None` where an id is no promise.
    pub(super) fn read(&self, id: &str, now: Instant) -> Option<Promise> {
        let mut parts = id.strip_prefix(PROMISED)?.split('.');
        let (instance, second, own) = (parts.next()?, parts.next()?, parts.next()?);
        let (instance, own) = (Uuid::try_parse(instance).ok()?, Uuid::try_parse(own).ok()?);
        let second: u64 = second.parse().ok()?;
        if instance != self.instance {
            return Some(Promise::Elsewhere);
        }
        // One id has one spelling.
        let age = now.duration_since(self.began_at).checked_sub(Duration::from_secs(second))?;
        (self.spell(second, own) == id).then_some(Promise::Here(age))
    }

    fn spell(&self, second: u64, own: Uuid) -> String {
        format!("{PROMISED}{}.{second}.{}", self.instance.simple(), own.simple())
    }
}

//! The lock file of a plan: which tools are pinned from then on.

use super::plan::{View, refuse_foreign};
use super::{Change, Plan, Removals};
use crate::BlobHash;
use crate::lock::Lock;

/// A lock file that cannot be read changes no pins. Where there were none, everything is held: nothing may be used as if
/// the file were not there.
pub(super) fn plan(plan: &mut Plan, view: &View<'_>) {
    let stored = view.stored.lock.as_deref();
    let Some(text) = &view.files.lock else {
        if stored.is_some() && !view.stored.foreign && view.removals == Removals::Apply {
            plan.changes.push(Change::SetLock { hash: None, pins: Vec::new() });
        }
        return;
    };
    let hash = BlobHash::of(text.body.expose().as_bytes()).to_string();
    if stored == Some(hash.as_str()) {
        plan.unchanged += 1;
        return;
    }
    if view.stored.foreign {
        refuse_foreign(plan, view, &text.path);
        return;
    }
    let (lock, problems) = Lock::read(text.body.expose(), &text.path);
    plan.problems.extend(problems);
    match lock {
        Some(lock) => plan.changes.push(Change::SetLock { hash: Some(hash), pins: lock.pins().collect() }),
        None => plan.hold_everything(stored),
    }
}

impl Plan {
    /// Holds every tool where no pins were known.
    pub(super) fn hold_everything(&mut self, stored: Option<&str>) {
        if stored.is_none() {
            self.changes.push(Change::SetLock { hash: Some(Lock::UNREAD.to_owned()), pins: Vec::new() });
        }
    }
}

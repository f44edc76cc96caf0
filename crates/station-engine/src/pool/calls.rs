//! How many calls a server takes at a time: a number in its file, which may change while calls are out.
//!
//! A server that is to take fewer gets back no turn from those that are out until enough of them have ended; who waits
//! goes on waiting in the same line. So a connection stays as it is when its number changes.

use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub(super) struct Calls {
    turns: Arc<Semaphore>,
    limit: Mutex<Limit>,
}

#[derive(Default)]
struct Limit {
    calls: u32,
    /// Turns that are out and that nobody gets after them.
    owed: u32,
}

/// One call of those, until it is dropped.
pub(super) struct OneCall {
    of: Arc<Calls>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Calls {
    /// Takes none, until it is told how many.
    pub(super) fn none() -> Arc<Self> {
        Arc::new(Self { turns: Arc::new(Semaphore::new(0)), limit: Mutex::default() })
    }

    /// From now on `calls` at a time.
    pub(super) fn limit_to(&self, calls: u32) {
        let mut limit = self.limit();
        let (more, fewer) = (calls.saturating_sub(limit.calls), limit.calls.saturating_sub(calls));
        let kept = more.min(limit.owed);
        limit.calls = calls;
        limit.owed = limit.owed - kept + fewer;
        self.turns.add_permits((more - kept) as usize);
        let taken = self.turns.forget_permits(limit.owed as usize);
        limit.owed -= u32::try_from(taken).expect("no more are taken than were asked for");
    }

    /// One of them, where it is free.
    pub(super) fn try_one(self: &Arc<Self>) -> Option<OneCall> {
        let permit = Arc::clone(&self.turns).try_acquire_owned().ok()?;
        Some(OneCall { of: Arc::clone(self), permit: Some(permit) })
    }

    /// One of them, after those who waited before.
    pub(super) async fn one(self: &Arc<Self>) -> OneCall {
        let permit = Arc::clone(&self.turns).acquire_owned().await;
        let permit = permit.expect("the turns of a server are never closed");
        OneCall { of: Arc::clone(self), permit: Some(permit) }
    }

    fn limit(&self) -> MutexGuard<'_, Limit> {
        self.limit.lock().expect("no holder of this lock can panic")
    }
}

impl Drop for OneCall {
    fn drop(&mut self) {
        let mut limit = self.of.limit();
        if let Some(permit) = self.permit.take_if(|_| limit.owed > 0) {
            permit.forget();
            limit.owed -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Calls;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn a_number_that_changes_counts_the_calls_that_are_out() {
        let calls = Calls::none();
        assert!(calls.try_one().is_none());
        calls.limit_to(3);
        let [one, two, three] = [(); 3].map(|()| calls.try_one().expect("three are free"));
        assert!(calls.try_one().is_none());

        calls.limit_to(1);
        let mut waits = std::pin::pin!(calls.one());
        assert!(waits.as_mut().now_or_never().is_none());
        drop((one, two));
        assert!(waits.as_mut().now_or_never().is_none(), "the third is the one that it takes");
        drop(three);
        let last = waits.now_or_never().expect("who waited is next");
        assert!(calls.try_one().is_none());

        calls.limit_to(2);
        let second = calls.try_one().expect("it takes two");
        assert!(calls.try_one().is_none());
        calls.limit_to(1);
        calls.limit_to(3);
        let third = calls.try_one().expect("nobody is owed what was given back");
        assert!(calls.try_one().is_none());
        drop((last, second, third));
        calls.limit_to(2);
        let _two = [(); 2].map(|()| calls.try_one().expect("two are free"));
        assert!(calls.try_one().is_none());
    }
}

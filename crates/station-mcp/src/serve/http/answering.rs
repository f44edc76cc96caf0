//! A request while it is answered: by the task that serves its connection, as long as that waits for it.
//!
//! A task of its own for each would be woken, and wake, once more on the way of every request. **Invariant:** what was begun
//! comes to its end, also where its client is gone: then it goes on as a task, which whoever leaves waits for.

use super::Written;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// The answer to come, and its status.
pub(super) struct Answering {
    /// Taken when it is there.
    work: Option<BoxFuture<'static, (u16, Written)>>,
    tracker: TaskTracker,
    /// It counts as a task from the beginning.
    _token: TaskTrackerToken,
}

impl Answering {
    pub(super) fn new(
        tracker: &TaskTracker,
        work: impl Future<Output = (u16, Written)> + Send + 'static,
    ) -> Self {
        Self { work: Some(work.boxed()), tracker: tracker.clone(), _token: tracker.token() }
    }
}

impl Future for Answering {
    type Output = (u16, Written);

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let answered = ready!(work.poll_unpin(context));
        self.work = None;
        Poll::Ready(answered)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        // Without a runtime there is nobody left to go on.
        if let (Some(work), Ok(runtime)) = (self.work.take(), Handle::try_current()) {
            self.tracker.spawn_on(work.map(drop), &runtime);
        }
    }
}

//! The place of one connection: whether it is open, whether it can be trusted, and when it was last used.

use super::calls::Calls;
use station_core::Transport;
use station_mcp::{Bearer, Connection};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// How long a remote connection is trusted that nobody used: a server that was restarted has forgotten its session, and a
/// call is a poor way to learn that.
const REMOTE_TRUST: Duration = Duration::from_secs(30);

/// How long a server that did not answer a call may take to show that it is there: one that works answers at once, and
/// who waits here has a call to make.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

pub(super) struct Slot {
    pub(super) open: tokio::sync::Mutex<Open>,
    pub(super) calls: Arc<Calls>,
    /// What is shown to a remote server.
    pub(super) bearer: Bearer,
    /// When the store was asked last what that is.
    looked: Mutex<Option<Instant>>,
    used: Mutex<Instant>,
    /// Whether the server must show that it is there before the next call: it let one wait in vain.
    doubted: AtomicBool,
}

#[derive(Default)]
pub(super) struct Open {
    pub(super) connection: Option<Opened>,
    pub(super) failed: Option<Failed>,
    /// The connection's count of list changes when it was last listed.
    pub(super) listed: u64,
}

/// A connection and its place among the processes, which it keeps until its last call has ended.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) place: Arc<OwnedSemaphorePermit>,
}

pub(super) struct Failed {
    pub(super) sentence: String,
    pub(super) retry_at: Instant,
    pub(super) backoff: Duration,
}

/// A call that is out. If it ends without an answer, also because nobody waits for it any more, its server is doubted.
pub(super) struct Out<'a> {
    slot: &'a Slot,
    pub(super) is_answered: bool,
}

impl Drop for Out<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.slot.doubted.store(true, Ordering::Relaxed);
        }
    }
}

impl Slot {
    pub(super) fn new() -> Self {
        Self {
            open: tokio::sync::Mutex::default(),
            calls: Calls::none(),
            bearer: Bearer::default(),
            looked: Mutex::default(),
            used: Mutex::new(Instant::now()),
            doubted: AtomicBool::new(false),
        }
    }

    pub(super) fn touch(&self) {
        *self.used.lock().expect("no holder of this lock can panic") = Instant::now();
    }

    pub(super) fn used(&self) -> Instant {
        *self.used.lock().expect("no holder of this lock can panic")
    }

    pub(super) fn looked(&self) -> Option<Instant> {
        *self.looked.lock().expect("no holder of this lock can panic")
    }

    pub(super) fn note_look(&self) {
        *self.looked.lock().expect("no holder of this lock can panic") = Some(Instant::now());
    }

    /// To be held while a call is out.
    pub(super) fn out(&self) -> Out<'_> {
        Out { slot: self, is_answered: false }
    }

    /// Whether `connection` can be used: it is open and, where that is in doubt, its server answers.
    pub(super) async fn is_alive(&self, connection: &Connection) -> bool {
        let stale = connection.transport() == Transport::Http && self.used().elapsed() > REMOTE_TRUST;
        if connection.is_closed() {
            self.doubted.store(false, Ordering::Relaxed);
            return false;
        }
        if !self.doubted.load(Ordering::Relaxed) && !stale {
            return true;
        }
        // A server that has forgotten the session answers, and closes the connection with that.
        let answers = connection.answers(SIGN_OF_LIFE).await && !connection.is_closed();
        if !answers && !connection.is_closed() {
            tracing::warn!(?connection, "a server that answers nothing any more is given up");
        }
        // Only now: who asks may be stopped while it waits, and has then not learned anything.
        self.doubted.store(false, Ordering::Relaxed);
        answers
    }

    pub(super) fn has_changed(&self) -> bool {
        let Ok(open) = self.open.try_lock() else { return false };
        open.connection
            .as_ref()
            .is_some_and(|opened| *opened.connection.list_changed().borrow() > open.listed)
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.try_lock().is_ok_and(|open| open.connection.is_some())
    }
}

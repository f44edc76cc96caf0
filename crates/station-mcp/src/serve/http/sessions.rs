//! Sessions of legacy clients: few, bounded, and of this instance alone.
//!
//! Whether a client will follow anything is not known when it says `initialize`, and later there is no way to give it an id. So a client
//! that can be asked nothing gets an id of which nothing is kept: any instance answers it, until it wants something kept (a resource
//! followed, a stream, a level). Then its session begins, at the instance that its id names; any other one does not know it.

use super::super::answer::text;
use super::super::dialog::Dialog;
use super::super::frame::{self, Id, Request};
use super::super::version::Session;
use super::super::{About, Fault};
use super::following::Following;
use serde_json::{Map, Value, json};
use station_core::UserId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Sessions held at a time; beyond it the one that was silent longest is let go of, and its client begins anew.
const SESSIONS_MAX: usize = 1_000;

/// A session that was silent for so long is over.
const SILENT_MAX: Duration = Duration::from_secs(60 * 60);

/// What the id of a client begins with of which nothing is kept yet.
const PROMISED: &str = "later.";

pub(super) struct Sessions {
    instance: Uuid,
    held: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    /// Whose it is: an id alone, seen by another, opens nothing.
    user: UserId,
    /// `None` once the client ended it: a promised one would be taken for a new one.
    state: Option<Arc<State>>,
    heard_at: Instant,
}

struct State {
    session: Session,
    dialog: Arc<Dialog>,
    following: Arc<Following>,
    /// What is being answered, and how that is stopped.
    at_work: Mutex<HashMap<Id, Arc<CancellationToken>>>,
}

/// A request of a session that is being answered, until it is dropped.
pub(super) struct AtWork {
    state: Arc<State>,
    id: Id,
    gone: Arc<CancellationToken>,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        let mut at_work = lock(&self.state.at_work);
        // A client that uses an id twice has the later one noted.
        if at_work.get(&self.id).is_some_and(|gone| Arc::ptr_eq(gone, &self.gone)) {
            at_work.remove(&self.id);
        }
    }
}

/// The client of a legacy request.
pub(super) struct Held {
    state: Arc<State>,
    /// Whether anything of it is there at the next request.
    lasts: bool,
}

impl Sessions {
    pub(super) fn new() -> Self {
        Self { instance: Uuid::now_v7(), held: Mutex::default() }
    }

    /// Begins a session. Its id names this instance; who may ask is decided at each request all the same.
    pub(super) fn begin(&self, user: UserId, session: Session) -> String {
        let id = self.new_id();
        self.keep(user, &id, session);
        id
    }

    /// An id by which a session may begin later.
    pub(super) fn promise(&self) -> String {
        format!("{PROMISED}{}", self.new_id())
    }

    fn new_id(&self) -> String {
        format!("{}.{}", self.instance.simple(), Uuid::now_v7().simple())
    }

    /// Whether an id was promised, by whichever instance, and nothing was ever kept of it here.
    pub(super) fn is_promised(&self, id: &str) -> bool {
        read(id).is_some() && !lock(&self.held).contains_key(id)
    }

    /// Begins the session that was promised by `id`; `None` where another instance did so, somebody else has it, or it was so long ago
    /// that it may have begun and ended.
    pub(super) fn begin_promised(&self, user: UserId, id: &str, session: Session) -> Option<Held> {
        let (instance, promised_at) = read(id)?;
        let silent = now()?.checked_sub(promised_at)?;
        if instance != self.instance || silent >= SILENT_MAX || !self.is_promised(id) {
            return None;
        }
        self.keep(user, id, session);
        self.find(user, id)
    }

    fn keep(&self, user: UserId, id: &str, session: Session) {
        let mut held = lock(&self.held);
        held.retain(|_, kept| kept.heard_at.elapsed() < SILENT_MAX);
        if held.len() >= SESSIONS_MAX {
            let silent = held.iter().min_by_key(|(_, kept)| kept.heard_at).map(|(id, _)| id.clone());
            silent.and_then(|id| held.remove(&id));
        }
        held.insert(id.to_owned(), Kept { user, state: Some(State::new(session)), heard_at: Instant::now() });
    }

    pub(super) fn find(&self, user: UserId, id: &str) -> Option<Held> {
        let mut held = lock(&self.held);
        let kept =
            held.get_mut(id).filter(|kept| kept.user == user && kept.heard_at.elapsed() < SILENT_MAX)?;
        let state = Arc::clone(kept.state.as_ref()?);
        kept.heard_at = Instant::now();
        Some(Held { state, lasts: true })
    }

    /// Whether the user had such a session.
    pub(super) fn end(&self, user: UserId, id: &str) -> bool {
        let mut held = lock(&self.held);
        held.get_mut(id).filter(|kept| kept.user == user).is_some_and(|kept| kept.state.take().is_some())
    }
}

impl State {
    fn new(session: Session) -> Arc<Self> {
        Arc::new(Self {
            session,
            dialog: Arc::new(Dialog::new()),
            following: Arc::default(),
            at_work: Mutex::default(),
        })
    }
}

impl Held {
    /// A client of which nothing is kept: `session` is what this request says.
    pub(super) fn fleeting(session: Session) -> Self {
        Self { state: State::new(session), lasts: false }
    }

    /// Notes that a request is being answered, which cancelling `gone` stops.
    pub(super) fn at_work(&self, id: &Id, gone: &CancellationToken) -> Option<AtWork> {
        // What is gone with its request cannot be told by another one.
        if !self.lasts {
            return None;
        }
        let gone = Arc::new(gone.clone());
        lock(&self.state.at_work).insert(id.clone(), Arc::clone(&gone));
        Some(AtWork { state: Arc::clone(&self.state), id: id.clone(), gone })
    }

    /// Heeds what the client tells: that it does not wait for a request any more, by any connection. The rest is passed over.
    pub(super) fn hear(&self, method: &str, params: &Map<String, Value>) {
        if let Some(gone) =
            frame::cancelled(method, params).and_then(|id| lock(&self.state.at_work).get(&id).cloned())
        {
            gone.cancel();
        }
    }

    pub(super) fn session(&self) -> &Session {
        &self.state.session
    }

    /// What goes on with it beside its requests.
    pub(super) fn dialog(&self) -> &Arc<Dialog> {
        &self.state.dialog
    }

    /// Resources that it follows, and its streams.
    pub(super) fn following(&self) -> &Arc<Following> {
        &self.state.following
    }

    /// Answers what is about the session itself. What it follows is told on the streams that it has open.
    pub(super) async fn settle(&self, request: &Request, about: &About) -> Option<Result<Value, Fault>> {
        let uri = || text(&request.params, "uri");
        match request.method.as_str() {
            "logging/setLevel" if self.lasts && about.logs => Some(self.dialog().set_level(&request.params)),
            "resources/subscribe" if self.lasts => Some(match uri() {
                Ok(uri) => self.following().add(uri).await.map(|()| json!({})),
                Err(fault) => Err(fault),
            }),
            "resources/unsubscribe" if self.lasts => Some(uri().map(|uri| {
                self.following().remove(&uri);
                json!({})
            })),
            _ => None,
        }
    }
}

/// The instance that promised an id, and when: a UUID of version 7 has the time in it (RFC 9562, 5.7).
fn read(id: &str) -> Option<(Uuid, Duration)> {
    let (instance, own) = id.strip_prefix(PROMISED)?.split_once('.')?;
    Some((Uuid::try_parse(instance).ok()?, age(Uuid::try_parse(own).ok()?)?))
}

fn now() -> Option<Duration> {
    age(Uuid::now_v7())
}

/// Since 1970.
fn age(id: Uuid) -> Option<Duration> {
    let (seconds, nanos) = id.get_timestamp()?.to_unix();
    Some(Duration::new(seconds, nanos))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

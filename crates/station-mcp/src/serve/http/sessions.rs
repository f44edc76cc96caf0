//! Sessions of legacy clients: few, bounded, and of this instance alone.
//!
//! Whether a client will follow anything is not known when it says `initialize`, and later there is no way to give it an id. So a client
//! that can be asked nothing gets an id of which nothing is kept, a promise: any instance answers it, until it wants something kept (a
//! resource followed, a stream, a level). Then its session begins, at the instance that its id names. As long as that instance runs, what
//! is lost of a session is not passed over in silence: an id of which a wish was kept, or that its client ended, is not known any more.
//! **What it cannot do:** any other instance, and this one after a restart, takes the id for a promise of another one. It answers what needs
//! nothing kept, and the rest with 404.

use super::super::answer::text;
use super::super::dialog::Dialog;
use super::super::frame::{self, Id, Request};
use super::super::version::Session;
use super::super::{Fault, Host};
use super::following::Following;
use super::over::Over;
use super::promise::{self, Promise, Promises};
use serde_json::{Map, Value, json};
use station_core::UserId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::{CancellationToken, DropGuard};

/// Sessions held at a time; beyond it one is let go of, and its client begins anew: first of those for which nothing is kept but an id,
/// then that which was silent longest.
const SESSIONS_MAX: usize = 1_000;

/// A session that was silent for so long is over, and one that was promised does not begin any more.
const SILENT_MAX: Duration = Duration::from_secs(60 * 60);

pub(super) struct Sessions {
    promises: Promises,
    all: Mutex<All>,
}

#[derive(Default)]
struct All {
    held: HashMap<String, Kept>,
    /// Promised ids whose clients ended them.
    ended: Over,
    /// Promised ids that were let go of though their clients would miss something. Apart from those that ended, who may be many.
    lost: Over,
}

struct Kept {
    /// Whose it is: an id alone, seen by another, opens nothing.
    user: UserId,
    state: Arc<State>,
    heard_at: Instant,
    /// The streams of a session end with it.
    _over: DropGuard,
}

/// Whether a request wants something kept until the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wants {
    Nothing,
    Keeping,
}

/// The client behind an id.
pub(super) enum Found {
    Held(Held),
    /// Nothing is kept of it.
    Promised,
    Unknown,
}

struct State {
    session: Session,
    dialog: Arc<Dialog>,
    following: Arc<Following>,
    /// Whether anything is kept that its client would miss: it declared what it can be asked, or wished something.
    is_missed: AtomicBool,
    /// Cancelled when the session is kept no more.
    over: CancellationToken,
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
        Self { promises: Promises::new(), all: Mutex::default() }
    }

    /// Begins a session. Its id names this instance; who may ask is decided at each request all the same.
    pub(super) fn begin(&self, user: UserId, session: Session, now: Instant) -> String {
        let id = self.promises.kept_id();
        let state = State::new(session);
        state.is_missed.store(true, Ordering::Relaxed);
        lock(&self.all).keep(id.clone(), Kept::new(user, state, now));
        id
    }

    /// An id by which a session may begin later.
    pub(super) fn promise(&self, now: Instant) -> String {
        self.promises.give(now)
    }

    /// The client behind `id`. One that was promised begins where a request `wants` something kept and says a `version` that we speak,
    /// if it was promised here and not long ago.
    pub(super) fn find(
        &self,
        user: UserId,
        id: &str,
        (wants, version): (Wants, Option<&'static str>),
        now: Instant,
    ) -> Found {
        let mut all = lock(&self.all);
        if let Some(kept) = all.held.get_mut(id) {
            if kept.user != user {
                return Found::Unknown;
            }
            if !kept.is_over(now) {
                kept.heard_at = now;
                return Found::Held(Held { state: Arc::clone(&kept.state), lasts: true });
            }
            all.let_go(id);
        }
        if all.is_over(user, id) {
            return Found::Unknown;
        }
        let Some(promise) = self.promises.read(id, now) else { return Found::Unknown };
        match (promise, wants, version) {
            (_, Wants::Nothing, _) | (_, _, None) => Found::Promised,
            (Promise::Here(age), Wants::Keeping, Some(version)) if age < SILENT_MAX => {
                let state = State::new(Session { version, capabilities: json!({}) });
                all.keep(id.to_owned(), Kept::new(user, Arc::clone(&state), now));
                Found::Held(Held { state, lasts: true })
            }
            (_, Wants::Keeping, Some(_)) => Found::Unknown,
        }
    }

    /// Whether the user had such a session here, or a promise of one.
    pub(super) fn end(&self, user: UserId, id: &str, now: Instant) -> bool {
        let mut all = lock(&self.all);
        if all.held.get(id).is_some_and(|kept| kept.user != user) {
            return false;
        }
        let was_held = all.held.remove(id).is_some();
        let is_promise =
            matches!(self.promises.read(id, now), Some(Promise::Here(_))) && !all.is_over(user, id);
        if is_promise {
            all.ended.note(user, id.to_owned());
        }
        was_held || is_promise
    }
}

impl All {
    fn keep(&mut self, id: String, kept: Kept) {
        let now = kept.heard_at;
        let silent = self.held.iter().filter(|(_, kept)| kept.is_over(now));
        let silent: Vec<String> = silent.map(|(id, _)| id.clone()).collect();
        silent.iter().for_each(|id| self.let_go(id));
        if self.held.len() >= SESSIONS_MAX {
            let use_of = |kept: &Kept| {
                (kept.is_asking(), kept.is_of_use(), kept.state.following.is_open(), kept.last_heard())
            };
            let least = self.held.iter().min_by_key(|(_, kept)| use_of(kept));
            let least = least.map(|(id, _)| id.clone());
            least.into_iter().for_each(|id| self.let_go(&id));
        }
        self.held.insert(id, kept);
    }

    /// Forgets a session: one that its client would miss is over, and others are a promise again.
    fn let_go(&mut self, id: &str) {
        let Some(kept) = self.held.remove(id) else { return };
        if kept.is_of_use() && promise::is_one(id) {
            self.lost.note(kept.user, id.to_owned());
        }
    }

    fn is_over(&self, user: UserId, id: &str) -> bool {
        [&self.ended, &self.lost].iter().any(|over| over.has(user, id))
    }
}

impl Kept {
    fn new(user: UserId, state: Arc<State>, heard_at: Instant) -> Self {
        let over = state.over.clone().drop_guard();
        Self { user, state, heard_at, _over: over }
    }

    /// Whether it was silent too long. A client that listens to a stream is there, and one that waits for an answer.
    fn is_over(&self, now: Instant) -> bool {
        // A stream that is closed meanwhile has said so before.
        !self.state.following.is_open()
            && !self.is_asking()
            && now.duration_since(self.last_heard()) >= SILENT_MAX
    }

    fn last_heard(&self) -> Instant {
        self.state.following.closed_at().map_or(self.heard_at, |closed_at| closed_at.max(self.heard_at))
    }

    fn is_of_use(&self) -> bool {
        self.state.is_missed.load(Ordering::Relaxed) || self.state.following.is_open() || self.is_asking()
    }

    /// Whether a request of it is being answered, which may just be about to keep something: it has the state, too.
    fn is_asking(&self) -> bool {
        Arc::strong_count(&self.state) > 1
    }
}

impl Wants {
    /// What a legacy request wants of `host`; what that does not have is not kept for it either.
    pub(super) fn of(request: &Request, host: &dyn Host) -> Self {
        let is_kept = match request.method.as_str() {
            "logging/setLevel" => host.about().logs,
            "resources/subscribe" => host.about().resources_change,
            _ => false,
        };
        if is_kept { Self::Keeping } else { Self::Nothing }
    }
}

impl State {
    fn new(session: Session) -> Arc<Self> {
        Arc::new(Self {
            session,
            dialog: Arc::new(Dialog::new()),
            following: Arc::default(),
            is_missed: AtomicBool::new(false),
            over: CancellationToken::new(),
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

    /// Cancelled when the session is over.
    pub(super) fn over(&self) -> &CancellationToken {
        &self.state.over
    }

    async fn follow(&self, uri: String) -> Result<(), Fault> {
        self.state.is_missed.store(true, Ordering::Relaxed);
        self.following().add(uri).await
    }

    /// Answers what is about the session itself. What it follows is told on the streams that it has open.
    pub(super) async fn settle(&self, request: &Request, host: &dyn Host) -> Option<Result<Value, Fault>> {
        let uri = || text(&request.params, "uri");
        let is_kept = || self.lasts && Wants::of(request, host) == Wants::Keeping;
        match request.method.as_str() {
            "logging/setLevel" if is_kept() => {
                self.state.is_missed.store(true, Ordering::Relaxed);
                Some(self.dialog().set_level(&request.params))
            }
            "resources/subscribe" if is_kept() => Some(match uri() {
                Ok(uri) => self.follow(uri).await.map(|()| json!({})),
                Err(fault) => Err(fault),
            }),
            // Of whom nothing is kept, nothing is followed.
            "resources/unsubscribe" if host.about().resources_change => Some(uri().map(|uri| {
                self.following().remove(&uri);
                json!({})
            })),
            _ => None,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;

    const ANN: UserId = UserId(1);
    const BOB: UserId = UserId(2);
    const KEEPING: (Wants, Option<&str>) = (Wants::Keeping, Some("2025-11-25"));
    const NOTHING: (Wants, Option<&str>) = (Wants::Nothing, Some("2025-11-25"));

    fn session() -> Session {
        Session { version: "2025-11-25", capabilities: json!({ "roots": {} }) }
    }

    fn word(found: &Found) -> &'static str {
        match found {
            Found::Held(_) => "held",
            Found::Promised => "promised",
            Found::Unknown => "unknown",
        }
    }

    fn held(found: Found) -> Held {
        match found {
            Found::Held(held) => held,
            other => panic!("it is {}", word(&other)),
        }
    }

    #[test]
    fn many_requests_at_once_begin_one_session() {
        let sessions = Sessions::new();
        for _ in 0..50 {
            let id = sessions.promise(Instant::now());
            let barrier = Barrier::new(4);
            let states = std::thread::scope(|scope| {
                let ask = || {
                    barrier.wait();
                    held(sessions.find(ANN, &id, KEEPING, Instant::now())).state
                };
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            });
            assert!(states.iter().all(|state| Arc::ptr_eq(state, &states[0])));
        }
    }

    #[tokio::test]
    async fn what_was_kept_is_never_lost_without_a_word() {
        let (sessions, now) = (Sessions::new(), Instant::now());
        let [followed, bare, streaming, closed, ended, promised, late] =
            [(); 7].map(|()| sessions.promise(now));
        let find = |id: &str, wants, at| word(&sessions.find(ANN, id, wants, at));
        assert_eq!(find(&followed, NOTHING, now), "promised");
        held(sessions.find(ANN, &followed, KEEPING, now)).follow("x://y".to_owned()).await.unwrap();
        let open = held(sessions.find(ANN, &streaming, KEEPING, now)).following().open();
        drop(held(sessions.find(ANN, &closed, KEEPING, now)).following().open());
        for id in [&bare, &ended] {
            held(sessions.find(ANN, id, KEEPING, now));
        }
        assert!(sessions.end(ANN, &ended, now) && sessions.end(ANN, &promised, now));
        assert!(!sessions.end(ANN, &ended, now), "it is over already");
        let later = now + SILENT_MAX;
        // Others come and go meanwhile.
        sessions.begin(BOB, session(), later);
        let rows = [
            (&followed, NOTHING, "unknown", "its client would not hear of what it follows"),
            (&followed, KEEPING, "unknown", "and would not know that it must follow anew"),
            (&bare, NOTHING, "promised", "nothing of it is missed"),
            (&streaming, NOTHING, "held", "whoever listens is there"),
            (&closed, NOTHING, "held", "it was closed after the last request"),
            (&ended, NOTHING, "unknown", "its client ended it"),
            (&ended, KEEPING, "unknown", "its client ended it"),
            (&promised, NOTHING, "unknown", "its client ended it before it began"),
            (&late, NOTHING, "promised", "any instance answers it at any time"),
            (&late, KEEPING, "unknown", "it may have begun and ended"),
        ];
        for (id, wants, expected, why) in rows {
            assert_eq!(find(id, wants, later), expected, "{why}");
        }
        drop(open);
    }

    #[test]
    fn a_session_that_is_being_asked_is_not_let_go_of() {
        let (sessions, now) = (Sessions::new(), Instant::now());
        let id = sessions.promise(now);
        let asking = held(sessions.find(ANN, &id, KEEPING, now));
        let later = now + SILENT_MAX;
        for _ in 0..SESSIONS_MAX + 10 {
            sessions.begin(BOB, session(), later);
        }
        assert!(Arc::ptr_eq(&asking.state, &held(sessions.find(ANN, &id, NOTHING, later)).state));
        assert!(!asking.over().is_cancelled() && sessions.end(ANN, &id, later));
        assert!(asking.over().is_cancelled(), "its streams end with it");
    }

    #[tokio::test]
    async fn who_begins_and_ends_many_pushes_nobody_out_who_is_missed() {
        let (sessions, now) = (Sessions::new(), Instant::now());
        let asked = sessions.begin(ANN, session(), now);
        let followed = sessions.promise(now);
        let after = now + Duration::from_secs(1);
        held(sessions.find(ANN, &followed, KEEPING, now)).follow("x://y".to_owned()).await.unwrap();
        for _ in 0..SESSIONS_MAX + 10 {
            let id = sessions.begin(BOB, session(), after);
            assert!(sessions.end(BOB, &id, after));
            held(sessions.find(BOB, &sessions.promise(now), KEEPING, after));
        }
        for id in [&asked, &followed] {
            assert_eq!(word(&sessions.find(ANN, id, NOTHING, now)), "held");
        }
        assert_eq!(lock(&sessions.all).held.len(), SESSIONS_MAX);
    }

    #[test]
    fn an_id_opens_nothing_to_another_user_nor_at_another_instance() {
        let (sessions, elsewhere, now) = (Sessions::new(), Sessions::new(), Instant::now());
        let (promised, begun) = (sessions.promise(now), sessions.begin(ANN, session(), now));
        held(sessions.find(ANN, &promised, KEEPING, now));
        let (own, foreign) = (uuid::Uuid::now_v7().simple(), elsewhere.promise(now));
        let instance = promised.split('.').nth(1).unwrap();
        let rows = [
            (BOB, promised.clone(), NOTHING, "unknown"),
            (BOB, promised.clone(), KEEPING, "unknown"),
            (BOB, begun.clone(), NOTHING, "unknown"),
            (ANN, promised.to_uppercase().replace("LATER", "later"), NOTHING, "unknown"),
            (ANN, foreign.clone(), NOTHING, "promised"),
            (ANN, foreign.clone(), KEEPING, "unknown"),
            (ANN, format!("later.{instance}.99999999.{own}"), KEEPING, "unknown"),
            (ANN, format!("later.{instance}.-1.{own}"), NOTHING, "unknown"),
            (ANN, "later.".to_owned(), NOTHING, "unknown"),
            (ANN, "later.x.0.y".to_owned(), NOTHING, "unknown"),
            (ANN, "mine".to_owned(), NOTHING, "unknown"),
        ];
        for (user, id, wants, expected) in rows {
            assert_eq!(word(&sessions.find(user, &id, wants, now)), expected, "{id}");
        }
        for (user, id) in [(BOB, &promised), (BOB, &begun), (ANN, &foreign), (ANN, &"mine".to_owned())] {
            assert!(!sessions.end(user, id, now), "{id}");
        }
    }
}

//! What is known of the calls that are on their way, shared between a transport and those who wait for answers.
//!
//! A call may be written only under its ticket, and the ticket settles what is known afterwards: whether anything of
//! the call was given to the server (only then is its outcome unknown), and why no answer will come, where the
//! transport saw that.

use super::follow::fault;
use super::pass::{Hearer, Question, Told};
use rmcp::model::{ClientJsonRpcMessage, ClientRequest, GetMeta as _, JsonRpcMessage, ServerJsonRpcMessage};
use serde_json::{Map, Value};
use station_core::EffectId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The key under which an effect's id travels with its call.
pub(crate) const EFFECT_KEY: &str = "station/effect-id";

/// Questions of a server that are answered at a time. All are answered with a no, and one that asks more than this at once
/// would have us work for it.
const QUESTIONS_MAX: usize = 64;

/// What is known about the traffic of one connection.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    calls: Mutex<HashMap<String, Sending>>,
    fault: Mutex<Option<String>>,
    is_over: AtomicBool,
    questions: AtomicUsize,
}

/// A call on its way.
#[derive(Debug)]
struct Sending {
    /// Whether its writing was begun.
    begun: bool,
    /// Why no answer to it will come, as the rest of a sentence that begins with the server's name.
    lost: Option<String>,
    /// Who hears what is said while the server is at work on it.
    hearer: Option<Hearer>,
    /// By which the server says how far it is.
    token: Option<Value>,
    /// Questions of the server that are open.
    questions: usize,
    /// From when on its time counts.
    since: Instant,
}

impl Sending {
    fn new(hearer: Option<Hearer>) -> Self {
        Self { begun: false, lost: None, hearer, token: None, questions: 0, since: Instant::now() }
    }
}

/// What is known of a call when nobody waits for it any more.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// Whether the server may have got any of it.
    pub(super) begun: bool,
    /// Why no answer to it will come.
    pub(super) lost: Option<String>,
}

/// A tool call that may be written as long as this exists.
pub(super) struct Ticket {
    traffic: Arc<Traffic>,
    effect: String,
}

impl Traffic {
    /// Lets the call with this effect id be written.
    pub(super) fn admit(self: &Arc<Self>, effect: &str, hearer: Option<Hearer>) -> Ticket {
        self.calls().insert(effect.to_owned(), Sending::new(hearer));
        Ticket { traffic: Arc::clone(self), effect: effect.to_owned() }
    }

    /// Whether what the server sent is to be looked at: a question more than are answered at a time is passed over.
    pub(super) fn heeds(&self, message: &ServerJsonRpcMessage) -> bool {
        if !matches!(message, JsonRpcMessage::Request(_)) {
            return true;
        }
        let more = |asked: usize| (asked < QUESTIONS_MAX).then_some(asked + 1);
        self.questions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Notes what we send: an answer makes room for another question.
    pub(super) fn note_sent(&self, message: &ClientJsonRpcMessage) {
        if matches!(message, JsonRpcMessage::Response(_) | JsonRpcMessage::Error(_)) {
            let less = |asked: usize| asked.checked_sub(1);
            // The error says that none was out, and there is nothing to make room for.
            let _before = self.questions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }

    /// Why the connection was given up, where that was our decision.
    pub(super) fn fault(&self) -> Option<String> {
        self.fault.lock().expect("nobody panics while holding the fault").clone()
    }

    pub(super) fn give_up(&self, sentence: String) {
        *self.fault.lock().expect("nobody panics while holding the fault") = Some(sentence);
    }

    /// Nothing new is to be sent over this connection, for the reason in `sentence`; what is out goes on.
    pub(super) fn retire(&self, sentence: String) {
        self.give_up(sentence);
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Whether the connection was retired.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Whether the call may be begun; from now on it counts as begun.
    pub(super) fn begin(&self, effect: &str) -> bool {
        self.calls().get_mut(effect).map(|sending| sending.begun = true).is_some()
    }

    /// Takes `begin` back: not one byte was accepted.
    pub(super) fn unbegin(&self, effect: &str) {
        if let Some(sending) = self.calls().get_mut(effect) {
            sending.begun = false;
        }
    }

    /// No answer to this call will come, for the reason in `words`.
    pub(super) fn lose(&self, effect: &str, words: String) {
        if let Some(sending) = self.calls().get_mut(effect) {
            sending.lost = Some(words);
        }
    }

    /// The server has said, for the reason in `words`, that it did not so much as look at this call: whatever was written
    /// of it, it was not sent.
    pub(super) fn turn_away(&self, effect: &str, words: String) {
        self.unbegin(effect);
        self.lose(effect, words);
    }

    /// Notes the token by which the server will say how far it is with the request in `message`.
    pub(super) fn note_token(&self, message: &ClientJsonRpcMessage) {
        let Some(meta) = meta_of(message) else { return };
        let (Some(effect), Some(token)) = (effect_in(meta), meta.get("progressToken")) else { return };
        self.tell_by(effect, token.clone());
    }

    /// The server will say by `token` how far it is with the request of this effect.
    pub(super) fn tell_by(&self, effect: &str, token: Value) {
        if let Some(sending) = self.calls().get_mut(effect) {
            sending.token = Some(token);
        }
    }

    /// Tells what the server says while it is at work: progress to whose request it is, a log message to whom alone it can
    /// be meant for. Others pass it over.
    pub(super) fn hear(&self, method: &str, params: Value) {
        let (hearer, told) = if method == "notifications/progress" {
            let of_token =
                |it: &&Sending| it.token.is_some() && it.token.as_ref() == params.get("progressToken");
            let hearer = self.calls().values().find(of_token).and_then(|it| it.hearer.clone());
            (hearer, Told::Progress(params))
        } else {
            (self.sole().map(|(_, hearer)| hearer), Told::Log(params))
        };
        // Who does not keep up misses some of it.
        if let Some(hearer) = hearer.filter(|hearer| hearer.hears.news()) {
            drop(hearer.outlet.try_send(told));
        }
    }

    /// Whether a question of the server by `method` can only be meant for one client, which hears it.
    pub(super) fn can_ask(&self, method: &str) -> bool {
        self.sole().is_some_and(|(_, hearer)| hearer.hears.question(method))
    }

    /// Puts a question of the server to the client that it must be meant for.
    ///
    /// # Errors
    /// As an error of the protocol: the client's, or that nobody answers.
    pub(super) async fn ask(&self, method: String, params: Value) -> Result<Value, Value> {
        let nobody = || fault("nobody is there to answer this");
        let (of, hearer) = self.sole().ok_or_else(nobody)?;
        let effect = EffectId(of.parse().map_err(|_| nobody())?);
        let (answer, answered) = oneshot::channel();
        let question = Question { effect, method, params, answer };
        hearer.outlet.try_send(Told::Asks(question)).map_err(|_| nobody())?;
        let _open = OpenQuestion::note(self, &of);
        answered.await.unwrap_or_else(|_| Err(nobody()))
    }

    /// The call that questions are put to, where all that are out are of one client: the one that was begun first, as effects'
    /// ids are in the order of time.
    fn sole(&self) -> Option<(String, Hearer)> {
        let calls = self.calls();
        let (effect, sending) = calls.iter().min_by_key(|(effect, _)| *effect)?;
        let hearer = sending.hearer.clone()?;
        let is_of_it = |it: &Sending| it.hearer.as_ref().is_some_and(|it| it.client == hearer.client);
        calls.values().all(is_of_it).then(|| (effect.clone(), hearer))
    }

    /// Waits until a call has had `timeout` for itself.
    pub(super) async fn out_of_time(&self, effect: &str, timeout: Duration) {
        let end = || {
            let calls = self.calls();
            let sending = calls.get(effect).filter(|it| it.questions == 0);
            sending.map_or_else(Instant::now, |it| it.since) + timeout
        };
        loop {
            let at = end();
            tokio::time::sleep_until(at).await;
            if end() <= Instant::now() {
                return;
            }
        }
    }

    fn calls(&self) -> MutexGuard<'_, HashMap<String, Sending>> {
        self.calls.lock().expect("nobody panics while holding the calls")
    }
}

impl Ticket {
    /// Ends the permission to write, and settles what is known with that.
    pub(super) fn withdraw(self) -> Settled {
        let sending = self.traffic.calls().remove(&self.effect);
        sending.map_or_else(Settled::default, |it| Settled { begun: it.begun, lost: it.lost })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.traffic.calls().remove(&self.effect);
    }
}

/// A question that is open: the time of its call stands still until it is dropped.
struct OpenQuestion<'a> {
    traffic: &'a Traffic,
    effect: String,
}

impl<'a> OpenQuestion<'a> {
    fn note(traffic: &'a Traffic, effect: &str) -> Self {
        if let Some(sending) = traffic.calls().get_mut(effect) {
            sending.questions += 1;
        }
        Self { traffic, effect: effect.to_owned() }
    }
}

impl Drop for OpenQuestion<'_> {
    fn drop(&mut self) {
        if let Some(sending) = self.traffic.calls().get_mut(&self.effect) {
            sending.questions -= 1;
            sending.since = Instant::now();
        }
    }
}

/// The effect of a request that is passed on.
pub(super) fn effect_of(message: &ClientJsonRpcMessage) -> Option<String> {
    effect_in(meta_of(message)?).map(str::to_owned)
}

fn meta_of(message: &ClientJsonRpcMessage) -> Option<&Map<String, Value>> {
    let JsonRpcMessage::Request(request) = message else { return None };
    let ClientRequest::CustomRequest(request) = &request.request else { return None };
    Some(&request.get_meta().0.0)
}

fn effect_in(meta: &Map<String, Value>) -> Option<&str> {
    meta.get(EFFECT_KEY)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_answered_a_few_at_a_time() {
        let traffic = Traffic::default();
        let asked: ServerJsonRpcMessage =
            serde_json::from_str(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).unwrap();
        let told: ServerJsonRpcMessage =
            serde_json::from_str(r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#).unwrap();
        let answered: ClientJsonRpcMessage =
            serde_json::from_str(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).unwrap();
        traffic.note_sent(&answered);
        assert!((0..QUESTIONS_MAX).all(|_| traffic.heeds(&asked)));
        assert_eq!((traffic.heeds(&asked), traffic.heeds(&told)), (false, true));
        traffic.note_sent(&answered);
        assert_eq!((traffic.heeds(&asked), traffic.heeds(&asked)), (true, false));
    }

    #[test]
    fn a_call_is_written_only_under_its_ticket() {
        let traffic = Arc::new(Traffic::default());
        assert!(!traffic.begin("a"), "nobody asked for it");
        let ticket = traffic.admit("a", None);
        assert!(!ticket.withdraw().begun, "nothing was written");
        assert!(!traffic.begin("a"), "it was withdrawn");
        let ticket = traffic.admit("a", None);
        assert!(traffic.begin("a"));
        traffic.unbegin("a");
        assert!(!ticket.withdraw().begun, "the write took nothing");
        let ticket = traffic.admit("a", None);
        assert!(traffic.begin("a"));
        traffic.lose("a", "went away".to_owned());
        let settled = Settled { begun: true, lost: Some("went away".to_owned()) };
        assert_eq!(ticket.withdraw(), settled, "from here on the outcome is unknown");
        let ticket = traffic.admit("a", None);
        assert!(traffic.begin("a"));
        traffic.turn_away("a", "forgot us".to_owned());
        let settled = Settled { begun: false, lost: Some("forgot us".to_owned()) };
        assert_eq!(ticket.withdraw(), settled, "it may be sent once more");
        drop(traffic.admit("a", None));
        assert!(!traffic.begin("a"), "a dropped call is not written");
    }
}

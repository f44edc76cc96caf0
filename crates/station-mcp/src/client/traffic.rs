//! What is known of the calls that are on their way, shared between a transport and those who wait for answers.
//!
//! A call may be written only under its ticket, and the ticket settles what is known afterwards: whether anything of
//! the call was given to the server (only then is its outcome unknown), and why no answer will come, where the
//! transport saw that.

use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage, ServerJsonRpcMessage};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

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
#[derive(Debug, Default)]
struct Sending {
    /// Whether its writing was begun.
    begun: bool,
    /// Why no answer to it will come, as the rest of a sentence that begins with the server's name.
    lost: Option<String>,
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
    pub(super) fn admit(self: &Arc<Self>, effect: &str) -> Ticket {
        self.calls().insert(effect.to_owned(), Sending::default());
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

    fn calls(&self) -> MutexGuard<'_, HashMap<String, Sending>> {
        self.calls.lock().expect("nobody panics while holding the calls")
    }
}

impl Ticket {
    /// Ends the permission to write, and settles what is known with that.
    pub(super) fn withdraw(self) -> Settled {
        let sending = self.traffic.calls().remove(&self.effect).unwrap_or_default();
        Settled { begun: sending.begun, lost: sending.lost }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.traffic.calls().remove(&self.effect);
    }
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
        let ticket = traffic.admit("a");
        assert!(!ticket.withdraw().begun, "nothing was written");
        assert!(!traffic.begin("a"), "it was withdrawn");
        let ticket = traffic.admit("a");
        assert!(traffic.begin("a"));
        traffic.unbegin("a");
        assert!(!ticket.withdraw().begun, "the write took nothing");
        let ticket = traffic.admit("a");
        assert!(traffic.begin("a"));
        traffic.lose("a", "went away".to_owned());
        let settled = Settled { begun: true, lost: Some("went away".to_owned()) };
        assert_eq!(ticket.withdraw(), settled, "from here on the outcome is unknown");
        let ticket = traffic.admit("a");
        assert!(traffic.begin("a"));
        traffic.turn_away("a", "forgot us".to_owned());
        let settled = Settled { begun: false, lost: Some("forgot us".to_owned()) };
        assert_eq!(ticket.withdraw(), settled, "it may be sent once more");
        drop(traffic.admit("a"));
        assert!(!traffic.begin("a"), "a dropped call is not written");
    }
}

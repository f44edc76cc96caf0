//! The state that one connection's requests share: session, version, what is out, and what went wrong last.

use super::super::bearer::Bearer;
use super::super::messages::in_place_of_answer;
use super::super::traffic::Traffic;
use super::Target;
use super::answer::answered;
use super::outgoing::Outgoing;
use reqwest::header::HeaderValue;
use reqwest::{Client, Method, RequestBuilder, Url};
use rmcp::model::{JsonRpcMessage, RequestId, ServerJsonRpcMessage, ServerResult};
use station_core::mirror::Mirror;
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Messages that were read and wait to be handed out. Few: a server that floods waits, and not in our memory.
const INCOMING_MAX: usize = 32;

/// How long the end of a session may take to be told.
const FAREWELL: Duration = Duration::from_secs(2);

pub(super) const SESSION_HEADER: &str = "mcp-session-id";

/// One connection to a remote server. It has no `Debug`, and nothing in it: headers and addresses hold secrets.
pub(in super::super) struct Link {
    pub(super) server: String,
    pub(super) client: Client,
    pub(super) state: Mutex<State>,
    /// Sent with every request.
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) bearer: Bearer,
    pub(super) way: Way,
    pub(super) traffic: Arc<Traffic>,
    incoming: mpsc::Sender<ServerJsonRpcMessage>,
    /// Requests that were posted without rmcp.
    pub(super) asked: AtomicU64,
    /// Cancelled when the stream over which a server says what nobody asked for is there, or is known not to be.
    pub(super) listened: CancellationToken,
    /// Cancelled when the connection ends.
    pub(super) closing: CancellationToken,
    pub(super) tasks: TaskTracker,
}

/// What changes.
pub(super) struct State {
    pub(super) url: Url,
    pub(super) session: Option<HeaderValue>,
    /// Whether that stream is asked for.
    pub(super) listens: bool,
    /// The version of the handshake.
    pub(super) agreed: Option<HeaderValue>,
    /// Requests that wait for their answers, and how to stop waiting.
    out: HashMap<RequestId, CancellationToken>,
    /// Who waits for the answers to requests that rmcp does not know.
    pub(super) asking: HashMap<RequestId, oneshot::Sender<ServerJsonRpcMessage>>,
    probes: Vec<RequestId>,
    trouble: Option<Trouble>,
    /// What tools want mirrored into headers, by tool.
    pub(super) mirrors: HashMap<String, Vec<Mirror>>,
}

/// How requests and answers travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Each request is a POST, and its answer the body of the response.
    Streamable,
    /// The transport of 2024-11-05: a POST is only accepted, and all answers come over one stream.
    Events,
}

/// What went wrong last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Trouble {
    /// As the rest of a sentence that begins with the server's name.
    pub(in super::super) words: String,
    /// Whether a server that speaks only the old transport answers so.
    pub(in super::super) may_be_old: bool,
    /// Whether it was the server's own word, in the protocol.
    pub(in super::super) is_answer: bool,
}

impl Link {
    pub(super) fn new(
        server: &str,
        target: Target,
        way: Way,
        traffic: Arc<Traffic>,
    ) -> (Arc<Self>, mpsc::Receiver<ServerJsonRpcMessage>) {
        let (incoming, receiver) = mpsc::channel(INCOMING_MAX);
        let state = State {
            url: target.url,
            session: None,
            listens: false,
            agreed: None,
            out: HashMap::new(),
            asking: HashMap::new(),
            probes: Vec::new(),
            trouble: None,
            mirrors: HashMap::new(),
        };
        let link = Self {
            server: server.to_owned(),
            client: target.client,
            headers: target.headers,
            bearer: target.bearer,
            state: Mutex::new(state),
            way,
            traffic,
            incoming,
            asked: AtomicU64::new(0),
            listened: CancellationToken::new(),
            closing: CancellationToken::new(),
            tasks: TaskTracker::new(),
        };
        (Arc::new(link), receiver)
    }

    /// What went wrong last, where anything did.
    pub(in super::super) fn trouble(&self) -> Option<Trouble> {
        self.state().trouble.clone()
    }

    /// Notes what tools want mirrored, in place of what was noted before.
    pub(in super::super) fn note_mirrors(&self, mirrors: HashMap<String, Vec<Mirror>>) {
        self.state().mirrors = mirrors;
    }

    /// Ends the connection at once; see [`Link::end`] for the polite way.
    pub(in super::super) fn close(&self) {
        self.closing.cancel();
    }

    /// Ends the connection: what is out is not waited for, and a session is told that it is over.
    pub(in super::super) async fn end(&self) {
        self.closing.cancel();
        let session = self.state().session.take();
        if let Some(session) = session {
            let farewell = self.request(Method::DELETE).header(SESSION_HEADER, session).send();
            // A server may refuse (405) or be gone: it will forget the session by itself.
            if let Ok(Err(error)) = tokio::time::timeout(FAREWELL, farewell).await {
                tracing::debug!(error = %error.without_url(), "a server was not told that its session is over");
            }
        }
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// A request with what every request carries.
    pub(super) fn request(&self, method: Method) -> RequestBuilder {
        let mut headers = self.headers.clone();
        self.bearer.add_to(&mut headers);
        self.client.request(method, self.state().url.clone()).headers(headers)
    }

    /// Notes that a request is out; what is given back is cancelled when nobody waits for it any more.
    pub(super) fn track(&self, outgoing: &Outgoing) -> CancellationToken {
        let stop = self.closing.child_token();
        if let Some(id) = outgoing.id() {
            self.state().out.insert(id.clone(), stop.clone());
        }
        stop
    }

    /// Stops waiting for the answer to a request, and closes the stream over which it would come: in the era without
    /// sessions this is how a server learns that it was cancelled.
    pub(super) fn abandon(&self, id: &RequestId) {
        let stop = self.state().out.remove(id);
        if let Some(stop) = stop {
            stop.cancel();
        }
    }

    /// Notes a probe; it is answered in vain once the handshake has begun.
    pub(super) fn note_probe(&self, id: &RequestId) {
        self.state().probes.push(id.clone());
    }

    /// The handshake begins: whatever a probe is still answered with must not be taken for its answer.
    pub(super) fn abandon_probes(&self) {
        let probes = std::mem::take(&mut self.state().probes);
        for id in probes {
            self.abandon(&id);
        }
    }

    /// Hands a message out; `false` where the connection ends meanwhile.
    pub(super) async fn hand_out(&self, message: ServerJsonRpcMessage) -> bool {
        if let JsonRpcMessage::Response(response) = &message
            && let ServerResult::InitializeResult(result) = &response.result
        {
            self.state().agreed = HeaderValue::from_str(result.protocol_version.as_str()).ok();
        }
        if !self.traffic.heeds(&message) {
            return true;
        }
        let asking = answered(&message).and_then(|id| self.state().asking.remove(id));
        if let Some(asking) = asking {
            // Whoever does not wait any more has cancelled it.
            drop(asking.send(message));
            return true;
        }
        let sent = self.closing.run_until_cancelled(self.incoming.send(message)).await;
        sent.is_some_and(|sent| sent.is_ok())
    }

    /// No answer to `outgoing` will come: nobody may wait for it any longer.
    pub(super) async fn lose(&self, outgoing: &Outgoing, words: String) {
        self.note_loss(outgoing, words.clone());
        if let Some(id) = outgoing.id() {
            self.hand_out(in_place_of_answer(id.clone(), &words)).await;
        }
    }

    pub(super) fn note_loss(&self, outgoing: &Outgoing, words: String) {
        if let Some(effect) = outgoing.effect() {
            self.traffic.lose(effect, words.clone());
        }
        self.note_trouble(Trouble { words, may_be_old: false, is_answer: false });
    }

    pub(super) fn note_trouble(&self, trouble: Trouble) {
        self.state().trouble = Some(trouble);
    }

    /// A request is not out any more.
    pub(super) fn forget(&self, id: &RequestId) {
        self.state().out.remove(id);
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding the state")
    }
}

//! One message is posted, and what the server's first words about it mean.

use super::super::messages::{BYTES_MAX, in_place_of_answer, messages};
use super::Wire;
use super::answer::{self, Refusal};
use super::link::{Link, SESSION_HEADER, Trouble, Way};
use super::outgoing::{Kind, Outgoing};
use super::target::{Target, explain};
use crate::client::traffic::Traffic;
use futures::stream;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Body, Method, Response, StatusCode, Url};
use rmcp::model::{ClientJsonRpcMessage, JsonRpcMessage, RequestId};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Longest time that a notification, or an answer of ours, may take: nobody waits for it.
const NOTE_TIMEOUT: Duration = Duration::from_secs(10);

/// Redirects within an origin that a greeting follows: one for a missing slash, one more for good measure.
const REDIRECTS_MAX: usize = 2;

/// What a new address must not bring about: see [`Link::moved`].
enum Moved {
    /// The same request is to be made there.
    Again,
    /// It is not followed.
    No(String),
}

impl Wire {
    /// A connection that posts to `target`. Nothing is sent yet.
    pub(in super::super) fn streamable(server: &str, target: Target, traffic: Arc<Traffic>) -> Self {
        let (link, incoming) = Link::new(server, target, Way::Streamable, traffic);
        Self { link, incoming }
    }
}

impl Link {
    /// Sends one message, and sees to it that its answer is handed out, or why there will be none.
    pub(super) async fn send(self: Arc<Self>, message: &ClientJsonRpcMessage) -> io::Result<()> {
        self.send_out(Outgoing::of(message)?).await
    }

    pub(super) async fn send_out(self: Arc<Self>, outgoing: Outgoing) -> io::Result<()> {
        let outgoing = Arc::new(outgoing);
        match &outgoing.kind {
            Kind::Discover { id } => self.note_probe(id),
            Kind::Initialize { .. } => self.abandon_probes(),
            Kind::Cancelled { id: Some(id) } if !self.has_handshake() => {
                self.abandon(id);
                return Ok(());
            }
            _ => {}
        }
        let stop = self.track(&outgoing);
        let posting = self.post(&outgoing, &stop);
        let done = match outgoing.id() {
            Some(_) => stop.run_until_cancelled(posting).await,
            None => stop
                .run_until_cancelled(tokio::time::timeout(NOTE_TIMEOUT, posting))
                .await
                .map(|done| done.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))),
        };
        let done = done.unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()));
        if let (Err(_), Some(id)) = (&done, outgoing.id()) {
            self.forget(id);
        }
        match &outgoing.kind {
            Kind::Cancelled { id: Some(id) } => self.abandon(id),
            Kind::Initialized if done.is_ok() && self.way == Way::Streamable => self.listen(),
            _ => {}
        }
        done
    }

    fn has_handshake(&self) -> bool {
        self.state().agreed.is_some()
    }

    async fn post(self: &Arc<Self>, outgoing: &Arc<Outgoing>, stop: &CancellationToken) -> io::Result<()> {
        for _ in 0..=REDIRECTS_MAX {
            let response = match self.post_once(outgoing).await {
                Ok(response) => response,
                Err(words) => return Err(self.broken(outgoing, words)),
            };
            match self.moved(outgoing, &response) {
                Some(Moved::Again) => {}
                Some(Moved::No(words)) => return Err(self.broken(outgoing, words)),
                None => return self.answered(outgoing, response, stop).await,
            }
        }
        Err(self.broken(outgoing, "redirects in a circle: check the `url` of its entry".to_owned()))
    }

    /// The one place that posts. The body can be given out once, and that of a call only under its ticket.
    async fn post_once(&self, outgoing: &Arc<Outgoing>) -> Result<Response, String> {
        let (session, headers) = {
            let state = self.state();
            let agreed = state.agreed.as_ref();
            (state.session.clone(), outgoing.headers(agreed, &state.mirrors))
        };
        let given = (Arc::clone(outgoing), Arc::clone(&self.traffic));
        let body = stream::once(async move {
            let (outgoing, traffic) = given;
            match outgoing.effect() {
                // From here on the server may have it.
                Some(effect) if !traffic.begin(effect) => {
                    Err(io::Error::new(io::ErrorKind::Interrupted, "the call was withdrawn"))
                }
                _ => Ok(outgoing.body.clone()),
            }
        });
        let mut request = self
            .request(Method::POST)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json, text/event-stream")
            .header(CONTENT_LENGTH, outgoing.body.len())
            .headers(headers)
            .body(Body::wrap_stream(body));
        if let Some(session) = session.filter(|_| !outgoing.is_modern()) {
            request = request.header(SESSION_HEADER, session);
        }
        request.send().await.map_err(|error| explain(&error))
    }

    /// Whether the server is said to be elsewhere. Within its origin a greeting goes there, and the connection stays
    /// there: servers like to add a slash. A call is never posted twice, and headers never reach another origin.
    fn moved(&self, outgoing: &Outgoing, response: &Response) -> Option<Moved> {
        if !response.status().is_redirection() {
            return None;
        }
        let mut state = self.state();
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let Some(to) = location.and_then(|location| state.url.join(location).ok()) else {
            return Some(Moved::No(format!("answered HTTP {} and no result", response.status())));
        };
        if to.origin() != state.url.origin() {
            return Some(Moved::No(format!(
                "redirects to {}, which is not followed, because its headers are not meant for that: if it moved there, write that in its `url`",
                to.origin().ascii_serialization()
            )));
        }
        let greets = matches!(outgoing.kind, Kind::Discover { .. } | Kind::Initialize { .. });
        let keeps_method =
            matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
        if !(greets && keeps_method) {
            return Some(Moved::No(format!(
                "redirects within its origin (HTTP {}), which is not followed: write where it is in its `url`",
                response.status().as_u16()
            )));
        }
        state.url = to;
        Some(Moved::Again)
    }

    /// What the server's first words about a message mean.
    async fn answered(
        self: &Arc<Self>,
        outgoing: &Arc<Outgoing>,
        response: Response,
        stop: &CancellationToken,
    ) -> io::Result<()> {
        let status = response.status();
        if !status.is_success() {
            return self.refused(outgoing, response).await;
        }
        let Some(id) = outgoing.id() else { return Ok(()) };
        if let Kind::Initialize { .. } = outgoing.kind
            && let Some(session) = response.headers().get(SESSION_HEADER)
        {
            self.state().session = Some(session.clone());
        }
        if self.way == Way::Events {
            return Ok(());
        }
        let kind = answer::kind(&response);
        if kind == "text/event-stream" {
            let (link, outgoing, stop) = (Arc::clone(self), Arc::clone(outgoing), stop.clone());
            self.tasks.spawn(async move { link.follow(&outgoing, response, &stop).await });
            return Ok(());
        }
        let body = match answer::body(response, BYTES_MAX).await {
            Ok(body) => body,
            Err(words) => return Err(self.broken(outgoing, words)),
        };
        let mut is_answered = false;
        for message in messages(&body, &self.traffic) {
            is_answered |= answer::answers(&message, id);
            self.hand_out(message).await;
        }
        if !is_answered {
            let shown = if kind.is_empty() { "nothing".to_owned() } else { format!("`{kind}`") };
            let words = format!("answered HTTP {} with {shown}, and no result", status.as_u16());
            return Err(self.broken(outgoing, words));
        }
        self.forget(id);
        Ok(())
    }

    async fn refused(self: &Arc<Self>, outgoing: &Arc<Outgoing>, response: Response) -> io::Result<()> {
        let status = response.status();
        let is_asked = self.bearer.heed(&self.headers, status.as_u16(), response.headers());
        let is_answer = answer::kind(&response) == "application/json";
        let body =
            if is_answer { answer::body(response, BYTES_MAX).await.unwrap_or_default() } else { Vec::new() };
        let had_session = self.state().session.is_some() && !outgoing.is_modern();
        if had_session && answer::ends_session(status, &body) {
            self.traffic.retire("ended its session".to_owned());
        }
        let Some(id) = outgoing.id() else {
            tracing::debug!(server = %self.server, status = status.as_u16(), "a server did not take a notification");
            return Ok(());
        };
        let refusal = match is_asked {
            // Whatever its body says: it was not carried out, and who is logged in may ask again.
            true => answer::unlogged(status),
            false => answer::refusal(status, had_session, &outgoing.kind, &body),
        };
        match refusal {
            Refusal::Answered(error) => {
                let words = answer::words(status);
                self.note_trouble(Trouble { words, may_be_old: false, is_answer: true });
                self.hand_out(JsonRpcMessage::error(error, Some(id.clone()))).await;
                self.forget(id);
                Ok(())
            }
            Refusal::Forgotten(words) => {
                if let Some(effect) = outgoing.effect() {
                    self.traffic.turn_away(effect, words.clone());
                }
                self.declined(id, words, false).await;
                Ok(())
            }
            Refusal::Declined { words, may_be_old } => {
                self.declined(id, words, may_be_old).await;
                Ok(())
            }
            Refusal::Lost(words) => Err(self.broken(outgoing, words)),
        }
    }

    /// Says so to whoever waits for the answer.
    async fn declined(&self, id: &RequestId, words: String, may_be_old: bool) {
        let sentence = format!("server `{}` {words}", self.server);
        self.note_trouble(Trouble { words, may_be_old, is_answer: false });
        self.hand_out(in_place_of_answer(id.clone(), &sentence)).await;
        self.forget(id);
    }

    fn broken(&self, outgoing: &Outgoing, words: String) -> io::Error {
        self.note_loss(outgoing, words.clone());
        io::Error::other(words)
    }
}

/// Whether `url` may be sent what is meant for `other`.
pub(super) fn same_origin(url: &Url, other: &Url) -> bool {
    url.origin() == other.origin()
}

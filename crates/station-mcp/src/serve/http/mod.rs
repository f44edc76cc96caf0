//! Over HTTP: the rules of Streamable HTTP in both eras, without a listener. A door hands over what was posted and sends
//! what comes back.
//!
//! The modern era needs nothing between two requests: any instance answers any of them, and closing the answer is
//! cancelling the request. The legacy era is answered the same way, except for a client that says at `initialize` that
//! it can be asked something, or follows something later: it has a session, whose id names this instance; elsewhere it is not
//! known, and the client initialises anew, as the specification has it (of one that follows something later, `sessions` says how far).

mod following;
mod headers;
mod over;
mod promise;
mod sessions;

use super::answer::{answer, initialized};
use super::asked::Asked;
use super::dialog::Dialog;
use super::frame::{self, Frame, Id, Request, Written, reply, reply_with};
use super::version::{MODERN, SPOKEN, Session, VERSION_KEY, WITH_BATCHES, terms};
use super::{Fault, Host, listen};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::{Map, Value, json};
use sessions::{Found, Held, Sessions, Wants};
use station_core::{Caller, Era, Error};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

pub use headers::Headers;

/// Messages of one answer that wait to be sent.
const OUTGOING_MAX: usize = 64;

/// An MCP endpoint: one host, and what is under way for its clients.
pub struct Endpoint {
    host: Arc<dyn Host>,
    sessions: Sessions,
    at_work: TaskTracker,
    leaving: CancellationToken,
}

/// What a door sends back.
pub enum Sent {
    /// A status without a body.
    Bare(u16),
    /// A status with a message.
    Message {
        /// The status.
        status: u16,
        /// The message.
        body: Written,
        /// The session that begins with it.
        session: Option<String>,
    },
    /// 403: another access token might do it. Nothing was begun.
    Refused(Error),
    /// 200, and messages as events until the last one. Dropping it cancels the request.
    Events(BoxStream<'static, Written>),
}

impl Sent {
    fn fault(status: u16, id: Option<&Id>, fault: Fault) -> Self {
        Self::message(status, reply(id, Err(fault), Era::Modern))
    }

    fn message(status: u16, body: impl Into<Written>) -> Self {
        Self::Message { status, body: body.into(), session: None }
    }
}

impl Endpoint {
    /// An endpoint of `host`.
    #[must_use]
    pub fn new(host: Arc<dyn Host>) -> Self {
        Self {
            host,
            sessions: Sessions::new(),
            at_work: TaskTracker::new(),
            leaving: CancellationToken::new(),
        }
    }

    /// Ends what is under way. To be called when nothing is accepted any more.
    pub async fn leave(&self) {
        self.leaving.cancel();
        self.at_work.close();
        self.at_work.wait().await;
    }

    /// A POST: one message, or a batch where the revision has them.
    pub async fn post(&self, by: Caller, headers: &Headers, body: &[u8]) -> Sent {
        let frame = frame::read(body);
        let is_modern = |params: &Map<String, Value>| {
            params.get("_meta").is_some_and(|meta| meta.get(VERSION_KEY).is_some())
                || headers.version.as_deref() == Some(MODERN)
        };
        match frame {
            Frame::Broken { id, fault } => Sent::fault(400, id.as_ref(), fault),
            Frame::Answer { .. } if headers.session.is_none() => Sent::Bare(202),
            Frame::Batch(_) if headers.version.as_deref() == Some(MODERN) => no_batches(),
            Frame::Notification { .. } if headers.session.is_none() => Sent::Bare(202),
            Frame::Request(request) if is_modern(&request.params) => self.modern(by, headers, request).await,
            Frame::Request(request) if request.method == "initialize" => self.initialize(&by, &request),
            legacy => match self.session(&by, headers, self.wants(headers, &legacy)) {
                Ok(held) => self.legacy(by, headers, held, legacy).await,
                Err(sent) => sent,
            },
        }
    }

    /// A GET of a legacy client: what changes, unasked.
    pub fn get(&self, by: &Caller, headers: &Headers) -> Sent {
        if !headers.accepts_events || headers.version.as_deref() == Some(MODERN) {
            return Sent::Bare(405);
        }
        let held = match self.session(by, headers, Wants::Keeping) {
            Ok(held) => held,
            Err(sent) => return sent,
        };
        let (outlet, incoming) = mpsc::channel(OUTGOING_MAX);
        let gone = self.leaving.child_token();
        let (host, stop, by) = (Arc::clone(&self.host), gone.clone(), by.clone());
        let (open, over) = (held.following().open(), held.over().clone());
        self.at_work.spawn(async move {
            over.run_until_cancelled(open.tell(&*host, &Asked::unasked(by), &outlet, &stop)).await;
        });
        Sent::Events(events(incoming, gone.drop_guard()))
    }

    /// A DELETE of a legacy client: its session is over.
    pub fn delete(&self, by: &Caller, headers: &Headers) -> Sent {
        match &headers.session {
            Some(id) if self.sessions.end(by.user, id, Instant::now()) => Sent::Bare(204),
            Some(_) => Sent::Bare(404),
            None => Sent::Bare(405),
        }
    }

    fn initialize(&self, by: &Caller, request: &Request) -> Sent {
        let session = match Session::open(&request.params) {
            Ok(session) => session,
            Err(fault) => return Sent::fault(400, Some(&request.id), fault),
        };
        let result = initialized(&self.host.about(), &session);
        let can = |what: &str| session.capabilities.get(what).is_some_and(Value::is_object);
        let session = match ["sampling", "elicitation", "roots"].into_iter().any(can) {
            true => self.sessions.begin(by.user, session, Instant::now()),
            false => self.sessions.promise(Instant::now()),
        };
        let body = reply(Some(&request.id), Ok(result), Era::Legacy);
        Sent::Message { status: 200, body: body.into(), session: Some(session) }
    }

    /// What is known of the client of a legacy request.
    fn session(&self, by: &Caller, headers: &Headers, wants: Wants) -> Result<Held, Sent> {
        // Before 2025-06-18 nobody said it here.
        let said = headers.version.as_deref().unwrap_or(WITH_BATCHES);
        let version = SPOKEN[1..].iter().copied().find(|spoken| *spoken == said);
        let found = headers
            .session
            .as_deref()
            .map_or(Found::Promised, |id| self.sessions.find(by.user, id, (wants, version), Instant::now()));
        match (found, version) {
            (Found::Held(held), _) => Ok(held),
            (Found::Unknown, _) => Err(Sent::Bare(404)),
            (Found::Promised, Some(version)) => {
                Ok(Held::fleeting(Session { version, capabilities: json!({}) }))
            }
            (Found::Promised, None) => Err(Sent::fault(400, None, Fault::Version(said.to_owned()))),
        }
    }

    /// Whether a legacy message that is not refused anyway wants something kept until the next one.
    fn wants(&self, headers: &Headers, frame: &Frame) -> Wants {
        let of = |frame: &Frame| match frame {
            Frame::Request(request) => Wants::of(request, &*self.host),
            _ => Wants::Nothing,
        };
        match frame {
            Frame::Batch(frames) if headers.version.as_deref().is_none_or(|said| said == WITH_BATCHES) => {
                frames.iter().map(of).max().unwrap_or(Wants::Nothing)
            }
            one => of(one),
        }
    }

    async fn modern(&self, by: Caller, headers: &Headers, request: Request) -> Sent {
        let Request { id, method, params } = request;
        let is_sound = headers.check_version(&params).and_then(|()| terms(&params, None));
        if let Err(fault) = is_sound.and_then(|_| headers.check(&method, &params)) {
            return Sent::fault(400, Some(&id), fault);
        }
        self.work(by, headers, None, Request { id, method, params }).await
    }

    async fn legacy(&self, by: Caller, headers: &Headers, held: Held, frame: Frame) -> Sent {
        match frame {
            Frame::Request(request) => self.work(by, headers, Some(&held), request).await,
            Frame::Batch(frames) if held.session().version == WITH_BATCHES => {
                self.batch(by, headers, &held, frames).await
            }
            Frame::Batch(_) => no_batches(),
            Frame::Answer { id, answered } => {
                held.dialog().take(id.as_ref(), answered);
                Sent::Bare(202)
            }
            Frame::Notification { method, params } => {
                held.hear(&method, &params);
                Sent::Bare(202)
            }
            Frame::Broken { .. } => Sent::Bare(202),
        }
    }

    async fn batch(&self, by: Caller, headers: &Headers, held: &Held, frames: Vec<Frame>) -> Sent {
        for frame in &frames {
            if let Frame::Request(request) = frame
                && let Some(error) = self.lacking(&by, request)
            {
                return Sent::Refused(error);
            }
        }
        let mut replies = Vec::new();
        for frame in frames {
            match frame {
                Frame::Request(request) => {
                    let plain = Headers { accepts_events: false, ..headers.clone() };
                    let sent = self.work(by.clone(), &plain, Some(held), request).await;
                    if let Sent::Message { body, .. } = sent {
                        replies.push(body.into_json());
                    }
                }
                Frame::Broken { id, fault } => replies.push(reply(id.as_ref(), Err(fault), Era::Legacy)),
                Frame::Answer { id, answered } => held.dialog().take(id.as_ref(), answered),
                Frame::Notification { method, params } => held.hear(&method, &params),
                Frame::Batch(_) => {}
            }
        }
        if replies.is_empty() { Sent::Bare(202) } else { Sent::message(200, Value::Array(replies)) }
    }

    /// Why a token is not good for a request that another might be good for: said by the door, before anything is begun. What the
    /// caller may not do at all is for the host to say.
    fn lacking(&self, by: &Caller, request: &Request) -> Option<Error> {
        let action = self.host.needs(&request.method, &request.params)?;
        by.may(action).err().filter(|error| error.lacks().is_some())
    }

    /// Answers a request: as one message, or as events where something is said before the end.
    async fn work(&self, by: Caller, headers: &Headers, held: Option<&Held>, request: Request) -> Sent {
        let settled = match held {
            Some(held) => held.settle(&request, &*self.host).await,
            None => None,
        };
        if let Some(result) = settled {
            return Sent::message(200, reply(Some(&request.id), result, Era::Legacy));
        }
        if let Some(error) = self.lacking(&by, &request) {
            return Sent::Refused(error);
        }
        let Request { id, method, params } = request;
        let (outlet, mut incoming) = mpsc::channel(OUTGOING_MAX);
        let gone = self.leaving.child_token();
        let dialog = held.map_or_else(|| Arc::new(Dialog::new()), |held| Arc::clone(held.dialog()));
        let asked = match terms(&params, held.map(Held::session)) {
            Ok(terms) => Asked::new(by, terms, &params, (&dialog, &outlet), gone.clone()),
            Err(fault) => return Sent::fault(400, Some(&id), fault),
        };
        let host = Arc::clone(&self.host);
        if method == "subscriptions/listen" && asked.era == Era::Modern {
            let wanted = match listen::wanted(&params, &host.about()) {
                Ok(wanted) => wanted,
                Err(fault) => return Sent::fault(400, Some(&id), fault),
            };
            let leaving = self.leaving.clone();
            self.at_work.spawn(async move {
                listen::listen(&*host, &id, &asked, wanted, &outlet).await;
                if leaving.is_cancelled() {
                    drop(outlet.send(listen::ended(&id).into()).await);
                }
            });
            return Sent::Events(events(incoming, gone.drop_guard()));
        }
        if !headers.accepts_events {
            // Whoever asks or tells is told so at once.
            incoming.close();
        }
        let at_work = held.and_then(|held| held.at_work(&id, &gone));
        let (end, ended) = oneshot::channel();
        // A task of its own, so that it can end in good order when its client is gone.
        self.at_work.spawn(async move {
            let result = answer(&*host, &asked, &method, params).await;
            drop(at_work);
            let status = status_of(&result, asked.era);
            // Whoever does not listen any more has said so by `gone`.
            drop(end.send((status, reply_with(&id, result, asked.era))));
        });
        drop(outlet);
        said(incoming, ended, gone.drop_guard()).await
    }
}

/// A message, where nothing is said before the end; else events, the answer last.
async fn said(
    mut incoming: mpsc::Receiver<Written>,
    mut ended: oneshot::Receiver<(u16, Written)>,
    guard: DropGuard,
) -> Sent {
    tokio::select! {
        biased;
        Some(first) = incoming.recv() => {
            let rest = futures::stream::unfold(Some((incoming, ended, guard)), next);
            Sent::Events(futures::stream::once(async { first }).chain(rest).boxed())
        }
        end = &mut ended => {
            drop(guard.disarm());
            end.map_or(Sent::Bare(500), |(status, body)| Sent::message(status, body))
        }
    }
}

type Rest = (mpsc::Receiver<Written>, oneshot::Receiver<(u16, Written)>, DropGuard);

/// What is said next of an answer; the answer itself is the last.
async fn next(rest: Option<Rest>) -> Option<(Written, Option<Rest>)> {
    let (mut incoming, mut ended, guard) = rest?;
    tokio::select! {
        biased;
        Some(message) = incoming.recv() => Some((message, Some((incoming, ended, guard)))),
        end = &mut ended => {
            drop(guard.disarm());
            Some((end.ok()?.1, None))
        }
    }
}

/// The status of a modern answer; a legacy one is always 200.
fn status_of(result: &Result<Written, Fault>, era: Era) -> u16 {
    match (result, era) {
        (Err(Fault::Method(_)), Era::Modern) => 404,
        (Err(Fault::Incapable(_)), Era::Modern) => 400,
        (Err(Fault::Upstream(error)), Era::Modern) => match error["code"].as_i64() {
            Some(-32601) => 404,
            Some(-32022..=-32020) => 400,
            _ => 200,
        },
        _ => 200,
    }
}

/// The messages that come, until the last one; dropping it lets go of the guard.
fn events(incoming: mpsc::Receiver<Written>, guard: DropGuard) -> BoxStream<'static, Written> {
    futures::stream::unfold((incoming, guard), |(mut incoming, guard)| async {
        let message = incoming.recv().await?;
        Some((message, (incoming, guard)))
    })
    .boxed()
}

/// The answer to a batch in a revision that has none.
fn no_batches() -> Sent {
    Sent::fault(400, None, Fault::Request("send one message: this revision has no batches".to_owned()))
}

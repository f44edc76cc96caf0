//! Over a pair of pipes: one message per line, many requests at once, and the end of the input is the end.
//!
//! What is written is protocol and nothing else. When the input ends, requests that are under way are given a moment:
//! whoever pipes a few requests in wants their answers; then they are told that nobody waits for them, and when they do
//! not heed that either they are dropped. **Invariant:** everything that is started here has ended when it returns.

use super::answer::{answer, initialized, text};
use super::asked::Asked;
use super::dialog::Dialog;
use super::frame::{self, Frame, Id, Request, Written, reply, reply_with};
use super::lines::{BYTES_MAX, Line, Lines};
use super::listen;
use super::version::{Session, WITH_BATCHES, terms};
use super::{Fault, Host, Wanted};
use serde_json::{Map, Value, json};
use station_core::{Caller, Era};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Requests that may be under way: more than any client has, few enough to be held.
const OPEN_MAX: usize = 1_000;

/// Messages that wait to be written.
const OUTGOING_MAX: usize = 256;

/// How long requests that are under way may go on after the input has ended.
const FINISH_WITHIN: Duration = Duration::from_secs(2);

/// How long they may then take to end.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Serves `host` to whoever is at the other end of the pipes, until the input ends or the output is closed.
///
/// # Errors
/// Where the input cannot be read.
pub async fn serve_stdio(
    host: Arc<dyn Host>,
    by: Caller,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let (outlet, outgoing) = mpsc::channel(OUTGOING_MAX);
    let gone = CancellationToken::new();
    let pipe = Pipe {
        host,
        by,
        outlet,
        gone: gone.clone(),
        leaving: CancellationToken::new(),
        dialog: Arc::new(Dialog::new()),
        session: None,
        open: HashMap::new(),
        followed: HashMap::new(),
        at_work: JoinSet::new(),
    };
    // The pipe is dropped with its outlet when it has ended, and that ends the writing.
    let (done, ()) = tokio::join!(pipe.serve(Lines::new(input, BYTES_MAX)), write(outgoing, output, &gone));
    done
}

/// One client, and what is under way for it.
struct Pipe {
    host: Arc<dyn Host>,
    by: Caller,
    outlet: mpsc::Sender<Written>,
    /// Cancelled when the client is gone.
    gone: CancellationToken,
    /// Cancelled when we are about to leave: ends what would go on for ever.
    leaving: CancellationToken,
    dialog: Arc<Dialog>,
    /// What a legacy client said first.
    session: Option<Session>,
    /// Requests that are under way.
    open: HashMap<Id, CancellationToken>,
    /// Resources that a legacy client follows.
    followed: HashMap<String, CancellationToken>,
    /// Everything that is under way; the work on requests ends with their ids.
    at_work: JoinSet<Vec<Id>>,
}

impl Pipe {
    async fn serve(mut self, mut lines: Lines<impl AsyncRead + Unpin>) -> io::Result<()> {
        let gone = self.gone.clone();
        let done = loop {
            tokio::select! {
                // Whoever was answered may use its id again before the write has returned to us: what ended comes before what
                // is asked.
                biased;
                () = gone.cancelled() => break Ok(()),
                Some(ended) = self.at_work.join_next() => self.note(ended),
                line = lines.next(), if self.at_work.len() < 2 * OPEN_MAX => match line {
                    Ok(Some(Line::Whole(line))) if line.trim_ascii().is_empty() => {}
                    Ok(Some(Line::Whole(line))) => self.hear(frame::read(&line)),
                    Ok(Some(Line::TooLong)) => {
                        let limit = BYTES_MAX / (1024 * 1024);
                        let fault = Fault::Request(format!("the message is longer than {limit} MiB"));
                        self.say(reply(None, Err(fault), Era::Modern));
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                },
            }
        };
        self.finish().await;
        done
    }

    /// Gives what is under way a moment, then ends it.
    async fn finish(&mut self) {
        self.leaving.cancel();
        drop(tokio::time::timeout(FINISH_WITHIN, self.drain()).await);
        self.gone.cancel();
        for request in self.open.values() {
            request.cancel();
        }
        drop(tokio::time::timeout(END_WITHIN, self.drain()).await);
        self.at_work.shutdown().await;
    }

    async fn drain(&mut self) {
        while let Some(ended) = self.at_work.join_next().await {
            self.note(ended);
        }
    }

    /// Takes a request whose work has ended off the list.
    fn note(&mut self, ended: Result<Vec<Id>, tokio::task::JoinError>) {
        match ended {
            Ok(ids) => ids.iter().for_each(|id| drop(self.open.remove(id))),
            Err(error) if error.is_cancelled() => {}
            Err(error) => tracing::error!(%error, "a request was not answered"),
        }
    }

    fn say(&mut self, message: Value) {
        let outlet = self.outlet.clone();
        self.at_work.spawn(async move {
            // A client that is gone is seen by the writer.
            drop(outlet.send(message.into()).await);
            Vec::new()
        });
    }

    fn hear(&mut self, frame: Frame) {
        match frame {
            Frame::Request(request) => self.take(request),
            Frame::Notification { method, params } => self.notice(&method, &params),
            Frame::Answer { id, answered } => self.dialog.take(id.as_ref(), answered),
            Frame::Broken { id, fault } => self.say(reply(id.as_ref(), Err(fault), Era::Modern)),
            Frame::Batch(frames) if self.speaks(WITH_BATCHES) => self.take_batch(frames),
            Frame::Batch(_) => {
                let fault =
                    Fault::Request("send one message per line: this revision has no batches".to_owned());
                self.say(reply(None, Err(fault), Era::Modern));
            }
        }
    }

    fn speaks(&self, version: &str) -> bool {
        self.session.as_ref().is_some_and(|session| session.version == version)
    }

    fn notice(&mut self, method: &str, params: &Map<String, Value>) {
        if let Some(id) = frame::cancelled(method, params) {
            if let Some(request) = self.open.get(&id) {
                request.cancel();
            }
            return;
        }
        match method {
            "notifications/initialized" if self.session.is_some() => {
                let wanted = listen::unasked(&self.host.about());
                if wanted != Wanted::default() && !self.followed.contains_key("") {
                    self.follow(String::new(), wanted);
                }
            }
            _ => tracing::debug!(method, "a notification is passed over"),
        }
    }

    /// Follows what changes for a legacy client, under a name by which that can be ended.
    fn follow(&mut self, name: String, wanted: Wanted) {
        let (host, outlet, stop) = (Arc::clone(&self.host), self.outlet.clone(), self.leaving.child_token());
        let asked = Asked::unasked(self.by.clone());
        self.followed.insert(name, stop.clone());
        self.at_work.spawn(async move {
            listen::follow(&*host, &asked, wanted, &outlet, &stop).await;
            Vec::new()
        });
    }

    /// Takes a request up, or answers it at once: the one road for a request of its own and for one of a batch.
    fn admit(&mut self, id: &Id, method: &str, params: &Map<String, Value>) -> Result<Asked, Value> {
        if self.open.contains_key(id) {
            let fault = Fault::Request(format!("request {id} is under way already: use another id"));
            return Err(reply(Some(id), Err(fault), Era::Modern));
        }
        if self.open.len() >= OPEN_MAX {
            let fault = Fault::Internal(format!("{OPEN_MAX} requests are under way: wait for their answers"));
            return Err(reply(Some(id), Err(fault), Era::Modern));
        }
        if let Some(result) = self.settle(method, params) {
            return Err(reply(Some(id), result, Era::Legacy));
        }
        let stop = CancellationToken::new();
        let terms = terms(params, self.session.as_ref());
        let terms = terms.map_err(|fault| reply(Some(id), Err(fault), Era::Modern))?;
        let with = (&self.dialog, &self.outlet);
        let asked = Asked::new(self.by.clone(), terms, params, with, stop.clone());
        self.open.insert(id.clone(), stop);
        Ok(asked)
    }

    fn take(&mut self, request: Request) {
        let Request { id, method, params } = request;
        let asked = match self.admit(&id, &method, &params) {
            Ok(asked) => asked,
            Err(reply) => return self.say(reply),
        };
        let (host, outlet) = (Arc::clone(&self.host), self.outlet.clone());
        if method == "subscriptions/listen" && asked.era == Era::Modern {
            let (wanted, leaving) = (listen::wanted(&params, &host.about()), self.leaving.clone());
            self.at_work.spawn(async move {
                let end = match wanted {
                    Ok(wanted) => tokio::select! {
                        () = listen::listen(&*host, &id, &asked, wanted, &outlet) => None,
                        () = leaving.cancelled() => Some(listen::ended(&id)),
                    },
                    Err(fault) => Some(reply(Some(&id), Err(fault), Era::Modern)),
                };
                if let Some(end) = end {
                    drop(outlet.send(end.into()).await);
                }
                vec![id]
            });
            return;
        }
        self.at_work.spawn(async move {
            if let Some(message) = work(&*host, &id, &method, params, asked).await {
                drop(outlet.send(message).await);
            }
            vec![id]
        });
    }

    /// Answers what is about the legacy session itself.
    fn settle(&mut self, method: &str, params: &Map<String, Value>) -> Option<Result<Value, Fault>> {
        let uri = |params| text(params, "uri");
        match method {
            // Of the modern era it is a method that nobody knows any more.
            "initialize" if terms(params, None).is_err() => Some(Session::open(params).map(|session| {
                let result = initialized(&self.host.about(), &session);
                self.session = Some(session);
                result
            })),
            // Before the session, too: a client may look whether anybody is there.
            "ping" if self.session.is_none() && terms(params, None).is_err() => Some(Ok(json!({}))),
            _ if self.session.is_none() || terms(params, self.session.as_ref()).is_ok_and(is_modern) => None,
            "logging/setLevel" if self.host.about().logs => Some(self.dialog.set_level(params)),
            "resources/subscribe" => Some(uri(params).and_then(|uri| {
                if !self.followed.contains_key(&uri) {
                    if self.followed.len() > OPEN_MAX {
                        return Err(Fault::Params(format!("more than {OPEN_MAX} resources are followed")));
                    }
                    self.follow(uri.clone(), Wanted { uris: vec![uri], ..Wanted::default() });
                }
                Ok(json!({}))
            })),
            "resources/unsubscribe" => Some(uri(params).map(|uri| {
                if let Some(follower) = self.followed.remove(&uri) {
                    follower.cancel();
                }
                json!({})
            })),
            _ => None,
        }
    }

    /// Answers a batch with a batch, one request after the other.
    fn take_batch(&mut self, frames: Vec<Frame>) {
        let (host, outlet) = (Arc::clone(&self.host), self.outlet.clone());
        let mut wanted = Vec::new();
        for frame in frames {
            match frame {
                Frame::Request(Request { id, method, params }) => {
                    let admitted = self.admit(&id, &method, &params);
                    wanted.push(admitted.map(|asked| (id, method, params, asked)));
                }
                Frame::Broken { id, fault } => wanted.push(Err(reply(id.as_ref(), Err(fault), Era::Legacy))),
                Frame::Notification { method, params } => self.notice(&method, &params),
                Frame::Answer { id, answered } => self.dialog.take(id.as_ref(), answered),
                Frame::Batch(_) => {}
            }
        }
        self.at_work.spawn(async move {
            let (mut replies, mut ids) = (Vec::new(), Vec::new());
            for one in wanted {
                match one {
                    Ok((id, method, params, asked)) => {
                        replies
                            .extend(work(&*host, &id, &method, params, asked).await.map(Written::into_json));
                        ids.push(id);
                    }
                    Err(reply) => replies.push(reply),
                }
            }
            if !replies.is_empty() {
                drop(outlet.send(Value::Array(replies).into()).await);
            }
            ids
        });
    }
}

fn is_modern((era, _): (Era, &Value)) -> bool {
    era == Era::Modern
}

/// Answers a request; nothing where nobody waits for it any more.
async fn work(
    host: &dyn Host,
    id: &Id,
    method: &str,
    params: Map<String, Value>,
    asked: Asked,
) -> Option<Written> {
    let result = answer(host, &asked, method, params).await;
    // A request that was cancelled is not answered.
    (!asked.gone.is_cancelled()).then(|| reply_with(id, result, asked.era))
}

/// Writes what is to be said; a closed output means that nobody is there any more.
async fn write(
    mut outgoing: mpsc::Receiver<Written>,
    mut output: impl AsyncWrite + Unpin,
    gone: &CancellationToken,
) {
    while let Some(message) = outgoing.recv().await {
        let mut line = message.to_string().into_bytes();
        line.push(b'\n');
        let flushed = async {
            output.write_all(&line).await?;
            if outgoing.is_empty() { output.flush().await } else { Ok(()) }
        };
        if let Err(error) = flushed.await {
            tracing::debug!(%error, "the client's end of the pipe is closed");
            gone.cancel();
            return;
        }
    }
}

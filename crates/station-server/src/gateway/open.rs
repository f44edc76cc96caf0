//! A request that is out at a server: what is said meanwhile goes to its client, and what is asked.
//!
//! A server of the older era asks while it is at work. A client of that era answers meanwhile; one of the modern era gets a
//! result with the question, and the request is held here until it comes back with the answer, for a while, on this instance.

use super::Gateway;
use super::state::At;
use futures::future::BoxFuture;
use serde_json::{Map, Value, json};
use station_core::approval::Basis;
use station_core::{Era, Result, Secret};
use station_engine::Carried;
use station_mcp::serve::{Asked, Fault, Outcome};
use station_mcp::{Along, Asks, Hearer, Hears, Question, Told};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// Messages of a server that wait to be passed on.
const SAID_MAX: usize = 64;

/// Rounds of questions of one request that a client of the older era is put through.
pub(super) const ROUNDS_MAX: usize = 16;

/// Requests that are held at a time: each keeps a turn at its server.
const HELD_MAX: usize = 100;

/// How long one is held: a person may have to look something up, and the server waits.
const HELD_FOR: Duration = Duration::from_secs(10 * 60);

/// How a request to a server ended.
#[derive(Debug)]
pub(super) enum End {
    /// With this result.
    Answered(Value),
    /// With this error of the protocol.
    Refused(Value),
    /// It was not sent: a person must say yes to this first.
    Asks(Basis),
}

/// A request that is out.
pub(super) struct Out {
    end: BoxFuture<'static, Result<End>>,
    said: mpsc::Receiver<Told>,
}

/// How far a request came.
pub(super) enum Step {
    Ended(Result<End>),
    /// Its server asks, and waits.
    Asks(Question, Out),
}

impl Out {
    /// Sends a request for `asked`; `send` is given what goes with it.
    pub(super) fn begin(
        asked: &Asked,
        (more, variables): (Map<String, Value>, BTreeMap<String, Secret>),
        send: impl FnOnce(Carried) -> BoxFuture<'static, Result<End>>,
    ) -> Self {
        let (outlet, said) = mpsc::channel(SAID_MAX);
        let asks = Asks::of(&asked.capabilities);
        let hears = if asks == Asks::default() { Hears::News } else { Hears::All };
        let hearer = Some(Hearer { client: asked.client(), hears, outlet });
        let along = Along { level: asked.log_level(), hearer, trace: asked.by.trace };
        Self { end: send(Carried { asks, along, more, variables }), said }
    }

    /// Follows it until it ends, or its server asks a client that is asked by a result.
    ///
    /// # Errors
    /// Nobody waits for it any more; dropping it cancels it at its server.
    pub(super) async fn follow(mut self, asked: &Asked) -> Result<Step, Fault> {
        let gone = || Fault::Internal("the request was cancelled".to_owned());
        loop {
            let told = tokio::select! {
                biased;
                () = asked.gone.cancelled() => return Err(gone()),
                Some(told) = self.said.recv() => told,
                end = &mut self.end => {
                    while let Ok(told) = self.said.try_recv() {
                        pass(asked, told).await;
                    }
                    return Ok(Step::Ended(end));
                }
            };
            match told {
                Told::Asks(question) if asked.era == Era::Modern => return Ok(Step::Asks(question, self)),
                Told::Asks(question) => {
                    let Question { method, params, answer, .. } = question;
                    tokio::select! {
                        answered = asked.ask(&method, &params) => drop(answer.send(answered)),
                        end = &mut self.end => return Ok(Step::Ended(end)),
                    }
                }
                told => pass(asked, told).await,
            }
        }
    }
}

async fn pass(asked: &Asked, told: Told) {
    match told {
        Told::Progress(params) => asked.pass_progress(params).await,
        Told::Log(params) => asked.pass_log(&params).await,
        // Its request has ended: dropped, it says that nobody answers.
        Told::Asks(_) => {}
    }
}

/// Requests that are held until their clients come back.
#[derive(Default)]
pub(super) struct Held {
    all: Mutex<HashMap<String, Waiting>>,
}

struct Waiting {
    out: Out,
    question: Question,
    /// Ends it when nobody comes back.
    _limit: AbortOnDropHandle<()>,
}

/// Under which key a question is put to a modern client.
const KEY: &str = "question";

/// What stands in the client's result for a question of a server that waits.
fn question(question: &Question) -> (String, Value) {
    let mut request = json!({ "method": question.method });
    if !question.params.is_null() {
        request["params"] = question.params.clone();
    }
    (KEY.to_owned(), request)
}

impl Gateway {
    /// Holds a request whose server asked something. The number under which it is held; nothing where too many are.
    fn hold(&self, question: Question, out: Out) -> Option<String> {
        let mut all = self.held.all.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= HELD_MAX {
            return None;
        }
        let id = Uuid::now_v7().to_string();
        let (held, key) = (Arc::downgrade(&self.held), id.clone());
        // tracked: aborted with what it limits, or when the gateway goes.
        let limit = tokio::spawn(async move {
            tokio::time::sleep(HELD_FOR).await;
            let late = held.upgrade().and_then(|held| held.take(&key));
            drop(late);
        });
        let waiting = Waiting { out, question, _limit: AbortOnDropHandle::new(limit) };
        all.insert(id.clone(), waiting);
        Some(id)
    }

    /// Puts a question of a server to a modern client, and holds the request that `request` is bound to; nothing where too many
    /// are held.
    pub(super) fn put(
        &self,
        asked: &Asked,
        request: &str,
        asks: Question,
        out: Out,
    ) -> Result<Option<Outcome>, Fault> {
        let (key, shown) = question(&asks);
        let Some(id) = self.hold(asks, out) else { return Ok(None) };
        let state = self.seal(asked, request, &At::Held { id }.alone())?;
        Ok(Some(Outcome::NeedsInput { requests: Map::from_iter([(key, shown)]), state }))
    }

    /// Takes a held request up again, with what its client answers.
    pub(super) fn resume(&self, id: &str, asked: &Asked) -> Option<Out> {
        let Waiting { out, question, .. } = self.held.take(id)?;
        let answer = asked.input.responses.get(KEY).cloned();
        let answer = answer.ok_or_else(|| json!({ "code": -32603, "message": "the client did not answer" }));
        // A server that does not wait any more has ended its request, and that is told next.
        drop(question.answer.send(answer));
        Some(out)
    }
}

impl Held {
    fn take(&self, id: &str) -> Option<Waiting> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }
}

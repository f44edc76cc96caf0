//! Sends what the machine asked for and says what became of it. A failure is an event, never an `Err`.

use crate::call::{self, Permit};
use crate::lease::{Lease, millis};
use crate::{Live, Seen, Station, results, waiting};
use station_core::run::{AskFailure, Event, Prepared, Reading, WaitKind, WaitsOn};
use station_core::{Answer, EffectId, Message, ModelRef, RunId, Trace, budget};
use station_llm::{AskError, Delta, Patience, Repeat, Request};
use station_mcp::Hearer;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// An effect whose id is committed.
pub(crate) enum Started {
    Ask {
        id: EffectId,
        model: ModelRef,
        messages: Vec<Message>,
        /// Most tokens of the answer, where a budget counts on it.
        max_output: Option<u32>,
    },
    Call {
        id: EffectId,
        permit: Box<Permit>,
    },
    Read {
        id: EffectId,
        reading: Box<Reading>,
    },
}

/// What became of an effect, and what happened on the way to it.
pub(crate) struct Performed {
    /// Repetitions of a request to a model.
    pub(crate) before: Vec<Event>,
    pub(crate) end: Event,
}

impl From<Event> for Performed {
    fn from(end: Event) -> Self {
        Self { before: Vec::new(), end }
    }
}

/// Performs one effect of a run.
pub(crate) async fn perform(station: &Station, on: &Seat<'_>, started: Started) -> Performed {
    match started {
        Started::Ask { id, model, messages, max_output } => {
            // A budget made room for one answer.
            let repeat = if max_output.is_some() { Repeat::Unbilled } else { Repeat::Any };
            let mut settings = on.prepared.settings.clone();
            settings.max_output_tokens = max_output.or(settings.max_output_tokens);
            let prepared = on.prepared;
            let request = Request {
                messages: &messages,
                tools: &prepared.tools,
                settings: &settings,
                output_schema: prepared.output_schema.as_ref(),
                repeat,
                trace: on.trace.map(|trace| trace.at(id.0)),
            };
            let tell = |text: String| on.tell(station, Seen::Text(text));
            let asking = Asking { model: &model, request, prepared, patience: on.patience, tell: &tell };
            ask(station, on, id, &asking).await.into()
        }
        Started::Call { id, permit } => {
            let may_send = || {
                on.lease.check()?;
                on.written.note(id);
                Ok(on.lease.fence())
            };
            call::send(station, (*permit, on.lender), id, &may_send).await.into()
        }
        Started::Read { id, reading } => results::read(station, id, &reading).await.into(),
    }
}

/// The run for which effects are performed, as watchers are told of it.
pub(crate) struct Seat<'a> {
    pub(crate) run: RunId,
    pub(crate) depth: u32,
    pub(crate) agent: &'a str,
    pub(crate) prepared: &'a Prepared,
    pub(crate) trace: Option<Trace>,
    pub(crate) lease: &'a Lease,
    pub(crate) written: &'a Written,
    /// Hears servers ask for a model.
    pub(crate) lender: &'a Hearer,
    /// How long one model is waited for before the next of the list is asked.
    pub(crate) patience: Patience,
}

impl Seat<'_> {
    /// Tells who watches about something that is not kept.
    fn tell(&self, station: &Station, seen: Seen) {
        station.bus().tell(Live { run: self.run, depth: self.depth, agent: self.agent.to_owned(), seen });
    }
}

/// Calls that were given to a connection: of these alone the outcome can be unknown. Until then a call waits for a process,
/// for its server to start, or for its turn there.
#[derive(Debug, Default)]
pub(crate) struct Written(Mutex<BTreeSet<EffectId>>);

impl Written {
    fn note(&self, id: EffectId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    pub(crate) fn has(&self, id: EffectId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }
}

/// A request to a model, ready to be sent.
pub(crate) struct Asking<'a> {
    pub(crate) model: &'a ModelRef,
    pub(crate) request: Request<'a>,
    /// What it is estimated by, beside its messages.
    pub(crate) prepared: &'a Prepared,
    pub(crate) patience: Patience,
    /// Hears the answer while it is written.
    pub(crate) tell: &'a (dyn Fn(String) + Send + Sync),
}

/// What became of a request to a model.
pub(crate) struct Replied {
    pub(crate) id: EffectId,
    /// Its repetitions.
    pub(crate) before: Vec<Event>,
    pub(crate) answer: Result<Answer, AskError>,
    pub(crate) ms: u64,
}

impl From<Replied> for Performed {
    fn from(Replied { id, before, answer, ms }: Replied) -> Self {
        let end = match answer {
            Ok(answer) => Event::Answered { id, answer, ms },
            Err(AskError { failure, sentence, hint }) => Event::AskFailed { id, failure, sentence, hint, ms },
        };
        Self { before, end }
    }
}

/// Asks a model.
pub(crate) async fn ask(station: &Station, on: &Seat<'_>, id: EffectId, asking: &Asking<'_>) -> Replied {
    let (model, request) = (asking.model, &asking.request);
    let (retries, heard) = watch::channel(None);
    let repeated = Mutex::new(Vec::new());
    let tell = |delta: Delta| match delta {
        Delta::Text(text) => (asking.tell)(text),
        Delta::Retry { attempt, after, failure, reason } => {
            retries.send_replace(Some((failure, after)));
            let (sentence, wait_ms) = (reason.clone(), millis(after));
            let event = Event::AskRetried { id, attempt, failure, sentence, wait_ms };
            repeated.lock().expect("no holder of this lock can panic").push(event);
            on.tell(station, Seen::Retry { attempt, after, reason });
        }
    };
    let turn = || {
        let limits = &station.config().rate_limits;
        let usage = budget::estimate(request.messages, asking.prepared);
        station.rates().request(limits, model, &usage, station.since_boot())
    };
    let started = Instant::now();
    let answer = tokio::select! {
        biased;
        answer = station.models().ask_within(model, request, asking.patience, &turn, &tell) => answer,
        never = note_retries(station, on, model, heard) => match never {},
    };
    let ms = millis(started.elapsed());
    let before = std::mem::take(&mut *repeated.lock().expect("no holder of this lock can panic"));
    Replied { id, before, answer, ms }
}

/// A wait shorter than this is over before anybody looks: it is worth no write.
const NOTED_FROM: Duration = Duration::from_secs(1);

/// Says on the run's row that a request waits to be sent again, and that it was.
async fn note_retries(
    station: &Station,
    on: &Seat<'_>,
    model: &ModelRef,
    mut heard: watch::Receiver<Option<(AskFailure, Duration)>>,
) -> Infallible {
    loop {
        // `ask` holds the sender for as long as this is waited for.
        heard.changed().await.expect("the sender outlives the request");
        let Some((failure, after)) = *heard.borrow_and_update() else { continue };
        if after < NOTED_FROM {
            continue;
        }
        let other = match failure {
            AskFailure::RateLimited => {
                WaitsOn::new(WaitKind::Rate, format!("the rate limit of model {model}"))
            }
            _ => WaitsOn::new(WaitKind::Model, format!("another try of model {model}")),
        };
        note(station, on, &other).await;
        tokio::time::sleep(after).await;
        note(station, on, &waiting::of_model(model)).await;
    }
}

async fn note(station: &Station, on: &Seat<'_>, other: &WaitsOn) {
    if let Err(error) = station.store().note_waiting(on.run, on.lease.fence(), other, station.now()).await {
        tracing::debug!(run = %on.run, %error, "what the run waits for was not noted");
    }
}

//! Sends what the machine asked for and says what became of it. A failure is an event, never an `Err`.

use crate::call::{self, Permit};
use crate::lease::{Lease, millis};
use crate::{Live, Seen, Station};
use station_core::run::Event;
use station_core::{EffectId, Message, ModelRef, RunId};
use station_llm::{Delta, Request};
use std::time::Instant;

/// An effect whose id is committed.
pub(crate) enum Started {
    Ask { id: EffectId, model: ModelRef, messages: Vec<Message> },
    Call { id: EffectId, permit: Box<Permit> },
}

/// Performs one effect of a run.
pub(crate) async fn perform(station: &Station, on: &Seat<'_>, started: Started) -> Event {
    match started {
        Started::Ask { id, model, messages } => ask(station, on, id, &model, &messages).await,
        Started::Call { id, permit } => call::send(station, *permit, id, on.lease).await,
    }
}

/// The run for which effects are performed, as watchers are told of it.
pub(crate) struct Seat<'a> {
    pub(crate) run: RunId,
    pub(crate) depth: u32,
    pub(crate) agent: &'a str,
    pub(crate) prepared: &'a station_core::run::Prepared,
    pub(crate) lease: &'a Lease,
}

async fn ask(
    station: &Station,
    on: &Seat<'_>,
    id: EffectId,
    model: &ModelRef,
    messages: &[Message],
) -> Event {
    let prepared = on.prepared;
    let request = Request {
        messages,
        tools: &prepared.tools,
        settings: &prepared.settings,
        output_schema: prepared.output_schema.as_ref(),
    };
    let tell = |delta: Delta| {
        let seen = match delta {
            Delta::Text(text) => Seen::Text(text),
            Delta::Retry { attempt, after, reason } => Seen::Retry { attempt, after, reason },
        };
        station.bus().tell(Live { run: on.run, depth: on.depth, agent: on.agent.to_owned(), seen });
    };
    let started = Instant::now();
    let answer = station.models().ask(model, &request, &tell).await;
    let ms = millis(started.elapsed());
    match answer {
        Ok(answer) => Event::Answered { id, answer, ms },
        Err(error) => {
            Event::AskFailed { id, failure: error.failure, sentence: error.sentence, hint: error.hint, ms }
        }
    }
}

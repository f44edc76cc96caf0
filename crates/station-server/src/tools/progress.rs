//! How far a run is, told to a client that asked to know: one line per thing that a person would want to see.

use station_core::RunId;
use station_core::run::{Effect, Event};
use station_engine::{Seen, Watch};
use station_mcp::serve::Asked;
use std::convert::Infallible;

/// Tells what happens in `run` while it is polled; without a watch it waits for ever.
pub(super) async fn tell(asked: &Asked, watch: Option<Watch>, run: RunId) -> Infallible {
    let Some(mut watch) = watch else { return std::future::pending().await };
    loop {
        match watch.next().await {
            Some(Ok(live)) if live.run == run => {
                if let Some(line) = line(&live.seen) {
                    asked.tell(&line).await;
                }
            }
            // Of another run, or missed because there was too much: the next one says how far it is.
            Some(_) => {}
            None => return std::future::pending().await,
        }
    }
}

fn line(seen: &Seen) -> Option<String> {
    match seen {
        Seen::Journal(entry) => of_event(&entry.event),
        Seen::Retry { attempt, reason, .. } => Some(format!("asking again (retry {attempt}): {reason}")),
        Seen::Hands(words) => Some(words.clone()),
        Seen::Paced { on, wait } => Some(format!("waits {} s for {on}", wait.as_secs())),
        Seen::Text(_) | Seen::Discovery { .. } => None,
    }
}

fn of_event(event: &Event) -> Option<String> {
    match event {
        Event::EffectStarted { effect, .. } => Some(match effect {
            Effect::Ask { model, .. } => format!("asking {model}"),
            Effect::Call { server, tool, .. } => format!("calling {server}/{tool}"),
            Effect::Verify { server, tool, .. } => {
                format!("looking with {server}/{tool} what became of a call")
            }
            Effect::Spawn { name, .. } => format!("agent {name} is working"),
            Effect::Sample { server, tool, model, .. } => format!("asking {model} for {server}/{tool}"),
        }),
        Event::EffectPlanned { server, tool, .. } => {
            Some(format!("{server}/{tool} waits for a person's approval"))
        }
        Event::AskFailed { sentence, .. } | Event::BudgetReached { sentence, .. } => Some(sentence.clone()),
        Event::ModelSwitched { to_model, reason, .. } => Some(format!("going on with {to_model}: {reason}")),
        _ => None,
    }
}

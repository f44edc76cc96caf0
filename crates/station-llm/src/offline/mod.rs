//! The built-in model without network: a planner made of rules, for first steps, demos and air-gapped checks.
//!
//! It is an ordinary provider. From the request alone it sees what the task names, ranks the tools it may call, fills
//! their arguments by schema, and answers from what they returned; the run knows nothing of it. It understands
//! nothing: it says so in every answer. It calls only tools whose `offline` mark allows it (the engine's decision).
//!
//! - `scene` reads the request, `named` the task's paths, numbers and quotations.
//! - `plan` says what to call next: sub-agents, then `files` (list, then read), then whatever ranks best; `fill`
//!   writes the arguments.
//! - `findings` makes sense of a text, `report` writes the answer, `shape` one that fits a schema.
//!
//! **Invariant:** same request, same answer: no clock, no chance, no state.

mod files;
mod fill;
mod findings;
mod named;
mod plan;
mod report;
mod scene;
mod shape;

use crate::Request;
use crate::choose::OFFLINE;
use station_core::{Answer, Message, Stop, ToolCall, Usage};

/// The last line of every answer that is text.
pub(crate) const SIGNATURE: &str = "— answered by Station's offline model: rules, not a language model";

/// The next turn of the conversation in `request`.
pub(crate) fn answer(request: &Request<'_>) -> Answer {
    let scene = scene::read(request);
    let calls: Vec<ToolCall> = plan::next(&scene)
        .into_iter()
        .enumerate()
        .map(|(at, call)| ToolCall {
            id: format!("offline_{}_{at}", scene.turns),
            name: call.tool.to_owned(),
            arguments: call.arguments.to_string(),
        })
        .collect();
    let text = match request.output_schema {
        _ if !calls.is_empty() => String::new(),
        Some(schema) => shape::answer(&scene, schema),
        None => format!("{}\n\n{SIGNATURE}", report::text(&scene)),
    };
    let usage = Usage {
        input: request.messages.iter().map(words_of).sum(),
        output: words(&text) + calls.iter().map(|call| 1 + words(&call.arguments)).sum::<u64>(),
        ..Usage::default()
    };
    Answer { text, calls, thinking: None, stop: Stop::End, usage, model: OFFLINE.to_owned() }
}

/// There are no tokens here; words are near enough to show that long conversations cost more.
fn words(text: &str) -> u64 {
    u64::try_from(text.split_whitespace().count()).unwrap_or(u64::MAX)
}

fn words_of(message: &Message) -> u64 {
    match message {
        Message::System { text } | Message::User { text } | Message::Tool { text, .. } => words(text),
        Message::Assistant { text, calls, .. } => {
            words(text) + calls.iter().map(|call| 1 + words(&call.arguments)).sum::<u64>()
        }
    }
}

#[cfg(test)]
mod tests;

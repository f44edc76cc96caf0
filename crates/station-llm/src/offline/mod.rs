//! The built-in model without network: a planner made of rules, for first steps, demos and air-gapped checks.
//!
//! An ordinary provider: the run knows nothing of it. It understands nothing, and says so in every answer. It calls only
//! tools whose `offline` mark allows it (the engine's decision). `scene` reads the request and the *facts* in it, which
//! are what the task names and which paths results list; `plan` chooses calls, `fill` makes what a schema accepts out of
//! facts, `answer` tells what came back.
//! **Invariant:** same request, same answer: no clock, no chance, no state.

mod answer;
mod fill;
mod plan;
mod scene;

use crate::Request;
use crate::choose::OFFLINE;
use station_core::{Answer, Stop, ToolCall, Usage};

/// The last line of every answer that is text.
pub(crate) const SIGNATURE: &str = "— answered by Station's offline model: rules, not a language model";

/// The next turn of the conversation in `request`.
pub(crate) fn answer(request: &Request<'_>) -> Answer {
    let scene = scene::read(request);
    let calls = plan::next(&scene).into_iter().enumerate().map(|(at, (tool, arguments))| ToolCall {
        id: format!("offline_{}_{at}", scene.turns),
        name: tool.spec.name.clone(),
        arguments: arguments.to_string(),
    });
    let calls: Vec<ToolCall> = calls.collect();
    let text = match request.output_schema {
        _ if !calls.is_empty() => String::new(),
        Some(schema) => answer::fitting(&scene, schema),
        None => answer::text(&scene),
    };
    // There are no tokens here; words are near enough to show that long conversations cost more.
    let words = |text: &str| u64::try_from(text.split_whitespace().count()).unwrap_or(u64::MAX);
    let input = request.messages.iter().map(|message| words(&format!("{message:?}")));
    let output = words(&text) + calls.iter().map(|call| 1 + words(&call.arguments)).sum::<u64>();
    let usage = Usage { input: input.sum(), output, ..Usage::default() };
    Answer { text, calls, thinking: None, stop: Stop::End, usage, model: OFFLINE.to_owned() }
}

#[cfg(test)]
mod tests;

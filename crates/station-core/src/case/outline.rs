//! A run as lines that can be compared: which tools were called with what, in order, and how it ended.

use super::{Call, CallEnd, Case, Step};
use crate::run::{Failure, MadeEnd, Outcome, Taken, Target};
use crate::tool::canonical_json;
use serde_json::Value;

/// A line: what is compared, and what is told besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub(super) compared: String,
    pub(super) besides: String,
}

fn line(compared: impl Into<String>) -> Told {
    Told { compared: compared.into(), besides: String::new() }
}

/// The lines of a case.
#[must_use]
pub fn outline(case: &Case) -> Vec<Told> {
    steps(&case.steps, case.outcome.as_ref())
}

/// The lines of a run's steps.
pub(super) fn of_taken(taken: &[Taken], outcome: Option<&Outcome>) -> Vec<Told> {
    let recorded: Vec<Step> = taken.iter().map(step).collect();
    steps(&recorded, outcome)
}

/// A step as it is recorded, with what the model was told for a result.
#[must_use]
pub fn step(taken: &Taken) -> Step {
    let call = |made: &crate::run::Made| {
        let (server, tool) = match &made.target {
            Some(Target::Tool { server_name, tool, .. }) => (server_name.clone(), tool.clone()),
            Some(Target::Agent { name, .. }) => (String::new(), name.clone()),
            Some(Target::Own { tool }) => (crate::run::OwnTool::SERVER.to_owned(), tool.name().to_owned()),
            None => (String::new(), made.name.clone()),
        };
        let end = match made.end {
            MadeEnd::Returned => CallEnd::Returned,
            MadeEnd::Unknown => CallEnd::Unknown,
            MadeEnd::NotMade | MadeEnd::Open => CallEnd::NotMade,
        };
        Call {
            server,
            tool,
            arguments: made.arguments.clone(),
            end,
            text: made.text.clone(),
            is_error: made.is_error,
        }
    };
    Step { answer: taken.answer.clone(), calls: taken.calls.iter().map(call).collect() }
}

fn steps(steps: &[Step], outcome: Option<&Outcome>) -> Vec<Told> {
    let mut lines = Vec::new();
    for (n, step) in (1..).zip(steps) {
        let what = if step.calls.is_empty() { ": answer" } else { "" };
        lines.push(line(format!("step {n}{what}")));
        lines.extend(step.calls.iter().map(called));
    }
    lines.extend(outcome.map(ended));
    lines
}

fn called(call: &Call) -> Told {
    let name =
        if call.server.is_empty() { call.tool.clone() } else { format!("{}/{}", call.server, call.tool) };
    let arguments = canonical_json(&Value::Object(call.arguments.clone()));
    match call.end {
        CallEnd::Returned | CallEnd::Unknown => line(format!("  {name} {arguments}")),
        CallEnd::NotMade => {
            Told { compared: format!("  not called: {name} {arguments}"), besides: call.text.clone() }
        }
    }
}

fn ended(outcome: &Outcome) -> Told {
    match outcome {
        Outcome::Completed { .. } => line("completed"),
        Outcome::Failed { failure, sentence, .. } => {
            Told { compared: format!("failed: {}", word(*failure)), besides: sentence.clone() }
        }
        Outcome::Cancelled => line("cancelled"),
        Outcome::TimedOut => line("timed out"),
    }
}

fn word(failure: Failure) -> String {
    let word = serde_json::to_value(failure).unwrap_or_default();
    word.as_str().unwrap_or_default().replace('_', " ")
}

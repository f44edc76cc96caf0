//! Whether a replay did what was recorded, and what was different.

use super::outline::{Told, of_taken, outline};
use super::{Case, ToolKind};
use crate::run::{Inputs, Outcome, Prepared, Taken};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::BTreeSet;

/// What came of a replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the same calls happened in the same order, and the run ended alike.
    pub passed: bool,
    /// Both, side by side; all are `Side::Both` where it passed.
    pub lines: Vec<Line>,
    /// What has changed since and made no difference here: prompt, tools, settings.
    pub notes: Vec<String>,
}

/// A line of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it is.
    pub side: Side,
    /// What it says.
    pub text: String,
}

/// Where a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// In the record and in the replay.
    Both,
    /// In the record alone.
    Recorded,
    /// In the replay alone.
    Replayed,
}

/// A replay that has ended, or got as far as it could.
#[derive(Clone, Copy, Debug)]
pub struct Replayed<'a> {
    /// Its inputs.
    pub inputs: &'a Inputs,
    /// The bodies behind them.
    pub prepared: &'a Prepared,
    /// What it did.
    pub steps: &'a [Taken],
    /// How it ended.
    pub outcome: Option<&'a Outcome>,
    /// What the model was last told, where it was asked more often than was recorded.
    pub asked_beyond: Option<&'a str>,
}

/// Compares a replay with its case.
#[must_use]
pub fn judge(case: &Case, replayed: &Replayed<'_>) -> Verdict {
    let recorded = outline(case);
    let ended = if is_whole(case) { replayed.outcome } else { None };
    let mut now = of_taken(replayed.steps, ended);
    if let (Some(told), Some(last)) = (replayed.asked_beyond, now.last_mut())
        && ended.is_some()
    {
        last.besides = format!("the record ends here, and the model is asked again: {told}");
    }
    let recorded = if is_whole(case) { recorded } else { without_end(case) };
    let lines = side_by_side(&recorded, &now);
    let passed = lines.iter().all(|line| line.side == Side::Both);
    Verdict { passed, lines, notes: notes(case, replayed) }
}

/// Whether the record has an end that the agent reached by itself; where somebody stopped it, it has none.
fn is_whole(case: &Case) -> bool {
    matches!(case.outcome, Some(Outcome::Completed { .. } | Outcome::Failed { .. }))
}

fn without_end(case: &Case) -> Vec<Told> {
    let mut open = case.clone();
    open.outcome = None;
    outline(&open)
}

fn side_by_side(recorded: &[Told], now: &[Told]) -> Vec<Line> {
    let keys = |told: &[Told]| -> Vec<String> { told.iter().map(|it| it.compared.clone()).collect() };
    let (old, new) = (keys(recorded), keys(now));
    let mut lines = Vec::new();
    let mut push = |side: Side, told: &Told| {
        let besides = match side {
            Side::Both => String::new(),
            Side::Recorded | Side::Replayed if told.besides.is_empty() => String::new(),
            Side::Recorded | Side::Replayed => {
                format!("  ({})", told.besides.split_whitespace().collect::<Vec<_>>().join(" "))
            }
        };
        lines.push(Line { side, text: format!("{}{besides}", told.compared) });
    };
    for op in capture_diff_slices(Algorithm::Myers, &old, &new) {
        match op {
            DiffOp::Equal { new_index, len, .. } => {
                now[new_index..new_index + len].iter().for_each(|told| push(Side::Both, told));
            }
            DiffOp::Delete { old_index, old_len, .. } => {
                recorded[old_index..old_index + old_len].iter().for_each(|told| push(Side::Recorded, told));
            }
            DiffOp::Insert { new_index, new_len, .. } => {
                now[new_index..new_index + new_len].iter().for_each(|told| push(Side::Replayed, told));
            }
            DiffOp::Replace { old_index, old_len, new_index, new_len } => {
                recorded[old_index..old_index + old_len].iter().for_each(|told| push(Side::Recorded, told));
                now[new_index..new_index + new_len].iter().for_each(|told| push(Side::Replayed, told));
            }
        }
    }
    lines
}

fn notes(case: &Case, replayed: &Replayed<'_>) -> Vec<String> {
    let (inputs, prepared) = (replayed.inputs, replayed.prepared);
    let mut notes = Vec::new();
    if case.inputs.system != prepared.system || case.inputs.opening != inputs.opening {
        notes.push("the prompt has changed since: the model's answers are those to the old one".to_owned());
    }
    if case.inputs.settings != prepared.settings {
        notes.push("the model settings have changed since".to_owned());
    }
    if case.inputs.output_schema != prepared.output_schema {
        notes.push("the output schema has changed since".to_owned());
    }
    if case.inputs.steps != inputs.steps.steps {
        notes.push(format!("the limit of steps was {} and is {}", case.inputs.steps, inputs.steps.steps));
    }
    let offered: BTreeSet<&str> = prepared.tools.iter().map(|tool| tool.spec.name.as_str()).collect();
    let was = case.tools.iter().filter(|tool| tool.kind != ToolKind::Own).map(|tool| tool.name.as_str());
    let gone: Vec<&str> = was.filter(|name| !offered.contains(name)).collect();
    if !gone.is_empty() {
        notes.push(format!("not offered any more: `{}`", gone.join("`, `")));
    }
    notes
}

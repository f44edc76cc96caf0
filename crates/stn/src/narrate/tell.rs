//! Events of runs, told line by line.

use super::measure::{cut, cut_lines, duration, moment, size, tokens};
use crate::out::Tone;
use station_core::run::fork::ForkedFrom;
use station_core::run::{
    AskFailure, Compaction, CompactionReason, Effect, Entry, Event, Inputs, Outcome, Status, Whole, Why,
};
use station_core::{Answer, EffectId, Image, Message, RunId, ToolCall, plural, sampling};
use std::collections::HashMap;

/// How much of arguments and results is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// One line per event: while it happens.
    Brief,
    /// A few lines of each text.
    Some,
    /// Everything.
    Full,
}

/// A line and how it is meant; `depth` says how far it is set in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) tone: Tone,
    pub(crate) depth: usize,
    pub(crate) text: String,
}

/// Tells the entries of one run, in order.
#[derive(Debug)]
pub(crate) struct Narrator {
    run: RunId,
    detail: Detail,
    turn: u32,
    started: bool,
    calls: Vec<ToolCall>,
    out: HashMap<EffectId, Out>,
}

/// Something that was sent and has not come back.
#[derive(Debug)]
struct Out {
    name: String,
    /// What becomes of it when its driver goes away.
    if_lost: Lost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    AskedAgain,
    SentAgain,
    LookedUp,
    Unknown,
    Joined,
    /// It was not sent yet: a person is asked first.
    Waits,
    /// Whoever wanted it asks anew.
    Dropped,
}

impl Out {
    /// What to say of it when its driver went away; nothing of a sub-agent, which goes on by itself.
    fn if_lost(&self) -> Option<String> {
        let fate = match self.if_lost {
            Lost::AskedAgain => "it is asked again",
            Lost::SentAgain => "it may be repeated and is sent again",
            Lost::LookedUp => "its outcome is unknown, and is looked up",
            Lost::Unknown => "its outcome is unknown, and it is not sent again by itself",
            Lost::Dropped => "it is not asked again by itself",
            Lost::Joined | Lost::Waits => return None,
        };
        Some(format!("{} was out: {fate}", self.name))
    }
}

impl Narrator {
    pub(crate) fn new(run: RunId, detail: Detail) -> Self {
        Self { run, detail, turn: 0, started: false, calls: Vec::new(), out: HashMap::new() }
    }

    /// What is out and has not come back, in words.
    pub(crate) fn still_out(&self) -> Vec<String> {
        let sent = self.out.values().filter(|out| out.if_lost != Lost::Waits);
        let mut names: Vec<String> = sent.map(|out| out.name.clone()).collect();
        names.sort();
        names
    }

    /// The lines of one entry.
    pub(crate) fn entry(&mut self, entry: &Entry) -> Vec<Line> {
        match &entry.event {
            Event::Adopted { worker, .. } => self.adopted(worker),
            Event::RunStarted(inputs) => self.begun(inputs),
            Event::EffectStarted { id, effect } => self.sent(*id, effect),
            Event::Answered { id, answer, ms } => {
                self.out.remove(id);
                self.answered(answer, *ms)
            }
            Event::AskFailed { id, failure, sentence, ms, .. } => {
                self.out.remove(id);
                vec![bad(format!(
                    "model failed after {} ({}): {sentence}",
                    duration(*ms),
                    failure_word(*failure)
                ))]
            }
            Event::AskRetried { attempt, failure, sentence, wait_ms, .. } => {
                self.retried(*attempt, *failure, sentence, *wait_ms)
            }
            Event::Sampled { .. } | Event::SampleFailed { .. } | Event::SampleRefused { .. } => {
                self.lent(&entry.event)
            }
            Event::ModelSwitched { from_model, to_model, reason, .. } => {
                vec![bad(format!("switched from {from_model} to {to_model}: {reason}"))]
            }
            Event::Compacted(compaction) => self.compacted(compaction),
            Event::Returned { id, text, is_error, cut_bytes, whole, images, ms, .. } => {
                let name = self.name(*id);
                let length = length(text, *cut_bytes, whole.as_ref()).with(images);
                self.returned(&name, text, *is_error, &length, *ms)
            }
            Event::Refused { slot, sentence } => self.refused(*slot, sentence),
            Event::OutcomeUnknown { id, why, sentence, ms } => {
                let name = self.name(*id);
                self.unknown(&name, *why, sentence, *ms)
            }
            Event::NotSent { id, sentence, ms } => vec![self.not_sent(*id, sentence, *ms)],
            Event::EffectPlanned { id, slot, server, tool, basis } => self.planned(
                *id,
                *slot,
                tool,
                format!("? {server}/{tool} waits for an approval ({})", basis.rule),
            ),
            Event::EffectApproved { id, by } => {
                vec![plain(format!("{} was approved by {by}", self.name(*id)))]
            }
            Event::EffectDenied { id, by, reason } => vec![self.denied(*id, by.as_deref(), reason)],
            Event::ApprovalVoided { sentence, .. } => vec![bad(sentence.clone())],
            Event::EffectSettled { done, by, note, .. } => {
                let what = if *done { "took effect" } else { "did not take effect, and is sent again" };
                let note = if note.is_empty() { String::new() } else { format!(": {note}") };
                vec![plain(format!("settled by {by}: the call {what}{note}"))]
            }
            Event::ChildEnded { id, run, status, text, ms, .. } => {
                let name = self.name(*id);
                self.child(&name, *run, *status, text, *ms)
            }
            Event::BudgetReserved { .. }
            | Event::BudgetSettled { .. }
            | Event::BudgetReached { .. }
            | Event::BudgetRaised { .. } => self.budget(&entry.event),
            Event::CancelRequested { by } => vec![bad(format!("asked to stop by {by}"))],
            Event::DeadlinePassed => vec![bad("its time is over".to_owned())],
            Event::RunEnded { outcome } => self.ended(outcome),
        }
    }

    fn refused(&self, slot: usize, sentence: &str) -> Vec<Line> {
        let call = self.calls.get(slot);
        let name = call.map_or("a tool", |call| call.name.as_str());
        let text = format!("x {name} was not called: {sentence}");
        match call.map(|call| call.arguments.as_str()) {
            None | Some("" | "{}") => vec![bad(text)],
            Some(arguments) => self.with_text(bad(format!("{text}; it was to be given")), "", arguments),
        }
    }

    /// While it happens a retry is told when its wait begins.
    fn retried(&self, attempt: u32, failure: AskFailure, sentence: &str, wait_ms: u64) -> Vec<Line> {
        if self.detail == Detail::Brief {
            return Vec::new();
        }
        let (wait, word) = (duration(wait_ms), failure_word(failure));
        vec![bad(format!("model asked again after {wait} (attempt {attempt}, {word}): {sentence}"))]
    }

    fn budget(&self, event: &Event) -> Vec<Line> {
        match event {
            Event::BudgetReserved { amounts, .. } => self.full(format!("reserved {}", amounts.shown())),
            Event::BudgetSettled { spent, lost: false, .. } => self.full(format!("spent {}", spent.shown())),
            Event::BudgetSettled { spent, lost: true, .. } => {
                vec![quiet(format!("spent {}: all that was reserved, as no answer was seen", spent.shown()))]
            }
            Event::BudgetReached { sentence, until, .. } => {
                let until = until.map(|at| format!("; it goes on at {} UTC", moment(at))).unwrap_or_default();
                vec![bad(format!("waits for {sentence}{until}"))]
            }
            Event::BudgetRaised { by, added } => vec![plain(format!("{} added by {by}", added.shown()))],
            _ => Vec::new(),
        }
    }

    /// What only who wants to see everything is told.
    fn full(&self, text: String) -> Vec<Line> {
        if self.detail == Detail::Full { vec![quiet(text)] } else { Vec::new() }
    }

    fn denied(&mut self, id: EffectId, by: Option<&str>, reason: &str) -> Line {
        let name = self.name(id);
        bad(match by {
            Some(by) if reason.is_empty() => format!("x {name} was denied by {by}"),
            Some(by) => format!("x {name} was denied by {by}: {reason}"),
            None => format!("x {name} was not approved in time"),
        })
    }

    fn planned(&mut self, id: EffectId, slot: usize, tool: &str, text: String) -> Vec<Line> {
        self.out.insert(id, Out { name: tool.to_owned(), if_lost: Lost::Waits });
        let arguments = self.calls.get(slot).map(|call| call.arguments.clone()).unwrap_or_default();
        self.with_text(bad(text), "", &arguments)
    }

    fn adopted(&mut self, worker: &str) -> Vec<Line> {
        // Model requests and calls that were out then are asked again or unknown from here on; a sub-agent goes on.
        let mut lost: Vec<String> = self.out.values().filter_map(Out::if_lost).collect();
        lost.sort();
        self.out.retain(|_, out| matches!(out.if_lost, Lost::Joined | Lost::Waits));
        let n_agents = self.out.len();
        if self.started && !lost.is_empty() {
            let mut lines = vec![bad(format!("interrupted; taken up again by {worker}"))];
            lines.extend(lost.into_iter().map(bad));
            return lines;
        }
        match self.detail {
            // A parent lets go of its run while its sub-agents work.
            _ if n_agents > 0 => Vec::new(),
            Detail::Brief if !self.started => Vec::new(),
            _ => vec![quiet(format!("taken up by {worker}"))],
        }
    }

    fn begun(&mut self, inputs: &Inputs) -> Vec<Line> {
        self.started = true;
        let models: Vec<String> = inputs.models.iter().map(|choice| choice.model.to_string()).collect();
        let text = format!(
            "run {} of `{}` in `{}`: model {}, at most {} ({})",
            self.run,
            inputs.agent,
            inputs.environment,
            models.join(", then "),
            plural(inputs.steps.steps, "step"),
            inputs.steps.reason,
        );
        let mut lines = vec![plain(text)];
        if let Some(ForkedFrom { run, step }) = inputs.forked_from {
            lines
                .push(plain(format!("a fork of run {run} after step {step}: what stands before is history")));
        }
        lines.extend(inputs.warnings.iter().map(|warning| bad(format!("warning: {warning}"))));
        lines
    }

    fn sent(&mut self, id: EffectId, effect: &Effect) -> Vec<Line> {
        match effect {
            Effect::Ask { model, .. } => {
                self.out.insert(id, Out { name: format!("model {model}"), if_lost: Lost::AskedAgain });
                Vec::new()
            }
            Effect::Verify { server, tool, .. } => {
                self.out.insert(id, Out { name: tool.clone(), if_lost: Lost::SentAgain });
                vec![plain(format!("-> {server}/{tool} looks whether the lost call took effect"))]
            }
            Effect::Call { slot, server, tool, attempt, repeatable, look, .. } => {
                let if_lost = match (*repeatable, look) {
                    (true, _) => Lost::SentAgain,
                    (false, Some(_)) => Lost::LookedUp,
                    (false, None) => Lost::Unknown,
                };
                self.out.insert(id, Out { name: tool.clone(), if_lost });
                let again =
                    if *attempt > 1 { format!(" (sent again, attempt {attempt})") } else { String::new() };
                let arguments = self.calls.get(*slot).map(|call| call.arguments.clone()).unwrap_or_default();
                self.with_text(plain(format!("-> {server}/{tool}{again}")), "", &arguments)
            }
            Effect::Spawn { name, task, .. } => {
                self.out.insert(id, Out { name: format!("agent {name}"), if_lost: Lost::Joined });
                self.with_text(plain(format!("-> agent {name}")), ":", task)
            }
            Effect::Sample { server, tool, model, asked, .. } => {
                let name = format!("model {model} for {server}/{tool}");
                let head = plain(format!("-> {name}"));
                self.out.insert(id, Out { name, if_lost: Lost::Dropped });
                let said: Vec<String> = asked.conversation().iter().map(said).collect();
                self.with_text(head, ":", &said.join("\n"))
            }
        }
    }

    /// What became of a server's request for a model.
    fn lent(&mut self, event: &Event) -> Vec<Line> {
        match event {
            Event::Sampled { id, answer, ms } => {
                let head = plain(format!("<- {} ({})", self.name(*id), facts(answer, *ms)));
                self.with_text(head, ":", &answer.text)
            }
            Event::SampleFailed { id, failure, sentence, ms } => {
                let word = failure.map(|failure| format!(" ({})", failure_word(failure)));
                let (name, after) = (self.name(*id), duration(*ms));
                vec![bad(format!("<- {name} failed after {after}{}: {sentence}", word.unwrap_or_default()))]
            }
            Event::SampleRefused { of, sentence } => {
                let tool = self.out.get(of).map_or("a tool", |out| out.name.as_str());
                vec![bad(format!("x the server of {tool} asked for a model and got none: {sentence}"))]
            }
            _ => Vec::new(),
        }
    }

    fn answered(&mut self, answer: &Answer, ms: u64) -> Vec<Line> {
        // As the run counts its steps: what was asked in vain is none.
        self.turn += 1;
        self.calls.clone_from(&answer.calls);
        let what = match answer.calls.len() {
            0 => "answer".to_owned(),
            n => plural(n, "call"),
        };
        let head = plain(format!("turn {}: {what} ({})", self.turn, facts(answer, ms)));
        let text = answer.text.trim();
        // The answer itself is printed when the run has ended.
        if text.is_empty() || answer.calls.is_empty() { vec![head] } else { self.with_text(head, ":", text) }
    }

    fn returned(&self, name: &str, text: &str, is_error: bool, length: &Length, ms: u64) -> Vec<Line> {
        let (span, Length { bytes, more }) = (duration(ms), length);
        if is_error {
            return self.with_text(bad(format!("<- {name} failed in {span}{more}")), ":", text);
        }
        let head = plain(format!("<- {name}: {bytes} in {span}{more}"));
        match self.detail {
            Detail::Brief => vec![head],
            Detail::Some | Detail::Full => self.with_text(head, ":", text),
        }
    }

    fn compacted(&self, compaction: &Compaction) -> Vec<Line> {
        let why = match (compaction.reason, compaction.window) {
            (CompactionReason::Overflow, _) => "it was refused as too long".to_owned(),
            (CompactionReason::Window, Some(window)) => format!("the model reads {window}"),
            (CompactionReason::Window, None) => "it grew too long".to_owned(),
        };
        let mut done = Vec::new();
        if compaction.left_out_through > compaction.summed_up_through {
            done.push(format!("results of turns up to {} left out", compaction.left_out_through));
        }
        if compaction.summed_up_through > 0 {
            done.push(format!("turns up to {} summed up", compaction.summed_up_through));
        }
        if let Some(cut) = compaction.cut {
            done.push(format!("results of turns up to {} cut to {} each", cut.through, size(cut.bytes_max)));
        }
        let (before, after) = (compaction.tokens_before, compaction.tokens_after);
        let head = quiet(format!(
            "conversation shortened from about {before} to {after} tokens ({why}): {}",
            done.join(", ")
        ));
        match (self.detail, &compaction.summary) {
            (Detail::Some | Detail::Full, Some(summary)) => self.with_text(head, ":", summary),
            (Detail::Brief, _) | (_, None) => vec![head],
        }
    }

    fn not_sent(&mut self, id: EffectId, sentence: &str, ms: u64) -> Line {
        plain(format!("{} was not sent within {}: {sentence}", self.name(id), duration(ms)))
    }

    fn unknown(&self, name: &str, why: Why, sentence: &str, ms: u64) -> Vec<Line> {
        let reason = match why {
            Why::Interrupted => "Station went away while it was out",
            Why::TimedOut => "no answer in time",
            Why::ConnectionLost => "the connection was lost",
            Why::Stopped => "the run was stopped while it was out",
        };
        let head = bad(format!("<- {name}: outcome unknown after {}: {reason}", duration(ms)));
        // Why it was stopped is told by the event before.
        if why == Why::Stopped { vec![head] } else { self.with_text(head, ";", sentence) }
    }

    fn child(&self, name: &str, run: RunId, status: Status, text: &str, ms: u64) -> Vec<Line> {
        let status_word = status.as_str().replace('_', " ");
        let text_line = format!("<- {name} (run {run}) {status_word} in {}", duration(ms));
        let head = if status == Status::Completed { plain(text_line) } else { bad(text_line) };
        match (self.detail, status) {
            (Detail::Brief, Status::Completed) => vec![head],
            _ => self.with_text(head, ":", text),
        }
    }

    fn ended(&self, outcome: &Outcome) -> Vec<Line> {
        match outcome {
            Outcome::Completed { .. } => {
                vec![Line { tone: Tone::Good, depth: 0, text: format!("run {} completed", self.run) }]
            }
            Outcome::Failed { sentence, .. } => vec![bad(format!("run {} failed: {sentence}", self.run))],
            Outcome::Cancelled => vec![bad(format!("run {} was cancelled", self.run))],
            Outcome::TimedOut => vec![bad(format!("run {} took longer than it may", self.run))],
        }
    }

    /// `head` with `text` behind it where that is short, else below it.
    fn with_text(&self, head: Line, between: &str, text: &str) -> Vec<Line> {
        let (lines, chars) = match self.detail {
            Detail::Brief => (1, 120),
            Detail::Some => (6, 160),
            Detail::Full => (usize::MAX, usize::MAX),
        };
        if text.trim().is_empty() || text == "{}" {
            return vec![head];
        }
        if self.detail == Detail::Brief || (!text.trim().contains('\n') && text.chars().count() <= 120) {
            let text = format!("{}{between} {}", head.text, cut(text, chars));
            return vec![Line { text, ..head }];
        }
        let below = cut_lines(text, lines, chars).into_iter().map(|text| Line {
            tone: Tone::Quiet,
            depth: head.depth + 1,
            text,
        });
        std::iter::once(head.clone()).chain(below).collect()
    }

    fn name(&mut self, id: EffectId) -> String {
        self.out.remove(&id).map_or_else(|| "a call".to_owned(), |out| out.name)
    }
}

/// How long a result is, and what of it the model was not told at once.
struct Length {
    bytes: String,
    more: String,
}

impl Length {
    fn with(mut self, images: &[Image]) -> Self {
        if !images.is_empty() {
            self.more += &format!(", {}", plural(images.len(), "image"));
        }
        self
    }
}

/// Who answered, after how long, and what it took.
fn facts(answer: &Answer, ms: u64) -> String {
    let mut facts = vec![answer.model.clone(), duration(ms)];
    facts.extend(tokens(&answer.usage.into()));
    facts.join(", ")
}

fn length(text: &str, cut_bytes: u64, whole: Option<&Whole>) -> Length {
    let told = text.len() as u64;
    let mut more = match whole {
        Some(whole) => format!(", {} of it told, all as {}", size(told), whole.handle),
        None => String::new(),
    };
    if cut_bytes > 0 {
        more += &format!(", {} cut off", size(cut_bytes));
    }
    Length { bytes: size(whole.map_or(told, |whole| whole.bytes)), more }
}

/// A message that a server wants answered; the user's is what most of them are.
fn said(message: &Message) -> String {
    let role = match message {
        Message::System { .. } => "system: ",
        Message::User { .. } | Message::Tool { .. } => "",
        Message::Assistant { .. } => "assistant: ",
    };
    format!("{role}{}", sampling::words(message))
}

fn plain(text: String) -> Line {
    Line { tone: Tone::Plain, depth: 0, text }
}

fn quiet(text: String) -> Line {
    Line { tone: Tone::Quiet, depth: 0, text }
}

fn bad(text: String) -> Line {
    Line { tone: Tone::Bad, depth: 0, text }
}

fn failure_word(failure: AskFailure) -> &'static str {
    match failure {
        AskFailure::RateLimited => "rate limited",
        AskFailure::Unavailable => "unavailable",
        AskFailure::TimedOut => "timed out",
        AskFailure::Truncated => "cut short",
        AskFailure::ContextOverflow => "conversation too long",
        AskFailure::Unreachable => "unreachable",
        AskFailure::BadKey => "bad key",
        AskFailure::Rejected => "rejected",
        AskFailure::Garbled => "garbled",
    }
}

//! Journals that earlier versions wrote fold as they did then: the same state, the same conversation.

use expect_test::expect_file;
use station_core::Message;
use station_core::run::{Entry, Event, Machine, Prepared};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journals")
}

/// Every journal kept, by its path without extensions, in order.
fn journals() -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("the fixtures are there");
        entries.map(|entry| entry.expect("a folder can be listed").path()).collect()
    };
    let versions = list(&folder()).into_iter().filter(|path| path.is_dir());
    let files = versions.flat_map(|version| list(&version));
    let mut journals: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|it| it == "jsonl"))
        .map(|path| path.with_extension(""))
        .collect();
    journals.sort();
    journals
}

fn entries(journal: &Path) -> Vec<Entry> {
    let text = std::fs::read_to_string(journal.with_extension("jsonl")).expect("a journal is text");
    text.lines()
        .map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}", journal.display()))
        })
        .collect()
}

fn prepared(journal: &Path) -> Prepared {
    let text = std::fs::read_to_string(journal.with_extension("prepared.json")).expect("the bodies are kept");
    serde_json::from_str(&text).expect("the bodies are as they were written")
}

#[test]
fn old_journals_fold_as_they_did() {
    for journal in journals() {
        let mut machine = Machine::new(prepared(&journal));
        entries(&journal).iter().for_each(|entry| machine.fold(&entry.event));
        expect_file![journal.with_extension("folded.txt")].assert_eq(&told(&machine));
    }
}

/// The state, and the request that would be sent from it, a message a line.
fn told(machine: &Machine) -> String {
    let usage = machine.usage();
    let mut text = format!(
        "steps {}, calls {}, tokens {} in {} out\n",
        machine.steps(),
        machine.calls_sent(),
        usage.input,
        usage.output
    );
    writeln!(text, "next {:?}", machine.next()).expect("a text takes all");
    for message in machine.messages() {
        let (role, said) = match message {
            Message::System { text } => ("system", text),
            Message::User { text } => ("user", text),
            Message::Assistant { text, calls, thinking } => {
                let calls: Vec<String> = calls
                    .iter()
                    .map(|call| format!("{} {} {}", call.id, call.name, call.arguments))
                    .collect();
                let thoughts = thinking.iter().flat_map(|it| &it.thoughts);
                let thoughts: String = thoughts.map(|it| format!(" thought {}", it.block)).collect();
                ("assistant", format!("{text:?} {calls:?}{thoughts}"))
            }
            Message::Tool { call, name, text, is_error, images } => {
                let error = if is_error { " error" } else { "" };
                let images: String = images.iter().map(|it| format!(" {} {}", it.mime, it.data)).collect();
                ("tool", format!("{call} {name}{error}: {text}{images}"))
            }
        };
        writeln!(text, "{role}: {}", said.replace('\n', "\n    ")).expect("a text takes all");
    }
    text
}

#[test]
fn every_prefix_of_an_old_journal_folds() {
    for journal in journals() {
        let mut machine = Machine::new(prepared(&journal));
        for entry in entries(&journal) {
            machine.fold(&entry.event);
            // To answer at all is what is asked here.
            drop((machine.next(), machine.messages()));
        }
    }
}

#[test]
fn an_old_journal_is_written_back_as_it_was() {
    for journal in journals() {
        for entry in entries(&journal) {
            let line = serde_json::to_string(&entry).expect("entries serialize");
            assert_eq!(serde_json::from_str::<Entry>(&line).expect("what was written is read"), entry);
        }
    }
}

/// The word of each event. No `_`: a new event does not compile before it has a line here, and then needs a journal.
fn word(event: &Event) -> &'static str {
    match event {
        Event::Adopted { .. } => "adopted",
        Event::RunStarted(_) => "run_started",
        Event::EffectStarted { .. } => "effect_started",
        Event::Answered { .. } => "answered",
        Event::AskFailed { .. } => "ask_failed",
        Event::AskRetried { .. } => "ask_retried",
        Event::Sampled { .. } => "sampled",
        Event::SampleFailed { .. } => "sample_failed",
        Event::SampleRefused { .. } => "sample_refused",
        Event::ModelSwitched { .. } => "model_switched",
        Event::Compacted(_) => "compacted",
        Event::Returned { .. } => "returned",
        Event::Refused { .. } => "refused",
        Event::OutcomeUnknown { .. } => "outcome_unknown",
        Event::NotSent { .. } => "not_sent",
        Event::EffectPlanned { .. } => "effect_planned",
        Event::EffectApproved { .. } => "effect_approved",
        Event::EffectDenied { .. } => "effect_denied",
        Event::ApprovalVoided { .. } => "approval_voided",
        Event::EffectSettled { .. } => "effect_settled",
        Event::ChildEnded { .. } => "child_ended",
        Event::BudgetReserved { .. } => "budget_reserved",
        Event::BudgetSettled { .. } => "budget_settled",
        Event::BudgetReached { .. } => "budget_reached",
        Event::BudgetRaised { .. } => "budget_raised",
        Event::CancelRequested { .. } => "cancel_requested",
        Event::DeadlinePassed => "deadline_passed",
        Event::RunEnded { .. } => "run_ended",
    }
}

/// All of [`word`].
const WORDS: [&str; 28] = [
    "adopted",
    "run_started",
    "effect_started",
    "answered",
    "ask_failed",
    "ask_retried",
    "sampled",
    "sample_failed",
    "sample_refused",
    "model_switched",
    "compacted",
    "returned",
    "refused",
    "outcome_unknown",
    "not_sent",
    "effect_planned",
    "effect_approved",
    "effect_denied",
    "approval_voided",
    "effect_settled",
    "child_ended",
    "budget_reserved",
    "budget_settled",
    "budget_reached",
    "budget_raised",
    "cancel_requested",
    "deadline_passed",
    "run_ended",
];

#[test]
fn every_event_occurs() {
    let journals = journals();
    let events = journals.iter().flat_map(|journal| entries(journal)).map(|entry| word(&entry.event));
    let found: BTreeSet<&str> = events.collect();
    let missing: Vec<&str> = WORDS.into_iter().filter(|word| !found.contains(word)).collect();
    assert_eq!(missing, [""; 0], "add a journal of a real run to the newest folder of tests/journals");
}

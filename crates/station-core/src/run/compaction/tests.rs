//! What is told in place of what, and when.

use super::window::of_text;
use super::{Compaction, CompactionReason, window};
use crate::run::tests::{Run, answer};
use crate::run::{AskFailure, Event, Machine, Next, Outcome, Todo};
use crate::{Message, ModelRef};
use serde_json::json;
use std::collections::BTreeMap;

fn compacted(event: Option<Event>) -> Option<Compaction> {
    match event {
        Some(Event::Compacted(compaction)) => Some(*compaction),
        None => None,
        other => panic!("{other:?}"),
    }
}

/// A run of so many turns, each with a result of about so many bytes, shortened as the driver does.
fn grown(window: u64, turns: u32, bytes: usize) -> Run {
    let mut run = Run::with_window(25, None, Some(window));
    for n in 0..turns {
        if let Some(event) = run.machine.compaction() {
            run.add(event);
        }
        run.answers(answer(&format!("look at {n}"), &[("read", json!({"path": n}))]));
        let out = run.start();
        run.returns(out[0], &format!("line of {n}\n{}", "word ".repeat(bytes / 5)));
    }
    run
}

fn shown(machine: &Machine) -> Vec<String> {
    let short = |text: &str| text.chars().take(90).collect::<String>();
    machine
        .messages()
        .iter()
        .map(|message| match message {
            Message::System { text } => format!("system {}", short(text)),
            Message::User { text } => format!("user {}", short(text)),
            Message::Assistant { text, .. } => format!("assistant {}", short(text)),
            Message::Tool { text, .. } => {
                format!("tool {} ({} bytes)", short(text).replace('\n', "|"), text.len())
            }
        })
        .collect()
}

#[test]
fn the_oldest_results_go_first() {
    let run = grown(4_000, 6, 2_000);
    let compaction = compacted(run.machine.compaction()).or(run.machine.compaction_in_force().cloned());
    let compaction = compaction.expect("six results of 500 tokens are most of 4,000");
    assert_eq!((compaction.reason, compaction.window), (CompactionReason::Window, Some(4_000)));
    assert_eq!((compaction.summed_up_through, compaction.cut), (0, None), "leaving results out was enough");
    let lines = shown(&run.machine);
    assert_eq!(lines[..2], ["system be brief", "user do it"]);
    assert!(
        lines[3].starts_with(
            "tool [Station: left out to save room: r1.1, 2010 bytes, beginning \"line of 0\"; `read"
        ),
        "{lines:#?}"
    );
    assert!(
        lines[lines.len() - 1].starts_with("tool line of 5|word"),
        "the last turns are whole: {lines:#?}"
    );
    assert!(lines[lines.len() - 3].starts_with("tool line of 4|word"), "{lines:#?}");
}

#[test]
fn then_the_oldest_turns_are_summed_up() {
    let run = grown(1_500, 20, 700);
    let compaction = run.machine.compaction_in_force().cloned().expect("twenty turns do not fit");
    assert!(compaction.summed_up_through > 0, "{compaction:?}");
    let summary = compaction.summary.expect("turns are told in words");
    let from = compaction.summed_up_through;
    assert!(
        summary
            .starts_with(&format!("[Station] To save room, the first {from} turns of this conversation are")),
        "{summary}"
    );
    assert!(
        summary.contains(&format!(
            "Turn {from}: you said \"look at {}\"\n- read {{\"path\":{}}} -> r{from}.1: 7",
            from - 1,
            from - 1
        )),
        "{summary}"
    );
    assert!(summary.ends_with("`read_result` reads any of these results by its handle."), "{summary}");
    let lines = shown(&run.machine);
    assert!(
        lines[2].starts_with("user [Station] To save room") && lines[3].starts_with("assistant look at"),
        "{lines:#?}"
    );
    assert!(run.machine.tokens() < 1_500, "{}", run.machine.tokens());
    // What was summed up is still there to be read.
    let reading = run.machine.reading(json!({"handle": "r1.1"}).as_object().expect("an object"));
    assert!(reading.source.is_ok(), "{reading:?}");
}

#[test]
fn results_of_the_last_turn_are_cut_where_nothing_else_helps() {
    let run = grown(4_000, 1, 60_000);
    let compaction = compacted(run.machine.compaction()).expect("one result is more than the window");
    let cut = compaction.cut.expect("there is nothing older to leave out");
    assert_eq!((cut.through, cut.bytes_max), (1, 4_096));
    let mut run = run;
    run.add(Event::Compacted(Box::new(compaction)));
    let lines = shown(&run.machine);
    assert!(
        lines[3].starts_with("tool line of 0|word word") && lines[3].ends_with("(4181 bytes)"),
        "{lines:#?}"
    );
    assert!(run.machine.compaction().is_none(), "once is enough");
}

#[test]
fn what_fits_is_left_alone() {
    for (window, turns, bytes) in [(100_000, 6, 2_000), (2_000, 1, 100), (300, 0, 0)] {
        assert_eq!(compacted(grown(window, turns, bytes).machine.compaction()), None, "{window}");
    }
    let mut unlimited = Run::new(25, None);
    unlimited.answers(answer(&"word ".repeat(1_000_000), &[("nope", json!({}))]));
    assert_eq!(compacted(unlimited.machine.compaction()), None, "a model that reads everything");
}

#[test]
fn what_the_provider_counted_holds_where_it_is_more() {
    let mut run = Run::with_window(25, None, Some(10_000));
    for turn in 0..3 {
        let mut dense = answer("", &[("read", json!({"n": turn}))]);
        dense.usage.input = 9_000;
        run.answers(dense);
        let out = run.start();
        run.returns(out[0], &"x".repeat(4_000));
    }
    assert!(run.machine.tokens() >= 10_000, "{}", run.machine.tokens());
    let compaction = compacted(run.machine.compaction()).expect("the provider says that it is full");
    assert!(compaction.tokens_before >= 10_000 && compaction.tokens_after < 6_000, "{compaction:?}");
}

#[test]
fn a_refused_request_is_shortened_once_and_asked_again() {
    let mut run = Run::new(25, None);
    run.answers(answer("", &[("read", json!({}))]));
    let out = run.start();
    run.returns(out[0], &"word ".repeat(10_000));
    let refuse = |run: &mut Run| {
        let asked = run.start();
        let (failure, sentence) = (AskFailure::ContextOverflow, "too long".to_owned());
        run.add(Event::AskFailed { id: asked[0], failure, sentence, hint: None, ms: 1 });
    };
    let before = run.machine.tokens();
    refuse(&mut run);
    let compaction = compacted(run.machine.compaction_after_overflow()).expect("there is a long result");
    assert_eq!(compaction.reason, CompactionReason::Overflow);
    assert!(compaction.tokens_after <= before / 2, "{compaction:?}");
    run.add(Event::Compacted(Box::new(compaction)));
    let asks = |run: &Run, model: &str| matches!(run.machine.next(), Next::Do(todos) if matches!(&todos[0], Todo::Ask { model: asked, .. } if asked.model == model));
    assert!(asks(&run, "one"), "the same model again: {:?}", run.machine.next());
    refuse(&mut run);
    assert_eq!(compacted(run.machine.compaction_after_overflow()), None, "once for each turn");
    let switch = run.machine.fallback(&|_| false).expect("another model may read more");
    run.add(switch);
    assert!(asks(&run, "blunt"), "{:?}", run.machine.next());
    run.answers(answer("done", &[]));
    assert_eq!(run.machine.next(), Next::End(Outcome::Completed { answer: "done".to_owned() }));
}

#[test]
fn nothing_to_shorten_is_no_compaction() {
    let mut run = Run::new(25, None);
    let asked = run.start();
    let (failure, sentence) = (AskFailure::ContextOverflow, "too long".to_owned());
    run.add(Event::AskFailed { id: asked[0], failure, sentence, hint: None, ms: 1 });
    assert_eq!(compacted(run.machine.compaction_after_overflow()), None, "the task is never dropped");
}

#[test]
fn a_run_goes_on_beyond_a_tiny_window_and_folds_to_the_same_bytes() {
    let mut run = grown(3_000, 22, 900);
    run.answers(answer("done", &[]));
    assert_eq!(run.machine.next(), Next::End(Outcome::Completed { answer: "done".to_owned() }));
    let mut refolded = Machine::new(run.machine.prepared().clone());
    for event in &run.journal {
        let text = serde_json::to_string(event).expect("events serialize");
        refolded.fold(&serde_json::from_str(&text).expect("and are read"));
    }
    assert_eq!(refolded.messages(), run.machine.messages());
    let compactions = run.journal.iter().filter(|event| matches!(event, Event::Compacted(_))).count();
    assert!(
        (2..8).contains(&compactions),
        "{compactions} compactions in 22 turns: each costs the prompt cache"
    );
}

#[test]
fn a_model_reads_as_much_as_its_family_or_as_configured() {
    let configured: BTreeMap<String, u64> = [
        ("gpt-4o".to_owned(), 9),
        ("ollama/*".to_owned(), 7),
        ("*".to_owned(), 5),
        ("mine/own".to_owned(), 3),
    ]
    .into();
    let of =
        |provider: &str, model: &str| ModelRef { provider: provider.to_owned(), model: model.to_owned() };
    for (provider, model, by_default, as_configured) in [
        ("openai", "gpt-4o", Some(128_000), Some(9)),
        ("openai", "gpt-4o-mini", Some(128_000), Some(5)),
        ("openai", "gpt-4", Some(8_192), Some(5)),
        ("openai", "gpt-4.1-nano", Some(1_047_576), Some(5)),
        ("openai", "o1-mini-2024", Some(128_000), Some(5)),
        ("openai", "meta-llama/Llama-3.1-70B", Some(128_000), Some(5)),
        ("anthropic", "claude-sonnet-4", Some(200_000), Some(5)),
        ("gemini", "gemini-2.5-flash", Some(1_048_576), Some(5)),
        ("ollama", "llama3", Some(8_192), Some(7)),
        ("mine", "own", Some(32_000), Some(3)),
        ("offline", "offline", None, Some(5)),
        ("script", "one", None, Some(5)),
    ] {
        let model = of(provider, model);
        assert_eq!(window(&model, &BTreeMap::new()), by_default, "{model}");
        assert_eq!(window(&model, &configured), as_configured, "{model}");
    }
}

#[test]
fn tokens_are_estimated_by_rule() {
    for (text, tokens) in [("", 0), ("a", 1), ("four", 1), ("five5", 2), ("日本語", 3), ("naïve", 2)] {
        assert_eq!(of_text(text), tokens, "{text}");
    }
}

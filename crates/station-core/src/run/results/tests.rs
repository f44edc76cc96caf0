//! What is told of results, kept, and read.

use super::*;
use crate::BlobHash;
use crate::run::tests::{Run, answer};
use crate::run::{Event, Target};
use crate::run::{Next, Todo};
use crate::{Message, RunId};
use serde_json::{Value, json};

/// A run whose second call of its first turn returned `text`, as it is appended.
fn returned(text: &str, structured: Option<Value>) -> (Run, Event, Option<Vec<u8>>) {
    let mut run = Run::new(8, None);
    run.answers(answer("", &[("nope", json!({})), ("read", json!({}))]));
    let id = run.start()[0];
    let event = Event::Returned {
        id,
        text: text.to_owned(),
        structured,
        is_error: false,
        cut_bytes: 0,
        whole: None,
        images: Vec::new(),
        ms: 1,
    };
    let (event, kept) = run.machine.shorten(event);
    run.add(event.clone());
    (run, event, kept.map(|(_, body)| body))
}

#[test]
fn a_long_result_is_told_in_part_and_kept_whole() {
    let text = "start\n".to_owned() + &"é".repeat(1_000) + "\nend";
    let (run, event, body) = returned(&text, None);
    let Event::Returned { text: told, whole: Some(whole), .. } = &event else { panic!("{event:?}") };
    assert_eq!(body.as_deref(), Some(text.as_bytes()));
    assert_eq!((whole.bytes, whole.handle.as_str()), (text.len() as u64, "r1.2"));
    assert_eq!(whole.blob, BlobHash::of(text.as_bytes()));
    assert!(told.len() < 1_300 && told.starts_with("start\n") && told.ends_with("\nend"), "{told}");
    assert!(
        told.contains(
            "are left out here. `read_result` with {\"handle\": \"r1.2\", \"offset\": 750} reads on"
        ),
        "{told}"
    );
    let source = run.machine.reading(json!({"handle": " R1.2 "}).as_object().expect("an object")).source;
    assert_eq!(source, Ok(Source::Blob(whole.blob.clone())));
}

#[test]
fn a_result_that_fits_is_told_as_it_is() {
    let structured = json!({"a": 1});
    let (run, event, body) = returned("short", Some(structured.clone()));
    assert!(
        matches!(&event, Event::Returned { text, structured: Some(value), whole: None, .. } if text == "short" && *value == structured)
    );
    assert_eq!(body, None);
    let source =
        |handle: &str| run.machine.reading(json!({"handle": handle}).as_object().expect("an object")).source;
    assert_eq!(source("r1.2"), Ok(Source::Text("short".to_owned())));
    assert!(matches!(source("r1.1"), Ok(Source::Text(text)) if text.starts_with("there is no tool")));
    for handle in ["", "r0.1", "r1.0", "r1.3", "r2.1", "1.1", "r1", "r1.2.3", "r99999999999999999999.1"] {
        assert!(source(handle).is_err_and(|sentence| sentence.contains("there is no result")), "{handle}");
    }
}

#[test]
fn a_long_structured_result_is_not_kept_twice() {
    let long = json!({"rows": "x".repeat(2_000)});
    let (_, event, body) = returned(&long.to_string(), Some(long.clone()));
    assert!(matches!(event, Event::Returned { structured: None, .. }), "{event:?}");
    assert_eq!(body, Some(long.to_string().into_bytes()));
    let (_, _, body) = returned("summary", Some(long.clone()));
    assert_eq!(body, Some(format!("summary\n{long}").into_bytes()));
}

#[test]
fn a_sub_agents_long_answer_is_told_in_part_too() {
    let mut run = Run::new(8, None);
    run.answers(answer("", &[("__agent_sub", json!({"task": "look"}))]));
    let id = run.start()[0];
    let text = "word ".repeat(1_000);
    let ended = Event::ChildEnded {
        id,
        run: RunId(9),
        status: crate::run::Status::Completed,
        text,
        whole: None,
        ms: 1,
    };
    let (event, kept) = run.machine.shorten(ended);
    assert!(matches!(&event, Event::ChildEnded { whole: Some(whole), .. } if whole.handle == "r1.1"));
    assert_eq!(kept.map(|(_, body)| body.len()), Some(5_000));
}

#[test]
fn the_same_long_result_again_and_again_ends_the_run() {
    let mut run = Run::new(25, None);
    for _ in 0..3 {
        run.answers(answer("", &[("read", json!({}))]));
        let id = run.start()[0];
        let text = "same ".repeat(1_000);
        let event = Event::Returned {
            id,
            text,
            structured: None,
            is_error: false,
            cut_bytes: 0,
            whole: None,
            images: Vec::new(),
            ms: 1,
        };
        let (event, _) = run.machine.shorten(event);
        run.add(event);
    }
    assert!(matches!(run.machine.next(), Next::End(_)), "the handles differ, the results do not");
}

#[test]
fn results_are_read_on_and_searched() {
    let whole = "one error\ntwo\nthree Error é\nfour";
    let check = |arguments: Value, expected: &str| {
        let run = Run::new(8, None);
        let reading = run.machine.reading(arguments.as_object().expect("an object"));
        let told = reading.read(whole).unwrap_or_else(|sentence| format!("refused: {sentence}"));
        assert_eq!(told, expected, "{arguments}");
    };
    let all = format!("[bytes 0 to 33 of 33 of r1.1; that is the end]\n{whole}");
    check(json!({"handle": "r1.1"}), &all);
    check(
        json!({"handle": "r1.1", "offset": "10", "length": 3}),
        "[bytes 10 to 13 of 33 of r1.1; go on with offset 13]\ntwo",
    );
    // Inside a character: from its first byte on, and at least one character.
    check(
        json!({"handle": "r1.1", "offset": 27, "length": 1}),
        "[bytes 26 to 28 of 33 of r1.1; go on with offset 28]\né",
    );
    check(json!({"handle": "r1.1", "offset": 40}), "refused: `r1.1` has 33 bytes; there is nothing at 40");
    check(
        json!({"handle": "r1.1", "search": "ERROR"}),
        "[\"ERROR\" was found 2 times in r1.1 from byte 0 on, 33 bytes in all]\n4: one error\n20: three Error é",
    );
    check(
        json!({"handle": "r1.1", "search": "four", "offset": 15}),
        "[\"four\" was found once in r1.1 from byte 15 on, 33 bytes in all]\n29: four",
    );
    check(
        json!({"handle": "r1.1", "search": "o", "length": 20}),
        "[\"o\" was found once in r1.1 from byte 0 on, 33 bytes in all; there are more: go on with offset 12]\n0: one error",
    );
    check(
        json!({"handle": "r1.1", "search": "none"}),
        "[\"none\" was found 0 times in r1.1 from byte 0 on, 33 bytes in all]",
    );
}

#[test]
fn a_reading_gives_way_to_another_tool_of_its_name() {
    let run = Run::new(8, None);
    let tools = &run.machine.prepared().tools;
    let own: Vec<&str> = tools.iter().map(|tool| tool.spec.name.as_str()).collect();
    assert_eq!(own, ["read", "write", "__agent_sub", "read_result"]);
    assert_eq!(reader(tools).spec.name, "station__read_result_1");
}

#[test]
fn a_reading_is_an_effect_that_may_be_repeated() {
    let mut run = Run::new(8, None);
    run.answers(answer("", &[("read_result", json!({"handle": "r1.1"}))]));
    let Next::Do(todos) = run.machine.next() else { panic!("{:?}", run.machine.next()) };
    assert!(matches!(&todos[0], Todo::Call { tool, .. } if matches!(tool.target, Target::Own { .. })));
    let id = run.start();
    run.adopt();
    assert_eq!(run.start(), id);
    run.returns(id[0], &"as long as it may be ".repeat(100));
    assert!(matches!(run.machine.messages().last(), Some(Message::Tool { text, .. }) if text.len() > 2_000));
}

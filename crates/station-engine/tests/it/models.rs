//! Models that fail, and answers that do not fit: what the run makes of it, and what it keeps.

use crate::home::{Home, Open, outline};
use expect_test::{Expect, expect};
use station_core::run::{AskFailure, Status};
use station_llm::Script;
use station_llm::script::{Turn, fails, reply};

async fn check(front: &str, turns: Vec<Turn>, status: Status, expected: Expect) {
    let home = Home::new();
    home.agent("default", "worker", front);
    let open = home.open(Script::new(turns)).await;
    run(&open, status, expected).await;
    open.close().await;
}

async fn run(open: &Open<'_>, status: Status, expected: Expect) {
    open.sync("default").await;
    let details = open.run("worker", "x").await;
    expected.assert_eq(&outline(&details));
    assert_eq!(details.run.status, status);
}

const LIST: &str = "model: [one, two]";

#[tokio::test]
async fn an_overloaded_model_is_left_for_the_next_of_the_list() {
    let turns = vec![fails(AskFailure::Unavailable), reply("from two")];
    check(
        LIST,
        turns,
        Status::Completed,
        expect![[r#"
        adopted 1
        run started, 0 warnings
        ask script/one
        ask failed Unavailable
        switched to script/two
        ask script/two
        answered "from two", 0 calls
        ended completed
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_bad_key_is_said_at_once() {
    check(
        LIST,
        vec![fails(AskFailure::BadKey)],
        Status::Failed,
        expect![[r#"
        adopted 1
        run started, 0 warnings
        ask script/one
        ask failed BadKey
        ended failed
    "#]],
    )
    .await;
}

#[tokio::test]
async fn when_every_model_fails_the_run_says_so() {
    let turns = vec![fails(AskFailure::Truncated), fails(AskFailure::TimedOut)];
    check(
        LIST,
        turns,
        Status::Failed,
        expect![[r#"
        adopted 1
        run started, 0 warnings
        ask script/one
        ask failed Truncated
        switched to script/two
        ask script/two
        ask failed TimedOut
        ended failed
    "#]],
    )
    .await;
}

#[tokio::test]
async fn a_model_that_failed_cools_down_for_the_next_run() {
    let home = Home::new();
    home.agent("default", "worker", LIST);
    let turns = vec![fails(AskFailure::RateLimited), reply("from two"), reply("from two again")];
    let open = home.open(Script::new(turns)).await;
    run(
        &open,
        Status::Completed,
        expect![[r#"
        adopted 1
        run started, 0 warnings
        ask script/one
        ask failed RateLimited
        switched to script/two
        ask script/two
        answered "from two", 0 calls
        ended completed
    "#]],
    )
    .await;
    run(
        &open,
        Status::Completed,
        expect![[r#"
        adopted 1
        run started, 0 warnings
        switched to script/two
        ask script/two
        answered "from two again", 0 calls
        ended completed
    "#]],
    )
    .await;
    open.close().await;
}

const SCHEMA: &str = "model: one\noutput: {format: json, schema: {type: object, properties: {n: {type: integer}}, required: [n]}}";

#[tokio::test]
async fn an_answer_that_does_not_fit_is_repaired_once() {
    let turns = vec![reply("it is three"), reply(r#"{"n": 3}"#)];
    check(
        SCHEMA,
        turns,
        Status::Completed,
        expect![[r#"
        adopted 1
        run started, 0 warnings
        ask script/one
        answered "it is three", 0 calls
        ask script/one
        answered "{\"n\": 3}", 0 calls
        ended completed
    "#]],
    )
    .await;
}

#[tokio::test]
async fn an_answer_that_never_fits_fails_with_the_reason() {
    let home = Home::new();
    home.agent("default", "worker", SCHEMA);
    let open = home.open(Script::new(vec![reply("three"), reply(r#"{"n": "three"}"#)])).await;
    open.sync("default").await;
    let details = open.run("worker", "x").await;
    let error = details.run.error.expect("a failed run says why");
    assert!(error.contains("/n") || error.contains("integer"), "{error}");
    open.close().await;
}

//! What each failure is called, and what a person is told.

use crate::stage::{KEY, ask, config, conversation};
use expect_test::{Expect, expect};
use station_core::run::AskFailure;
use station_llm::{Config, Models};
use station_testkit::openai::{
    OpenAi, Turn, bad_key, calls, empty, error_in_stream, not_found, overflow, rate_limited, raw, reply,
    status,
};
use std::time::Duration;

async fn check(turn: Turn, failure: AskFailure, expected: Expect) {
    let stand_in = OpenAi::start(vec![turn]);
    let config = Config { idle_timeout: Duration::from_millis(200), ..config(&stand_in) };
    let error = ask(&Models::new(config), &conversation(), None).await.outcome.expect_err("a failure");
    assert_eq!(error.failure, failure, "{error}");
    let hint = error.hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
    expected.assert_eq(&format!("{}{hint}", error.sentence));
}

#[tokio::test]
async fn a_refusal_by_its_status() {
    check(
        bad_key(KEY),
        AskFailure::BadKey,
        expect![[r#"
        model `openai/gpt-4o-mini` does not accept its key (401)
        hint: set `OPENAI_API_KEY` or `STN_AI_API_KEY` to a key that is valid for it"#]],
    )
    .await;
    check(
        status(403, "no"),
        AskFailure::BadKey,
        expect![[r#"
        model `openai/gpt-4o-mini` does not allow this to its key (403)
        hint: set `OPENAI_API_KEY` or `STN_AI_API_KEY` to a key that is valid for it"#]],
    )
    .await;
    check(
        overflow(),
        AskFailure::ContextOverflow,
        expect![[r#"
        the conversation is longer than model `openai/gpt-4o-mini` takes
        hint: let tools return less, or name a model with a longer context after it in `model:`"#]],
    )
    .await;
    check(
        status(413, "too large"),
        AskFailure::ContextOverflow,
        expect![[r#"
        the conversation is longer than model `openai/gpt-4o-mini` takes
        hint: let tools return less, or name a model with a longer context after it in `model:`"#]],
    )
    .await;
    check(not_found("gpt-9"), AskFailure::Rejected, expect![[r#"
        model `openai/gpt-4o-mini` answered 404: The model `gpt-9` does not exist or you do not have access to it
        hint: check the model's name in `model:`, `ai_model` or `models:` of config.yaml, and `STN_AI_BASE_URL`"#]]).await;
    check(
        status(400, &format!("unknown field {KEY}.")),
        AskFailure::Rejected,
        expect!["model `openai/gpt-4o-mini` answered 400: unknown field …"],
    )
    .await;
    check(status(422, &"x ".repeat(900)), AskFailure::Rejected, expect!["model `openai/gpt-4o-mini` answered 422: x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x x …"]).await;
    check(
        status(307, ""),
        AskFailure::Rejected,
        expect![[r#"
        model `openai/gpt-4o-mini` answered 307: it points to another address
        hint: set `STN_AI_BASE_URL` to the address itself: redirects are not followed"#]],
    )
    .await;
    check(
        status(408, ""),
        AskFailure::TimedOut,
        expect!["model `openai/gpt-4o-mini` answered 408: it took too long"],
    )
    .await;
    check(
        rate_limited("7"),
        AskFailure::RateLimited,
        expect!["model `openai/gpt-4o-mini` answered 429: Rate limit reached for requests"],
    )
    .await;
    check(
        status(500, "oops"),
        AskFailure::Unavailable,
        expect!["model `openai/gpt-4o-mini` answered 500: oops"],
    )
    .await;
    check(
        status(529, "overloaded"),
        AskFailure::Unavailable,
        expect!["model `openai/gpt-4o-mini` answered 529: overloaded"],
    )
    .await;
}

#[tokio::test]
async fn a_failure_inside_the_stream() {
    check(
        error_in_stream("overloaded_error", "Overloaded"),
        AskFailure::Unavailable,
        expect!["model `openai/gpt-4o-mini` broke off its answer: Overloaded"],
    )
    .await;
    check(
        error_in_stream("rate_limit_exceeded", "Slow down"),
        AskFailure::RateLimited,
        expect!["model `openai/gpt-4o-mini` answered 429: Slow down"],
    )
    .await;
    check(
        error_in_stream("invalid_request_error", "No"),
        AskFailure::Rejected,
        expect!["model `openai/gpt-4o-mini` refused the request: No"],
    )
    .await;
    check(
        error_in_stream("server_error", "context window"),
        AskFailure::ContextOverflow,
        expect![[r#"
        the conversation is longer than model `openai/gpt-4o-mini` takes
        hint: let tools return less, or name a model with a longer context after it in `model:`"#]],
    )
    .await;
    check(
        reply("a b c d").cut(),
        AskFailure::Truncated,
        expect!["model `openai/gpt-4o-mini` broke off in the middle of its answer"],
    )
    .await;
    check(
        calls([("read", r#"{"path":"/a"}"#)]).cut(),
        AskFailure::Truncated,
        expect!["model `openai/gpt-4o-mini` broke off in the middle of its answer"],
    )
    .await;
    check(
        reply("a b c d").stalls(),
        AskFailure::TimedOut,
        expect!["model `openai/gpt-4o-mini` was silent for 200ms"],
    )
    .await;
    check(
        reply("a").is_silent(),
        AskFailure::TimedOut,
        expect!["model `openai/gpt-4o-mini` was silent for 200ms"],
    )
    .await;
}

#[tokio::test]
async fn an_answer_that_is_none() {
    check(empty(), AskFailure::Garbled, expect!["model `openai/gpt-4o-mini` gave an empty answer"]).await;
    check(
        raw("text/html", "<html>"),
        AskFailure::Garbled,
        expect![[r#"
        model `openai/gpt-4o-mini` answered with a web page
        hint: check `STN_AI_BASE_URL`; it usually ends in /v1"#]],
    )
    .await;
    check(
        raw("application/json", "{}"),
        AskFailure::Garbled,
        expect!["model `openai/gpt-4o-mini` sent JSON that is not an answer"],
    )
    .await;
    check(
        raw("text/event-stream", "data: nonsense\n\n"),
        AskFailure::Garbled,
        expect!["model `openai/gpt-4o-mini` sent something that is not JSON"],
    )
    .await;
    check(
        raw("text/event-stream", ""),
        AskFailure::Truncated,
        expect!["model `openai/gpt-4o-mini` broke off in the middle of its answer"],
    )
    .await;
}

#[tokio::test]
async fn nobody_is_there() {
    let stand_in = OpenAi::start(Vec::new());
    let config = config(&stand_in);
    let port = stand_in.base_url().replace("http://127.0.0.1:", "").replace("/v1", "");
    drop(stand_in);
    let error = ask(&Models::new(config), &conversation(), None).await.outcome.unwrap_err();
    assert_eq!(error.failure, AskFailure::Unreachable);
    expect!["model `openai/gpt-4o-mini` cannot be reached at `127.0.0.1:PORT`"]
        .assert_eq(&error.sentence.replace(&port, "PORT"));
}

#[tokio::test]
async fn an_answer_that_takes_too_long_in_all() {
    let stand_in = OpenAi::start(vec![reply("a b c d e f").stalls()]);
    let config = Config { request_timeout: Duration::from_millis(200), ..config(&stand_in) };
    let error = ask(&Models::new(config), &conversation(), None).await.outcome.unwrap_err();
    assert_eq!(error.failure, AskFailure::TimedOut);
    expect!["model `openai/gpt-4o-mini` did not finish its answer within 200ms"].assert_eq(&error.sentence);
}

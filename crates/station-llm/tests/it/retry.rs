//! What is asked again, how often, and what is left alone afterwards.

use crate::stage::{ask, ask_within, config, conversation, model};
use station_core::run::{AskFailure, Settings};
use station_llm::{Config, Delta, Models, Patience, Repeat, Request};
use station_testkit::openai::{
    OpenAi, Turn, bad_key, empty, error_in_stream, overflow, rate_limited, reply, status,
};
use std::time::Duration;

/// Runs `turns` with two retries: what comes of it, and how many requests it took.
async fn check(turns: Vec<Turn>, expected: Result<&str, AskFailure>, requests: usize, cools: bool) {
    let row = format!("{turns:?}");
    let stand_in = OpenAi::start(turns);
    let models = Models::new(Config { retries: 2, ..config(&stand_in) });
    let asked = ask(&models, &conversation(), None).await;
    let watched = asked.watched();
    match (&asked.outcome, expected) {
        (Ok(answer), Ok(text)) => assert_eq!((answer.text.as_str(), watched.as_str()), (text, text), "{row}"),
        (Err(error), Err(failure)) => assert_eq!(error.failure, failure, "{row}: {error}"),
        (outcome, _) => panic!("{row}: {outcome:?}"),
    }
    assert_eq!(stand_in.requests().len(), requests, "{row}");
    let attempts: Vec<u32> = asked
        .deltas
        .iter()
        .filter_map(|delta| match delta {
            Delta::Retry { attempt, .. } => Some(*attempt),
            Delta::Text(_) => None,
        })
        .collect();
    assert_eq!(attempts, (2..=u32::try_from(requests).unwrap()).collect::<Vec<_>>(), "{row}");
    assert_eq!(models.cooling(&model()).is_some(), cools, "{row}");
}

#[tokio::test]
async fn a_hiccup_is_asked_again_and_a_mistake_is_not() {
    let ok = || reply("fine now");
    check(vec![status(500, "oops"), status(503, "busy"), ok()], Ok("fine now"), 3, false).await;
    check(vec![rate_limited("0"), ok()], Ok("fine now"), 2, false).await;
    check(vec![rate_limited("0.001"), ok()], Ok("fine now"), 2, false).await;
    check(vec![reply("one two three four").cut(), ok()], Ok("fine now"), 2, false).await;
    check(vec![empty(), ok()], Ok("fine now"), 2, false).await;
    check(vec![error_in_stream("overloaded_error", "later"), ok()], Ok("fine now"), 2, false).await;
    check(vec![status(500, "oops"); 3], Err(AskFailure::Unavailable), 3, true).await;
    check(vec![bad_key("k"), ok()], Err(AskFailure::BadKey), 1, false).await;
    check(vec![status(400, "bad"), ok()], Err(AskFailure::Rejected), 1, false).await;
    check(vec![overflow(), ok()], Err(AskFailure::ContextOverflow), 1, false).await;
}

#[tokio::test]
async fn a_long_retry_after_is_not_waited_for_but_cools_the_model() {
    let stand_in = OpenAi::start(vec![rate_limited("300"), reply("too early")]);
    let models = Models::new(Config { retries: 2, ..config(&stand_in) });
    let asked = ask(&models, &conversation(), None).await;
    assert_eq!(asked.outcome.unwrap_err().failure, AskFailure::RateLimited);
    assert_eq!((stand_in.requests().len(), asked.deltas), (1, Vec::new()));
    let left = models.cooling(&model()).expect("it cools");
    assert!(left > Duration::from_secs(290) && left <= Duration::from_secs(300), "{left:?}");
    // It answers when it is asked nevertheless: the run has no other model.
    ask(&models, &conversation(), None).await.outcome.expect("an answer");
    assert_eq!(models.cooling(&model()), None);
}

#[tokio::test]
async fn a_used_up_quota_is_not_asked_again() {
    let quota = error_in_stream("insufficient_quota", "You exceeded your current quota");
    check(vec![quota, reply("too late")], Err(AskFailure::RateLimited), 1, true).await;
}

#[tokio::test]
async fn a_request_that_is_sent_again_takes_its_turn_again() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let stand_in = OpenAi::start(vec![rate_limited("0"), reply("fine now")]);
    let models = Models::new(Config { retries: 2, ..config(&stand_in) });
    let settings = Settings::default();
    let messages = conversation();
    let request = Request {
        messages: &messages,
        tools: &[],
        settings: &settings,
        output_schema: None,
        repeat: Repeat::Any,
        trace: None,
    };
    let (turn, waits) = (Duration::from_millis(120), std::sync::Mutex::new(Vec::new()));
    let on_delta = |delta| {
        if let Delta::Retry { after, .. } = delta {
            waits.lock().unwrap().push(after);
        }
    };
    models.ask_in_turn(&model(), &request, &|| turn, &on_delta).await.unwrap();
    assert_eq!(*waits.lock().unwrap(), [turn]);
}

#[tokio::test]
async fn a_fallback_is_not_kept_waiting_by_a_long_retry_after() {
    // A run without another model waits it out: it is within what is waited for.
    let stand_in = OpenAi::start(vec![rate_limited("20"), reply("too late")]);
    let models = Models::new(Config { retries: 2, ..config(&stand_in) });
    let asked = ask_within(&models, &conversation(), Patience::Short).await;
    assert_eq!(asked.outcome.unwrap_err().failure, AskFailure::RateLimited);
    assert_eq!((stand_in.requests().len(), asked.deltas), (1, Vec::new()));
    assert!(models.cooling(&model()).is_some());
}

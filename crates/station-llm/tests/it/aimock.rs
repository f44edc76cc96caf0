//! Every dialect against aimock, a stand-in that nobody here wrote: answers, calls, thoughts, and what goes wrong.

use crate::stage::{MODELS, ask_with, at, at_url};
use expect_test::expect;
use serde_json::{Value, json};
use station_core::run::{AskFailure, Effort, Settings};
use station_core::{Answer, Message, Stop};
use station_llm::{AskError, Models};
use station_testkit::aimock::Aimock;
use station_testkit::openai::{OpenAi, status};
use std::collections::BTreeMap;
use std::time::Duration;

const TEXT: &str = "Größe: drei 🦀 Krebse im Netz";
const LETTERS: &str = "Größe: „drei“ Krebse\n\"im Netz\"";
const SPELLED: &str = r#"{"path":"/größe/\"x\".log","n":3}"#;
const ARGUMENTS: &str = r#"{"path":"/größe/🦀.log","n":3}"#;

/// What aimock answers, by what the user says.
fn fixtures() -> Value {
    let error = |status: u16, message: &str, kind: &str| json!({"status": status, "error": {"message": message, "type": kind}});
    let calls = json!([{"name": "read", "arguments": ARGUMENTS}, {"name": "get_time", "arguments": "{}"}]);
    let mut rows = vec![
        ("one call", json!({"toolCalls": [{"name": "read", "arguments": ARGUMENTS}]})),
        ("parallel calls", json!({"content": "I look.", "toolCalls": calls})),
        ("text", json!({"content": TEXT})),
        ("length", json!({"content": "cut o", "finishReason": "length"})),
        ("filtered", json!({"content": "I would", "finishReason": "content_filter"})),
        ("thought", json!({"content": "so", "reasoning": "let me see", "reasoningSignature": "c2ln"})),
        ("server error", error(500, "oops", "api_error")),
        ("bad key", error(401, "invalid x-api-key sk-very-secret-0815", "authentication_error")),
        ("bad request", error(400, "tools.0: no", "invalid_request_error")),
        (
            "too long",
            error(400, "prompt is too long: 210000 tokens > 200000 maximum", "invalid_request_error"),
        ),
        ("overloaded", error(529, "Overloaded", "overloaded_error")),
    ];
    let mut busy = error(429, "slow down", "rate_limit_error");
    busy["retryAfter"] = json!(7);
    rows.push(("busy", busy));
    let rows = rows
        .into_iter()
        .map(|(said, response)| json!({"match": {"userMessage": said}, "response": response}));
    let mut rows: Vec<Value> = rows.collect();
    let cut = json!({"match": {"userMessage": "cut"}, "response": {"content": TEXT}, "truncateAfterChunks": 2, "latency": 20});
    let slow = json!({"match": {"userMessage": "slow"}, "response": {"content": TEXT}, "latency": 30});
    // One character of a text or of arguments to a chunk. aimock breaks those that JavaScript writes as two.
    let letters =
        json!({"match": {"userMessage": "letters"}, "response": {"content": LETTERS}, "chunkSize": 1});
    let calls = json!([{"name": "read", "arguments": SPELLED}, {"name": "get_time", "arguments": "{}"}]);
    let spelled = json!({"match": {"userMessage": "spelled"}, "response": {"content": "I look.", "toolCalls": calls}, "chunkSize": 1});
    rows.extend([cut, slow, letters, spelled]);
    rows.into()
}

/// What each dialect makes of `said`, by its provider.
async fn each(aimock: &Aimock, said: &str) -> BTreeMap<&'static str, Result<Answer, AskError>> {
    let mut outcomes = BTreeMap::new();
    for (provider, model) in MODELS {
        let models = Models::new(at_url(provider, aimock.url()));
        let messages = [Message::User { text: said.to_owned() }];
        let asked = ask_with(&models, &at(provider, model), &messages, None, &Settings::default()).await;
        if let Ok(answer) = &asked.outcome {
            assert_eq!(asked.watched(), answer.text, "{provider}: what was streamed is what was answered");
        }
        outcomes.insert(provider, asked.outcome);
    }
    outcomes
}

fn calls(answer: &Answer) -> Vec<(&str, &str)> {
    answer.calls.iter().map(|call| (call.name.as_str(), call.arguments.as_str())).collect()
}

#[tokio::test]
async fn answers_and_calls() {
    let aimock = Aimock::start(&fixtures());
    for (said, text) in [("text", TEXT), ("slow", TEXT), ("letters", LETTERS)] {
        for (provider, outcome) in each(&aimock, said).await {
            let answer = outcome.unwrap_or_else(|error| panic!("{provider}: {error}"));
            assert_eq!((answer.text.as_str(), answer.stop), (text, Stop::End), "{provider} {said}");
            assert!(answer.calls.is_empty() && !answer.model.is_empty(), "{provider}: {answer:?}");
        }
    }
    for (provider, outcome) in each(&aimock, "one call").await {
        let answer = outcome.unwrap_or_else(|error| panic!("{provider}: {error}"));
        assert_eq!((answer.text.as_str(), calls(&answer)), ("", vec![("read", ARGUMENTS)]), "{provider}");
    }
    for (said, arguments) in [("parallel calls", ARGUMENTS), ("spelled", SPELLED)] {
        for (provider, outcome) in each(&aimock, said).await {
            let answer = outcome.unwrap_or_else(|error| panic!("{provider} {said}: {error}"));
            assert_eq!(calls(&answer), [("read", arguments), ("get_time", "{}")], "{provider} {said}");
            assert_eq!((answer.text.as_str(), answer.stop), ("I look.", Stop::End), "{provider} {said}");
            assert_ne!(answer.calls[0].id, answer.calls[1].id, "{provider} {said}");
        }
    }
    for (provider, outcome) in each(&aimock, "length").await {
        let answer = outcome.unwrap_or_else(|error| panic!("{provider}: {error}"));
        // aimock's Ollama always says `stop`.
        let expected = if provider == "ollama" { Stop::End } else { Stop::Length };
        assert_eq!(answer.stop, expected, "{provider}");
    }
}

/// What its provider held back is a refusal. aimock's Claude and Ollama say it by a word that the real ones have not, its
/// Responses by a failure without a reason.
#[tokio::test]
async fn what_is_held_back_is_told_as_such() {
    let aimock = Aimock::start(&fixtures());
    let mut told = String::new();
    for (provider, outcome) in each(&aimock, "filtered").await {
        let came = match outcome {
            Ok(answer) => format!("{:?}, {:?}", answer.text, answer.stop),
            Err(error) => format!("{:?}: {error}", error.failure),
        };
        told.push_str(&format!("{provider}: {came}\n"));
    }
    expect![[r#"
        anthropic: "I would", End
        gemini: "I would", Refused
        ollama: "I would", End
        openai: "I would", Refused
        openai-responses: Unavailable: model `openai-responses/gpt-5` broke off its answer and said no reason
    "#]]
    .assert_eq(&told);
}

#[tokio::test]
async fn failures_are_told_by_what_to_do() {
    let aimock = Aimock::start(&fixtures());
    for (said, failure) in [
        ("server error", AskFailure::Unavailable),
        ("overloaded", AskFailure::Unavailable),
        ("bad key", AskFailure::BadKey),
        ("bad request", AskFailure::Rejected),
        ("too long", AskFailure::ContextOverflow),
        ("busy", AskFailure::RateLimited),
        ("cut", AskFailure::Truncated),
    ] {
        for (provider, outcome) in each(&aimock, said).await {
            let error = outcome.expect_err(&format!("{provider} {said}"));
            assert_eq!(error.failure, failure, "{provider} {said}: {error}");
            assert!(error.sentence.contains(provider), "{provider} {said}: {error}");
        }
    }
}

#[tokio::test]
async fn a_model_that_is_busy_is_left_alone_for_as_long_as_it_says() {
    let aimock = Aimock::start(&fixtures());
    for (provider, model) in MODELS {
        let (models, model) = (Models::new(at_url(provider, aimock.url())), at(provider, model));
        let messages = [Message::User { text: "busy".to_owned() }];
        ask_with(&models, &model, &messages, None, &Settings::default()).await.outcome.unwrap_err();
        let left = models.cooling(&model).expect("it cools");
        assert!(left > Duration::from_secs(5) && left <= Duration::from_secs(7), "{provider}: {left:?}");
    }
}

#[tokio::test]
async fn thoughts_go_back_to_the_model_that_had_them_and_to_no_other() {
    let aimock = Aimock::start(&fixtures());
    let settings = Settings { effort: Some(Effort::Low), ..Settings::default() };
    for (provider, word) in [("openai-responses", "encrypted_content"), ("anthropic", "\"signature\"")] {
        let models = Models::new(at_url(provider, aimock.url()));
        let model = MODELS.iter().find(|(word, _)| *word == provider).map(|(_, model)| *model).unwrap();
        let mut messages = vec![Message::User { text: "thought".to_owned() }];
        let first = ask_with(&models, &at(provider, model), &messages, None, &settings).await;
        let Answer { text, calls, thinking, .. } = first.outcome.unwrap();
        assert_eq!(text, "so", "a thought is not told");
        assert_eq!(thinking.as_ref().map(|thinking| thinking.thoughts.len()), Some(1), "{provider}");
        messages.push(Message::Assistant { text, calls, thinking });
        messages.push(Message::User { text: "go on".to_owned() });
        for (name, goes) in [(model, true), ("another-5", false)] {
            let stand_in = OpenAi::start(vec![status(500, "never mind")]);
            let models = Models::new(at_url(provider, &stand_in.url()));
            ask_with(&models, &at(provider, name), &messages, None, &settings).await.outcome.unwrap_err();
            let body = stand_in.requests()[0].body.to_string();
            assert_eq!(body.contains(word), goes, "{provider}/{name}: {body}");
        }
    }
}

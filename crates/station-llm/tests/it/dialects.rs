//! Streams as the providers document them, however they are cut, and what goes wrong inside of them. aimock's rows are in
//! `aimock`; these are what it does not say: usage, refusals, signatures, errors in the middle, odd but legal chunking.

use crate::stage::{KEY, MODELS, ask_with, at, at_url};
use expect_test::{Expect, expect};
use serde_json::{Value, json};
use station_core::run::{AskFailure, Settings};
use station_core::{Answer, Message};
use station_llm::{AskError, Config, Models};
use station_testkit::openai::{OpenAi, Turn, raw, refused};
use std::time::Duration;

const ARGUMENTS: &str = r#"{"path":"/größe/🦀.log"}"#;

fn model(provider: &str) -> &'static str {
    MODELS.iter().find(|(word, _)| *word == provider).map(|(_, model)| *model).unwrap()
}

async fn ask(provider: &str, turn: Turn) -> Result<Answer, AskError> {
    let stand_in = OpenAi::start(vec![turn]);
    let config = Config { idle_timeout: Duration::from_millis(300), ..at_url(provider, &stand_in.url()) };
    let messages = [Message::User { text: "what is up".to_owned() }];
    let model = at(provider, model(provider));
    let asked = ask_with(&Models::new(config), &model, &messages, None, &Settings::default()).await;
    if let Ok(answer) = &asked.outcome {
        let refusal = answer.stop == station_core::Stop::Refused;
        assert!(refusal || asked.watched() == answer.text, "what was streamed is what was answered");
    }
    asked.outcome
}

/// The stream that `events` are in this provider's dialect.
fn stream(provider: &str, events: &[Value]) -> String {
    let event = |event: &Value| match provider {
        "ollama" => format!("{event}\n"),
        "gemini" => format!("data: {event}\n\n"),
        _ => format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()),
    };
    events.iter().map(event).collect()
}

fn streamed(provider: &str, events: &[Value]) -> Turn {
    let kind = if provider == "ollama" { "application/x-ndjson" } else { "text/event-stream" };
    raw(kind, &stream(provider, events))
}

/// A whole turn of a model that thinks, speaks and calls twice, as its provider documents it.
fn whole(provider: &str) -> Vec<Value> {
    match provider {
        "anthropic" => {
            let delta = |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
            let start = |index: u64, block: Value| json!({"type": "content_block_start", "index": index, "content_block": block});
            let stop = |index: u64| json!({"type": "content_block_stop", "index": index});
            let (head, tail) = ARGUMENTS.split_at(12);
            vec![
                json!({"type": "message_start", "message": {"model": "claude-x", "content": [], "stop_reason": null,
                    "usage": {"input_tokens": 30, "cache_creation_input_tokens": 6, "cache_read_input_tokens": 64,
                        "output_tokens": 1}}}),
                json!({"type": "ping"}),
                start(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
                delta(0, json!({"type": "thinking_delta", "thinking": "h"})),
                delta(0, json!({"type": "thinking_delta", "thinking": "m"})),
                delta(0, json!({"type": "signature_delta", "signature": "c2ln"})),
                stop(0),
                start(1, json!({"type": "redacted_thinking", "data": "c2VhbGVk"})),
                stop(1),
                start(2, json!({"type": "text", "text": ""})),
                delta(2, json!({"type": "text_delta", "text": "Größe "})),
                delta(2, json!({"type": "text_delta", "text": "🦀"})),
                stop(2),
                start(3, json!({"type": "tool_use", "id": "toolu_1", "name": "read", "input": {}})),
                delta(3, json!({"type": "input_json_delta", "partial_json": ""})),
                delta(3, json!({"type": "input_json_delta", "partial_json": head})),
                delta(3, json!({"type": "input_json_delta", "partial_json": tail})),
                stop(3),
                start(4, json!({"type": "tool_use", "id": "toolu_2", "name": "get_time", "input": {}})),
                stop(4),
                json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 20}}),
                json!({"type": "message_stop"}),
            ]
        }
        "gemini" => {
            let usage = json!({"promptTokenCount": 100, "cachedContentTokenCount": 64, "candidatesTokenCount": 12,
                "thoughtsTokenCount": 8, "totalTokenCount": 120});
            let chunk = |parts: Value| {
                json!({"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}],
                "modelVersion": "gemini-x"})
            };
            let call = json!({"functionCall": {"id": "f1", "name": "read", "args": {"path": "/größe/🦀.log"}},
                "thoughtSignature": "c2ln"});
            let mut end = chunk(json!([{"functionCall": {"id": "f2", "name": "get_time", "args": {}}}]));
            end["candidates"][0]["finishReason"] = json!("STOP");
            end["usageMetadata"] = usage;
            vec![
                chunk(json!([{"text": "hm", "thought": true}])),
                chunk(json!([{"text": "Größe "}])),
                chunk(json!([{"text": "🦀"}])),
                chunk(json!([call])),
                end,
            ]
        }
        "openai-responses" => {
            let thought =
                json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2ln"});
            let call = |arguments: &str| {
                json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "read",
                "arguments": arguments})
            };
            let other = json!({"type": "function_call", "id": "fc_2", "call_id": "call_2", "name": "get_time",
                "arguments": "{}"});
            let (head, tail) = ARGUMENTS.split_at(12);
            let usage = json!({"input_tokens": 100, "input_tokens_details": {"cached_tokens": 64}, "output_tokens": 20,
                "output_tokens_details": {"reasoning_tokens": 8}, "total_tokens": 120});
            let message = json!({"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "Größe 🦀"}]});
            vec![
                json!({"type": "response.created", "response": {"status": "in_progress"}}),
                json!({"type": "response.output_item.done", "output_index": 0, "item": thought}),
                json!({"type": "response.output_text.delta", "output_index": 1, "delta": "Größe "}),
                json!({"type": "response.output_text.delta", "output_index": 1, "delta": "🦀"}),
                json!({"type": "response.output_item.done", "output_index": 1, "item": message}),
                json!({"type": "response.output_item.added", "output_index": 2, "item": call("")}),
                json!({"type": "response.function_call_arguments.delta", "output_index": 2, "delta": head}),
                json!({"type": "response.output_item.added", "output_index": 3, "item": other}),
                json!({"type": "response.function_call_arguments.delta", "output_index": 2, "delta": tail}),
                json!({"type": "response.output_item.done", "output_index": 2, "item": call(ARGUMENTS)}),
                json!({"type": "response.output_item.done", "output_index": 3, "item": other}),
                json!({"type": "response.completed", "response": {"status": "completed", "model": "gpt-x", "usage": usage,
                    "output": [thought, message, call(ARGUMENTS), other]}}),
            ]
        }
        _ => {
            let line = |message: Value| json!({"model": "qwen-x", "message": message, "done": false});
            vec![
                line(json!({"role": "assistant", "content": "", "thinking": "hm"})),
                line(json!({"role": "assistant", "content": "Größe "})),
                line(json!({"role": "assistant", "content": "🦀"})),
                line(json!({"role": "assistant", "content": "", "tool_calls": [
                    {"function": {"name": "read", "arguments": {"path": "/größe/🦀.log"}}},
                    {"function": {"name": "get_time", "arguments": {}}}]})),
                json!({"model": "qwen-x", "message": {"role": "assistant", "content": ""}, "done": true,
                    "done_reason": "stop", "prompt_eval_count": 100, "eval_count": 20}),
            ]
        }
    }
}

#[tokio::test]
async fn an_answer_is_the_same_however_it_is_cut() {
    let shown = |answer: &Answer| serde_json::to_string_pretty(answer).unwrap();
    for (provider, expected) in [
        ("anthropic", expect_test::expect_file!["answers/anthropic.json"]),
        ("gemini", expect_test::expect_file!["answers/gemini.json"]),
        ("openai-responses", expect_test::expect_file!["answers/openai-responses.json"]),
        ("ollama", expect_test::expect_file!["answers/ollama.json"]),
    ] {
        let events = whole(provider);
        let answer = ask(provider, streamed(provider, &events)).await.unwrap();
        expected.assert_eq(&format!("{}\n", shown(&answer)));
        for bytes in [1, 2, 3, 7, 1000] {
            let cut = ask(provider, streamed(provider, &events).in_pieces(bytes)).await.unwrap();
            assert_eq!(shown(&cut), shown(&answer), "{provider} in pieces of {bytes}");
        }
        let kind = if provider == "ollama" { "application/x-ndjson" } else { "text/event-stream" };
        let crlf = stream(provider, &events).replace('\n', "\r\n");
        let commented = if provider == "ollama" { crlf.clone() } else { format!(": hello\r\n\r\n{crlf}") };
        let odd = ask(provider, raw(kind, &commented).in_pieces(5)).await.unwrap();
        assert_eq!(shown(&odd), shown(&answer), "{provider} through a proxy");
        let fenced = raw(kind, &format!("{}data: [DONE]\n\n", stream(provider, &events)));
        if provider != "ollama" {
            assert_eq!(
                shown(&ask(provider, fenced).await.unwrap()),
                shown(&answer),
                "{provider} with [DONE]"
            );
        }
    }
}

#[tokio::test]
async fn events_that_nobody_documents_are_passed_over() {
    let odd = [
        json!(null),
        json!([]),
        json!(7),
        json!("x"),
        json!({}),
        json!({"type": 7, "message": 7, "candidates": 7, "item": 7, "index": "x", "delta": []}),
        json!({"type": "content_block_delta", "index": 99, "delta": {"type": "thinking_delta", "thinking": "x"}}),
        json!({"type": "content_block_stop", "index": 99}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 99, "delta": "x"}),
        json!({"type": "response.output_item.done", "output_index": 99, "item": {"type": "web_search_call"}}),
        json!({"candidates": [{"content": {"parts": [{"executableCode": {}}, 7]}}]}),
    ];
    for provider in ["anthropic", "gemini", "openai-responses", "ollama"] {
        let events = whole(provider);
        let expected = ask(provider, streamed(provider, &events)).await.unwrap();
        let with_odd: Vec<Value> = odd.iter().chain(&events).cloned().collect();
        assert_eq!(ask(provider, streamed(provider, &with_odd)).await.unwrap(), expected, "{provider}");
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_no_answer() {
    for provider in ["anthropic", "gemini", "openai-responses", "ollama"] {
        let events = whole(provider);
        // After each event but those at the end that make it whole, and in the middle of one.
        let ends = if provider == "anthropic" { 2 } else { 1 };
        for n in 0..events.len() - ends {
            let error = ask(provider, streamed(provider, &events[..n])).await.expect_err(provider);
            assert_eq!(error.failure, AskFailure::Truncated, "{provider} after {n}: {error}");
        }
        let error = ask(provider, streamed(provider, &events).in_pieces(9).cut()).await.expect_err(provider);
        assert_eq!(error.failure, AskFailure::Truncated, "{provider}: {error}");
        let error =
            ask(provider, streamed(provider, &events).in_pieces(9).stalls()).await.expect_err(provider);
        assert_eq!(error.failure, AskFailure::TimedOut, "{provider}: {error}");
        let error = ask(provider, streamed(provider, &events).is_silent()).await.expect_err(provider);
        assert_eq!(error.failure, AskFailure::TimedOut, "{provider}: {error}");
    }
}

/// What comes of `turn` in one line.
async fn check(provider: &str, turn: Turn, expected: Expect) {
    let told = match ask(provider, turn).await {
        Ok(answer) => format!("{:?}: {}", answer.stop, answer.text),
        Err(error) => {
            let hint = error.hint.map(|hint| format!(" | {hint}")).unwrap_or_default();
            format!("{:?}: {}{hint}", error.failure, error.sentence)
        }
    };
    expected.assert_eq(&told);
}

#[tokio::test]
async fn refusals_limits_and_empty_answers() {
    let anthropic = |reason: &str, text: &str| {
        let block = json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": text}});
        let end =
            json!({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 2}});
        streamed("anthropic", &[block, end, json!({"type": "message_stop"})])
    };
    check("anthropic", anthropic("refusal", ""), expect!["Refused: "]).await;
    check("anthropic", anthropic("max_tokens", "cut o"), expect!["Length: cut o"]).await;
    check("anthropic", anthropic("model_context_window_exceeded", "cut o"), expect!["Length: cut o"]).await;
    check(
        "anthropic",
        anthropic("end_turn", ""),
        expect!["Garbled: model `anthropic/claude-sonnet-4-5` gave an empty answer"],
    )
    .await;

    let gemini = |reason: &str, text: &str| {
        streamed(
            "gemini",
            &[json!({"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": reason}]})],
        )
    };
    check("gemini", gemini("SAFETY", ""), expect!["Refused: "]).await;
    check("gemini", gemini("MAX_TOKENS", "cut o"), expect!["Length: cut o"]).await;
    check(
        "gemini",
        gemini("STOP", ""),
        expect!["Garbled: model `gemini/gemini-3-pro-preview` gave an empty answer"],
    )
    .await;
    check("gemini", gemini("MALFORMED_FUNCTION_CALL", ""), expect!["Garbled: model `gemini/gemini-3-pro-preview` wrote a call that cannot be read (MALFORMED_FUNCTION_CALL)"]).await;
    let blocked = streamed("gemini", &[json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})]);
    check("gemini", blocked, expect!["Refused: the provider blocked the request: PROHIBITED_CONTENT"]).await;

    let responses = |response: Value| {
        streamed("openai-responses", &[json!({"type": "response.incomplete", "response": response})])
    };
    let said = json!([{"type": "message", "content": [{"type": "output_text", "text": "cut o"}]}]);
    check("openai-responses", responses(json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": said})), expect!["Length: cut o"]).await;
    check(
        "openai-responses",
        responses(
            json!({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": []}),
        ),
        expect!["Refused: "],
    )
    .await;
    check(
        "openai-responses",
        responses(json!({"status": "completed", "output": []})),
        expect!["Garbled: model `openai-responses/gpt-5` gave an empty answer"],
    )
    .await;
    let refusal = json!([{"type": "message", "content": [{"type": "refusal", "refusal": "I will not"}]}]);
    check(
        "openai-responses",
        responses(json!({"status": "completed", "output": refusal})),
        expect!["Refused: I will not"],
    )
    .await;

    let ollama = |reason: &str, text: &str| {
        streamed(
            "ollama",
            &[
                json!({"message": {"role": "assistant", "content": text}, "done": true, "done_reason": reason}),
            ],
        )
    };
    check("ollama", ollama("length", "cut o"), expect!["Length: cut o"]).await;
    check("ollama", ollama("stop", ""), expect!["Garbled: model `ollama/qwen3` gave an empty answer"]).await;
}

#[tokio::test]
async fn an_answer_that_is_not_streamed() {
    let anthropic = json!({"type": "message", "model": "m", "stop_reason": "tool_use", "usage": {"input_tokens": 1},
        "content": [{"type": "text", "text": "all at once"}, {"type": "tool_use", "id": "t", "name": "read", "input": {"a": 1}}]});
    let gemini = json!([{"candidates": [{"content": {"parts": [{"text": "all "}]}}]},
        {"candidates": [{"content": {"parts": [{"text": "at once"}]}, "finishReason": "STOP"}]}]);
    let responses = json!({"object": "response", "status": "completed", "output": [
        {"type": "message", "content": [{"type": "output_text", "text": "all at once"}]}]});
    let ollama = json!({"message": {"content": "all at once"}, "done": true});
    for (provider, body) in
        [("anthropic", anthropic), ("gemini", gemini), ("openai-responses", responses), ("ollama", ollama)]
    {
        let answer = ask(provider, raw("application/json", &body.to_string())).await;
        assert_eq!(
            answer.unwrap_or_else(|error| panic!("{provider}: {error}")).text,
            "all at once",
            "{provider}"
        );
        let error = ask(provider, raw("application/json", "{}")).await.unwrap_err();
        assert_eq!(error.failure, AskFailure::Garbled, "{provider}: {error}");
        let error = ask(provider, raw("text/html", "<html>")).await.unwrap_err();
        assert_eq!(error.failure, AskFailure::Garbled, "{provider}: {error}");
    }
}

#[tokio::test]
async fn errors_in_the_middle_of_a_stream() {
    let error = |kind: &str| {
        streamed("anthropic", &[json!({"type": "error", "error": {"type": kind, "message": "Overloaded"}})])
    };
    check(
        "anthropic",
        error("overloaded_error"),
        expect!["Unavailable: model `anthropic/claude-sonnet-4-5` broke off its answer: Overloaded"],
    )
    .await;
    check(
        "anthropic",
        error("rate_limit_error"),
        expect!["RateLimited: model `anthropic/claude-sonnet-4-5` answered 429: Overloaded"],
    )
    .await;
    check(
        "anthropic",
        error("invalid_request_error"),
        expect!["Rejected: model `anthropic/claude-sonnet-4-5` refused the request: Overloaded"],
    )
    .await;
    let error =
        json!({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}});
    check(
        "gemini",
        streamed("gemini", &[error]),
        expect!["Unavailable: model `gemini/gemini-3-pro-preview` answered 503: The model is overloaded"],
    )
    .await;
    let failed = json!({"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error", "message": "oops"}}});
    check(
        "openai-responses",
        streamed("openai-responses", &[failed]),
        expect!["Unavailable: model `openai-responses/gpt-5` broke off its answer: oops"],
    )
    .await;
    let error = json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow down"});
    check(
        "openai-responses",
        streamed("openai-responses", &[error]),
        expect!["RateLimited: model `openai-responses/gpt-5` answered 429: slow down"],
    )
    .await;
    let error = json!({"error": "an error was encountered while running the model"});
    check("ollama", streamed("ollama", &[error]), expect!["Unavailable: model `ollama/qwen3` broke off its answer: an error was encountered while running the model"]).await;
}

#[tokio::test]
async fn refusals_in_the_providers_own_words() {
    let google = |status: u16, message: &str, details: Value| {
        refused(
            status,
            &[],
            &json!({"error": {"code": status, "message": message, "details": details}}).to_string(),
        )
    };
    let no_key = json!([{"reason": "API_KEY_INVALID"}]);
    check("gemini", google(400, "API key not valid. Please pass a valid API key.", no_key), expect!["BadKey: model `gemini/gemini-3-pro-preview` does not accept its key (400) | set `GEMINI_API_KEY` or `GOOGLE_API_KEY` or `STN_AI_API_KEY` to a key that is valid for it"]).await;
    let daily = json!([{"violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]);
    check("gemini", google(429, "You exceeded your current quota.", daily), expect!["RateLimited: model `gemini/gemini-3-pro-preview` answered 429: You exceeded your current quota | check the plan and billing of the account the key belongs to"]).await;
    check("gemini", google(400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).", json!([])), expect!["ContextOverflow: the conversation is longer than model `gemini/gemini-3-pro-preview` takes | let tools return less, or name a model with a longer context after it in `model:`"]).await;
    let poor = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low to access the Anthropic API."}});
    check("anthropic", refused(400, &[], &poor.to_string()), expect!["RateLimited: model `anthropic/claude-sonnet-4-5` answered 400: Your credit balance is too low to access the Anthropic API | check the plan and billing of the account the key belongs to"]).await;
    let unknown =
        json!({"type": "error", "error": {"type": "not_found_error", "message": "model: claude-9"}});
    check("anthropic", refused(404, &[], &unknown.to_string()), expect!["Rejected: model `anthropic/claude-sonnet-4-5` answered 404: model: claude-9 | check the model's name in `model:`, `ai_model` or `models:` of config.yaml, and `STN_AI_BASE_URL`"]).await;
    check("anthropic", refused(401, &[], &format!("invalid x-api-key {KEY}")), expect!["BadKey: model `anthropic/claude-sonnet-4-5` does not accept its key (401) | set `ANTHROPIC_API_KEY` or `STN_AI_API_KEY` to a key that is valid for it"]).await;
    check("ollama", refused(404, &[], r#"{"error":"model 'qwen3' not found"}"#), expect!["Rejected: model `ollama/qwen3` answered 404: model 'qwen3' not found | get the model with `ollama pull qwen3`, or name one that `ollama list` shows"]).await;
    check(
        "ollama",
        refused(400, &[], r#"{"error":"qwen3 does not support tools"}"#),
        expect!["Rejected: model `ollama/qwen3` answered 400: qwen3 does not support tools"],
    )
    .await;
}

#[tokio::test]
async fn google_says_in_the_body_how_long_to_wait() {
    let body = json!({"error": {"code": 429, "message": "Quota exceeded for metric", "details": [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]}});
    let stand_in = OpenAi::start(vec![refused(429, &[], &body.to_string())]);
    let (models, model) = (Models::new(at_url("gemini", &stand_in.url())), at("gemini", "gemini-2.5-pro"));
    let messages = [Message::User { text: "hello".to_owned() }];
    ask_with(&models, &model, &messages, None, &Settings::default()).await.outcome.unwrap_err();
    let left = models.cooling(&model).expect("it cools");
    assert!(left > Duration::from_secs(33) && left < Duration::from_secs(35), "{left:?}");
}

//! OpenAI's chat dialect: what is sent, and what is made of what comes.

use crate::stage::{KEY, ask, config, conversation};
use serde_json::{Value, json};
use station_core::{Answer, Message, Stop, ToolCall, Usage};
use station_llm::Models;
use station_testkit::openai::{OpenAi, Turn, calls, empty, raw, reply};

/// The usage the stand-in tells.
const USAGE: Usage = Usage { input: 100, output: 20, cached: 64, cache_written: 0, reasoning: 8 };

async fn answer(turn: Turn) -> Answer {
    let stand_in = OpenAi::start(vec![turn]);
    let asked = ask(&Models::new(config(&stand_in)), &conversation(), None).await;
    let watched = asked.watched();
    let answer = asked.outcome.expect("an answer");
    assert_eq!(watched, answer.text, "what was streamed is what was answered");
    answer
}

fn call(at: usize, name: &str, arguments: &str) -> ToolCall {
    ToolCall { id: format!("call_stand_in_{at}"), name: name.to_owned(), arguments: arguments.to_owned() }
}

#[tokio::test]
async fn an_answer_is_the_same_however_it_is_sent() {
    let text = "Größe: drei 🦀 Krebse";
    let arguments = r#"{"path":"/größe/🦀.log","n":3}"#;
    let parallel = [("read", arguments), ("get_time", ""), ("read", "{not JSON")];
    let expected = vec![call(0, "read", arguments), call(1, "get_time", ""), call(2, "read", "{not JSON")];
    let shapes: [fn(Turn) -> Turn; 7] = [
        |turn| turn,
        |turn| turn.in_pieces(1),
        |turn| turn.in_pieces(7),
        Turn::through_a_proxy,
        |turn| turn.through_a_proxy().in_pieces(3),
        Turn::without_done,
        |turn| turn.without_done().through_a_proxy().in_pieces(11),
    ];
    for (row, shape) in shapes.iter().enumerate() {
        let said = answer(shape(reply(text))).await;
        let model = "stand-in-1".to_owned();
        let whole = Answer {
            text: text.to_owned(),
            calls: Vec::new(),
            thinking: None,
            stop: Stop::End,
            usage: USAGE,
            model,
        };
        assert_eq!(said, whole, "shape {row}");
        let wanted = answer(shape(calls(parallel))).await;
        assert_eq!((wanted.calls, wanted.usage), (expected.clone(), USAGE), "shape {row}");
    }
}

#[tokio::test]
async fn why_a_model_stopped() {
    for (turn, stop) in [
        (reply("a b"), Stop::End),
        (reply("a b").finish("length"), Stop::Length),
        (reply("a b").finish("content_filter"), Stop::Refused),
        (empty().finish("length"), Stop::Length),
        (calls([("read", "{}")]).finish("stop"), Stop::End),
    ] {
        assert_eq!(answer(turn).await.stop, stop);
    }
}

fn chunk(delta: &Value, finish: &Value) -> String {
    format!("data: {}\n\n", json!({"choices": [{"delta": delta, "finish_reason": finish}]}))
}

#[tokio::test]
async fn a_thought_is_kept_under_the_word_that_the_server_has_for_it() {
    let called = chunk(&json!({"tool_calls": [{"index": 0, "function": {"name": "read"}}]}), &json!("stop"));
    let both = json!({"reasoning": "hm", "reasoning_content": "hm"});
    for (delta, expected) in [
        (json!({"reasoning_content": "h\u{f6}m"}), Some(json!({"reasoning_content": "h\u{f6}mh\u{f6}m"}))),
        (json!({"reasoning": "hm"}), Some(json!({"reasoning": "hmhm"}))),
        (both, Some(json!({"reasoning_content": "hmhm"}))),
        (json!({"reasoning_content": null, "content": ""}), None),
    ] {
        let thought = chunk(&delta, &Value::Null);
        let stream = format!("{thought}{thought}{called}");
        let thinking = answer(raw("text/event-stream", &stream)).await.thinking;
        assert_eq!(thinking.map(|it| it.thoughts[0].block.clone()), expected, "{delta}");
    }
}

#[tokio::test]
async fn servers_differ_in_the_details() {
    let call_of = |index: Value, id: &str, name: &str, arguments: Value| {
        let call = json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}});
        chunk(&json!({"tool_calls": [call]}), &Value::Null)
    };
    let end = chunk(&json!({}), &json!("stop"));
    let pairs = |answer: Answer| -> Vec<(String, String)> {
        answer.calls.into_iter().map(|call| (call.id, call.arguments)).collect()
    };
    let rows: [(String, &[(&str, &str)]); 5] = [
        // Every parallel call numbered 0 (Gemini's compatible address).
        (
            call_of(json!(0), "a", "read", json!("{}")) + &call_of(json!(0), "b", "read", json!("[]")),
            &[("a", "{}"), ("b", "[]")],
        ),
        // No index; the arguments as an object.
        (call_of(Value::Null, "a", "read", json!({"x": 1})), &[("a", r#"{"x":1}"#)]),
        // No ids at all.
        (
            call_of(json!(0), "", "read", json!("{}")) + &call_of(json!(1), "", "read", json!("{}")),
            &[("call_0", "{}"), ("call_1", "{}")],
        ),
        // The id in every fragment.
        (
            call_of(json!(0), "a", "read", json!("{\"x\"")) + &call_of(json!(0), "a", "", json!(":1}")),
            &[("a", "{\"x\":1}")],
        ),
        // One id for two calls.
        (
            call_of(json!(0), "a", "read", json!("1")) + &call_of(json!(1), "a", "read", json!("2")),
            &[("a", "1"), ("a_1", "2")],
        ),
    ];
    for (stream, expected) in rows {
        let got = pairs(answer(raw("text/event-stream", &(stream.clone() + &end))).await);
        let got: Vec<(&str, &str)> = got.iter().map(|(id, args)| (id.as_str(), args.as_str())).collect();
        assert_eq!(got, expected, "{stream}");
    }
    let whole =
        json!({"model": "m", "choices": [{"message": {"content": "all at once"}, "finish_reason": "stop"}]});
    assert_eq!(answer(raw("application/json", &whole.to_string())).await.text, "all at once");
    let refusal = chunk(&json!({"refusal": "I will not"}), &json!("stop"));
    let stand_in = OpenAi::start(vec![raw("text/event-stream", &refusal)]);
    let said = ask(&Models::new(config(&stand_in)), &conversation(), None).await.outcome.unwrap();
    assert_eq!((said.stop, said.text.as_str()), (Stop::Refused, "I will not"));
}

#[tokio::test]
async fn what_is_sent() {
    let stand_in = OpenAi::start(vec![reply("done")]);
    let call = ToolCall { id: "c1".to_owned(), name: "read".to_owned(), arguments: String::new() };
    let broken = ToolCall { id: "c2".to_owned(), name: "read".to_owned(), arguments: "{oops".to_owned() };
    let result = |call: &str, text: &str, is_error| Message::Tool {
        call: call.to_owned(),
        name: "read".to_owned(),
        text: text.to_owned(),
        is_error,
        images: Vec::new(),
    };
    let mut messages = conversation();
    messages.push(Message::Assistant { text: String::new(), calls: vec![call, broken], thinking: None });
    messages.push(result("c1", "42 lines", false));
    messages.push(result("c2", "no JSON", true));
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
        "additionalProperties": false});
    ask(&Models::new(config(&stand_in)), &messages, Some(&schema)).await.outcome.unwrap();
    let [seen] = &stand_in.requests()[..] else { panic!("one request") };
    assert_eq!(seen.headers["authorization"], format!("Bearer {KEY}"));
    assert!(seen.headers["user-agent"].starts_with("station/"));
    expect_test::expect![[r#"
        {
          "model": "gpt-4o-mini",
          "messages": [
            {
              "role": "system",
              "content": "be brief"
            },
            {
              "role": "user",
              "content": "what is up"
            },
            {
              "role": "assistant",
              "content": null,
              "tool_calls": [
                {
                  "id": "c1",
                  "type": "function",
                  "function": {
                    "name": "read",
                    "arguments": "{}"
                  }
                },
                {
                  "id": "c2",
                  "type": "function",
                  "function": {
                    "name": "read",
                    "arguments": "{oops"
                  }
                }
              ]
            },
            {
              "role": "tool",
              "tool_call_id": "c1",
              "content": "42 lines"
            },
            {
              "role": "tool",
              "tool_call_id": "c2",
              "content": "error: no JSON"
            }
          ],
          "tools": [
            {
              "type": "function",
              "function": {
                "name": "get_time",
                "description": "Does get_time",
                "parameters": {
                  "type": "object",
                  "properties": {}
                }
              }
            },
            {
              "type": "function",
              "function": {
                "name": "read",
                "description": "Does read",
                "parameters": {
                  "type": "object",
                  "properties": {}
                }
              }
            }
          ],
          "temperature": 0.5,
          "max_tokens": 99,
          "response_format": {
            "type": "json_schema",
            "json_schema": {
              "name": "answer",
              "schema": {
                "type": "object",
                "properties": {
                  "n": {
                    "type": "integer"
                  }
                },
                "required": [
                  "n"
                ],
                "additionalProperties": false
              },
              "strict": true
            }
          },
          "stream": true,
          "stream_options": {
            "include_usage": true
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&seen.body).unwrap());
}

//! What models, tools and people say, as a collector of traces is told where somebody wants that.
//!
//! It goes to the collector as an event of the target [`CONTENT`] inside the span that it belongs to, so that whoever says it asks for
//! nothing but whether somebody takes it. **Invariant:** no log takes this target, at no level. The shapes are those of OpenTelemetry's conventions for generative AI (`gen_ai.input.messages`, `gen_ai.output.messages`,
//! `gen_ai.system_instructions`). A trace is for looking at, not for keeping: of a long conversation it has the newest messages, and of a
//! long text its beginning. The journal has all of it.
//!
//! Source: <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>, with the JSON Schemas beside it.

use crate::{Answer, Message, Stop, ToolCall};
use serde_json::{Value, json};

/// The target of events that hold what was said.
pub const CONTENT: &str = "station_content";

/// Longest text of one part, and most bytes of text of one conversation.
const TEXT_MAX: usize = 16 * 1024;
const TEXTS_MAX: usize = 64 * 1024;

/// A conversation so far: its instructions, and its messages, each as JSON.
#[must_use]
pub fn conversation(messages: &[Message]) -> (String, String) {
    let mut instructions = Vec::new();
    let (mut told, mut left) = (Vec::new(), TEXTS_MAX);
    for message in messages.iter().rev() {
        let (role, parts, bytes) = match message {
            Message::System { text } => {
                instructions.insert(0, said(text));
                continue;
            }
            Message::User { text } => ("user", vec![said(text)], text.len()),
            Message::Assistant { text, calls, .. } => {
                let written = calls.iter().map(|call| call.arguments.len()).sum::<usize>();
                ("assistant", answered(text, calls), text.len() + written)
            }
            Message::Tool { call, text, .. } => {
                let part = json!({ "type": "tool_call_response", "id": call, "response": shortened(text) });
                ("tool", vec![part], text.len())
            }
        };
        let Some(after) = left.checked_sub(bytes.min(TEXT_MAX)) else { break };
        left = after;
        told.push(json!({ "role": role, "parts": parts }));
    }
    told.reverse();
    (Value::Array(instructions).to_string(), Value::Array(told).to_string())
}

/// What a model answered, as JSON.
#[must_use]
pub fn answer(answer: &Answer) -> String {
    let reason = match answer.stop {
        Stop::End if answer.calls.is_empty() => "stop",
        Stop::End => "tool_call",
        Stop::Length => "length",
        Stop::Refused => "content_filter",
    };
    let parts = answered(&answer.text, &answer.calls);
    json!([{ "role": "assistant", "parts": parts, "finish_reason": reason }]).to_string()
}

/// A text, or its beginning and how much more there was.
#[must_use]
pub fn shortened(text: &str) -> String {
    let end = text.floor_char_boundary(TEXT_MAX);
    match text.len() - end {
        0 => text.to_owned(),
        left_out => format!("{} … ({left_out} bytes more)", &text[..end]),
    }
}

fn said(text: &str) -> Value {
    json!({ "type": "text", "content": shortened(text) })
}

fn answered(text: &str, calls: &[ToolCall]) -> Vec<Value> {
    let text = (!text.is_empty()).then(|| said(text));
    let call = |call: &ToolCall| {
        // What cannot be read is told as it was written.
        let arguments = serde_json::from_str(&call.arguments)
            .ok()
            .filter(|_| call.arguments.len() <= TEXT_MAX)
            .unwrap_or_else(|| Value::String(shortened(&call.arguments)));
        json!({ "type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments })
    };
    text.into_iter().chain(calls.iter().map(call)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> Message {
        Message::User { text: text.to_owned() }
    }

    #[test]
    fn a_conversation_is_told_as_the_conventions_have_it() {
        let call = |arguments: &str| ToolCall {
            id: "c1".to_owned(),
            name: "read".to_owned(),
            arguments: arguments.to_owned(),
        };
        let messages = [
            Message::System { text: "Be brief.".to_owned() },
            user("What is in it?"),
            Message::Assistant { text: String::new(), calls: vec![call(r#"{"path": "a"}"#)], thinking: None },
            Message::Tool {
                call: "c1".to_owned(),
                name: "read".to_owned(),
                text: "seven".to_owned(),
                is_error: false,
                images: Vec::new(),
            },
        ];
        let (instructions, input) = conversation(&messages);
        assert_eq!(instructions, r#"[{"type":"text","content":"Be brief."}]"#);
        let input: Value = serde_json::from_str(&input).unwrap();
        assert_eq!(
            input,
            json!([
                { "role": "user", "parts": [{ "type": "text", "content": "What is in it?" }] },
                { "role": "assistant", "parts": [
                    { "type": "tool_call", "id": "c1", "name": "read", "arguments": { "path": "a" } },
                ] },
                { "role": "tool", "parts": [{ "type": "tool_call_response", "id": "c1", "response": "seven" }] },
            ])
        );
        for (stop, calls, reason, arguments) in [
            (Stop::End, vec![], "stop", Value::Null),
            (Stop::End, vec![call(r#"{"path""#)], "tool_call", json!(r#"{"path""#)),
            (Stop::Length, vec![], "length", Value::Null),
            (Stop::Refused, vec![], "content_filter", Value::Null),
        ] {
            let usage = crate::Usage::default();
            let (text, model) = ("Seven.".to_owned(), "m".to_owned());
            let told = answer(&Answer { text, calls, thinking: None, stop, usage, model });
            let told: Value = serde_json::from_str(&told).unwrap();
            assert_eq!((&told[0]["role"], &told[0]["finish_reason"]), (&json!("assistant"), &json!(reason)));
            assert_eq!(told[0]["parts"][0]["content"], "Seven.");
            assert_eq!(told[0]["parts"][1]["arguments"], arguments, "{reason}");
        }
    }

    #[test]
    fn of_much_the_newest_is_told_and_of_a_long_text_its_beginning() {
        let long = "é".repeat(TEXT_MAX);
        let told = shortened(&long);
        assert!(told.ends_with(&format!(" … ({TEXT_MAX} bytes more)")), "{}", &told[told.len() - 40..]);
        assert_eq!(shortened("short"), "short");
        let messages: Vec<Message> = (0..9).map(|n| user(&format!("{n}{long}"))).collect();
        let (_, input) = conversation(&messages);
        let input: Value = serde_json::from_str(&input).unwrap();
        let first: Vec<char> = input
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|message| message["parts"][0]["content"].as_str()?.chars().next())
            .collect();
        assert_eq!(first, ['5', '6', '7', '8']);
    }
}

//! The body of a request. **Invariant:** it is a function of the conversation, with no clock and no chance in it, so
//! that its beginning is the same bytes from turn to turn and the provider's prompt cache hits.

use super::{THOUGHTS, reasons, sees};
use crate::Request;
use crate::choose::Endpoint;
use crate::history::{Ids, parameters, told, without_images};
use crate::strict;
use serde_json::{Map, Value, json};
use station_core::run::Settings;
use station_core::{Image, Message, ToolSpec};

/// Longest id of a call that OpenAI takes here.
const ID_CHARS_MAX: usize = 40;

/// The body for `request` at `endpoint`.
pub(crate) fn body(endpoint: &Endpoint, request: &Request<'_>) -> Value {
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(endpoint.model.model));
    body.insert("messages".to_owned(), Value::Array(messages(endpoint, request.messages)));
    if !request.tools.is_empty() {
        let tools = request.tools.iter().map(|granted| tool(&granted.spec)).collect();
        body.insert("tools".to_owned(), tools);
    }
    settings(&mut body, request.settings, endpoint);
    if let Some(schema) = request.output_schema {
        body.insert("response_format".to_owned(), response_format(schema));
    }
    body.insert("stream".to_owned(), json!(true));
    body.insert("stream_options".to_owned(), json!({"include_usage": true}));
    Value::Object(body)
}

/// The conversation. Results are text alone in this dialect: where the model has eyes, and it is OpenAI's own, the images
/// of a turn's results follow them in a message of the user's; compatible servers are told by the text.
fn messages(endpoint: &Endpoint, messages: &[Message]) -> Vec<Value> {
    let shows = endpoint.native && sees(&endpoint.model.model);
    let mut ids = Ids::of_at_most(ID_CHARS_MAX);
    let (mut told, mut images) = (Vec::new(), Vec::new());
    for it in messages {
        if !matches!(it, Message::Tool { .. }) {
            told.extend(seen(&mut images));
        }
        told.push(message(endpoint, it, &mut ids, shows));
        if let Message::Tool { images: of_result, .. } = it
            && shows
        {
            images.extend(of_result);
        }
    }
    told.extend(seen(&mut images));
    told
}

/// A message that shows `images`, of which none is left.
fn seen(images: &mut Vec<&Image>) -> Option<Value> {
    if images.is_empty() {
        return None;
    }
    let shown = images.drain(..).map(|image| {
        let url = format!("data:{};base64,{}", image.mime, image.data);
        json!({"type": "image_url", "image_url": {"url": url}})
    });
    let note = json!({"type": "text", "text": "[Station] the images of the results above, in their order:"});
    let content: Vec<Value> = [note].into_iter().chain(shown).collect();
    Some(json!({"role": "user", "content": content}))
}

fn message(endpoint: &Endpoint, message: &Message, ids: &mut Ids, shows: bool) -> Value {
    match message {
        Message::System { text } => json!({"role": "system", "content": text}),
        Message::User { text } => json!({"role": "user", "content": text}),
        Message::Assistant { text, calls, .. } if calls.is_empty() => {
            json!({"role": "assistant", "content": text})
        }
        Message::Assistant { text, calls, thinking } => {
            let calls: Vec<Value> = calls
                .iter()
                .zip(ids.turn(calls))
                .map(|(call, id)| {
                    let arguments = if call.arguments.is_empty() { "{}" } else { &call.arguments };
                    let function = json!({"name": call.name, "arguments": arguments});
                    json!({"id": id, "type": "function", "function": function})
                })
                .collect();
            let content = if text.is_empty() { Value::Null } else { json!(text) };
            let mut told = json!({"role": "assistant", "content": content, "tool_calls": calls});
            let own = thinking.as_ref().filter(|thinking| thinking.is_of(&endpoint.model));
            for thought in own.into_iter().flat_map(|thinking| &thinking.thoughts) {
                for word in THOUGHTS.iter().filter(|word| thought.block[**word].is_string()) {
                    told[*word] = thought.block[*word].clone();
                }
            }
            told
        }
        Message::Tool { call, text, is_error, images, .. } => {
            let text = told(text, *is_error);
            let content = if shows { text } else { without_images(text, images) };
            json!({"role": "tool", "tool_call_id": ids.result(call), "content": content})
        }
    }
}

fn tool(spec: &ToolSpec) -> Value {
    json!({"type": "function", "function": {
        "name": spec.name, "description": spec.description, "parameters": parameters(spec),
    }})
}

fn settings(body: &mut Map<String, Value>, settings: &Settings, endpoint: &Endpoint) {
    // OpenAI's thinking models refuse to be told how to sample.
    let samples = !(endpoint.native && reasons(&endpoint.model.model));
    if let Some(temperature) = settings.temperature.filter(|_| samples) {
        body.insert("temperature".to_owned(), json!(temperature));
    }
    if let Some(top_p) = settings.top_p.filter(|_| samples) {
        body.insert("top_p".to_owned(), json!(top_p));
    }
    if let Some(limit) = settings.max_output_tokens {
        // Newer models of OpenAI refuse the old word; compatible servers often know only that.
        let word = if endpoint.native { "max_completion_tokens" } else { "max_tokens" };
        body.insert(word.to_owned(), json!(limit));
    }
    if !settings.stop.is_empty() {
        body.insert("stop".to_owned(), json!(settings.stop));
    }
    if let Some(effort) = settings.effort.filter(|_| !endpoint.native || !samples) {
        body.insert("reasoning_effort".to_owned(), json!(effort.word()));
    }
}

fn response_format(schema: &Value) -> Value {
    json!({"type": "json_schema", "json_schema": {
        "name": "answer", "schema": schema, "strict": strict::takes(schema),
    }})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Dialect;
    use station_core::{ModelRef, ToolCall};

    /// The roles of what is sent to OpenAI itself, or to a server that speaks as it does.
    fn roles(native: bool, model: &str, messages: &[Message]) -> String {
        let model = ModelRef { provider: "openai".to_owned(), model: model.to_owned() };
        let (key, key_variables, url) = (None, String::new(), String::new());
        let endpoint = Endpoint {
            model,
            dialect: Dialect::Chat,
            url,
            key,
            key_variables,
            native,
            window: None,
            sees_images: false,
        };
        let told = super::messages(&endpoint, messages);
        let role = |message: &Value| match message["content"].as_array() {
            Some(parts) => format!("images x{}", parts.len() - 1),
            None if message.to_string().contains("no images") => "tool (told)".to_owned(),
            None => message["role"].as_str().unwrap_or_default().to_owned(),
        };
        told.iter().map(role).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn images_follow_the_results_of_their_turn() {
        let call =
            |id: &str| ToolCall { id: id.to_owned(), name: "look".to_owned(), arguments: String::new() };
        let result = |id: &str, images: usize| Message::Tool {
            call: id.to_owned(),
            name: "look".to_owned(),
            text: "seen".to_owned(),
            is_error: false,
            images: vec![Image { mime: "image/png".to_owned(), data: "AAAA".to_owned() }; images],
        };
        let turn = |ids: [&str; 2]| Message::Assistant {
            text: String::new(),
            calls: ids.map(call).into(),
            thinking: None,
        };
        let mut messages = vec![Message::User { text: "look".to_owned() }, turn(["a", "b"])];
        messages.extend([result("a", 1), result("b", 2)]);
        let first = "user, assistant, tool, tool, images x3";
        assert_eq!(roles(true, "gpt-4o", &messages), first);
        messages.extend([turn(["c", "d"]), result("c", 0), result("d", 0)]);
        assert_eq!(roles(true, "gpt-4o", &messages), format!("{first}, assistant, tool, tool"));
        let told = "user, assistant, tool (told), tool (told), assistant, tool, tool";
        assert_eq!(roles(true, "gpt-3.5-turbo", &messages), told);
        assert_eq!(roles(false, "gpt-4o", &messages), told);
    }
}

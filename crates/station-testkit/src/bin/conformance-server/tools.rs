//! The tools.

use crate::asks::{Asked, ask, elicit, form, roots, sample};
use crate::protocol::{Answer, Request, Server, fault};
use serde_json::{Map, Value, json};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A red pixel.
pub(crate) const IMAGE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

/// Silence.
const AUDIO: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQAAAAA=";

/// Between two signs of life, as the suite has it.
const PAUSE: Duration = Duration::from_millis(50);

/// What a state of ours begins with: nothing else comes back as it was given.
const STATE: &str = "conformance-state:";

const NAMES: [&str; 24] = [
    "test_simple_text",
    "test_image_content",
    "test_audio_content",
    "test_embedded_resource",
    "test_multiple_content_types",
    "test_tool_with_logging",
    "test_logging_tool",
    "test_error_handling",
    "test_tool_with_progress",
    "test_elicitation_sep1034_defaults",
    "test_elicitation_sep1330_enums",
    "test_missing_capability",
    "test_streaming_elicitation",
    "test_trigger_tool_change",
    "test_trigger_prompt_change",
    "test_input_required_result_elicitation",
    "test_input_required_result_sampling",
    "test_input_required_result_list_roots",
    "test_input_required_result_request_state",
    "test_input_required_result_multiple_inputs",
    "test_input_required_result_multi_round",
    "test_input_required_result_tampered_state",
    "test_input_required_result_capabilities",
    "json_schema_2020_12_tool",
];

pub(crate) fn list(server: &Server) -> Value {
    let tool = |name: &str, schema: Value| json!({ "name": name, "description": format!("The tool {name}."), "inputSchema": schema });
    let mut all: Vec<Value> = NAMES
        .iter()
        .map(|name| match *name {
            "json_schema_2020_12_tool" => tool(name, schema_2020_12()),
            name => tool(name, json!({ "type": "object", "properties": {} })),
        })
        .collect();
    all[0]["icons"] = json!([{ "src": "https://example.com/tool.png", "mimeType": "image/png" }]);
    all[0]["_meta"] = json!({ "example.com/kept": true });
    for (name, argument) in [("test_sampling", "prompt"), ("test_elicitation", "message")] {
        let properties = json!({ argument: { "type": "string" } });
        all.push(tool(name, json!({ "type": "object", "properties": properties, "required": [argument] })));
    }
    if server.extra_tool.load(Ordering::Relaxed) {
        all.push(tool("test_extra_tool", json!({ "type": "object" })));
    }
    Value::Array(all)
}

fn schema_2020_12() -> Value {
    let address =
        json!({ "$anchor": "address", "type": "object", "properties": { "street": { "type": "string" } } });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": { "address": address },
        "properties": {
            "name": { "type": "string" },
            "address": { "$ref": "#/$defs/address" },
            "contactMethod": { "type": "string", "enum": ["phone", "email"] },
        },
        "additionalProperties": false,
    })
}

pub(crate) fn call(request: &Request) -> Answer {
    let text = |text: &str| json!({ "type": "text", "text": text });
    let image = || json!({ "type": "image", "data": IMAGE, "mimeType": "image/png" });
    let resource = |uri: &str, mime: &str, text: &str| json!({ "type": "resource", "resource": { "uri": uri, "mimeType": mime, "text": text } });
    let name = request.params["name"].as_str().unwrap_or_default();
    let content = match name {
        "test_simple_text" => vec![text("This is a simple text response for testing.")],
        "test_image_content" => vec![image()],
        "test_audio_content" => vec![json!({ "type": "audio", "data": AUDIO, "mimeType": "audio/wav" })],
        "test_embedded_resource" => {
            vec![resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")]
        }
        "test_multiple_content_types" => vec![
            text("Multiple content types test:"),
            image(),
            resource(
                "test://mixed-content-resource",
                "application/json",
                &json!({ "test": "data", "value": 123 }).to_string(),
            ),
        ],
        "test_error_handling" => {
            let content = [text("This tool intentionally returns an error for testing")];
            return Ok(json!({ "isError": true, "content": content }));
        }
        "test_tool_with_logging" | "test_logging_tool" => {
            request.log("Tool execution started");
            pause();
            request.log("Tool processing data");
            pause();
            request.log("Tool execution completed");
            vec![text("Logged.")]
        }
        "test_tool_with_progress" => {
            for progress in [0, 50, 100] {
                request.progress(progress);
                pause();
            }
            vec![text("Progressed.")]
        }
        "test_trigger_tool_change" => vec![changed(request, &request.server.extra_tool, "tools")],
        "test_trigger_prompt_change" => vec![changed(request, &request.server.extra_prompt, "prompts")],
        "test_extra_tool" | "json_schema_2020_12_tool" => vec![text("Done.")],
        _ => match asking(request, name)? {
            Asked::First(answer) => return answer,
            Asked::Answered(answers) => vec![text(&said(request, name, &answers))],
        },
    };
    Ok(json!({ "content": content }))
}

fn changed(request: &Request, extra: &AtomicBool, list: &str) -> Value {
    extra.fetch_xor(true, Ordering::Relaxed);
    request.server.list_changed(list);
    json!({ "type": "text", "text": format!("The list of {list} has changed.") })
}

/// Tools that ask their client.
fn asking(request: &Request, name: &str) -> Result<Asked, Value> {
    let arguments = request.arguments();
    let given = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let one = |key: &'static str, question: Value| ask(request, &[(key, question)], None);
    let needs = |capability: &str| match request.can(capability) {
        true => Ok(()),
        false => {
            let mut error = fault(-32021, "a capability of the client is missing");
            error["data"] = json!({ "requiredCapabilities": { capability: {} } });
            Err(error)
        }
    };
    Ok(match name {
        "test_sampling" => {
            needs("sampling")?;
            one("answer", sample(given("prompt"), 100))
        }
        "test_missing_capability" => {
            needs("sampling")?;
            one("answer", sample("Say something", 10))
        }
        "test_elicitation" => {
            needs("elicitation")?;
            let user = json!({ "type": "string", "description": "User's response" });
            let email = json!({ "type": "string", "description": "User's email address" });
            let properties = json!({ "username": user, "email": email });
            let schema =
                json!({ "type": "object", "properties": properties, "required": ["username", "email"] });
            one("answer", elicit(given("message"), &schema))
        }
        "test_elicitation_sep1034_defaults" => one("answer", elicit("Please check", &defaults())),
        "test_elicitation_sep1330_enums" => one("answer", elicit("Please choose", &enums())),
        "test_streaming_elicitation" => one("answer", form("What is your name?", "name", "string")),
        "test_input_required_result_elicitation" => {
            one("user_name", form("What is your name?", "name", "string"))
        }
        "test_input_required_result_sampling" => {
            one("capital_question", sample("What is the capital of France?", 100))
        }
        "test_input_required_result_list_roots" => one("client_roots", roots()),
        "test_input_required_result_request_state" | "test_input_required_result_tampered_state" => {
            stated(request, &[("confirm", form("Please confirm", "ok", "boolean"))])?
        }
        "test_input_required_result_multiple_inputs" => stated(
            request,
            &[
                ("user_name", form("What is your name?", "name", "string")),
                ("greeting", sample("Generate a greeting", 50)),
                ("client_roots", roots()),
            ],
        )?,
        "test_input_required_result_multi_round" => rounds(request)?,
        "test_input_required_result_capabilities" => {
            let all = [
                ("elicitation", "user_name", form("What is your name?", "name", "string")),
                ("sampling", "greeting", sample("Generate a greeting", 50)),
                ("roots", "client_roots", roots()),
            ];
            let can = all.into_iter().filter(|(capability, ..)| request.can(capability));
            let can: Vec<(&str, Value)> = can.map(|(_, key, question)| (key, question)).collect();
            ask(request, &can, None)
        }
        _ => return Err(fault(-32602, "there is no such tool")),
    })
}

/// Questions with a state that must come back as it was.
fn stated(request: &Request, questions: &[(&str, Value)]) -> Result<Asked, Value> {
    let state = format!("{STATE}{}", request.params["name"].as_str().unwrap_or_default());
    match request.params["requestState"].as_str() {
        Some(back) if back != state => Err(fault(-32602, "the state is not the one that was given out")),
        _ => Ok(ask(request, questions, Some(&state))),
    }
}

/// Two questions, one after the other.
fn rounds(request: &Request) -> Result<Asked, Value> {
    let first = || [("step1", form("Step 1: What is your name?", "name", "string"))];
    let second = || [("step2", form("Step 2: What is your favorite color?", "color", "string"))];
    if !request.is_modern {
        let both = [first(), second()].concat();
        return Ok(ask(request, &both, None));
    }
    let states = [1, 2].map(|round| format!("{STATE}round-{round}"));
    match request.params["requestState"].as_str() {
        None => Ok(ask(request, &first(), Some(&states[0]))),
        Some(state) if state == states[0] => match ask(request, &first(), Some(&states[0])) {
            Asked::Answered(_) => Ok(ask(request, &second(), Some(&states[1]))),
            again => Ok(again),
        },
        Some(state) if state == states[1] => Ok(ask(request, &second(), Some(&states[1]))),
        Some(_) => Err(fault(-32602, "the state is not one that was given out")),
    }
}

/// What a tool says of the answers that it got.
fn said(request: &Request, name: &str, answers: &Map<String, Value>) -> String {
    let answer = answers.get("answer").unwrap_or(&Value::Null);
    match name {
        "test_sampling" => {
            format!("LLM response: {}", answer["content"]["text"].as_str().unwrap_or_default())
        }
        "test_elicitation" => {
            format!("User response: action={}, content={}", action(answer), answer["content"])
        }
        "test_elicitation_sep1034_defaults" | "test_elicitation_sep1330_enums" => {
            format!("Elicitation completed: action={}, content={}", action(answer), answer["content"])
        }
        "test_input_required_result_elicitation" => {
            format!("Hello, {}!", answers["user_name"]["content"]["name"].as_str().unwrap_or_default())
        }
        "test_input_required_result_request_state" => {
            let came = request.params["requestState"].as_str().is_some_and(|state| state.starts_with(STATE));
            (if came || !request.is_modern { "state-ok" } else { "the state did not come back" }).to_owned()
        }
        _ => format!("Answered: {}", Value::Object(answers.clone())),
    }
}

fn action(answer: &Value) -> &str {
    answer["action"].as_str().unwrap_or_default()
}

fn defaults() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
            "verified": { "type": "boolean", "default": true },
        },
    })
}

fn enums() -> Value {
    let titled = |words: [(&str, &str); 3]| {
        words.map(|(value, title)| json!({ "const": value, "title": title })).to_vec()
    };
    let options = [("value1", "First Option"), ("value2", "Second Option"), ("value3", "Third Option")];
    let choices = [("value1", "First Choice"), ("value2", "Second Choice"), ("value3", "Third Choice")];
    let plain = json!(["option1", "option2", "option3"]);
    json!({
        "type": "object",
        "properties": {
            "untitledSingle": { "type": "string", "enum": plain },
            "titledSingle": { "type": "string", "oneOf": titled(options) },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": { "type": "array", "items": { "type": "string", "enum": plain } },
            "titledMulti": { "type": "array", "items": { "anyOf": titled(choices) } },
        },
    })
}

/// What a tool that reports on itself would be doing; the suite's own server pauses as long.
#[expect(
    clippy::disallowed_methods,
    reason = "each call has a thread of its own, and the suite describes the pause"
)]
fn pause() {
    std::thread::sleep(PAUSE);
}

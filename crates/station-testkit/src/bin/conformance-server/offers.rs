//! Resources, templates, prompts and completion.

use crate::asks::{Asked, ask, form};
use crate::protocol::{Answer, Request, Server, fault};
use crate::tools::IMAGE;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

pub(crate) fn resources() -> Value {
    let resource = |uri: &str, name: &str, mime: &str| json!({ "uri": uri, "name": name, "mimeType": mime });
    let mut text = resource("test://static-text", "Static text", "text/plain");
    text["title"] = "Some text".into();
    text["icons"] = json!([{ "src": "https://example.com/text.png", "mimeType": "image/png" }]);
    text["annotations"] = json!({ "audience": ["user"], "priority": 0.5 });
    text["_meta"] = json!({ "example.com/kept": true });
    text["size"] = 48.into();
    json!([
        text,
        resource("test://static-binary", "Static binary", "image/png"),
        resource("test://watched-resource", "Watched resource", "text/plain"),
    ])
}

pub(crate) fn templates() -> Value {
    json!([{
        "uriTemplate": "test://template/{id}/data", "name": "Template", "mimeType": "application/json",
        "title": "Data by number", "_meta": { "example.com/kept": true },
    }])
}

pub(crate) fn read(request: &Request) -> Answer {
    let uri = request.params["uri"].as_str().unwrap_or_default();
    let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
    let contents = match (uri, id) {
        ("test://static-text", _) => json!({
            "uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource.",
        }),
        ("test://static-binary", _) => json!({ "uri": uri, "mimeType": "image/png", "blob": IMAGE }),
        ("test://watched-resource", _) => {
            json!({ "uri": uri, "mimeType": "text/plain", "text": "Watched." })
        }
        (_, Some(id)) => {
            let text =
                json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") }).to_string();
            json!({ "uri": uri, "mimeType": "application/json", "text": text })
        }
        _ => {
            let code = if request.is_modern { -32602 } else { -32002 };
            let mut error = fault(code, "Resource not found");
            error["data"] = json!({ "uri": uri });
            return Err(error);
        }
    };
    Ok(json!({ "contents": [contents] }))
}

pub(crate) fn prompts(server: &Server) -> Value {
    let argument = |name: &str| json!({ "name": name, "description": "For the test.", "required": true });
    let prompt = |name: &str, arguments: &[Value]| {
        let mut prompt = json!({ "name": name, "description": format!("The prompt {name}.") });
        if !arguments.is_empty() {
            prompt["arguments"] = arguments.into();
        }
        prompt
    };
    let mut all = vec![
        prompt("test_simple_prompt", &[]),
        prompt("test_prompt_with_arguments", &[argument("arg1"), argument("arg2")]),
        prompt("test_prompt_with_embedded_resource", &[argument("resourceUri")]),
        prompt("test_prompt_with_image", &[]),
        prompt("test_input_required_result_prompt", &[]),
    ];
    all[0]["title"] = "A simple prompt".into();
    all[0]["_meta"] = json!({ "example.com/kept": true });
    if server.extra_prompt.load(Ordering::Relaxed) {
        all.push(prompt("test_extra_prompt", &[]));
    }
    Value::Array(all)
}

pub(crate) fn prompt(request: &Request) -> Answer {
    let arguments = request.arguments();
    let given = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let user = |content: Value| json!({ "role": "user", "content": content });
    let text = |text: &str| json!({ "type": "text", "text": text });
    let messages = match request.params["name"].as_str().unwrap_or_default() {
        "test_simple_prompt" => vec![user(text("This is a simple prompt for testing."))],
        "test_prompt_with_arguments" => {
            let said = format!("Prompt with arguments: arg1='{}', arg2='{}'", given("arg1"), given("arg2"));
            vec![user(text(&said))]
        }
        "test_prompt_with_embedded_resource" => {
            let resource = json!({
                "uri": given("resourceUri"), "mimeType": "text/plain", "text": "Embedded resource content for testing.",
            });
            vec![
                user(json!({ "type": "resource", "resource": resource })),
                user(text("Please process the embedded resource above.")),
            ]
        }
        "test_prompt_with_image" => vec![
            user(json!({ "type": "image", "data": IMAGE, "mimeType": "image/png" })),
            user(text("Please analyze the image above.")),
        ],
        "test_extra_prompt" => vec![user(text("One more."))],
        "test_input_required_result_prompt" => {
            let question = form("What context should the prompt use?", "context", "string");
            match ask(request, &[("user_context", question)], None) {
                Asked::First(answer) => return answer,
                Asked::Answered(answers) => {
                    let context = &answers["user_context"]["content"]["context"];
                    vec![user(text(&format!("Use this context: {context}")))]
                }
            }
        }
        _ => return Err(fault(-32602, "there is no such prompt")),
    };
    Ok(json!({ "messages": messages }))
}

pub(crate) fn complete(request: &Request) -> Value {
    let typed = request.params["argument"]["value"].as_str().unwrap_or_default();
    let all = ["paris", "park", "party"];
    let values: Vec<&str> = all.into_iter().filter(|value| value.starts_with(typed)).collect();
    json!({ "completion": { "total": values.len(), "hasMore": false, "values": values } })
}

//! Tools that answer as no server should, or as few do. They can be called and are not listed.

use crate::http;
use crate::protocol::{INVALID_PARAMS, Refusal, Server};
use crate::tools::text;
use serde_json::{Value, json};

/// What is asked of a client by `method`.
pub(crate) fn asked_for(method: &str) -> Value {
    match method {
        "sampling/createMessage" => json!({ "messages": [], "maxTokens": 1 }),
        "elicitation/create" => json!({
            "message": "your name?",
            "requestedSchema": {
                "type": "object",
                "properties": {
                    "name": { "type": "string" }, "place": { "type": "string", "default": "here" },
                },
                "required": ["name"],
            },
        }),
        _ => json!({}),
    }
}

pub(crate) fn call(server: &Server, message: &Value) -> Result<Value, Refusal> {
    let arguments = &message["params"]["arguments"];
    let word = |name: &str| arguments[name].as_str();
    let number = |name: &str| arguments[name].as_u64();
    match message["params"]["name"].as_str().unwrap_or_default() {
        // Over HTTP the answer is a bare status; 0 is no answer at all.
        "status" => {
            http::answer_with_status(number("code").and_then(|code| u16::try_from(code).ok()).unwrap_or(0));
            Err(Refusal(INVALID_PARAMS, "only over HTTP".to_owned(), Value::Null))
        }
        "cut_listeners" => {
            http::cut_listeners(server);
            Ok(text("cut"))
        }
        "twice" => {
            for id in [&json!("nobody-asked"), &message["id"], &message["id"]] {
                let result =
                    json!({ "content": [{ "type": "text", "text": "first" }], "resultType": "complete" });
                server.send(&json!({ "jsonrpc": "2.0", "id": id, "result": result }));
            }
            Ok(text("second"))
        }
        "flood" => {
            let method = word("method").unwrap_or("notifications/progress");
            for n in 0..number("count").unwrap_or(0) {
                let params = json!({ "progressToken": 1, "progress": n, "level": "info", "data": "drop" });
                let mut message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
                // What is no notification is a question, and nobody waits for its answer.
                if !method.starts_with("notifications/") {
                    message["id"] = json!(format!("flood-{n}"));
                }
                server.send(&message);
            }
            Ok(text("flooded"))
        }
        // An answer that is not UTF-8, and text before it that is none either.
        "garbled" => {
            let answer =
                json!({ "jsonrpc": "2.0", "id": message["id"], "result": text("bad §") }).to_string();
            let broken: Vec<u8> =
                answer.chars().flat_map(|c| if c == '§' { vec![0xff] } else { vec![c as u8] }).collect();
            server.print_bytes(&[b"\xfe\xff not text\n", &broken[..], b"\n"].concat());
            Ok(text("after"))
        }
        // What is sent is `answer` as it is written, with this call's id in place of `$ID`.
        "say" => {
            let answer = word("answer").unwrap_or_default().replace("$ID", &message["id"].to_string());
            if !http::answer_as_written(&answer) {
                server.print(&format!("{answer}\n"));
            }
            Ok(text("after"))
        }
        // An error that says what a header, or a variable of the server, is.
        "tell_tale" => {
            let told = match word("variable") {
                Some(name) => crate::tools::variable(name),
                None => http::header(word("header").unwrap_or_default()).unwrap_or_default(),
            };
            match arguments["as_result"].as_bool() {
                Some(is_error) => {
                    let mut result = text(&format!("bad key {told}"));
                    result["isError"] = json!(is_error);
                    Ok(result)
                }
                None => Err(Refusal(INVALID_PARAMS, format!("bad key {told}"), Value::Null)),
            }
        }
        "picture" => {
            let bytes = usize::try_from(number("bytes").unwrap_or(3)).unwrap_or(3);
            let data = "AAAA".repeat(bytes / 3);
            Ok(json!({ "content": [
                { "type": "text", "text": "a picture" },
                { "type": "image", "mimeType": "image/png", "data": data },
            ] }))
        }
        // It asks first, and then says what it was told; `again` is never content.
        "input" => {
            let params = &message["params"];
            let method = word("method").unwrap_or("elicitation/create");
            if params["inputResponses"].is_object() && arguments["again"] != true {
                let told = json!([params["inputResponses"]["who"], params["requestState"], message["id"]]);
                return Ok(text(&told.to_string()));
            }
            Ok(json!({
                "resultType": "input_required",
                "inputRequests": { "who": { "method": method, "params": asked_for(method) } },
                "requestState": "s",
            }))
        }
        name => Err(Refusal(INVALID_PARAMS, format!("Unknown tool: {name}"), Value::Null)),
    }
}

//! The tools of the fake server.

use crate::options::Options;
use crate::protocol::{INVALID_PARAMS, Refusal, Server};
use crate::{append, die, hostile, http, ledger, reach, sampling};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// How often `hang` looks for the file that frees it.
const LOOK: Duration = Duration::from_millis(10);

/// A tool's name, its parameters as `name: type`, and its hints.
type Row = (&'static str, &'static [(&'static str, &'static str)], Hints);

/// What a tool says of itself.
enum Hints {
    ReadOnly,
    /// Neither read-only nor idempotent, and destroys nothing.
    Writes,
    Idempotent,
    None,
}

const ROWS: [Row; 15] = [
    ("echo", &[("text", "string")], Hints::ReadOnly),
    ("read", &[("path", "string")], Hints::ReadOnly),
    ("write", &[("text", "string")], Hints::Writes),
    ("put", &[("text", "string")], Hints::Idempotent),
    ("fail", &[], Hints::ReadOnly),
    ("slow", &[("ms", "integer"), ("file", "string")], Hints::ReadOnly),
    ("hang", &[("file", "string"), ("mute", "boolean")], Hints::None),
    ("env", &[("name", "string")], Hints::ReadOnly),
    ("crash", &[], Hints::Writes),
    ("noise", &[], Hints::ReadOnly),
    ("big", &[("bytes", "integer")], Hints::ReadOnly),
    ("pid", &[], Hints::ReadOnly),
    ("structured", &[("value", "string")], Hints::ReadOnly),
    ("mixed", &[], Hints::ReadOnly),
    ("ask", &[("method", "string")], Hints::ReadOnly),
];

/// Parameters that may be left out.
const OPTIONAL: [(&str, &str); 5] =
    [("ask", "method"), ("read", "path"), ("slow", "file"), ("hang", "file"), ("hang", "mute")];

impl Hints {
    fn annotations(&self) -> Value {
        match self {
            Self::ReadOnly => json!({ "readOnlyHint": true }),
            Self::Writes => {
                json!({ "readOnlyHint": false, "idempotentHint": false, "destructiveHint": false })
            }
            Self::Idempotent => json!({ "readOnlyHint": false, "idempotentHint": true }),
            Self::None => json!({}),
        }
    }
}

/// All tools, those that `options` ask for, and `more` beyond them. `echo` says `echo_says` of itself, if anything.
pub(crate) fn list(options: &Options, more: usize, echo_says: Option<&str>) -> Value {
    let own = ROWS.iter().map(|(name, params, hints)| {
        let properties: serde_json::Map<String, Value> =
            params.iter().map(|(param, kind)| ((*param).to_owned(), json!({ "type": kind }))).collect();
        let required: Vec<&str> = params
            .iter()
            .map(|(param, _)| *param)
            .filter(|param| !OPTIONAL.contains(&(*name, *param)))
            .collect();
        json!({
            "name": name,
            "description": match echo_says {
                Some(text) if *name == "echo" => text.to_owned(),
                _ => format!("The fake tool `{name}`."),
            },
            "inputSchema": { "type": "object", "properties": properties, "required": required },
            "annotations": hints.annotations(),
        })
    });
    let others = (1..=more).map(|number| {
        json!({
            "name": format!("tool_{number:04}"),
            "description": format!("Tool number {number} of many."),
            "inputSchema": { "type": "object", "properties": { "text": { "type": "string" } } },
            "annotations": { "readOnlyHint": true },
        })
    });
    let ledger = options.ledger.is_some().then(ledger::list);
    let reach = options.reach.then(reach::list);
    own.chain(others).chain(ledger.into_iter().flatten()).chain(reach).collect()
}

/// Logs the call, then does what the tool does.
pub(crate) fn call(server: &Server, message: &Value) -> Result<Value, Refusal> {
    let params = &message["params"];
    let arguments = &params["arguments"];
    let tool = params["name"].as_str().unwrap_or_default();
    if let Some(log) = &server.options.log {
        let effect = &params["_meta"]["station/effect-id"];
        let trace = &params["_meta"]["traceparent"];
        append(
            log,
            &json!({ "tool": tool, "arguments": arguments, "effect": effect, "trace": trace }).to_string(),
        );
    }
    let word = |name: &str| arguments[name].as_str();
    let number = |name: &str| arguments[name].as_u64();
    if let Some(book) = &server.options.ledger {
        match tool {
            "post" | "post_once" => {
                hang(None, word("before"));
                let effect = &params["_meta"]["station/effect-id"];
                let text_of = word("text").ok_or_else(|| missing("text"))?;
                ledger::post(book, effect, text_of, tool == "post_once");
                hang(None, word("after"));
                return Ok(text("posted"));
            }
            "posted" => {
                let done = ledger::has(book, word("effect").ok_or_else(|| missing("effect"))?);
                return Ok(json!({
                    "content": [{ "type": "text", "text": if done { "it is there" } else { "it is not there" } }],
                    "structuredContent": { "done": done },
                }));
            }
            _ => {}
        }
    }
    match tool {
        "echo" => Ok(text(word("text").ok_or_else(|| missing("text"))?)),
        "read" => Ok(text(&format!("contents of {}", word("path").unwrap_or("everything")))),
        "write" | "put" => {
            Ok(text(&format!("{} bytes kept", word("text").ok_or_else(|| missing("text"))?.len())))
        }
        "fail" => Ok(json!({ "content": [{ "type": "text", "text": "it did not work" }], "isError": true })),
        "slow" => {
            rest(Duration::from_millis(number("ms").unwrap_or(0)));
            hang(Some(server), word("file"));
            Ok(text("slept"))
        }
        "hang" => {
            // While it is held nothing can be answered, whatever is asked.
            let _mute = arguments["mute"].as_bool().unwrap_or(false).then(|| std::io::stdout().lock());
            hang(Some(server), Some(word("file").unwrap_or("/nowhere/nothing")));
            Ok(text("freed"))
        }
        "env" => {
            let name = word("name").ok_or_else(|| missing("name"))?;
            Ok(text(&variable(name)))
        }
        "crash" => die("fatal: a crash was asked for", 3),
        "noise" => {
            server.print("some text on stdout\n{\"looks\": like json\n\n");
            Ok(text("was noisy"))
        }
        "big" => Ok(text(&"x".repeat(usize::try_from(number("bytes").unwrap_or(0)).unwrap_or(0)))),
        "pid" => Ok(text(&std::process::id().to_string())),
        "structured" => Ok(json!({ "content": [], "structuredContent": { "value": arguments["value"] } })),
        "mixed" => Ok(mixed()),
        "reach" if server.options.reach => {
            let what = word("what").ok_or_else(|| missing("what"))?;
            Ok(text(&reach::reach(what, word("target").ok_or_else(|| missing("target"))?)))
        }
        "ask" => {
            let method = word("method").unwrap_or("sampling/createMessage");
            Ok(text(&server.ask(method, &hostile::asked_for(method)).to_string()))
        }
        "sample" => sampling::call(server, message),
        name if name.starts_with("tool_") => Ok(text(name)),
        _ => hostile::call(server, message),
    }
}

/// Waits until the file exists; does not wait where there is none to wait for, nor, where `server` is given, for a
/// client that has gone.
pub(crate) fn hang(server: Option<&Server>, file: Option<&str>) {
    while file.is_some_and(|file| !Path::new(file).exists()) {
        if let Some(server) = server
            && http::hung_up()
        {
            if let Some(trace) = &server.options.trace {
                append(trace, &json!({ "method": "(hung up)" }).to_string());
            }
            return;
        }
        std::thread::park_timeout(LOOK);
    }
}

/// Lets `time` go by: what a slow server does.
fn rest(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}

#[expect(clippy::disallowed_methods, reason = "to show what reaches a server is what this tool is for")]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| "(not set)".to_owned())
}

pub(crate) fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

fn mixed() -> Value {
    json!({ "content": [
        { "type": "text", "text": "see" },
        { "type": "image", "mimeType": "image/png", "data": "AAAA" },
        { "type": "resource", "resource": { "uri": "fake://one", "text": "inside" } },
        { "type": "resource_link", "uri": "fake://two", "name": "two" },
    ] })
}

fn missing(name: &str) -> Refusal {
    Refusal(INVALID_PARAMS, format!("the argument `{name}` is missing"), Value::Null)
}

//! What a span of ours is called outside: OpenTelemetry's semantic conventions for HTTP, generative AI and MCP.
//!
//! Sources: <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>, <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>,
//! <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-agent-spans/>, <https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp/>.
//! What they have no name for begins with `station.`. Statements of the database are measured and not traced: there are many.

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanKind, Status};
use station_core::{Redaction, redact};
use station_engine::{Said, Word};
use std::borrow::Cow;

/// A span as a collector is told of it.
pub(super) struct Told {
    pub(super) name: String,
    pub(super) kind: SpanKind,
    pub(super) attributes: Vec<KeyValue>,
    pub(super) status: Status,
}

/// How one span of ours is told.
struct Row {
    span: &'static str,
    kind: SpanKind,
    /// What it is called: a word, and the field whose value stands behind it.
    name: (&'static str, &'static str),
    /// `gen_ai.operation.name`, where it has one.
    operation: Option<&'static str>,
    /// Its fields, and the attributes that they become.
    attributes: &'static [(&'static str, &'static str)],
    /// The same of what was said.
    contents: &'static [(&'static str, &'static str)],
}

const ROWS: [Row; 6] = [
    Row {
        span: "http.request",
        kind: SpanKind::Server,
        name: ("", "route"),
        operation: None,
        attributes: &[
            ("method", "http.request.method"),
            ("route", "http.route"),
            ("status", "http.response.status_code"),
            ("request", "station.request.id"),
        ],
        contents: &[],
    },
    Row {
        span: "run",
        kind: SpanKind::Internal,
        name: ("invoke_agent", "agent"),
        operation: Some("invoke_agent"),
        attributes: &[
            ("agent", "gen_ai.agent.name"),
            ("run", "station.run.id"),
            ("environment", "deployment.environment.name"),
        ],
        contents: &[],
    },
    Row {
        span: "model.request",
        kind: SpanKind::Client,
        name: ("chat", "model"),
        operation: Some("chat"),
        attributes: &[
            ("provider", "gen_ai.provider.name"),
            ("model", "gen_ai.request.model"),
            ("input_tokens", "gen_ai.usage.input_tokens"),
            ("output_tokens", "gen_ai.usage.output_tokens"),
            ("retries", "station.retries"),
        ],
        contents: &[
            ("instructions", "gen_ai.system_instructions"),
            ("input", "gen_ai.input.messages"),
            ("output", "gen_ai.output.messages"),
        ],
    },
    Row {
        span: "tool.call",
        kind: SpanKind::Internal,
        name: ("execute_tool", "tool"),
        operation: Some("execute_tool"),
        attributes: &[
            ("tool", "gen_ai.tool.name"),
            ("effect", "gen_ai.tool.call.id"),
            ("server", "station.server"),
            ("outcome", "station.outcome"),
        ],
        contents: &[("arguments", "gen_ai.tool.call.arguments"), ("result", "gen_ai.tool.call.result")],
    },
    Row {
        span: "mcp.request",
        kind: SpanKind::Client,
        name: ("", "method"),
        operation: None,
        attributes: &[
            ("method", "mcp.method.name"),
            ("server", "station.server"),
            ("outcome", "station.outcome"),
        ],
        contents: &[],
    },
    Row {
        span: "mcp.connect",
        kind: SpanKind::Client,
        name: ("connect", "server"),
        operation: None,
        attributes: &[
            ("server", "station.server"),
            ("transport", "station.transport"),
            ("outcome", "station.outcome"),
        ],
        contents: &[],
    },
];

/// Outcomes that are failures.
const FAILED: [&str; 3] = ["failed", "refused", "unknown"];

/// Whether spans of this name are told.
pub(super) fn is_told(span: &str) -> bool {
    ROWS.iter().any(|row| row.span == span)
}

/// A span that has ended, by what it said of itself; with what was said in it, without the secrets that `contents` knows, where there is
/// such.
pub(super) fn tell(span: &str, said: &Said, contents: Option<&Redaction>) -> Option<Told> {
    let row = ROWS.iter().find(|row| row.span == span)?;
    let (word, field) = row.name;
    // A request is called by its method, too.
    let word = if row.span == "http.request" { said.text("method") } else { Cow::Borrowed(word) };
    let name = format!("{word} {}", said.text(field)).trim().to_owned();
    let mut attributes: Vec<KeyValue> = row
        .attributes
        .iter()
        .filter_map(|(field, attribute)| {
            let value = said.get(field)?;
            Some(match value {
                Word::Text(text) => KeyValue::new(*attribute, redact(text).into_owned()),
                Word::Number(number) => KeyValue::new(*attribute, *number),
            })
        })
        .collect();
    for (field, attribute) in row.contents {
        if let (Some(known), Some(Word::Text(text))) = (contents, said.get(field)) {
            attributes.push(KeyValue::new(*attribute, redact(&known.apply(text)).into_owned()));
        }
    }
    attributes.extend(row.operation.map(|operation| KeyValue::new("gen_ai.operation.name", operation)));
    let outcome = said.text("outcome");
    let status = said.count("status");
    let error = said
        .get("error")
        .map(|_| said.text("error"))
        .or_else(|| FAILED.contains(&&*outcome).then_some(outcome))
        .or_else(|| (status >= 500).then(|| said.text("status")))
        .map(Cow::into_owned);
    let status = match &error {
        Some(error) => {
            attributes.push(KeyValue::new("error.type", error.clone()));
            Status::error(error.clone())
        }
        None => Status::Unset,
    };
    Some(Told { name: redact(&name).into_owned(), kind: row.kind.clone(), attributes, status })
}

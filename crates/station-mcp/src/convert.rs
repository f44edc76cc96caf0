//! From the protocol's words to ours: results of calls, and the entries of lists.
//!
//! Results become text, because text is what a model reads and a journal keeps; what is not text is named, not shown.
//! Both are read leniently, field by field: one block that is badly written must not take the others of its result with
//! it, nor one tool that is badly described hide its siblings. What a server says in place of a result is ours to show,
//! so it is shown without secrets; an ordinary result is the tool's own and stays as it is.

use crate::CallEnd;
use rmcp::model::CallToolResult;
use serde_json::{Map, Value};
use station_core::discovery::{DiscoveredPrompt, DiscoveredResource, DiscoveredTool};
use station_core::{Annotations, Image, Redaction};
use std::collections::HashSet;

/// Longest name of a kind of content that is told: those of the protocol are words.
const KIND_BYTES_MAX: usize = 40;

/// Whether this can only be the result of a tool call. One that asks for input, or puts the call off, says so.
pub(crate) fn is_result(result: &Value) -> bool {
    let has = |field: &str| result.get(field).is_some();
    let is_whole = !matches!(result["resultType"].as_str(), Some("input_required" | "task"));
    is_whole && (has("content") || has("structuredContent") || (has("isError") && !has("tools")))
}

/// Whether this is the result of a request that is passed on whole: of a call, a read, a prompt, a completion, or one that
/// asks for input first. No answer to what we ask ourselves has any of these.
pub(crate) fn is_whole(result: &Value) -> bool {
    let has = |field: &str| result.get(field).is_some();
    let is_put_off = matches!(result["resultType"].as_str(), Some("input_required" | "task"));
    is_put_off || is_result(result) || has("contents") || has("messages") || has("completion")
}

/// Whether the result of a tool says that the tool failed: by `isError`, which some write as a word.
#[must_use]
pub fn says_that_it_failed(result: &Value) -> bool {
    is_yes(&result["isError"])
}

/// A result as it was said, in the only wrapping that rmcp hands on unread: it refuses a whole result for one odd block,
/// and takes one with a field too many for the answer to another request.
pub(crate) fn enclosed(result: Value) -> CallToolResult {
    let mut enclosing = CallToolResult::default();
    enclosing.structured_content = Some(result);
    enclosing
}

/// What a tool call returned, within `bytes_max`; without secrets where it says that it failed.
pub(crate) fn result(enclosing: CallToolResult, bytes_max: u64, redaction: &Redaction) -> CallEnd {
    let answer = enclosing.structured_content.unwrap_or_default();
    let is_error = is_yes(&answer["isError"]);
    let mut images = Images::within(bytes_max);
    let blocks: Vec<String> = blocks(&answer["content"]).iter().map(|it| block(it, &mut images)).collect();
    let structured = answer.get("structuredContent").filter(|it| !it.is_null()).cloned();
    let structured = structured.map(|it| if is_error { redacted(it, redaction) } else { it });
    let text = match &structured {
        Some(structured) if blocks.is_empty() => structured.to_string(),
        _ if is_error => redaction.apply(&blocks.join("\n")),
        _ => blocks.join("\n"),
    };
    let (text, mut cut_bytes) = cut(text, bytes_max);
    let structured = structured.filter(|structured| {
        let bytes = structured.to_string().len() as u64;
        let kept = bytes <= bytes_max;
        if !kept && !blocks.is_empty() {
            cut_bytes += bytes;
        }
        kept
    });
    CallEnd::Returned { text, structured, is_error, cut_bytes, images: images.kept }
}

/// What a server says in place of a result, without secrets and within `bytes_max`.
pub(crate) fn error(text: &str, bytes_max: u64, redaction: &Redaction) -> CallEnd {
    let (text, cut_bytes) = cut(redaction.apply(text), bytes_max);
    CallEnd::Returned { text, structured: None, is_error: true, cut_bytes, images: Vec::new() }
}

/// `value` without secrets, wherever they stand in it.
pub(crate) fn redacted(value: Value, redaction: &Redaction) -> Value {
    match value {
        Value::String(text) => Value::String(redaction.apply(&text)),
        Value::Array(list) => list.into_iter().map(|it| redacted(it, redaction)).collect(),
        Value::Object(members) => {
            let clean = |(name, value): (String, Value)| (redaction.apply(&name), redacted(value, redaction));
            Value::Object(members.into_iter().map(clean).collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// A mark as it is written; some write it as a word.
fn is_yes(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| value.as_str().is_some_and(|word| word.eq_ignore_ascii_case("true")))
}

/// Images that go to the model beside the text.
struct Images {
    kept: Vec<Image>,
    left: usize,
}

impl Images {
    /// All images of a result together are as long as its text may be.
    fn within(bytes_max: u64) -> Self {
        Self { kept: Vec::new(), left: usize::try_from(bytes_max).unwrap_or(usize::MAX) }
    }

    /// Keeps an image if models take such; whether it did.
    fn keep(&mut self, mime: &str, base64: &str) -> bool {
        let mime = mime.to_ascii_lowercase();
        let is_base64 = base64.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
        let fits = !base64.is_empty()
            && is_base64
            && base64.len() <= self.left.min(Image::CHARS_MAX)
            && self.kept.len() < Image::COUNT_MAX
            && Image::MIMES.contains(&mime.as_str());
        if fits {
            self.left -= base64.len();
            self.kept.push(Image { mime, data: base64.to_owned() });
        }
        fits
    }
}

/// The blocks of a result; one alone counts, too.
fn blocks(content: &Value) -> &[Value] {
    match content {
        Value::Array(blocks) => blocks,
        Value::Null => &[],
        other => std::slice::from_ref(other),
    }
}

/// One block of a result as text.
fn block(block: &Value, images: &mut Images) -> String {
    let kind = block["type"].as_str().unwrap_or_default();
    let (mime, data) = (block["mimeType"].as_str(), text(block, "data"));
    match kind {
        "text" if block["text"].is_string() => text(block, "text"),
        "image" => match mime.filter(|mime| images.keep(mime, &data)) {
            Some(mime) => format!("[image {mime}, {} bytes]", bytes_of(&data)),
            None => not_shown("image", mime, &data),
        },
        "audio" => not_shown("audio", mime, &data),
        "resource_link" => {
            let words: Vec<&str> =
                [&block["uri"], &block["name"]].into_iter().filter_map(Value::as_str).collect();
            let description = block["description"].as_str().map(|it| format!(": {it}")).unwrap_or_default();
            format!("[{}{description}]", [&["resource"], &words[..]].concat().join(" "))
        }
        "resource" => embedded(&block["resource"]),
        _ if block.is_string() => block.as_str().unwrap_or_default().to_owned(),
        "" | "text" => "[content of an unknown kind, not shown]".to_owned(),
        other if other.len() > KIND_BYTES_MAX => "[content of an unknown kind, not shown]".to_owned(),
        other => format!("[content of the kind `{other}`, not shown]"),
    }
}

/// What a result has of a resource in itself.
fn embedded(resource: &Value) -> String {
    let what = resource["uri"].as_str().map_or("resource".to_owned(), |uri| format!("resource {uri}"));
    match (resource["text"].as_str(), resource["blob"].as_str()) {
        (Some(text), _) => format!("[{what}]\n{text}"),
        (None, Some(blob)) => not_shown(&what, resource["mimeType"].as_str(), blob),
        (None, None) => format!("[{what}, not shown: it has neither text nor data]"),
    }
}

fn not_shown(what: &str, mime: Option<&str>, base64: &str) -> String {
    let bytes = bytes_of(base64);
    let mime = mime.map_or_else(String::new, |mime| format!(" {mime}"));
    format!("[{what}{mime}, {bytes} bytes, not shown]")
}

/// How many bytes `base64` stands for.
fn bytes_of(base64: &str) -> usize {
    let padding = base64.bytes().rev().take_while(|byte| *byte == b'=').count();
    (base64.len() * 3 / 4).saturating_sub(padding)
}

/// The first `bytes_max` bytes of `text`, at a character's boundary, with a note on the rest; and how long that is.
fn cut(mut text: String, bytes_max: u64) -> (String, u64) {
    let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    if text.len() <= limit {
        return (text, 0);
    }
    let end = text.floor_char_boundary(limit);
    let cut = (text.len() - end) as u64;
    text.truncate(end);
    text.push_str(&format!("\n[cut: {cut} more bytes]"));
    (text, cut)
}

/// The tools of a list. Of several with one name only the first can be meant by it.
pub(crate) fn tools(entries: &[Value]) -> Vec<DiscoveredTool> {
    let mut names = HashSet::new();
    entries.iter().filter_map(tool).filter(|tool| names.insert(tool.name.clone())).collect()
}

/// A tool of a list; `None` where it has no name to call it by.
fn tool(entry: &Value) -> Option<DiscoveredTool> {
    let hints = entry.get("annotations").cloned().unwrap_or_default();
    let hint = |name: &str| hints.get(name).and_then(Value::as_bool);
    let title = entry.get("title").or_else(|| hints.get("title"));
    Some(DiscoveredTool {
        name: name(entry)?,
        title: title.and_then(Value::as_str).unwrap_or_default().to_owned(),
        description: text(entry, "description"),
        input_schema: schema(entry, "inputSchema").unwrap_or_else(|| serde_json::json!({ "type": "object" })),
        output_schema: schema(entry, "outputSchema"),
        annotations: Annotations {
            read_only: hint("readOnlyHint"),
            destructive: hint("destructiveHint"),
            idempotent: hint("idempotentHint"),
            open_world: hint("openWorldHint"),
        },
        more: more(entry, &["icons", "_meta"]),
    })
}

/// Which of the two lists of resources an entry is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResourceKind {
    Resource,
    Template,
}

/// A resource of a list; `None` where it has no URI to read it by.
pub(crate) fn resource(entry: &Value, kind: ResourceKind) -> Option<DiscoveredResource> {
    let uri = match kind {
        ResourceKind::Resource => "uri",
        ResourceKind::Template => "uriTemplate",
    };
    Some(DiscoveredResource {
        uri: entry.get(uri)?.as_str()?.to_owned(),
        name: text(entry, "name"),
        description: text(entry, "description"),
        mime: entry.get("mimeType").and_then(Value::as_str).map(str::to_owned),
        is_template: kind == ResourceKind::Template,
        more: more(entry, &["title", "icons", "annotations", "_meta", "size"]),
    })
}

/// A prompt of a list; `None` where it has no name to get it by.
pub(crate) fn prompt(entry: &Value) -> Option<DiscoveredPrompt> {
    let arguments = entry.get("arguments").filter(|arguments| arguments.is_array()).cloned();
    Some(DiscoveredPrompt {
        name: name(entry)?,
        description: text(entry, "description"),
        arguments: arguments.unwrap_or_else(|| Value::Array(Vec::new())),
        more: more(entry, &["title", "icons", "_meta"]),
    })
}

/// Bytes of what one entry of a list says besides: an icon may be in it whole, and a list has thousands of entries.
const MORE_BYTES_MAX: usize = 64 * 1024;

/// What an entry says under `keys`, where its kind is that of the protocol; nothing where it is too much.
fn more(entry: &Value, keys: &[&str]) -> Map<String, Value> {
    let fits = |key: &str, value: &Value| match key {
        "title" => value.is_string(),
        "icons" => value.is_array(),
        "size" => value.is_u64(),
        _ => value.is_object(),
    };
    let said = keys.iter().filter_map(|key| {
        let value = entry.get(key).filter(|value| fits(key, value))?;
        Some(((*key).to_owned(), value.clone()))
    });
    let more: Map<String, Value> = said.collect();
    if serde_json::to_string(&more).is_ok_and(|text| text.len() <= MORE_BYTES_MAX) {
        more
    } else {
        Map::new()
    }
}

fn name(entry: &Value) -> Option<String> {
    entry.get("name")?.as_str().filter(|name| !name.is_empty()).map(str::to_owned)
}

fn text(entry: &Value, field: &str) -> String {
    entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn schema(entry: &Value, field: &str) -> Option<Value> {
    entry.get(field).filter(|schema| schema.is_object()).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_result_is_text_within_its_limit() {
        let check = |answer: Value, bytes_max: u64, text: &str, structured: Option<Value>, cut_bytes: u64| {
            let expected = CallEnd::Returned {
                text: text.to_owned(),
                structured,
                is_error: false,
                cut_bytes,
                images: Vec::new(),
            };
            assert_eq!(result(enclosed(answer), bytes_max, &Redaction::default()), expected);
        };
        let text = |text: &str| json!({ "content": [{ "type": "text", "text": text }] });
        check(text("short"), 5, "short", None, 0);
        check(text("shorter"), 5, "short\n[cut: 2 more bytes]", None, 2);
        // A character is not cut in two.
        check(text("aäöü"), 4, "aä\n[cut: 4 more bytes]", None, 4);
        check(json!({ "content": [] }), 5, "", None, 0);
        check(json!({ "structuredContent": 42 }), 9, "42", Some(json!(42)), 0);
        // What does not fit is left out whole: half a value is none.
        let both =
            json!({ "content": [{ "type": "text", "text": "ok" }], "structuredContent": { "a": "long" } });
        check(both.clone(), 20, "ok", Some(json!({ "a": "long" })), 0);
        check(both, 10, "ok", None, 12);
        let blob =
            json!({ "type": "resource", "resource": { "uri": "f://x", "mimeType": "a/b", "blob": "AA==" } });
        let sound = json!({ "type": "audio", "mimeType": "audio/wav", "data": "AAAA" });
        check(
            json!({ "content": [blob, sound] }),
            1000,
            "[resource f://x a/b, 1 bytes, not shown]\n[audio audio/wav, 3 bytes, not shown]",
            None,
            0,
        );
    }

    #[test]
    fn one_odd_block_hides_none_of_its_neighbours() {
        let check = |odd: Value, expected: &str| {
            let content = json!([{ "type": "text", "text": "IMPORTANT" }, odd]);
            let answer = json!({ "content": content, "resultType": "done", "tools": [] });
            assert!(is_result(&answer));
            let end = result(enclosed(answer), 1000, &Redaction::default());
            let CallEnd::Returned { text, is_error: false, .. } = end else { panic!("{odd}: {end:?}") };
            assert_eq!(text, format!("IMPORTANT\n{expected}"), "{odd}");
        };
        const UNKNOWN: &str = "[content of an unknown kind, not shown]";
        check(json!({ "type": "video", "data": "AAAA" }), "[content of the kind `video`, not shown]");
        check(json!({ "type": "x".repeat(1000) }), UNKNOWN);
        check(json!({ "type": "text" }), UNKNOWN);
        check(json!({ "type": "text", "text": 7 }), UNKNOWN);
        check(json!({ "type": 7 }), UNKNOWN);
        check(json!(null), UNKNOWN);
        check(json!("plain"), "plain");
        check(json!({ "type": "image", "data": "AAAA" }), "[image, 3 bytes, not shown]");
        check(json!({ "type": "image", "mimeType": "image/png" }), "[image image/png, 0 bytes, not shown]");
        check(
            json!({ "type": "resource", "resource": { "uri": "f://x" } }),
            "[resource f://x, not shown: it has neither text nor data]",
        );
        check(json!({ "type": "resource" }), "[resource, not shown: it has neither text nor data]");
        check(json!({ "type": "resource", "resource": { "text": "t" } }), "[resource]\nt");
        check(json!({ "type": "resource_link", "uri": "f://x" }), "[resource f://x]");
        check(json!({ "type": "resource_link", "name": "n", "description": "d" }), "[resource n: d]");
        let annotations = json!({ "audience": ["robot"], "priority": "high" });
        check(json!({ "type": "text", "text": "noted", "annotations": annotations }), "noted");
    }

    #[test]
    fn what_says_that_it_failed_is_heard_however_it_says_so() {
        for (said, is_error) in [
            (json!(true), true),
            (json!("true"), true),
            (json!("false"), false),
            (json!(null), false),
            (json!(1), false),
        ] {
            let answer = json!({ "content": { "type": "text", "text": "x" }, "isError": said });
            let end = result(enclosed(answer), 1000, &Redaction::default());
            let expected = CallEnd::Returned {
                text: "x".to_owned(),
                structured: None,
                is_error,
                cut_bytes: 0,
                images: Vec::new(),
            };
            assert_eq!(end, expected, "{said}");
        }
    }

    #[test]
    fn a_result_is_told_from_other_answers() {
        for (answer, expected) in [
            (json!({ "content": [] }), true),
            (json!({ "structuredContent": 1, "resources": [] }), true),
            (json!({ "isError": true }), true),
            (json!({ "tools": [], "isError": false }), false),
            (json!({ "resultType": "input_required", "content": [] }), false),
            (json!({ "resultType": "task", "content": [] }), false),
            (json!({}), false),
            (json!(7), false),
        ] {
            assert_eq!(is_result(&answer), expected, "{answer}");
        }
    }

    #[test]
    fn an_error_tells_no_secret_and_a_result_is_the_tools_own() {
        let redaction = Redaction::of(["Bearer hushhush123", "hushhush123"]);
        let said = |is_error: bool, bytes_max: u64| {
            let content = json!([{ "type": "text", "text": "bad header Bearer hushhush123" }]);
            let structured = json!({ "header": ["hushhush123"] });
            let answer = json!({ "content": content, "structuredContent": structured, "isError": is_error });
            match result(enclosed(answer), bytes_max, &redaction) {
                CallEnd::Returned { text, structured, .. } => {
                    (text, structured.map(|it| it.to_string()).unwrap_or_default())
                }
                end => panic!("{end:?}"),
            }
        };
        let row = |text: &str, structured: &str| (text.to_owned(), structured.to_owned());
        assert_eq!(said(true, 100), row("bad header [secret]", r#"{"header":["[secret]"]}"#));
        assert_eq!(said(false, 100), row("bad header Bearer hushhush123", r#"{"header":["hushhush123"]}"#));
        // It is taken out before anything is cut, so no half of it is left.
        assert_eq!(said(true, 15).0, "bad header [sec\n[cut: 4 more bytes]");
        let end = error("bad header hushhush123", 100, &redaction);
        assert!(matches!(end, CallEnd::Returned { text, .. } if text == "bad header [secret]"));
    }

    #[test]
    fn images_that_models_take_are_kept_beside_the_text() {
        let check = |mime: &str, data: &str, bytes_max: u64, expected: &str| {
            let answer = json!({ "content": [{ "type": "image", "mimeType": mime, "data": data }] });
            let end = result(enclosed(answer), bytes_max, &Redaction::default());
            let CallEnd::Returned { text, images, .. } = end else { panic!("{end:?}") };
            let kept: String = images.iter().map(|it| format!(" + {} {}", it.mime, it.data)).collect();
            assert_eq!(text + &kept, expected, "{mime} {data}");
        };
        check("image/png", "AAA=", 100, "[image image/png, 2 bytes] + image/png AAA=");
        check("Image/JPEG", "AAAA", 100, "[image Image/JPEG, 3 bytes] + image/jpeg AAAA");
        check("image/svg+xml", "AAAA", 100, "[image image/svg+xml, 3 bytes, not shown]");
        check("image/png", "no base64!", 100, "[image image/png, 7 bytes, not shown]");
        check("image/png", "", 100, "[image image/png, 0 bytes, not shown]");
        let long = "A".repeat(104);
        check("image/png", &long, 100, "[image image/png, 78 bytes, not shown]");
    }

    #[test]
    fn a_tool_that_is_listed_twice_is_one_tool() {
        let entry = |name: &str, description: &str| json!({ "name": name, "description": description });
        let listed = tools(&[entry("dup", "one"), entry("", "none"), entry("dup", "two"), entry("a", "")]);
        let found: Vec<(&str, &str)> =
            listed.iter().map(|tool| (tool.name.as_str(), tool.description.as_str())).collect();
        assert_eq!(found, [("dup", "one"), ("a", "")]);
    }

    #[test]
    fn an_entry_is_read_as_far_as_it_can_be() {
        let read = |entry: Value| tool(&entry).map(|tool| (tool.name, tool.title, tool.input_schema));
        let any = json!({ "type": "object" });
        let row = |name: &str, title: &str| Some((name.to_owned(), title.to_owned(), any.clone()));
        assert_eq!(read(json!({ "name": "a" })), row("a", ""));
        assert_eq!(read(json!({ "name": "a", "inputSchema": null, "description": 7 })), row("a", ""));
        assert_eq!(read(json!({ "name": "a", "annotations": { "title": "A" } })), row("a", "A"));
        assert_eq!(
            read(json!({ "name": "a", "title": "B", "annotations": { "title": "A" } })),
            row("a", "B")
        );
        assert_eq!(read(json!({ "name": "" })), None);
        assert_eq!(read(json!({ "description": "nameless" })), None);
        assert_eq!(prompt(&json!({ "name": "p", "arguments": 3 })).unwrap().arguments, json!([]));
        assert_eq!(resource(&json!({ "uri": "f://x" }), ResourceKind::Template), None);
        let more = |entry: Value| resource(&entry, ResourceKind::Resource).map(|it| Value::Object(it.more));
        let icons = json!([{ "src": "https://a/b.png" }]);
        let said = json!({ "uri": "f://x", "title": "X", "icons": icons, "_meta": { "a/b": 1 }, "size": 7, "other": 1 });
        let kept = json!({ "title": "X", "icons": icons, "_meta": { "a/b": 1 }, "size": 7 });
        assert_eq!(more(said), Some(kept));
        let besides =
            tool(&json!({ "name": "a", "icons": icons, "_meta": { "a/b": 1 }, "other": 1 })).unwrap().more;
        assert_eq!(Value::Object(besides), json!({ "icons": icons, "_meta": { "a/b": 1 } }));
        assert_eq!(more(json!({ "uri": "f://x", "title": 7, "icons": {}, "size": -1 })), Some(json!({})));
        let long = "x".repeat(MORE_BYTES_MAX);
        assert_eq!(more(json!({ "uri": "f://x", "title": long })), Some(json!({})));
    }
}

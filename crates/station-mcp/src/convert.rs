//! From the protocol's words to ours: results of calls, and the entries of lists.
//!
//! Results become text, because text is what a model reads and a journal keeps; what is not text is named, not shown.
//! Entries are read leniently, field by field: one tool that is badly described must not hide its siblings.

use crate::CallEnd;
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::Value;
use station_core::discovery::{DiscoveredPrompt, DiscoveredResource, DiscoveredTool};
use station_core::{Annotations, Image};

/// What a tool call returned, within `bytes_max`.
pub(crate) fn result(result: CallToolResult, bytes_max: u64) -> CallEnd {
    let mut images = Images::within(bytes_max);
    let blocks: Vec<String> = result.content.iter().map(|it| block(it, &mut images)).collect();
    let text = match &result.structured_content {
        Some(structured) if blocks.is_empty() => structured.to_string(),
        _ => blocks.join("\n"),
    };
    let (text, mut cut_bytes) = cut(text, bytes_max);
    let structured = result.structured_content.filter(|structured| {
        let bytes = structured.to_string().len() as u64;
        let kept = bytes <= bytes_max;
        if !kept && !blocks.is_empty() {
            cut_bytes += bytes;
        }
        kept
    });
    let is_error = result.is_error.unwrap_or(false);
    CallEnd::Returned { text, structured, is_error, cut_bytes, images: images.kept }
}

/// What a server says in place of a result, within `bytes_max`.
pub(crate) fn error(text: String, bytes_max: u64) -> CallEnd {
    let (text, cut_bytes) = cut(text, bytes_max);
    CallEnd::Returned { text, structured: None, is_error: true, cut_bytes, images: Vec::new() }
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

/// One block of a result as text.
fn block(block: &ContentBlock, images: &mut Images) -> String {
    match block {
        ContentBlock::Text(text) => text.text.clone(),
        ContentBlock::Image(image) if images.keep(&image.mime_type, &image.data) => {
            format!("[image {}, {} bytes]", image.mime_type, bytes_of(&image.data))
        }
        ContentBlock::Image(image) => not_shown("image", Some(&image.mime_type), &image.data),
        ContentBlock::Audio(audio) => not_shown("audio", Some(&audio.mime_type), &audio.data),
        ContentBlock::ResourceLink(link) => match &link.description {
            Some(description) => format!("[resource {} {}: {description}]", link.uri, link.name),
            None => format!("[resource {} {}]", link.uri, link.name),
        },
        ContentBlock::Resource(embedded) => match &embedded.resource {
            ResourceContents::TextResourceContents { uri, text, .. } => format!("[resource {uri}]\n{text}"),
            ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
                not_shown(&format!("resource {uri}"), mime_type.as_deref(), blob)
            }
            _ => "[a resource of an unknown kind, not shown]".to_owned(),
        },
        _ => "[content of an unknown kind, not shown]".to_owned(),
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

/// A tool of a list; `None` where it has no name to call it by.
pub(crate) fn tool(entry: &Value) -> Option<DiscoveredTool> {
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
    })
}

/// A prompt of a list; `None` where it has no name to get it by.
pub(crate) fn prompt(entry: &Value) -> Option<DiscoveredPrompt> {
    let arguments = entry.get("arguments").filter(|arguments| arguments.is_array()).cloned();
    Some(DiscoveredPrompt {
        name: name(entry)?,
        description: text(entry, "description"),
        arguments: arguments.unwrap_or_else(|| Value::Array(Vec::new())),
    })
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
            let answer: CallToolResult = serde_json::from_value(answer).unwrap();
            let expected = CallEnd::Returned {
                text: text.to_owned(),
                structured,
                is_error: false,
                cut_bytes,
                images: Vec::new(),
            };
            assert_eq!(result(answer, bytes_max), expected);
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
    fn images_that_models_take_are_kept_beside_the_text() {
        let check = |mime: &str, data: &str, bytes_max: u64, expected: &str| {
            let answer = json!({ "content": [{ "type": "image", "mimeType": mime, "data": data }] });
            let end = result(serde_json::from_value(answer).unwrap(), bytes_max);
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
    }
}

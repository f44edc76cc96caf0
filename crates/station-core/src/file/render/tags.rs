//! The tags of a prompt's body, found without a parser: for what must be known before one reads the text, and after one
//! has refused it.

use super::compile::DEPTH_MAX;

/// One `{{…}}`.
pub(in crate::file) struct Tag<'b> {
    /// Its `{{`.
    pub(in crate::file) at: usize,
    /// The text behind its opening braces, up to the end of the body.
    pub(super) begins: &'b str,
    /// What stands in it; `None` where it is not closed.
    pub(in crate::file) inside: Option<&'b str>,
    /// How deeply its brackets nest.
    pub(super) depth: usize,
}

/// The tags in order, up to the first that is not closed. Comments are passed over, and what stands in raw blocks.
pub(in crate::file) fn of(body: &str) -> impl Iterator<Item = Tag<'_>> {
    let mut next = Some(0);
    std::iter::from_fn(move || {
        loop {
            let from = next.take()?;
            let start = from + body.get(from..)?.find("{{")?;
            let tag = &body[start..];
            let is_raw = tag.starts_with("{{{{");
            if is_escaped(&body[..start]) {
                next = Some(start + if is_raw { 4 } else { 2 });
                continue;
            }
            if tag.starts_with("{{!") {
                let Some(length) = comment_length(tag) else {
                    return Some(Tag { at: start, begins: "", inside: None, depth: 0 });
                };
                next = Some(start + length);
                continue;
            }
            let begins = tag.trim_start_matches(['{', '~', ' ', '\t', '\r', '\n']);
            let (depth, length) = brackets(begins.as_bytes());
            let end = length.map(|length| body.len() - begins.len() + length);
            next = end
                .and_then(|end| if is_raw { Some(end + body[end..].find("{{{{")? + 4) } else { Some(end) });
            return Some(Tag { at: start, begins, inside: length.map(|length| &begins[..length]), depth });
        }
    })
}

/// One backslash makes the braces text; of two or more, the last only ends the text before a tag.
fn is_escaped(before: &str) -> bool {
    before.ends_with('\\') && !before.ends_with("\\\\")
}

fn comment_length(tag: &str) -> Option<usize> {
    let long = if tag.starts_with("{{!--") { tag.find("--}}").map(|end| end + 4) } else { None };
    long.or_else(|| tag.find("}}").map(|end| end + 2))
}

/// Deepest nesting of brackets in a tag, and the tag's length up to its closing braces, where it has them.
fn brackets(tag: &[u8]) -> (usize, Option<usize>) {
    let [mut round, mut square, mut curly] = [0_usize; 3];
    let mut deepest = 0;
    let mut at = 0;
    while at < tag.len() {
        match tag[at] {
            quote @ (b'"' | b'\'') => at += text_length(&tag[at + 1..], quote),
            b'(' => round += 1,
            b'[' => square += 1,
            b'{' => curly += 1,
            b')' => round = round.saturating_sub(1),
            b']' => square = square.saturating_sub(1),
            b'}' if tag.get(at + 1) == Some(&b'}') && square == 0 && curly == 0 => {
                return (deepest, Some(at));
            }
            b'}' => curly = curly.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(round + square + curly);
        if deepest > DEPTH_MAX {
            break;
        }
        at += 1;
    }
    (deepest, None)
}

/// Bytes of a quoted text with its closing quote; none where it is not closed and so is no text.
fn text_length(rest: &[u8], quote: u8) -> usize {
    let mut at = 0;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 1,
            byte if byte == quote => return at + 1,
            _ => {}
        }
        at += 1;
    }
    0
}

//! A body to a template, with what cannot be filled refused before a run needs it.
//!
//! Handlebars' parser recurses, so nesting is bounded by a scan before it sees the text. Partials that no file can
//! provide and decorators (inline partials could include themselves without end) are faults of the file.

use crate::file::Position;
use crate::file::sheet::Fault;
use handlebars::template::TemplateElement;
use handlebars::{Template, TemplateErrorReason};

/// Deepest nesting of blocks, and of parentheses and brackets in one tag: real prompts have three.
const DEPTH_MAX: usize = 24;

/// Most `{{else}}` of a body: a chain of them is a tree of that depth when it is rendered.
const ELSES_MAX: usize = 200;

/// Longest line of a parser's message: it may hold a part of the text.
const MESSAGE_CHARS_MAX: usize = 200;

/// What is wrong with a body, with its place in it.
pub(in crate::file) fn check(body: &str) -> Result<(), Fault> {
    compile(body).map(|_| ())
}

pub(super) fn compile(body: &str) -> Result<Template, Fault> {
    if let Some(at) = too_deep(body) {
        let sentence = format!("the template is nested deeper than {DEPTH_MAX} levels");
        return Err(Fault::new(Some(Position::of(body, at)), sentence));
    }
    let template = Template::compile(body).map_err(|error| {
        let at = error.pos().map(|(line, column)| Position { line: line.max(1), column: column.max(1) });
        Fault::new(at, sentence(error.reason())).with_hint("a literal `{{` is written `\\{{`")
    })?;
    refuse(&template)?;
    Ok(template)
}

fn sentence(reason: &TemplateErrorReason) -> String {
    match reason {
        TemplateErrorReason::MismatchingClosedHelper(opened, closed) => {
            format!("the block `{opened}` is closed by `{closed}`")
        }
        other => {
            let message = other.to_string();
            let message: String =
                message.lines().next().unwrap_or_default().chars().take(MESSAGE_CHARS_MAX).collect();
            format!("the template is broken: {message}")
        }
    }
}

/// Finds what cannot be filled here, at any depth.
fn refuse(template: &Template) -> Result<(), Fault> {
    for (element, place) in template.elements.iter().zip(&template.mapping) {
        let at = Some(Position { line: place.0.max(1), column: place.1.max(1) });
        match element {
            TemplateElement::PartialExpression(partial) => {
                let name = partial.name.as_name().unwrap_or("…");
                return Err(Fault::new(at, format!("the partial `{name}` does not exist"))
                    .with_hint("a prompt stands alone: write the text of the partial in its place"));
            }
            TemplateElement::DecoratorExpression(_) | TemplateElement::DecoratorBlock(_) => {
                return Err(Fault::new(at, "decorators and inline partials are not supported")
                    .with_hint("write the text in its place"));
            }
            TemplateElement::PartialBlock(block) => block.template.as_ref().map_or(Ok(()), refuse)?,
            TemplateElement::HelperBlock(block) => {
                block.template.as_ref().map_or(Ok(()), refuse)?;
                block.inverse.as_ref().map_or(Ok(()), refuse)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where the template nests more deeply than the parser may recurse. Counts too much rather than too little; where a
/// tag has no end it stops, because the parser goes no further either.
fn too_deep(body: &str) -> Option<usize> {
    let mut at = 0;
    let mut n_blocks = 0_usize;
    let mut n_elses = 0_usize;
    while let Some(found) = body[at..].find("{{") {
        let start = at + found;
        let tag = &body[start..];
        let is_raw = tag.starts_with("{{{{");
        if is_escaped(&body[..start]) {
            at = start + if is_raw { 4 } else { 2 };
            continue;
        }
        if tag.starts_with("{{!") {
            at = start + comment_length(tag)?;
            continue;
        }
        let inside = tag.trim_start_matches(['{', '~', ' ', '\t', '\r', '\n']);
        let (deepest, length) = brackets(inside.as_bytes());
        match inside.as_bytes().first() {
            Some(b'#') => n_blocks += 1,
            Some(b'/') => n_blocks = n_blocks.saturating_sub(1),
            Some(b'^') => n_elses += 1,
            _ if inside.starts_with("else") => n_elses += 1,
            _ => {}
        }
        if deepest > DEPTH_MAX || n_blocks > DEPTH_MAX || n_elses > ELSES_MAX {
            return Some(start);
        }
        at = body.len() - inside.len() + length?;
        if is_raw {
            at += body[at..].find("{{{{")? + 4;
        }
    }
    None
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

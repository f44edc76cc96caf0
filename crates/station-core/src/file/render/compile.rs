//! A body to a template, with what cannot be filled refused before a run needs it.
//!
//! Handlebars' parser recurses, so nesting is bounded by a scan before it sees the text. Partials that no file can
//! provide and decorators (inline partials could include themselves without end) are faults of the file.

use super::{calls, tags};
use crate::file::sheet::Fault;
use crate::file::{Position, unclosed};
use handlebars::template::TemplateElement;
use handlebars::{Template, TemplateErrorReason};

/// Deepest nesting of blocks, and of parentheses and brackets in one tag: real prompts have three.
pub(super) const DEPTH_MAX: usize = 24;

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
        let (at, sentence) = match (error.reason(), unclosed::in_prompt(body)) {
            // The parser tells where the text ends, and all that could stand there.
            (TemplateErrorReason::InvalidSyntax(_), Some((at, sentence))) => {
                (Some(Position::of(body, at)), sentence)
            }
            (reason, _) => {
                let at =
                    error.pos().map(|(line, column)| Position { line: line.max(1), column: column.max(1) });
                (at, sentence(reason))
            }
        };
        Fault::new(at, sentence).with_hint("a literal `{{` is written `\\{{`")
    })?;
    refuse(&template, Position { line: 1, column: 1 })?;
    Ok(template)
}

fn sentence(reason: &TemplateErrorReason) -> String {
    match reason {
        TemplateErrorReason::MismatchingClosedHelper(opened, closed) => {
            format!("the block `{opened}` is closed by `{closed}`")
        }
        TemplateErrorReason::InvalidSyntax(_) => "this is not understood as a template".to_owned(),
        other => {
            let message = other.to_string();
            let message: String =
                message.lines().next().unwrap_or_default().chars().take(MESSAGE_CHARS_MAX).collect();
            format!("the template is broken: {message}")
        }
    }
}

/// Finds what cannot be filled here, at any depth. The places of `template`'s elements are not always known: the branch
/// of an `{{else if}}` stands at `outer`, where its block begins.
fn refuse(template: &Template, outer: Position) -> Result<(), Fault> {
    let mut places = template.mapping.iter();
    for element in &template.elements {
        let place = places.next();
        let at = place.map_or(outer, |place| Position { line: place.0.max(1), column: place.1.max(1) });
        let inside = |template: Option<&Template>| template.map_or(Ok(()), |it| refuse(it, at));
        match element {
            TemplateElement::PartialExpression(partial) => {
                let name = partial.name.as_name().unwrap_or("…");
                return Err(Fault::new(Some(at), format!("the partial `{name}` does not exist"))
                    .with_hint("a prompt stands alone: write the text of the partial in its place"));
            }
            TemplateElement::DecoratorExpression(_) | TemplateElement::DecoratorBlock(_) => {
                return Err(Fault::new(Some(at), "decorators and inline partials are not supported")
                    .with_hint("write the text in its place"));
            }
            TemplateElement::PartialBlock(block) => inside(block.template.as_ref())?,
            TemplateElement::HelperBlock(block) => {
                calls::check(block, at)?;
                inside(block.template.as_ref())?;
                inside(block.inverse.as_ref())?;
            }
            TemplateElement::Expression(call) | TemplateElement::HtmlExpression(call) => {
                calls::check(call, at)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where the template nests more deeply than the parser may recurse. Counts too much rather than too little; where a
/// tag has no end it stops, because the parser goes no further either.
fn too_deep(body: &str) -> Option<usize> {
    let (mut n_blocks, mut n_elses) = (0_usize, 0_usize);
    for tag in tags::of(body) {
        match tag.begins.as_bytes().first() {
            Some(b'#') => n_blocks += 1,
            Some(b'/') => n_blocks = n_blocks.saturating_sub(1),
            Some(b'^') => n_elses += 1,
            _ if tag.begins.starts_with("else") => n_elses += 1,
            _ => {}
        }
        if tag.depth > DEPTH_MAX || n_blocks > DEPTH_MAX || n_elses > ELSES_MAX {
            return Some(tag.at);
        }
    }
    None
}

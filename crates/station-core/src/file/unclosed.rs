//! What a template opens and does not close, said where it was opened.
//!
//! A parser notices a missing end where the text ends, or far behind, at the next thing that does not fit. Who wrote the
//! template wants the other place. The walks here know no more of a template than its tags, so they are asked where a
//! parser has refused the text, or takes a missing end for granted. **Invariant:** no sentence shows a value.

use super::render::tags;

/// A place in a text, and what is wrong there.
pub(super) type Flaw = (usize, String);

const NO_END: &str = "`{{` is not closed here: `}}` is missing";

/// The first tag of a server file that is not closed, where a parser has refused the file.
pub(super) fn tag_of_servers(text: &str) -> Option<Flaw> {
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let start = at + found;
        let rest = &text[start + 2..];
        // Actions of one line are what people write; what goes on behind a line's end, or into the next tag, is a tag
        // without an end.
        let end = ["}}", "\n", "{{"].into_iter().filter_map(|stop| rest.find(stop)).min();
        let is_closed = end.is_some_and(|end| rest[end..].starts_with("}}") && !runs_into_json(&rest[..end]));
        if !is_closed {
            return Some((start, NO_END.to_owned()));
        }
        at = start + 2 + end.unwrap_or_default() + 2;
    }
    None
}

/// Whether the inside of a tag goes on behind the quote or the value that it stands in: the braces that end it are the
/// file's own. A comma, a colon alone and a bracket have no meaning in an action.
fn runs_into_json(inside: &str) -> bool {
    let n_quotes = inside.matches('"').count();
    let outside = inside.split('"').step_by(2);
    n_quotes % 2 == 1 || outside.into_iter().any(|part| part.replace(":=", "").contains([',', ':', '[', ']']))
}

/// The first block of a server file that has no end, or end that has no block: the parser takes the end of the file for
/// the one, and the other for the end of the file.
pub(super) fn block_of_servers(text: &str) -> Option<Flaw> {
    let mut open: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let start = at + found;
        let rest = &text[start + 2..];
        let length = action_length(rest)?;
        let inside = rest[..length].trim_start_matches('-').trim_start();
        let word = inside.split(|c: char| c.is_whitespace() || c == '-').next().unwrap_or_default();
        match word {
            "if" | "with" | "range" | "block" | "define" => open.push((start, word)),
            "end" if open.pop().is_none() => {
                return Some((start, "this `{{ end }}` ends nothing".to_owned()));
            }
            "else" if open.is_empty() => {
                return Some((start, "this `{{ else }}` stands outside of an `{{ if }}`".to_owned()));
            }
            _ => {}
        }
        at = start + 2 + length;
    }
    let (start, word) = open.pop()?;
    Some((start, format!("this `{{{{ {word} }}}}` has no `{{{{ end }}}}`")))
}

/// Bytes up to the `}}` of an action; what stands in quotes or a comment does not end it.
fn action_length(rest: &str) -> Option<usize> {
    let inside = rest.trim_start_matches('-').trim_start();
    if inside.starts_with("/*") {
        let end = rest.find("*/")?;
        return Some(end + rest[end..].find("}}")?);
    }
    let mut quote = None;
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        match (c, quote) {
            _ if escaped => escaped = false,
            ('\\', Some('"')) => escaped = true,
            ('"' | '`', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            ('}', None) if rest[at..].starts_with("}}") => return Some(at),
            _ => {}
        }
    }
    None
}

/// The first tag or block of a prompt's body that is not closed, where a parser has refused the body.
pub(super) fn in_prompt(body: &str) -> Option<Flaw> {
    let mut open: Vec<(usize, String)> = Vec::new();
    for tag in tags::of(body) {
        let Some(inside) = tag.inside else { return Some((tag.at, NO_END.to_owned())) };
        let name = |rest: &str| -> String {
            let rest = rest.trim_start_matches(['*', '>', ' ']);
            rest.chars().take_while(|c| !c.is_whitespace() && !matches!(c, '}' | '~')).collect()
        };
        match inside.split_at_checked(1) {
            Some(("#", rest)) => open.push((tag.at, name(rest))),
            Some(("^", rest)) if !name(rest).is_empty() => open.push((tag.at, name(rest))),
            Some(("/", rest)) if open.pop().is_none() => {
                return Some((tag.at, format!("`{{{{/{}}}}}` closes nothing", name(rest))));
            }
            _ => {}
        }
    }
    let (at, name) = open.pop()?;
    Some((at, format!("the block `{{{{#{name}}}}}` is not closed: `{{{{/{name}}}}}` is missing")))
}

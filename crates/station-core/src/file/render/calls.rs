//! What a template calls, held against the words that there are, so that a slip is told when the file is read.
//!
//! A name alone is a variable, whatever it is; a name with values is a word of templates. To add one: a helper in
//! `words`, a row here.

use crate::file::Position;
use crate::file::sheet::Fault;
use crate::near;
use handlebars::template::{HelperTemplate, Parameter, TemplateElement};
use serde_json::Value;

/// Who can speak.
pub(super) const ROLES: [&str; 4] = ["system", "user", "model", "assistant"];

/// A word, the least number of values that it takes, and how it is written.
type Word = (&'static str, usize, &'static str);

const WORDS: [Word; 24] = [
    ("role", 1, "{{role \"system\"}}"),
    ("history", 0, "{{history}}"),
    ("json", 1, "{{json name}}"),
    ("ifEquals", 2, "{{#ifEquals name \"value\"}}…{{/ifEquals}}"),
    ("unlessEquals", 2, "{{#unlessEquals name \"value\"}}…{{/unlessEquals}}"),
    ("section", 0, "{{section \"name\"}}"),
    ("media", 0, "{{media url=name}}"),
    ("log", 0, "{{log name}}"),
    ("if", 1, "{{#if name}}…{{/if}}"),
    ("unless", 1, "{{#unless name}}…{{/unless}}"),
    ("each", 1, "{{#each names}}…{{/each}}"),
    ("with", 1, "{{#with name}}…{{/with}}"),
    ("lookup", 2, "{{lookup names 0}}"),
    ("raw", 0, "{{{{raw}}}}…{{{{/raw}}}}"),
    ("eq", 2, "{{#if (eq name \"value\")}}…{{/if}}"),
    ("ne", 2, "{{#if (ne name \"value\")}}…{{/if}}"),
    ("gt", 2, "{{#if (gt count 1)}}…{{/if}}"),
    ("gte", 2, "{{#if (gte count 1)}}…{{/if}}"),
    ("lt", 2, "{{#if (lt count 1)}}…{{/if}}"),
    ("lte", 2, "{{#if (lte count 1)}}…{{/if}}"),
    ("and", 2, "{{#if (and name other)}}…{{/if}}"),
    ("or", 2, "{{#if (or name other)}}…{{/if}}"),
    ("not", 1, "{{#if (not name)}}…{{/if}}"),
    ("len", 1, "{{len names}}"),
];

/// What cannot be meant by `call`, which stands at `at`, or by what is called for its values.
pub(super) fn check(call: &HelperTemplate, at: Position) -> Result<(), Fault> {
    let values = call.params.iter().chain(call.hash.values());
    for value in values.chain([&call.name]) {
        if let Parameter::Subexpression(inner) = value
            && let TemplateElement::Expression(inner) = inner.as_element()
        {
            check(inner, at)?;
        }
    }
    let Some(name) = call.name.as_name() else { return Ok(()) };
    let fault = |sentence: String| Fault::new(Some(at), sentence);
    let Some((_, n_values, written)) = WORDS.iter().find(|(word, ..)| *word == name) else {
        return if is_variable(call) { Ok(()) } else { Err(unknown(name, at)) };
    };
    let lacks = n_values.saturating_sub(call.params.len());
    if lacks > 0 {
        let values = if *n_values == 1 { "a value".to_owned() } else { format!("{n_values} values") };
        return Err(fault(format!("`{name}` needs {values}")).with_hint(format!("it is written `{written}`")));
    }
    match (name, call.params.first()) {
        ("role", _) if call.block => {
            Err(fault("a role is no block".to_owned()).with_hint(format!("it is written `{written}`")))
        }
        ("role", Some(Parameter::Literal(role))) => check_role(role, at),
        _ => Ok(()),
    }
}

/// Whether it stands for a value: alone, or as a block over it.
fn is_variable(call: &HelperTemplate) -> bool {
    call.params.is_empty() && (call.block || call.hash.is_empty())
}

fn unknown(name: &str, at: Position) -> Fault {
    let sentence = format!("`{name}` is neither a variable nor a word of templates");
    let meant = near::hint(name, WORDS.iter().map(|(word, ..)| *word));
    let hint = meant.unwrap_or_else(|| format!("a variable stands alone: `{{{{{name}}}}}`"));
    Fault::new(Some(at), sentence).with_hint(hint)
}

fn check_role(role: &Value, at: Position) -> Result<(), Fault> {
    let word = role.as_str().unwrap_or_default();
    if ROLES.contains(&word) {
        return Ok(());
    }
    let shown = if role.is_string() { word.to_owned() } else { role.to_string() };
    let known = "\"system\", \"user\" and \"model\" are";
    let fault = Fault::new(Some(at), format!("`{shown}` is no role: {known}"));
    Err(match near::hint(word, ROLES) {
        Some(hint) => fault.with_hint(hint),
        None => fault,
    })
}

#[cfg(test)]
mod tests {
    use super::WORDS;
    use crate::file::prompt;
    use crate::file::render::render;
    use std::collections::BTreeMap;

    #[test]
    fn every_word_is_there_and_written_as_it_is_said_to_be() {
        for (word, n_values, written) in WORDS {
            let (read, problems) = prompt::read(&format!("---\n---\n{written}"), "");
            let read = read.unwrap_or_else(|| panic!("{written}: {problems:?}"));
            render(&read, "task", &BTreeMap::new()).unwrap_or_else(|problem| panic!("{written}: {problem}"));
            let (alone, _) = prompt::read(&format!("---\n---\n{{{{{word}}}}}"), "");
            assert_eq!(alone.is_some(), n_values == 0, "{word}");
        }
    }
}

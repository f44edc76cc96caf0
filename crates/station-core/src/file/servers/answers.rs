//! What is answered to a server that asks us something: `station.answers` of an entry.

use crate::answers::{Answers, Forms};
use crate::file::sheet::Sheet;
use crate::file::tree::{Node, Value};
use crate::sampling::{Lent, Sampling};
use serde_json::{Map, Value as Json};

const KEYS: &[&str] = &["forms", "roots", "sampling"];

/// Keys of `sampling`.
const SAMPLING: &[&str] = &["model", "tokens_max", "requests_max"];

pub(super) fn answers(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Answers {
    let mut answers = Answers::default();
    for member in sheet.members(node, what) {
        let what = format!("{what}.{}", member.key.escape_debug());
        match member.key.as_str() {
            _ if member.node.is_null() => {}
            "forms" => answers.forms = forms(sheet, &member.node, &what),
            "roots" => answers.roots = roots(sheet, &member.node, &what),
            "sampling" => answers.sampling = sampling(sheet, &member.node, &what),
            _ => sheet.unknown(member.at, &what, KEYS),
        }
    }
    answers
}

/// `decline`, `defaults`, or values by field.
fn forms(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Forms {
    if let Value::Map(members) = &node.value {
        let mut values = Map::new();
        for member in members {
            match json(&member.node) {
                Some(value) => drop(values.insert(member.key.clone(), value)),
                None => sheet.error(
                    member.node.at,
                    format!(
                        "`{what}.{}` must be a text, a number, a truth value or a list of these",
                        member.key.escape_debug()
                    ),
                ),
            }
        }
        return Forms::Fill(values);
    }
    let must_be = "`decline`, `defaults`, or a map of values by field";
    let word = sheet.value(node, what, must_be, |word| match word {
        "decline" => Some(Forms::Decline),
        "defaults" => Some(Forms::Fill(Map::new())),
        _ => None,
    });
    word.unwrap_or_default()
}

fn roots(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Vec<String> {
    let roots = sheet.texts(node, what);
    for root in roots.iter().filter(|root| !root.starts_with("file:///")) {
        let shown = root.escape_debug();
        sheet.error(
            node.at,
            format!("`{what}` must be addresses of folders like `file:///srv/data`, not `{shown}`"),
        );
    }
    roots
}

/// `refuse`, or which model is asked and how much.
fn sampling(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Option<Sampling> {
    if !matches!(node.value, Value::Map(_)) {
        let must_be = "`refuse`, or a map with a `model`";
        let _refused = sheet.value(node, what, must_be, |word| (word == "refuse").then_some(()));
        return None;
    }
    let (mut model, mut tokens_max, mut requests_max) = (None, None, None);
    for member in sheet.members(node, what) {
        let (what, node) = (format!("{what}.{}", member.key.escape_debug()), &member.node);
        match member.key.as_str() {
            "model" => model = Some(lent(sheet, node, &what)),
            "tokens_max" => tokens_max = sheet.number(node, &what, 1),
            "requests_max" => requests_max = sheet.number(node, &what, 1),
            _ => sheet.unknown(member.at, &what, SAMPLING),
        }
    }
    let Some(model) = model else {
        sheet.error_with_hint(
            node.at,
            format!("`{what}` names no `model`"),
            "write `run` for the model that the run asks itself, or a model's name",
        );
        return None;
    };
    Some(Sampling {
        model: model?,
        tokens_max: tokens_max.unwrap_or(Sampling::TOKENS_MAX),
        requests_max: requests_max.unwrap_or(Sampling::REQUESTS_MAX),
    })
}

/// `run`, or the name of a model.
fn lent(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Option<Lent> {
    sheet.value(node, what, "`run`, or the name of a model", |name| match name {
        "" => None,
        "run" => Some(Lent::Own),
        name => Some(Lent::Named(name.to_owned())),
    })
}

/// A field's value, as forms have them.
fn json(node: &Node) -> Option<Json> {
    match &node.value {
        // A variable may have no value that is known yet.
        Value::Scalar(scalar) if scalar.quoted || scalar.is_open() => Some(Json::String(scalar.shown())),
        Value::Scalar(_) => Some(node.to_json()).filter(|value| value.is_number() || value.is_boolean()),
        Value::List(nodes) => nodes.iter().map(json).collect::<Option<Vec<_>>>().map(Json::Array),
        Value::Map(_) => None,
    }
}

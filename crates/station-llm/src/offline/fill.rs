//! Makes a value that a schema accepts: tries what the task gives, the likeliest first.

use super::scene::{Fact, stems};
use serde_json::{Map, Value, json};
use station_core::rank::{stem, words};
use station_core::schema::check;

/// What facts are, and stems of parameters that take them beside those of the same name. What is `any` fits all.
const TAKEN_BY: [(&str, &str); 7] = [
    ("path", "fil filenam dir directory folder root"),
    ("url", "uri link href"),
    ("pattern", "glob mask"),
    ("text", "query q search keyword term messag input content pattern"),
    ("task", "prompt question request instruction goal"),
    ("last", "tail"),
    ("first", "head limit count"),
];

/// An object for `schema`: what it requires, and what else the task gives. None where something required cannot be
/// known. Facts that it requires are used up: two numbers are for two parameters.
pub(super) fn object(schema: &Value, task: &str, facts: &mut Vec<Fact>) -> Option<Value> {
    let mut filled = Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let is_required = schema["required"].as_array().is_some_and(|it| it.contains(&json!(name)));
        if is_required || facts.iter().any(|fact| fact.is == "any") {
            let value = value(name, property, task, facts)?;
            let used = value.as_array().map_or(std::slice::from_ref(&value), Vec::as_slice);
            facts.retain(|fact| fact.is == "any" || !meant(fact).any(|value| used.contains(&value)));
            filled.insert(name.clone(), value);
        } else {
            let mut told = told(name, property, task, facts);
            told.retain(|value| check(property, value).is_empty());
            filled.extend(told.into_iter().take(1).map(|value| (name.clone(), value)));
        }
    }
    Some(Value::Object(filled))
}

/// A value for `name` that `schema` accepts: what the task gives by that name, what the schema says, a list or an
/// object of such, then what else the task names.
pub(super) fn value(name: &str, schema: &Value, task: &str, facts: &mut Vec<Fact>) -> Option<Value> {
    let mut values = told(name, schema, task, facts);
    values.extend(["const", "default"].iter().filter_map(|word| schema.get(*word).cloned()));
    let mut items = told(name, &schema["items"], task, facts);
    items.retain(|item| check(&schema["items"], item).is_empty());
    values.extend((!items.is_empty()).then_some(Value::Array(items)));
    values.extend(schema["properties"].is_object().then(|| object(schema, task, facts)).flatten());
    let is_open = |fact: &&Fact| fact.is == "any" || fact.is == "text" || fact.text.parse::<f64>().is_ok();
    values.extend(facts.iter().filter(is_open).filter_map(|fact| meant(fact).next()));
    values.extend(schema["enum"].as_array().into_iter().flatten().cloned());
    values.extend((schema["type"] == "boolean").then_some(json!(false)));
    values.into_iter().find(|value| check(schema, value).is_empty())
}

/// What the task gives for `name`: what it names for it, an option that it says, or that it says the name itself.
fn told(name: &str, schema: &Value, task: &str, facts: &[Fact]) -> Vec<Value> {
    let said = stems(task);
    let is_said = |text: &str| !stems(text).is_empty() && stems(text).is_subset(&said);
    let named = facts.iter().filter(|fact| takes(name, &fact.is)).flat_map(meant);
    let options = schema["enum"].as_array().into_iter().flatten().cloned();
    let yes = (schema["type"] == "boolean" && is_said(name)).then_some(json!(true));
    named.chain(options.filter(|option| option.as_str().is_some_and(is_said))).chain(yes).collect()
}

/// What `fact` may mean: JSON, else just text.
fn meant(fact: &Fact) -> impl Iterator<Item = Value> {
    serde_json::from_str(&fact.text).into_iter().chain([json!(fact.text)])
}

/// Whether a parameter of this name takes a fact that is this.
pub(super) fn takes(name: &str, is: &str) -> bool {
    let parts: Vec<String> = words(name).iter().map(|word| stem(word)).collect();
    words(is).iter().any(|word| {
        let others = TAKEN_BY.iter().find(|(known, _)| known == word).map_or("", |(_, others)| others);
        parts.iter().any(|part| *part == stem(word) || others.split(' ').any(|other| other == part))
    })
}

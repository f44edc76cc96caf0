//! Writes a call's arguments from the task, by the tool's schema.

use super::named::Named;
use super::scene::{Scene, stems};
use serde_json::{Map, Value, json};
use station_core::rank::{stem, words};

/// How deep objects inside arguments are filled; deeper ones are not made up.
const DEPTH_MAX: usize = 3;

/// Names of parameters by what belongs into them, as stems of their parts.
const PATHS: &[&str] = &["path", "fil", "filenam", "dir", "directory", "folder", "root"];
const URLS: &[&str] = &["url", "uri", "link", "href"];
const TASKS: &[&str] = &["task", "prompt", "question", "request", "instruction", "goal"];
const PATTERNS: &[&str] = &["pattern", "glob", "mask"];
const QUERIES: &[&str] = &["query", "q", "search", "keyword", "term", "text", "messag", "input", "content"];

/// Words beside a number that tell which parameter it is for.
const BESIDE: &[(&str, &[&str])] = &[
    ("tail", &["last", "final"]),
    ("head", &["first", "initial"]),
    ("limit", &["top", "first", "most"]),
    ("count", &["top", "first"]),
];

/// What arguments are made from.
pub(super) struct Source<'a> {
    task: &'a str,
    named: &'a Named,
    /// Paths to use, resolved.
    paths: &'a [String],
}

impl<'a> Source<'a> {
    /// From the task of `scene`, with these paths in place of those it names.
    pub(super) fn new(scene: &'a Scene<'_>, paths: &'a [String]) -> Self {
        Self { task: scene.task, named: &scene.named, paths }
    }

    /// With these in place of what the task names.
    pub(super) fn with_named(self, named: &'a Named) -> Self {
        Self { named, ..self }
    }
}

/// The arguments `schema` wants; nothing where a required one cannot be known.
pub(super) fn arguments(schema: &Value, source: &Source<'_>) -> Option<Value> {
    object(schema, source, 0).map(Value::Object)
}

/// Whether `property` of a schema is a path.
pub(super) fn is_path(name: &str) -> bool {
    words(name).iter().any(|word| PATHS.contains(&stem(word).as_str()))
}

fn object(schema: &Value, source: &Source<'_>, depth: usize) -> Option<Map<String, Value>> {
    let mut filled = Map::new();
    let properties = schema["properties"].as_object();
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for name in &required {
        let property = properties.and_then(|properties| properties.get(*name)).unwrap_or(&Value::Null);
        let value = told(name, property, source).or_else(|| made(name, property, source, depth))?;
        filled.insert((*name).to_owned(), value);
    }
    for (name, property) in properties.into_iter().flatten() {
        if !required.contains(&name.as_str())
            && let Some(value) = told(name, property, source)
        {
            filled.insert(name.clone(), value);
        }
    }
    Some(filled)
}

/// A value that the task itself gives for `name`.
fn told(name: &str, property: &Value, source: &Source<'_>) -> Option<Value> {
    let said = stems(source.task);
    if let Some(options) = property["enum"].as_array() {
        let is_said = |option: &&Value| {
            option.as_str().is_some_and(|option| {
                let parts = stems(option);
                !parts.is_empty() && parts.is_subset(&said)
            })
        };
        return options.iter().find(is_said).cloned();
    }
    match kind(property) {
        "integer" => number(name, source, false).map(whole),
        "number" => number(name, source, false).map(numeral),
        "boolean" => {
            let parts = stems(name);
            (!parts.is_empty() && parts.is_subset(&said)).then(|| json!(true))
        }
        "string" => beside(name, source.task).map(Value::String),
        _ => None,
    }
}

/// A value for a required `name` that the task does not give by that name.
fn made(name: &str, property: &Value, source: &Source<'_>, depth: usize) -> Option<Value> {
    if let Some(value) = property.get("const").or_else(|| property.get("default")) {
        return Some(value.clone());
    }
    if let Some(options) = property["enum"].as_array() {
        return options.first().cloned();
    }
    match kind(property) {
        "integer" => number(name, source, true).map(whole),
        "number" => number(name, source, true).map(numeral),
        "boolean" => Some(json!(false)),
        "array" => {
            let items: Vec<Value> = match kind(&property["items"]) {
                "integer" | "number" => {
                    source.named.numbers.iter().map(|(number, _)| numeral(*number)).collect()
                }
                _ if is_path(name) => source.paths.iter().map(|path| json!(path)).collect(),
                _ => source.named.quoted.iter().map(|quoted| json!(quoted)).collect(),
            };
            (!items.is_empty()).then_some(Value::Array(items))
        }
        "object" if depth < DEPTH_MAX => object(property, source, depth + 1).map(Value::Object),
        "string" => text(name, source).map(Value::String),
        _ => None,
    }
}

fn text(name: &str, source: &Source<'_>) -> Option<String> {
    let parts: Vec<String> = words(name).iter().map(|word| stem(word)).collect();
    let is = |kinds: &[&str]| parts.iter().any(|part| kinds.contains(&part.as_str()));
    let (named, quoted) = (source.named, source.named.quoted.first().cloned());
    if is(TASKS) {
        return Some(source.task.to_owned());
    }
    if is(URLS) {
        return named.urls.first().cloned();
    }
    if is(PATHS) {
        return source.paths.first().cloned();
    }
    if is(PATTERNS) {
        let file = named.paths.first().and_then(|path| path.rsplit('/').next()).map(str::to_owned);
        return named.patterns.first().cloned().or(quoted).or(file);
    }
    if is(QUERIES) {
        return quoted.or_else(|| Some(source.task.to_owned()));
    }
    quoted.or_else(|| proper_name(source.task))
}

/// "city: Berlin", "city=Berlin".
fn beside(name: &str, task: &str) -> Option<String> {
    let at = task.match_indices(name).find(|(at, _)| {
        let before = task[..*at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_')
    })?;
    let rest = &task[at.0 + name.len()..];
    let value = rest.strip_prefix('=').or_else(|| rest.strip_prefix(':'))?.trim_start();
    let quoted = value.strip_prefix('"').and_then(|value| value.split_once('"')).map(|(inside, _)| inside);
    let word = quoted.or_else(|| value.split_whitespace().next())?;
    let word = word.trim_end_matches([',', ';', '.']);
    (!word.is_empty()).then(|| word.to_owned())
}

/// The first run of capitalised words that does not begin the sentence: "weather in New York".
fn proper_name(task: &str) -> Option<String> {
    let words: Vec<&str> = task.split_whitespace().collect();
    let is_name = |word: &&&str| word.chars().next().is_some_and(char::is_uppercase);
    let start = words.iter().skip(1).position(|word| is_name(&word))? + 1;
    let run: Vec<&str> = words[start..].iter().take_while(is_name).copied().collect();
    Some(run.join(" ").trim_end_matches(|c: char| !c.is_alphanumeric()).to_owned())
}

/// The number that stands beside the parameter's name or a word for it; `any` takes the first one.
fn number(name: &str, source: &Source<'_>, any: bool) -> Option<f64> {
    let parts = stems(name);
    let fits = |word: &String| {
        parts.contains(&stem(word))
            || BESIDE.iter().any(|(part, beside)| parts.contains(*part) && beside.contains(&word.as_str()))
    };
    let numbers = &source.named.numbers;
    let fitting = numbers.iter().find(|(_, around)| around.iter().any(fits));
    fitting.or_else(|| numbers.first().filter(|_| any)).map(|(number, _)| *number)
}

/// A number as people write it: 20, not 20.0.
fn numeral(number: f64) -> Value {
    if number.fract() == 0.0 { whole(number) } else { json!(number) }
}

#[expect(clippy::cast_possible_truncation, reason = "a task's number that is no i64 becomes the nearest one")]
fn whole(number: f64) -> Value {
    json!(number as i64)
}

/// The type of a schema; of several, the first that is not null.
pub(super) fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("")
        }
        _ if schema["properties"].is_object() => "object",
        _ if schema["items"].is_object() => "array",
        _ => "string",
    }
}

//! An answer that fits a schema: each property from what came back, by its name and type.

use super::findings::{Group, Level};
use super::scene::{Scene, stems};
use super::{SIGNATURE, report};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// How deep a schema is followed; it may refer to itself.
const DEPTH_MAX: usize = 8;
/// Most items of a list.
const ITEMS_MAX: usize = 20;

/// What is known, for one value.
struct Facts<'a> {
    root: &'a Value,
    summary: &'a str,
    groups: &'a [Group],
    paths: &'a [String],
    lines: usize,
}

/// JSON that fits `schema`. Its first free text says who answered, as the signature would.
pub(super) fn answer(scene: &Scene<'_>, schema: &Value) -> String {
    let readings = report::readings(scene);
    let mut groups: Vec<Group> = readings.iter().flat_map(|(_, reading)| reading.groups.clone()).collect();
    groups.sort_by(|a, b| a.level.cmp(&b.level).then(b.count.cmp(&a.count)));
    let paths: Vec<String> =
        readings.iter().map(|(finding, _)| report::subject(finding).to_owned()).collect();
    let summary = format!("{}\n\n{SIGNATURE}", report::text(scene));
    let facts = Facts {
        root: schema,
        summary: &summary,
        groups: &groups,
        paths: &paths,
        lines: readings.iter().map(|(_, reading)| reading.lines).sum(),
    };
    value("answer", schema, &facts, 0).to_string()
}

fn value(name: &str, schema: &Value, facts: &Facts<'_>, depth: usize) -> Value {
    let schema = followed(schema, facts.root);
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    if let Some(options) = schema["enum"].as_array() {
        return one_of(options, facts);
    }
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    match super::fill::kind(schema) {
        "object" => object(schema, facts, depth),
        "array" => array(name, schema, facts, depth),
        "integer" => whole(number(name, schema, facts)),
        "number" => json!(number(name, schema, facts)),
        "boolean" => json!(facts.groups.is_empty() != asks_for_trouble(name)),
        "null" => Value::Null,
        _ => json!(text(name, schema, facts)),
    }
}

/// Where `$ref` and the first branch of a choice lead.
fn followed<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let mut schema = schema;
    for _ in 0..DEPTH_MAX {
        let branches = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|word| schema[word].as_array());
        let next = match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => root.pointer(pointer),
            None => branches.and_then(|branches| branches.iter().find(|branch| branch["type"] != "null")),
        };
        let Some(next) = next else { break };
        schema = next;
    }
    schema
}

fn object(schema: &Value, facts: &Facts<'_>, depth: usize) -> Value {
    let mut members = Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        members.insert(name.clone(), value(name, property, facts, depth + 1));
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    for name in required {
        members.entry(name).or_insert_with(|| json!(facts.summary));
    }
    Value::Object(members)
}

/// One item per problem, or per thing read where the items are paths.
fn array(name: &str, schema: &Value, facts: &Facts<'_>, depth: usize) -> Value {
    let limit = |word: &str| schema[word].as_u64().and_then(|n| usize::try_from(n).ok());
    let most = limit("maxItems").unwrap_or(ITEMS_MAX).min(ITEMS_MAX);
    let items = followed(&schema["items"], facts.root);
    let of_paths = super::fill::is_path(name);
    let wanted = wanted_level(name);
    let mut made: Vec<Value> = if of_paths {
        facts.paths.iter().take(most).map(|path| item(name, items, facts, path, &[], depth)).collect()
    } else {
        let groups = facts.groups.iter().filter(|group| wanted.is_none_or(|level| level == group.level));
        groups
            .take(most)
            .map(|group| item(name, items, facts, &group.message, std::slice::from_ref(group), depth))
            .collect()
    };
    while made.len() < limit("minItems").unwrap_or(0).min(ITEMS_MAX) {
        made.push(value(name, items, facts, depth + 1));
    }
    Value::Array(made)
}

fn item(name: &str, items: &Value, facts: &Facts<'_>, text: &str, groups: &[Group], depth: usize) -> Value {
    let facts = Facts { root: facts.root, summary: text, groups, paths: facts.paths, lines: facts.lines };
    value(name, items, &facts, depth + 1)
}

/// The option that names the worst level found, else the first that what was found mentions, else the first.
fn one_of(options: &[Value], facts: &Facts<'_>) -> Value {
    let worst = facts.groups.first().map_or(Level::Other, |group| group.level);
    let found = stems(facts.summary);
    let words: BTreeSet<&str> = match worst {
        Level::Error => ["error", "critical", "high", "fail", "unhealthy"].into(),
        Level::Warning => ["warn", "medium", "degrad"].into(),
        Level::Other => ["info", "low", "ok", "healthy", "none"].into(),
    };
    let is = |test: &dyn Fn(&str) -> bool| {
        options
            .iter()
            .find(|option| option.as_str().is_some_and(|option| stems(option).iter().any(|stem| test(stem))))
    };
    is(&|stem| words.contains(stem))
        .or_else(|| is(&|stem| found.contains(stem)))
        .or(options.first())
        .cloned()
        .unwrap_or_default()
}

fn number(name: &str, schema: &Value, facts: &Facts<'_>) -> f64 {
    let parts = stems(name);
    let of = |level: Option<Level>| {
        let groups = facts.groups.iter().filter(|group| level.is_none_or(|level| level == group.level));
        groups.map(|group| group.count).sum::<usize>()
    };
    let n = if parts.contains("lin") {
        facts.groups.first().filter(|_| facts.groups.len() == 1).map_or(facts.lines, |group| group.first)
    } else if super::fill::is_path(name) {
        facts.paths.len()
    } else {
        of(wanted_level(name))
    };
    let n = f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    let n = schema["minimum"].as_f64().map_or(n, |least| n.max(least));
    schema["maximum"].as_f64().map_or(n, |most| n.min(most))
}

#[expect(clippy::cast_possible_truncation, reason = "a count is far below 2^52")]
fn whole(number: f64) -> Value {
    json!(number.ceil() as i64)
}

fn text(name: &str, schema: &Value, facts: &Facts<'_>) -> String {
    let parts = stems(name);
    let is = |words: &[&str]| words.iter().any(|word| parts.contains(*word));
    let group = facts.groups.first();
    let text = match schema["format"].as_str() {
        // Nothing here knows the time.
        Some("date-time") => "1970-01-01T00:00:00Z".to_owned(),
        Some("date") => "1970-01-01".to_owned(),
        _ if super::fill::is_path(name) => facts.paths.first().cloned().unwrap_or_default(),
        _ if is(&["level", "severity"]) => group.map_or(Level::Other, |group| group.level).word().to_owned(),
        _ => facts.summary.to_owned(),
    };
    match schema["maxLength"].as_u64().and_then(|most| usize::try_from(most).ok()) {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    }
}

fn wanted_level(name: &str) -> Option<Level> {
    let parts = stems(name);
    if ["error", "fail", "failur", "fatal"].iter().any(|stem| parts.contains(*stem)) {
        Some(Level::Error)
    } else {
        parts.contains("warn").then_some(Level::Warning)
    }
}

/// "healthy" is true where nothing was found, "has_errors" where something was.
fn asks_for_trouble(name: &str) -> bool {
    let parts = stems(name);
    !["ok", "healthy", "success", "clean", "pass"].iter().any(|stem| parts.contains(*stem))
}

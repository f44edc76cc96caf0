//! Writes the answer: what the last calls returned, and what failed or was missed.

use super::SIGNATURE;
use super::fill::value;
use super::scene::{Fact, Finding, Scene, facts, path, stems};
use serde_json::Value;
use station_core::plural;
use station_core::rank::{stem, words};
use station_core::run::Target;

/// Most lines told of a result; a text of half as many is told whole.
const LINES_MAX: usize = 8;

/// The answer as text.
pub(super) fn text(scene: &Scene<'_>) -> String {
    let (good, failed): (Vec<&Finding<'_>>, Vec<_>) = scene.findings.iter().partition(|it| !it.is_error);
    let (last, before): (Vec<&Finding<'_>>, Vec<_>) = good.into_iter().partition(|it| it.turn == scene.turns);
    let list =
        |what: &str, it: Vec<&str>| (!it.is_empty()).then(|| format!("{what}: `{}`.", it.join("`, `")));
    let mut parts: Vec<String> = last.iter().map(|finding| told(scene, finding)).collect();
    if scene.findings.is_empty() {
        parts.push(
            "No tool that rules may call fits this task, or the task does not say what it needs.".to_owned(),
        );
        parts.extend(list("At hand", scene.tools.iter().map(|tool| tool.spec.name.as_str()).collect()));
    }
    parts.extend(failed.iter().map(|it| format!("`{}` failed: {:.300}", it.tool.spec.name, it.text.trim())));
    let knows = |file: &str| scene.findings.iter().any(|it| it.text.contains(file) || path(it) == Some(file));
    let files = scene.named.iter().filter(|it| it.is == "path" && !it.text.ends_with('/'));
    let missing = files.map(|file| file.text.as_str()).filter(|file| scene.turns > 0 && !knows(file));
    parts.extend(list("Not found", missing.collect()));
    parts.extend(list("Looked in", before.iter().filter_map(|finding| path(finding)).collect()));
    parts.push(SIGNATURE.to_owned());
    parts.join("\n\n")
}

/// The answer as JSON that `schema` accepts, as far as its text has what the schema asks for: paths, numbers by the
/// words beside them, and the text itself; null, zero or nothing for the rest.
pub(super) fn fitting(scene: &Scene<'_>, schema: &Value) -> String {
    let text = text(scene);
    let any = [&text, "null", "0", "1", "[]", "{}"].into_iter();
    let mut all: Vec<Fact> = any.map(|it| Fact { is: "any".to_owned(), text: it.to_owned() }).collect();
    all.extend(facts(&text).into_iter().filter(|it| it.is == "path" || it.text.parse::<f64>().is_ok()));
    value("", schema, &text, &mut all).unwrap_or_default().to_string()
}

/// One result, its lines cut where nobody would read on: whole if it is short, else the lines that say words of the task,
/// if any do; lines that differ in numbers alone are told once.
fn told(scene: &Scene<'_>, finding: &Finding<'_>) -> String {
    if let Target::Agent { name, .. } = &finding.tool.target {
        return format!("`{name}` answers:\n{}", finding.text.replace(SIGNATURE, "").trim_end());
    }
    let subject = path(finding).unwrap_or(&finding.tool.spec.name);
    let lines = (1..).zip(finding.text.lines().map(str::trim)).filter(|(_, line)| !line.is_empty());
    let lines: Vec<(usize, &str)> = lines.collect();
    if lines.len() <= LINES_MAX / 2 {
        let lines: Vec<String> = lines.iter().map(|(_, line)| format!("{line:.300}")).collect();
        return format!("`{subject}`:\n{}", lines.join("\n"));
    }
    let count = plural(lines.len(), "line");
    let found = &(&stems(&scene.said) - &stems(subject)) & &stems(finding.text);
    let (saying, others): (Vec<_>, Vec<_>) = lines.iter().partition(|it| !found.is_disjoint(&stems(it.1)));
    let mut words = words(&scene.said);
    words.retain(|word| found.contains(&stem(word)));
    let (head, told) = match saying.len() {
        0 => (format!("`{subject}` has {count}:"), others),
        n => (format!("`{subject}` says {} in {n} of {count}:", words.join(", ")), saying),
    };
    let mut alike = std::collections::BTreeMap::<String, (usize, usize, &str)>::new();
    for (at, line) in told {
        let same = line.split_whitespace().filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
        alike.entry(same.collect()).or_insert((0, at, line)).0 += 1;
    }
    let mut alike: Vec<(usize, usize, &str)> = alike.into_values().collect();
    alike.sort_by_key(|(times, at, _)| (std::cmp::Reverse(*times), *at));
    let lines = alike.iter().take(LINES_MAX).map(|(times, at, line)| match times {
        1 => format!("- line {at}: {line:.300}"),
        times => format!("- {times} lines like line {at}: {line:.300}"),
    });
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

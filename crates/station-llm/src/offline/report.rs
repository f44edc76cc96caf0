//! Writes the answer from what came back.

use super::SIGNATURE;
use super::files;
use super::findings::{self, Level, Reading};
use super::scene::{Finding, Scene};
use serde_json::Value;
use station_core::plural;

/// Most problems, lines or entries shown of one result; more would bury the first.
const SHOWN_MAX: usize = 8;
/// A text of so many lines is shown as it is.
const SHORT_LINES: usize = SHOWN_MAX;
/// Most lines repeated of a sub-agent's answer, which is a report already.
const AGENT_LINES_MAX: usize = 40;

/// The answer, without the signature.
pub(super) fn text(scene: &Scene<'_>) -> String {
    let (good, bad): (Vec<_>, Vec<_>) = scene.findings.iter().partition(|finding| !finding.is_error);
    // Where one may look is only worth telling if nothing else is known.
    let told: Vec<&Finding<'_>> =
        good.iter().copied().filter(|finding| !files::is_roots(finding.name)).collect();
    let told = if told.is_empty() { good } else { told };
    if scene.findings.is_empty() {
        return nothing_to_call(scene);
    }
    let (listings, others): (Vec<_>, Vec<_>) = told.iter().copied().partition(|finding| is_listing(finding));
    let mut parts: Vec<String> = others.iter().map(|finding| part(scene, finding)).collect();
    // Listings on the way to something else are told in one line.
    if others.is_empty() {
        parts.extend(listings.iter().map(|finding| listing(finding)));
    } else if !listings.is_empty() {
        let looked: Vec<String> = listings.iter().map(|finding| format!("`{}`", subject(finding))).collect();
        parts.push(format!("Looked in {}.", looked.join(", ")));
    }
    let missing = missing(scene, &told);
    parts.extend((!missing.is_empty()).then(|| format!("Not found: {}.", missing.join(", "))));
    parts.extend(bad.into_iter().map(failure));
    parts.join("\n\n")
}

/// What came back and is no listing of where to look, with what it is about.
pub(super) fn readings<'a>(scene: &'a Scene<'_>) -> Vec<(&'a Finding<'a>, Reading)> {
    let told = scene
        .findings
        .iter()
        .filter(|finding| !finding.is_error && !files::is_roots(finding.name) && !is_listing(finding));
    told.map(|finding| (finding, findings::read(finding.text, &scene.stems, subject(finding)))).collect()
}

fn part(scene: &Scene<'_>, finding: &Finding<'_>) -> String {
    if let Some(agent) = finding.agent {
        return format!("`{agent}` answers:\n{}", unsigned(finding.text));
    }
    let subject = subject(finding);
    if let Ok(value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(finding.text) {
        return format!("`{subject}` gives:\n{}", findings::of_json(&value, SHOWN_MAX));
    }
    let reading = findings::read(finding.text, &scene.stems, subject);
    reported(scene, subject, finding.text, &reading)
}

fn reported(scene: &Scene<'_>, subject: &str, text: &str, reading: &Reading) -> String {
    let lines = plural(reading.lines, "line");
    if reading.lines == 0 {
        return format!("`{subject}` is empty.");
    }
    let asks = |stems: &[&str]| stems.iter().any(|stem| scene.stems.contains(*stem));
    let as_it_is = reading.lines <= SHORT_LINES && asks(&["show", "print", "lin", "last", "first"]);
    if !reading.groups.is_empty() && !as_it_is {
        let (errors, warnings) = (reading.count(Level::Error), reading.count(Level::Warning));
        let only_errors =
            errors > 0 && asks(&["error", "fail", "failur", "fatal"]) && !asks(&["warn", "problem"]);
        let told = reading.groups.iter().filter(|group| !only_errors || group.level == Level::Error);
        let told: Vec<String> = told
            .map(|group| {
                format!(
                    "- {} ×{}: {} (first in line {})",
                    group.level.word(),
                    group.count,
                    group.message,
                    group.first
                )
            })
            .collect();
        let more = told.len().saturating_sub(SHOWN_MAX);
        let mut shown = told.into_iter().take(SHOWN_MAX).collect::<Vec<_>>().join("\n");
        if more > 0 {
            shown = format!("{shown}\n- and {more} more kinds");
        }
        return format!(
            "`{subject}` has {lines}: {} and {}.\n{shown}",
            plural(errors, "error"),
            plural(warnings, "warning")
        );
    }
    if reading.lines <= SHORT_LINES {
        return format!("`{subject}`:\n{}", text.trim_end());
    }
    let what = if reading.by_words {
        format!("{lines}, {} of them with words of the task", reading.relevant.len())
    } else {
        format!("{lines}; it begins")
    };
    let shown = reading.relevant.iter().take(SHOWN_MAX).map(|(at, line)| format!("- line {at}: {line}"));
    format!("`{subject}` has {what}:\n{}", shown.collect::<Vec<_>>().join("\n"))
}

fn listing(finding: &Finding<'_>) -> String {
    let listed = files::listed(finding);
    let folders = listed.iter().filter(|listed| listed.is_folder).count();
    let counts = format!("{} and {}", plural(listed.len() - folders, "file"), plural(folders, "folder"));
    let subject = subject(finding);
    // Sizes and the like are in the lines as the tool wrote them.
    let lines: Vec<&str> = finding.text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_json = finding.text.trim_start().starts_with('[')
        && !finding.text.trim_start().starts_with("[FILE]")
        && !finding.text.trim_start().starts_with("[DIR]");
    let entries: Vec<String> = if is_json {
        listed
            .iter()
            .map(|listed| format!("- {}{}", listed.path, if listed.is_folder { "/" } else { "" }))
            .collect()
    } else {
        lines
            .iter()
            .map(|line| {
                format!("- {}", findings::shown(&line.split_whitespace().collect::<Vec<_>>().join(" ")))
            })
            .collect()
    };
    let more = entries.len().saturating_sub(2 * SHOWN_MAX);
    let mut shown = entries.into_iter().take(2 * SHOWN_MAX).collect::<Vec<_>>().join("\n");
    if more > 0 {
        shown = format!("{shown}\n- and {more} more");
    }
    format!("`{subject}` has {counts}:\n{shown}")
}

/// Files the task names that nothing returned, although something was looked at.
fn missing(scene: &Scene<'_>, told: &[&Finding<'_>]) -> Vec<String> {
    if told.iter().any(|finding| finding.agent.is_some()) {
        return Vec::new();
    }
    let seen = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or(path);
        scene
            .findings
            .iter()
            .any(|finding| finding.text.contains(name) || finding.arguments.to_string().contains(name))
    };
    let files = scene.named.paths.iter().filter(|path| super::named::has_extension(path));
    files.filter(|path| !seen(path)).map(|path| format!("`{path}`")).collect()
}

fn failure(finding: &Finding<'_>) -> String {
    let first = finding.text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    format!("`{}` failed: {}", finding.name, findings::shown(first))
}

fn nothing_to_call(scene: &Scene<'_>) -> String {
    let mut text =
        String::from("None of the tools at hand fits this task, or the task does not name what they need.");
    if !scene.tools.is_empty() {
        let names: Vec<String> = scene.tools.iter().map(|tool| format!("`{}`", tool.spec.name)).collect();
        text = format!("{text}\nAt hand: {}.", names.join(", "));
    }
    if !scene.withheld.is_empty() {
        let names: Vec<String> = scene.withheld.iter().map(|name| format!("`{name}`")).collect();
        text = format!(
            "{text}\nNot called without a language model, as they may change something: {}.",
            names.join(", ")
        );
    }
    text
}

fn unsigned(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().trim_end_matches(SIGNATURE).trim_end().lines().collect();
    let mut shown = lines.iter().take(AGENT_LINES_MAX).copied().collect::<Vec<_>>().join("\n");
    if lines.len() > AGENT_LINES_MAX {
        shown = format!("{shown}\n… and {} more", plural(lines.len() - AGENT_LINES_MAX, "line"));
    }
    shown
}

fn is_listing(finding: &Finding<'_>) -> bool {
    !files::listed(finding).is_empty()
}

/// What a finding is about: its path, else its tool.
pub(super) fn subject<'f>(finding: &'f Finding<'_>) -> &'f str {
    files::path_of(finding).unwrap_or(finding.name)
}

//! Makes sense of a text: how many lines, which problems and how often, which lines the task is about.

use super::scene::stems;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// Most problems told apart in one text; a text with more has none that stand out.
const GROUPS_MAX: usize = 200;
/// Most characters shown of a line.
const SHOWN_CHARS_MAX: usize = 160;
/// Most lines read of one text: above any tool result's own limit.
const LINES_MAX: usize = 200_000;

/// How bad a line says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Level {
    Error,
    Warning,
    Other,
}

impl Level {
    /// In one word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warning => "WARN",
            Self::Other => "INFO",
        }
    }
}

/// Lines that say the same, but for numbers and times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) level: Level,
    /// As the first of them says it.
    pub(super) message: String,
    pub(super) count: usize,
    /// The first line's number.
    pub(super) first: usize,
}

/// A text, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) lines: usize,
    /// The worst first, then the most frequent.
    pub(super) groups: Vec<Group>,
    /// Numbered lines with words of the task, the best first; the first lines where there are none.
    pub(super) relevant: Vec<(usize, String)>,
    /// Whether `relevant` was found by words of the task.
    pub(super) by_words: bool,
}

impl Reading {
    /// How many lines are of `level`.
    pub(super) fn count(&self, level: Level) -> usize {
        self.groups.iter().filter(|group| group.level == level).map(|group| group.count).sum()
    }
}

/// Reads `text` for a task whose words have these stems, without those in `path`.
pub(super) fn read(text: &str, asked: &BTreeSet<String>, path: &str) -> Reading {
    let named = stems(path);
    let mut reading = Reading::default();
    let mut relevant: Vec<(usize, usize, String)> = Vec::new();
    let mut known = HashMap::new();
    for (at, line) in text.lines().take(LINES_MAX).enumerate() {
        reading.lines += 1;
        if line.trim().is_empty() {
            continue;
        }
        let (level, message) = level_of(line);
        if level != Level::Other {
            count(&mut reading.groups, &mut known, level, &message, at + 1);
        }
        let hits = stems(line).iter().filter(|stem| asked.contains(*stem) && !named.contains(*stem)).count();
        relevant.push((hits, at + 1, shown(line)));
    }
    reading
        .groups
        .sort_by(|a, b| a.level.cmp(&b.level).then(b.count.cmp(&a.count)).then(a.first.cmp(&b.first)));
    reading.by_words = relevant.iter().any(|(hits, ..)| *hits > 0);
    if reading.by_words {
        relevant.retain(|(hits, ..)| *hits > 0);
        relevant.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    }
    reading.relevant = relevant.into_iter().map(|(_, at, line)| (at, line)).collect();
    reading
}

/// One line of at most so many characters.
pub(super) fn shown(line: &str) -> String {
    let line = line.trim();
    let cut: String = line.chars().take(SHOWN_CHARS_MAX).collect();
    if cut.len() < line.len() { format!("{cut}…") } else { cut }
}

/// A short text of a JSON value: its members one per line, its length where it is a list.
pub(super) fn of_json(value: &Value, lines_max: usize) -> String {
    let (count, lines): (usize, Vec<String>) = match value {
        Value::Object(members) => (
            members.len(),
            members.iter().map(|(name, value)| format!("- {name}: {}", brief(value))).collect(),
        ),
        Value::Array(items) => (items.len(), items.iter().map(|item| format!("- {}", brief(item))).collect()),
        other => (1, vec![brief(other)]),
    };
    let mut text = lines.into_iter().take(lines_max).collect::<Vec<_>>().join("\n");
    if count > lines_max {
        text = format!("{text}\n- and {} more", count - lines_max);
    }
    text
}

fn brief(value: &Value) -> String {
    match value {
        Value::String(text) => shown(&text.lines().collect::<Vec<_>>().join(" ")),
        other => shown(&other.to_string()),
    }
}

fn count(
    groups: &mut Vec<Group>,
    known: &mut HashMap<(Level, String), usize>,
    level: Level,
    message: &str,
    at: usize,
) {
    let key = (level, alike(message));
    if let Some(place) = known.get(&key) {
        groups[*place].count += 1;
    } else if groups.len() < GROUPS_MAX {
        known.insert(key, groups.len());
        groups.push(Group { level, message: shown(message), count: 1, first: at });
    }
}

/// `message` without what differs from time to time: words with digits in them.
fn alike(message: &str) -> String {
    let same = |word: &str| {
        if word.chars().any(|c| c.is_ascii_digit()) { String::from("#") } else { word.to_owned() }
    };
    message
        .split_whitespace()
        .map(|word| same(word.trim_end_matches([',', ';', '.'])))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The level that a line states first, and what follows it. A line that states none is of no level, whatever words
/// it has: prose about errors is no error.
fn level_of(line: &str) -> (Level, String) {
    let mut at = 0;
    for word in line.split_whitespace().take(LEVEL_WORDS) {
        at += line[at..].find(word).unwrap_or(0);
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let bare = bare.rsplit('=').next().unwrap_or(bare).trim_matches('"');
        let shouted = bare.chars().all(char::is_uppercase)
            || word.ends_with(':')
            || word.contains(['[', '(', '=', '|']);
        let level = match bare.to_uppercase().as_str() {
            "ERROR" | "ERR" | "FATAL" | "CRITICAL" | "CRIT" | "FAIL" | "FAILED" | "FAILURE" | "PANIC"
            | "SEVERE" => Some(Level::Error),
            "WARN" | "WARNING" => Some(Level::Warning),
            "INFO" | "DEBUG" | "TRACE" | "NOTICE" | "OK" | "PASS" | "PASSED" => Some(Level::Other),
            _ => None,
        };
        if let Some(level) = level.filter(|_| shouted) {
            let rest = line[at + word.len()..].trim_start_matches(|c: char| !c.is_alphanumeric() && c != '/');
            let message = if rest.is_empty() { line.trim() } else { rest };
            return (level, message.to_owned());
        }
        at += word.len();
    }
    (Level::Other, String::new())
}

/// How many words of a line may precede its level: date, time, zone, host, process, thread.
const LEVEL_WORDS: usize = 7;

//! Reads a request: the task, what may be called, what came back so far, and the facts in them.

use super::fill::takes;
use crate::Request;
use serde_json::Value;
use station_core::Message;
use station_core::rank::{is_stop_word, stem, words};
use station_core::run::GrantedTool;

/// A request, read.
#[derive(Default)]
pub(super) struct Scene<'a> {
    pub(super) task: &'a str,
    pub(super) instructions: String,
    pub(super) tools: Vec<&'a GrantedTool>,
    pub(super) findings: Vec<Finding<'a>>,
    pub(super) turns: usize,
    /// What the task names, and what it says beside paths.
    pub(super) named: Vec<Fact>,
    pub(super) said: String,
    /// The paths that results list.
    pub(super) seen: Vec<Fact>,
}

/// One call, made in this turn, and its result.
pub(super) struct Finding<'a> {
    pub(super) turn: usize,
    pub(super) tool: &'a GrantedTool,
    pub(super) arguments: Value,
    pub(super) text: &'a str,
    pub(super) is_error: bool,
}

/// Something to make a value from.
#[derive(Clone)]
pub(super) struct Fact {
    /// What it is: a `path` (of a folder if it ends with `/`), `url`, `pattern`, `text`, or the words around it.
    pub(super) is: String,
    pub(super) text: String,
}

/// Reads `request`.
pub(super) fn read<'a>(request: &Request<'a>) -> Scene<'a> {
    let tools = request.tools.iter().filter(|tool| tool.offline).collect();
    let mut scene = Scene { tools, ..Scene::default() };
    let mut open = &[][..];
    for message in request.messages {
        match message {
            Message::System { text } => scene.instructions.push_str(text),
            Message::User { text } if scene.turns == 0 => scene.task = text,
            Message::User { .. } => {}
            Message::Assistant { calls, .. } => {
                (open, scene.turns) = (calls, scene.turns + calls.len().min(1));
            }
            Message::Tool { call, name, text, is_error, .. } => {
                let Some(tool) = request.tools.iter().find(|tool| tool.spec.name == *name) else { continue };
                let call = open.iter().find(|it| it.id == *call);
                let arguments =
                    call.and_then(|it| serde_json::from_str(&it.arguments).ok()).unwrap_or_default();
                let (turn, is_error) = (scene.turns, *is_error);
                scene.findings.push(Finding { turn, tool, arguments, text, is_error });
            }
        }
    }
    scene.seen = scene.findings.iter().filter(|it| lists(it.tool) && !it.is_error).flat_map(listed).collect();
    scene.named = facts(scene.task);
    let paths = scene.named.iter().filter(|fact| fact.is == "path");
    scene.said = paths.fold(scene.task.to_owned(), |said, path| said.replace(&path.text, " "));
    // A quotation is what is to be said or sought, else the whole task is.
    let is = if scene.named.iter().any(|fact| fact.is == "text") { "task" } else { "task text" };
    scene.named.push(Fact { is: is.to_owned(), text: scene.task.to_owned() });
    scene
}

/// The stems of what `text` says, without stop words.
pub(super) fn stems(text: &str) -> std::collections::BTreeSet<String> {
    words(text).iter().filter(|word| !is_stop_word(word)).map(|word| stem(word)).collect()
}

/// Whether `tool` lists or finds, and so takes a folder where others take a file.
pub(super) fn lists(tool: &GrantedTool) -> bool {
    !stems("dir directory find folder list ls root search tree").is_disjoint(&stems(&tool.spec.name))
}

/// The path that `finding` is about, if any.
pub(super) fn path<'f>(finding: &'f Finding<'_>) -> Option<&'f str> {
    let mut arguments = finding.arguments.as_object()?.iter();
    arguments.find(|(name, _)| takes(name, "path")).and_then(|(_, value)| value.as_str())
}

/// The paths in a listing: "app.log", "[FILE] app.log", "[DIR] old", "/data/".
fn listed(finding: &Finding<'_>) -> Vec<Fact> {
    let folder = path(finding).unwrap_or_default();
    let marked = |line: &str| line.strip_prefix("[DIR] ").map_or(line.to_owned(), |name| format!("{name}/"));
    let mut paths: Vec<Fact> = finding.text.lines().flat_map(|line| facts(&marked(line))).collect();
    paths.retain(|fact| fact.is == "path");
    paths.iter_mut().filter(|it| !it.text.starts_with('/')).for_each(|it| it.text.insert_str(0, folder));
    paths
}

/// What `text` names: by its form, in quotation marks, or as a number.
pub(super) fn facts(text: &str) -> Vec<Fact> {
    let mut facts = Vec::new();
    for (at, piece) in text.split(['"', '`', '“', '”']).enumerate() {
        let is_quoted = at % 2 == 1;
        let words: Vec<&str> = if is_quoted { vec![piece] } else { piece.split_whitespace().collect() };
        for (at, word) in words.iter().enumerate() {
            let word = word.trim_matches(|c: char| "()[]{}<>'„«»,;:!?".contains(c)).trim_end_matches('.');
            let around = words[at.saturating_sub(2)..words.len().min(at + 2)].join(" ").to_lowercase();
            let (is, end) = match word {
                _ if word.contains("://") => ("url", ""),
                _ if word.contains('*') => ("pattern", ""),
                _ if is_file(word) || word.ends_with('/') => ("path", ""),
                _ if word.starts_with(['/', '~']) => ("path", "/"),
                _ if is_quoted => ("text", ""),
                _ if word.parse::<f64>().is_ok() => (around.as_str(), ""),
                _ => continue,
            };
            facts.push(Fact { is: is.to_owned(), text: format!("{}{end}", word.trim_start_matches("./")) });
        }
    }
    facts
}

/// `app.log` is one by its ending; `example.com`, `e.g`, `3.5` and `/etc/app.d/` are none.
fn is_file(word: &str) -> bool {
    let end = word.rsplit_once('.').map_or("", |(_, end)| end);
    let is_word = end.chars().all(char::is_alphanumeric) && end.contains(char::is_alphabetic);
    is_word && end.len() <= 10 && !["com", "net", "org", "g"].contains(&end)
}

//! The server files of a plan: which are new or changed, which are gone, and who may define a server.

use super::plan::View;
use super::reach::Rules;
use super::{Change, Plan, Removals, ServerOutline, StoredConfig, Text};
use crate::file::servers::{self, Entry};
use crate::file::{Problem, Severity};
use std::collections::{BTreeMap, BTreeSet};

/// The folder in which every JSON file is a server file. Beside it, others are passed over.
const SERVERS_FOLDER: &str = "/mcp-servers/";

/// A server file that could be read.
struct Candidate<'a> {
    name: &'a str,
    text: &'a Text,
    entries: Vec<Entry>,
}

/// Plans the server files; the rules over tools that they hold.
pub(super) fn plan(
    plan: &mut Plan,
    view: &View<'_>,
    value_of: &dyn Fn(&str) -> Option<String>,
) -> Vec<Rules> {
    let mut candidates = candidates(plan, view, value_of);
    refuse_second_definitions(plan, view, &mut candidates);
    let defined: BTreeSet<&str> =
        candidates.iter().flat_map(|file| &file.entries).map(|entry| entry.name.as_str()).collect();
    for candidate in &candidates {
        let stored = view.stored.configs.get(candidate.name);
        if stored.is_some_and(|stored| is_same(view, candidate, stored)) {
            plan.unchanged += 1;
            continue;
        }
        plan.changes.push(Change::PutConfig {
            name: candidate.name.to_owned(),
            path: candidate.text.path.clone(),
            source: candidate.text.body.clone(),
            servers: candidate.entries.iter().map(outline).collect(),
            existed: stored.is_some(),
            dropped: stored.map(|stored| gone(view, stored, &defined)).unwrap_or_default(),
        });
    }
    for (name, stored) in &view.stored.configs {
        let is_gone = stored.ours && !view.files.configs.contains_key(name);
        if is_gone && view.removals == Removals::Apply {
            let servers = gone(view, stored, &defined);
            plan.changes.push(Change::RemoveConfig { name: name.clone(), servers });
        }
    }
    let rules = |text: &Text, entry: Entry| Rules {
        path: text.path.clone(),
        server: Some(entry.name),
        rules: entry.settings.tools,
    };
    candidates
        .into_iter()
        .flat_map(|Candidate { text, entries, .. }| entries.into_iter().map(move |entry| rules(text, entry)))
        .collect()
}

/// The readable files, in file order: `mcp-servers/` first, then by name.
fn candidates<'a>(
    plan: &mut Plan,
    view: &View<'a>,
    value_of: &dyn Fn(&str) -> Option<String>,
) -> Vec<Candidate<'a>> {
    let mut texts: Vec<(&String, &Text)> = view.files.configs.iter().collect();
    texts.sort_by_key(|(_, text)| (!text.path.contains(SERVERS_FOLDER), &text.path));
    let mut candidates = Vec::new();
    for (name, text) in texts {
        let is_elsewhere = !text.path.contains(SERVERS_FOLDER) && !view.stored.configs.contains_key(name);
        if is_elsewhere && !servers::looks_like(text.body.expose()) {
            let sentence = "the file is passed over: it has neither `mcpServers` nor `servers`";
            plan.say(Severity::Note, &text.path, sentence.to_owned(), "");
            continue;
        }
        let (file, problems) = servers::read(text.body.expose(), &text.path, value_of);
        plan.problems.extend(problems);
        let Some(file) = file else { continue };
        let stored = view.stored.configs.get(name);
        if stored.is_some_and(|stored| !stored.ours && stored.source != text.body) {
            let sentence = format!("server file `{name}` exists already, and this workspace does not own it");
            plan.say(Severity::Error, &text.path, sentence, "give the file another name");
            continue;
        }
        candidates.push(Candidate { name, text, entries: file.entries });
    }
    candidates
}

/// A server belongs to one file. The file that has it in the store keeps it, so that one added later takes nothing
/// over; else the first in file order has it. The other file refuses itself, and what is stored of it stays.
fn refuse_second_definitions<'a>(plan: &mut Plan, view: &View<'a>, candidates: &mut Vec<Candidate<'a>>) {
    // Refusing a file can make its stored servers stand in another's way: so again, until nothing is refused.
    loop {
        let owners = owners(view, candidates);
        let mut refused = BTreeSet::new();
        for candidate in candidates.iter() {
            for entry in &candidate.entries {
                if let Some(owner) = owners.get(&entry.name).filter(|owner| **owner != candidate.name) {
                    refused.insert(candidate.name);
                    plan.problems.push(second_definition(view, candidate, entry, owner));
                }
            }
        }
        if refused.is_empty() {
            return;
        }
        candidates.retain(|candidate| !refused.contains(candidate.name));
    }
}

/// The file that each server belongs to.
fn owners<'a>(view: &View<'a>, candidates: &[Candidate<'a>]) -> BTreeMap<String, &'a str> {
    let is_candidate = |name: &str| candidates.iter().any(|candidate| candidate.name == name);
    let mut owners = BTreeMap::new();
    for (name, stored) in &view.stored.configs {
        // What another workspace owns and what is stored of a refused file stays as it is.
        let stays = !stored.ours || view.files.configs.contains_key(name);
        if stays && !is_candidate(name) {
            owners.extend(stored.servers.keys().map(|server| (server.clone(), name.as_str())));
        }
    }
    let defines = |name: &str, server: &str| {
        candidates
            .iter()
            .any(|candidate| candidate.name == name && candidate.entries.iter().any(|e| e.name == server))
    };
    for (name, stored) in &view.stored.configs {
        for server in stored.servers.keys().filter(|server| defines(name, server)) {
            owners.entry(server.clone()).or_insert(name.as_str());
        }
    }
    for candidate in candidates {
        for entry in &candidate.entries {
            owners.entry(entry.name.clone()).or_insert(candidate.name);
        }
    }
    owners
}

fn second_definition(view: &View<'_>, candidate: &Candidate<'_>, entry: &Entry, owner: &str) -> Problem {
    let place = view.files.configs.get(owner).map_or(owner, |text| text.path.as_str());
    Problem {
        severity: Severity::Error,
        path: candidate.text.path.clone(),
        at: Some(entry.at),
        sentence: format!("server `{}` is defined in `{place}` already", entry.name),
        hint: Some("give one of the two another name, or remove it".to_owned()),
    }
}

fn is_same(view: &View<'_>, candidate: &Candidate<'_>, stored: &StoredConfig) -> bool {
    // A condition can bring a server in or out without a change of the text.
    let known = |entry: &Entry| {
        stored.servers.get(&entry.name).is_some_and(|(_, hash)| *hash == entry.definition_hash)
    };
    let n_more = stored.servers.len().saturating_sub(candidate.entries.len());
    stored.source == candidate.text.body
        && (!stored.ours
            || (candidate.entries.iter().all(known) && (n_more == 0 || view.removals == Removals::Keep)))
}

fn outline(entry: &Entry) -> ServerOutline {
    let mut variables: Vec<String> = Vec::new();
    for place in &entry.uses {
        if !variables.contains(&place.variable) {
            variables.push(place.variable.clone());
        }
    }
    ServerOutline {
        name: entry.name.clone(),
        transport: entry.transport,
        definition_hash: entry.definition_hash.clone(),
        variables,
    }
}

/// The servers of a stored file that no file defines any more.
fn gone(view: &View<'_>, stored: &StoredConfig, defined: &BTreeSet<&str>) -> Vec<String> {
    if view.removals == Removals::Keep {
        return Vec::new();
    }
    stored.servers.keys().filter(|server| !defined.contains(server.as_str())).cloned().collect()
}

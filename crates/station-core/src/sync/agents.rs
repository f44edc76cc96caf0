//! The agents of a plan: which are new or changed, which are gone, and whether they fit together.

use super::cycles::cycle_through;
use super::plan::View;
use super::renames::renames;
use super::{AgentRow, Change, Discovery, Grant, Plan, Removals, StoredAgent, Text};
use crate::file::Severity;
use crate::file::prompt::{self, Prompt};
use crate::{AgentName, grant, near};
use std::collections::{BTreeMap, BTreeSet};

/// An agent file that could be read.
struct Candidate<'a> {
    name: AgentName,
    text: &'a Text,
    prompt: Prompt,
}

pub(super) fn plan(plan: &mut Plan, view: &View<'_>, discovery: Discovery) {
    let mut candidates = candidates(plan, view);
    candidates.retain(|candidate| tool_names_differ(plan, candidate));
    refuse_cycles(plan, view, &mut candidates);
    let renames = find_renames(view, &candidates);
    let names = names(view, &candidates);
    for candidate in &candidates {
        let (name, prompt) = (candidate.name.as_str(), &candidate.prompt);
        let was = renames.get(name).copied();
        let tools = grants(plan, view, (candidate, was.unwrap_or(name)), discovery);
        for missing in prompt.agents.iter().filter(|agent| !names.contains(agent.as_str())) {
            let sentence =
                format!("there is no agent `{missing}` in this environment: `{name}` works without it");
            let hint = near::hint(missing, names.iter().copied().filter(|other| *other != name));
            plan.say(Severity::Warning, &candidate.text.path, sentence, &hint.unwrap_or_default());
        }
        let stored = view.stored.agents.get(name);
        if stored.is_some_and(|stored| stored.source == candidate.text.body.expose()) {
            plan.unchanged += 1;
            continue;
        }
        let row = Box::new(AgentRow {
            name: candidate.name.clone(),
            description: prompt.description.clone(),
            model: prompt.models.first().cloned(),
            tags: prompt.tags.clone(),
            source: candidate.text.body.expose().to_owned(),
            path: Some(candidate.text.path.clone()),
            tools,
            agents: unique(&prompt.agents),
            existed: stored.is_some() || was.is_some(),
        });
        plan.changes.push(match was {
            Some(was) => Change::RenameAgent { id: view.stored.agents[was].id, from: was.to_owned(), row },
            None => Change::PutAgent(row),
        });
    }
    for (name, stored) in gone(view).filter(|_| view.removals == Removals::Apply) {
        if !renames.values().any(|was| was == name) {
            plan.changes.push(Change::RemoveAgent { id: stored.id, name: name.clone() });
        }
    }
}

/// What is stored of this workspace, and has no file any more.
fn gone<'a>(view: &View<'a>) -> impl Iterator<Item = (&'a String, &'a StoredAgent)> {
    let files = &view.files.agents;
    view.stored.agents.iter().filter(|(name, stored)| stored.ours && !files.contains_key(*name))
}

/// The old name of each agent whose file was renamed. That removes nothing, so it is seen by every apply.
fn find_renames<'a>(view: &View<'a>, candidates: &'a [Candidate<'a>]) -> BTreeMap<&'a str, &'a str> {
    let gone: Vec<&str> = gone(view).map(|(name, _)| name.as_str()).collect();
    if gone.is_empty() {
        return BTreeMap::new();
    }
    let is_new = |candidate: &&Candidate<'_>| !view.stored.agents.contains_key(candidate.name.as_str());
    let new = candidates.iter().filter(is_new);
    let new: Vec<(&str, &str)> = new.map(|it| (it.name.as_str(), it.text.body.expose())).collect();
    renames(view.stored, &gone, &new)
}

fn candidates<'a>(plan: &mut Plan, view: &View<'a>) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for (name, text) in &view.files.agents {
        let checked = match AgentName::parse(name) {
            Ok(checked) => checked,
            Err(error) => {
                let hint = "rename the file: its name without `.prompt` is the agent's name";
                plan.say(Severity::Error, &text.path, error.sentence().to_owned(), hint);
                continue;
            }
        };
        let (prompt, problems) = prompt::read(text.body.expose(), &text.path);
        plan.problems.extend(problems);
        let Some(prompt) = prompt else { continue };
        let stored = view.stored.agents.get(name);
        if stored.is_some_and(|stored| !stored.ours && stored.source != text.body.expose()) {
            let sentence = format!("agent `{name}` exists already, and this workspace does not own it");
            let hint = format!(
                "rename the file, or take the stored agent into files with `stn agent export \"{name}\"`"
            );
            plan.say(Severity::Error, &text.path, sentence, &hint);
            continue;
        }
        candidates.push(Candidate { name: checked, text, prompt });
    }
    candidates
}

/// Whether the model can tell the agent's sub-agents apart.
fn tool_names_differ(plan: &mut Plan, candidate: &Candidate<'_>) -> bool {
    let mut bearers: BTreeMap<String, &str> = BTreeMap::new();
    let mut differ = true;
    for agent in &candidate.prompt.agents {
        let Ok(name) = AgentName::parse(agent) else { continue };
        let tool = name.tool_name();
        match bearers.get(&tool) {
            Some(other) if *other != agent => {
                differ = false;
                let sentence = format!("agents `{other}` and `{agent}` would both be the tool `{tool}`");
                plan.say(Severity::Error, &candidate.text.path, sentence, "rename one of them");
            }
            Some(_) => {}
            None => drop(bearers.insert(tool, agent)),
        }
    }
    differ
}

/// An agent that would call itself through others is refused, and every one of them says the way round.
fn refuse_cycles(plan: &mut Plan, view: &View<'_>, candidates: &mut Vec<Candidate<'_>>) {
    // What is stored of a refused agent stays, and may close another circle: so again, until nothing is refused.
    loop {
        let graph = graph(view, candidates);
        let mut refused = BTreeSet::new();
        for candidate in candidates.iter() {
            if let Some(path) = cycle_through(candidate.name.as_str(), &graph) {
                refused.insert(candidate.name.clone());
                let sentence = format!("agent `{}` would call itself: {}", candidate.name, path.join(" → "));
                let hint = "take one of these out of the `agents` of another";
                plan.say(Severity::Error, &candidate.text.path, sentence, hint);
            }
        }
        if refused.is_empty() {
            return;
        }
        candidates.retain(|candidate| !refused.contains(&candidate.name));
    }
}

/// Who calls whom after the plan: as the files say, and as is stored where no file changes it.
fn graph(view: &View<'_>, candidates: &[Candidate<'_>]) -> BTreeMap<String, Vec<String>> {
    let mut graph: BTreeMap<String, Vec<String>> = candidates
        .iter()
        .map(|candidate| (candidate.name.as_str().to_owned(), candidate.prompt.agents.clone()))
        .collect();
    for (name, stored) in view.stored.agents.iter().filter(|(name, _)| stays(view, name)) {
        if !graph.contains_key(name) {
            let (prompt, _) = prompt::read(&stored.source, "");
            graph.insert(name.clone(), prompt.map(|prompt| prompt.agents).unwrap_or_default());
        }
    }
    graph
}

/// Every agent that there is after the plan.
fn names<'a>(view: &'a View<'_>, candidates: &'a [Candidate<'_>]) -> BTreeSet<&'a str> {
    let stored = view.stored.agents.keys().map(String::as_str).filter(|name| stays(view, name));
    candidates.iter().map(|candidate| candidate.name.as_str()).chain(stored).collect()
}

/// Whether a stored agent is not removed by the plan.
fn stays(view: &View<'_>, name: &str) -> bool {
    view.removals == Removals::Keep
        || view.files.agents.contains_key(name)
        || view.stored.agents.get(name).is_some_and(|stored| !stored.ours)
}

/// The grants as written, each with the tools it means now. One that means none is kept.
///
/// `was` is the name under which the agent is stored.
fn grants(
    plan: &mut Plan,
    view: &View<'_>,
    (candidate, was): (&Candidate<'_>, &str),
    discovery: Discovery,
) -> Vec<Grant> {
    let none = BTreeMap::new();
    let previous = view.previous_links.get(was).unwrap_or(&none);
    let written = unique(&candidate.prompt.tools);
    let links = grant::link(&written, view.catalog, previous);
    let mut grants = Vec::new();
    for written in written {
        let mut linked: Vec<Grant> = Vec::new();
        for link in links.iter().filter(|link| link.written == written) {
            linked.push(Grant { written: written.clone(), tool: link.tool });
            if !link.also_offered_by.is_empty() {
                say_shared(plan, view, candidate, link);
            }
        }
        if linked.iter().all(|grant| grant.tool.is_none()) && discovery == Discovery::Complete {
            let sentence =
                format!("nothing offers the tool `{written}`: agent `{}` works without it", candidate.name);
            let meant = grant::nearest(&written, view.catalog).map(|name| format!("did you mean `{name}`?"));
            let hint = meant.unwrap_or_else(|| "`stn mcp tools` shows what there is".to_owned());
            plan.say(Severity::Warning, &candidate.text.path, sentence, &hint);
        }
        if linked.is_empty() {
            linked.push(Grant { written, tool: None });
        }
        grants.extend(linked);
    }
    grants
}

fn say_shared(plan: &mut Plan, view: &View<'_>, candidate: &Candidate<'_>, link: &grant::Link) {
    let chosen = link.tool.and_then(|id| view.catalog.by_id(id));
    let Some(chosen) = chosen else { return };
    let others: Vec<String> = link.also_offered_by.iter().map(|server| format!("`{server}`")).collect();
    let sentence = format!(
        "tool `{}` means the one of server `{}`; {} offers one of this name too",
        link.written,
        chosen.server_name,
        others.join(", ")
    );
    let hint = format!("write `{}__{}` to be exact", chosen.server_name, chosen.name);
    plan.say(Severity::Warning, &candidate.text.path, sentence, &hint);
}

/// The texts without repetitions, in order.
fn unique(texts: &[String]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    texts.iter().filter(|text| seen.insert(*text)).cloned().collect()
}

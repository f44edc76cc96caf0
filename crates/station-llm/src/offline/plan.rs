//! What to call next. An empty plan means: answer.

use super::fill::{self, Source};
use super::scene::{Scene, stems};
use super::{files, named};
use serde_json::{Value, json};
use station_core::rank::{self, Document};
use station_core::run::{GrantedTool, Target};
use std::collections::BTreeSet;

/// Most turns in which something is called: roots, list, list below, read, read otherwise, and one to spare.
const TURNS_MAX: usize = 6;
/// Most calls of one turn; the report would not be read beyond them.
pub(super) const CALLS_MAX: usize = 4;
/// Part of the best score that a second sub-agent needs to be asked as well.
const SCORE_PART: f64 = 0.2;
/// Words that mean every sub-agent.
const EVERYONE: &[&str] = &["agent", "both", "everyon", "team"];

/// A call to make.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) tool: &'a str,
    pub(super) arguments: Value,
}

/// The calls of the next turn.
pub(super) fn next<'a>(scene: &Scene<'a>) -> Vec<Call<'a>> {
    if scene.turns >= TURNS_MAX {
        return Vec::new();
    }
    let mut calls = match delegate(scene) {
        Some(calls) => calls,
        None => files::next(scene).unwrap_or_else(|| other(scene)),
    };
    calls.retain(|call| !was_made(scene, call));
    calls.truncate(CALLS_MAX);
    calls
}

/// The tools of `scene` that share words with `query`, best first.
pub(super) fn ranked<'a>(tools: &[&'a GrantedTool], query: &str) -> Vec<(&'a GrantedTool, f64)> {
    let documents: Vec<Document<'_>> = tools
        .iter()
        .map(|tool| Document {
            name: &tool.spec.name,
            description: &tool.spec.description,
            parameters: tool.spec.input_schema["properties"]
                .as_object()
                .map(|properties| properties.keys().cloned().collect())
                .unwrap_or_default(),
        })
        .collect();
    rank::rank(query, &documents).into_iter().map(|ranked| (tools[ranked.index], ranked.score)).collect()
}

fn was_made(scene: &Scene<'_>, call: &Call<'_>) -> bool {
    let same = |finding: &super::scene::Finding<'_>| {
        finding.name == call.tool && finding.arguments == call.arguments
    };
    scene.findings.iter().any(same)
}

/// Sub-agents that fit, each with its part of the task. Nothing where there are none, or none fits and there is
/// something else to call; no calls where they have answered.
fn delegate<'a>(scene: &Scene<'a>) -> Option<Vec<Call<'a>>> {
    if scene.findings.iter().any(|finding| finding.agent.is_some()) {
        return Some(Vec::new());
    }
    let (agents, others): (Vec<_>, Vec<_>) =
        scene.tools.iter().partition(|tool| matches!(tool.target, Target::Agent { .. }));
    let fitting = ranked(&agents, &scene.query);
    let best = fitting.first().map_or(0.0, |(_, score)| *score);
    let everyone = EVERYONE.iter().any(|word| scene.stems.contains(*word));
    let fits = |tool: &GrantedTool| {
        fitting.iter().any(|(fit, score)| fit.spec.name == tool.spec.name && *score >= best * SCORE_PART)
    };
    let all = everyone || (fitting.is_empty() && others.is_empty());
    let chosen: Vec<&GrantedTool> = agents.iter().copied().filter(|tool| all || fits(tool)).collect();
    if chosen.is_empty() {
        return None;
    }
    let parts = divided(scene, &chosen);
    Some(
        chosen
            .into_iter()
            .zip(parts)
            .map(|(tool, task)| Call { tool: &tool.spec.name, arguments: json!({"task": task}) })
            .collect(),
    )
}

/// The task for each of `agents`: the clauses that fit it best of all, or the whole task where no clause does. A
/// clause that names no path gets the task's paths, which may stand in another.
fn divided(scene: &Scene<'_>, agents: &[&GrantedTool]) -> Vec<String> {
    let clauses = clauses(scene.task);
    let mut parts: Vec<Vec<&str>> = vec![Vec::new(); agents.len()];
    if agents.len() > 1 && clauses.len() > 1 {
        for clause in &clauses {
            let best = ranked(agents, clause).first().map(|(tool, _)| tool.spec.name.as_str());
            if let Some(at) = agents.iter().position(|agent| Some(agent.spec.name.as_str()) == best) {
                parts[at].push(clause);
            }
        }
    }
    parts
        .into_iter()
        .map(|part| {
            if part.is_empty() {
                return scene.task.to_owned();
            }
            let part = part.join("; ");
            if scene.named.paths.is_empty() || !named::read(&part).paths.is_empty() {
                return part;
            }
            format!("{part} ({})", scene.named.paths.join(", "))
        })
        .collect()
}

/// "List the files, and then say which errors app.log has" is two.
fn clauses(task: &str) -> Vec<&str> {
    let mut clauses = vec![task];
    for between in ["\n", "; ", ". ", "? ", ", then ", " and then ", ", and ", " and "] {
        clauses = clauses.into_iter().flat_map(|clause| clause.split(between)).collect();
    }
    // A clause of one word is an enumeration ("errors and warnings"), so the cut was wrong.
    if clauses.iter().any(|clause| stems(clause).len() < 2) {
        clauses = task.split(['\n', ';', '?']).flat_map(|clause| clause.split(". ")).collect();
    }
    let trimmed = clauses.into_iter().map(|clause| clause.trim().trim_end_matches(['.', ',', ';']));
    trimmed.filter(|clause| !clause.is_empty()).collect()
}

/// The best tool whose arguments the task gives; after a failure the next one, once. Several paths or quotations for
/// one argument are several calls.
fn other<'a>(scene: &Scene<'a>) -> Vec<Call<'a>> {
    let tried: BTreeSet<&str> = scene.findings.iter().map(|finding| finding.name).collect();
    if scene.findings.iter().any(|finding| !finding.is_error) || tried.len() > 1 {
        return Vec::new();
    }
    let mut candidates: Vec<&GrantedTool> =
        ranked(&scene.tools, &scene.query).into_iter().map(|(tool, _)| tool).collect();
    if candidates.is_empty() && scene.tools.len() == 1 {
        candidates.clone_from(&scene.tools);
    }
    candidates.retain(|tool| !tried.contains(tool.spec.name.as_str()) && is_meant(scene, tool));
    candidates
        .into_iter()
        .map(|tool| calls_of(scene, tool))
        .find(|calls| !calls.is_empty())
        .unwrap_or_default()
}

/// A tool that may change something is called only if the task says its verb: one matching noun is no order.
fn is_meant(scene: &Scene<'_>, tool: &GrantedTool) -> bool {
    match &tool.target {
        Target::Agent { .. } | Target::Own { .. } | Target::Tool { read_only: true, .. } => true,
        Target::Tool { read_only: false, .. } => {
            let verb = rank::words(&tool.spec.name).into_iter().next().unwrap_or_default();
            stems(scene.task).contains(&rank::stem(&verb))
        }
    }
}

fn calls_of<'a>(scene: &Scene<'_>, tool: &'a GrantedTool) -> Vec<Call<'a>> {
    let named = &scene.named;
    let several = named.paths.len().max(named.quoted.len()).max(named.urls.len()).max(1);
    let mut calls: Vec<Call<'a>> = Vec::new();
    for at in 0..several.min(CALLS_MAX) {
        let mut turned = named.clone();
        for list in [&mut turned.paths, &mut turned.quoted, &mut turned.urls] {
            let by = at.min(list.len().saturating_sub(1));
            list.rotate_left(by);
        }
        let source = Source::new(scene, &turned.paths).with_named(&turned);
        let Some(arguments) = fill::arguments(&tool.spec.input_schema, &source) else { break };
        if !calls.iter().any(|call| same_values(&call.arguments, &arguments)) {
            calls.push(Call { tool: &tool.spec.name, arguments });
        }
    }
    calls
}

/// Whether two calls say the same: a list of all paths is one call, however it is turned.
fn same_values(a: &Value, b: &Value) -> bool {
    let sorted = |value: &Value| {
        let mut parts: Vec<char> = value.to_string().chars().collect();
        parts.sort_unstable();
        parts
    };
    a == b || (a.as_object().is_some_and(|a| a.values().any(Value::is_array)) && sorted(a) == sorted(b))
}

//! What to call next. No calls mean: answer.

use super::fill::object;
use super::scene::{Fact, Scene, lists, path, stems};
use serde_json::{Value, json};
use station_core::rank::{self, Document};
use station_core::run::{GrantedTool, Target};

/// Most turns in which something is called: for roots, in them, two folders deeper, and to read.
const TURNS_MAX: usize = 5;
/// Most calls of one turn; nobody would read the results of more.
const CALLS_MAX: usize = 4;

/// The calls of the next turn.
pub(super) fn next<'a>(scene: &Scene<'a>) -> Vec<(&'a GrantedTool, Value)> {
    let is_agent = |tool: &GrantedTool| matches!(tool.target, Target::Agent { .. });
    let (agents, tools): (Vec<_>, Vec<_>) = scene.tools.iter().partition(|tool| is_agent(tool));
    if scene.turns >= TURNS_MAX || scene.findings.iter().any(|finding| is_agent(finding.tool)) {
        Vec::new()
    } else if tools.is_empty() || !ranked(&agents, scene.task).is_empty() {
        delegate(scene.task, agents)
    } else {
        act(scene, &tools)
    }
}

/// The agents that fit the task, each with the clauses that it fits best of all; all agents where none fits.
fn delegate<'a>(task: &str, mut agents: Vec<&'a GrantedTool>) -> Vec<(&'a GrantedTool, Value)> {
    let fitting = ranked(&agents, task);
    agents.retain(|agent| fitting.is_empty() || fitting.contains(agent));
    let ends = ["; ", ". ", "? ", ", then ", ", and ", " and then ", " and "];
    let marked = ends.iter().fold(task.to_owned(), |task, end| task.replace(end, "\0"));
    let best = |clause| (clause, ranked(&agents, clause).first().copied());
    let clauses: Vec<(&str, Option<&GrantedTool>)> = marked.split('\0').map(best).collect();
    let part = |agent: &GrantedTool| {
        let own = clauses.iter().filter(|(_, best)| *best == Some(agent));
        let own: Vec<&str> = own.map(|(clause, _)| *clause).collect();
        if own.is_empty() || agents.len() == 1 { task.to_owned() } else { own.join(", ") }
    };
    agents.iter().map(|agent| (*agent, json!({"task": part(agent)}))).collect()
}

/// Calls of the best tool that can be filled. Where it lacks something, tools that list are called first: those that
/// need nothing, as they tell roots, then others in the folders that are known. What was called has answered.
fn act<'a>(scene: &Scene<'_>, tools: &[&'a GrantedTool]) -> Vec<(&'a GrantedTool, Value)> {
    let mut looks: Vec<_> = tools.iter().copied().filter(|tool| lists(tool) && !changes(tool)).collect();
    looks.sort_by_key(|tool| needs(tool));
    let goals = goals(scene, tools).into_iter();
    let open = goals.take_while(|goal| scene.findings.iter().all(|finding| finding.tool != *goal));
    let steps = open.flat_map(|goal| std::iter::once(goal).chain(looks.iter().copied()));
    steps.map(|tool| calls(scene, tool)).find(|calls| !calls.is_empty()).unwrap_or_default()
}

/// The tools that the task may mean, best first; a task that says nothing of any means what the instructions say.
fn goals<'a>(scene: &Scene<'_>, tools: &[&'a GrantedTool]) -> Vec<&'a GrantedTool> {
    // What one does with what the task names first, in the words of tools.
    let hint = scene.named.first().map_or("", |fact| match fact.is.as_str() {
        "url" => "fetch",
        "pattern" => "search files",
        "path" if fact.text.ends_with('/') => "list directory",
        "path" => "read text file",
        _ => "",
    });
    let mut goals = ranked(tools, &format!("{} {hint}", scene.said));
    if goals.is_empty() {
        goals = ranked(tools, &scene.instructions);
    }
    // A tool that may change something is called only if the task says its verb: one matching noun is no order.
    let verb = |tool: &GrantedTool| rank::words(&tool.spec.name).first().map(|word| rank::stem(word));
    let said = stems(scene.task);
    goals.retain(|tool| !changes(tool) || verb(tool).is_some_and(|verb| said.contains(&verb)));
    goals
}

/// The calls of `tool` that can be filled and were not made.
fn calls<'a>(scene: &Scene<'_>, tool: &'a GrantedTool) -> Vec<(&'a GrantedTool, Value)> {
    let mut facts = paths(scene, tool);
    facts.extend(scene.named.iter().filter(|fact| fact.is != "path").cloned());
    let was_made = |call: &Value| scene.findings.iter().any(|it| it.tool == tool && it.arguments == *call);
    let calls = std::iter::from_fn(|| object(&tool.spec.input_schema, scene.task, &mut facts));
    let mut calls: Vec<Value> = calls.take(CALLS_MAX).collect();
    calls.dedup();
    calls.into_iter().filter(|call| !was_made(call)).map(|call| (tool, call)).collect()
}

/// The paths for `tool` that nothing was asked about yet: those that the task names, where one can tell where they are
/// or cannot look; else those that results list, of these rather the ones with words of the task.
fn paths(scene: &Scene<'_>, tool: &GrantedTool) -> Vec<Fact> {
    let was_asked = |asked: &str| scene.findings.iter().any(|finding| path(finding) == Some(asked));
    let fits = |it: &&Fact| it.is == "path" && it.text.ends_with('/') == lists(tool) && !was_asked(&it.text);
    let mut named: Vec<Fact> = scene.named.iter().filter(fits).cloned().collect();
    let mut seen: Vec<Fact> = scene.seen.iter().filter(fits).cloned().collect();
    let guess = scene.seen.is_empty() && !scene.tools.iter().any(|tool| lists(tool) && needs(tool) == 0);
    if !named.is_empty() || changes(tool) {
        seen.retain(|seen| named.iter().any(|named| seen.text.ends_with(&format!("/{}", named.text))));
        named.retain(|named| named.text.starts_with(['/', '~']) || guess);
        return [named, seen].concat();
    }
    if guess && lists(tool) {
        seen.push(Fact { is: "path".to_owned(), text: "./".to_owned() });
    }
    let said = stems(&scene.said);
    let (fitting, others): (Vec<Fact>, Vec<_>) =
        seen.into_iter().partition(|it| !stems(&it.text).is_disjoint(&said));
    if fitting.is_empty() { others } else { fitting }
}

fn needs(tool: &GrantedTool) -> usize {
    tool.spec.input_schema["required"].as_array().map_or(0, Vec::len)
}

fn changes(tool: &GrantedTool) -> bool {
    matches!(tool.target, Target::Tool { read_only: false, .. })
}

/// Those of `tools` that share words with `query`, best first.
fn ranked<'a>(tools: &[&'a GrantedTool], query: &str) -> Vec<&'a GrantedTool> {
    let specs = tools.iter().map(|tool| (&tool.spec.name, &tool.spec.description));
    let documents = specs.map(|(name, description)| Document { name, description, parameters: Vec::new() });
    let documents: Vec<Document<'_>> = documents.collect();
    rank::rank(query, &documents).into_iter().map(|ranked| tools[ranked.index]).collect()
}

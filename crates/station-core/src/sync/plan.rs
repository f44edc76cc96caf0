//! `plan`: what must change for the store to say what the files say.

use super::reach::{self, Rules};
use super::{Change, Files, Plan, Stored, agents, changed_servers, configs, lock};
use crate::file::{Problem, Severity, rules, variables};
use crate::{Secret, ToolId, ToolNames};
use std::collections::BTreeMap;

/// Whether what is gone from the files goes from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removals {
    /// It does: `stn sync`.
    Apply,
    /// It stays: the apply before `agent run`, which nobody asked to remove anything.
    Keep,
}

/// How much of the environment's tools is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discovery {
    /// Every server has been discovered: a name that nothing offers is worth a warning.
    Complete,
    /// Some server has not: a name that nothing offers may be one of its tools.
    Partial,
}

/// Everything that the parts of a plan look at.
pub(super) struct View<'a> {
    pub(super) files: &'a Files,
    pub(super) stored: &'a Stored,
    pub(super) catalog: &'a ToolNames,
    pub(super) previous_links: &'a BTreeMap<String, BTreeMap<String, ToolId>>,
    pub(super) removals: Removals,
}

/// Plans the sync of one environment.
///
/// `catalog` names its tools in file order; `previous_links` tells, by agent and written grant, the tool that a grant
/// had before; `value_of_process` is what templates see of the process environment, and decides `{{ if }}` only.
#[must_use]
#[expect(clippy::too_many_arguments, reason = "a plan looks at seven independent things and has one caller")]
pub fn plan(
    files: &Files,
    stored: &Stored,
    catalog: &ToolNames,
    previous_links: &BTreeMap<String, BTreeMap<String, ToolId>>,
    discovery: Discovery,
    removals: Removals,
    value_of_process: &dyn Fn(&str) -> Option<String>,
) -> Plan {
    let view = View { files, stored, catalog, previous_links, removals };
    let mut plan = Plan::default();
    if stored.environment.is_none() {
        plan.changes.push(Change::CreateEnvironment);
    }
    let mut places: Vec<Rules> = plan_rules(&mut plan, &view).into_iter().collect();
    lock::plan(&mut plan, &view);
    let values = plan_variables(&mut plan, &view);
    places.extend(configs::plan(&mut plan, &view, &|name| {
        value_of_process(name).or_else(|| values.get(name).map(|value| value.expose().to_owned()))
    }));
    let discovery = if changed_servers(&plan, stored).is_empty() { discovery } else { Discovery::Partial };
    agents::plan(&mut plan, &view, discovery);
    if discovery == Discovery::Complete {
        reach::plan(&mut plan, &view, &places);
    }
    plan
}

impl Plan {
    pub(super) fn say(&mut self, severity: Severity, path: &str, sentence: String, hint: &str) {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        self.problems.push(Problem { severity, path: path.to_owned(), at: None, sentence, hint });
    }
}

/// Says of a file that it cannot change an environment which is not this workspace's.
pub(super) fn refuse_foreign(plan: &mut Plan, view: &View<'_>, path: &str) {
    let sentence = format!(
        "environment `{}` belongs to another workspace, so this file changes nothing",
        view.files.environment
    );
    let hint = "sync it from its own workspace, or give this environment another name";
    plan.say(Severity::Error, path, sentence, hint);
}

/// Plans the rules of the environment; those that were read.
fn plan_rules(plan: &mut Plan, view: &View<'_>) -> Option<Rules> {
    let stored = &view.stored.rules;
    if view.stored.foreign {
        if let Some(text) = view.files.rules.as_ref().filter(|text| text.body.expose() != stored) {
            refuse_foreign(plan, view, &text.path);
        }
        return None;
    }
    let Some(text) = &view.files.rules else {
        if !stored.is_empty() && view.removals == Removals::Apply {
            plan.changes.push(Change::SetRules { source: String::new() });
        }
        return None;
    };
    let (rules, problems) = rules::read(text.body.expose(), &text.path);
    plan.problems.extend(problems);
    let Some(rules) = rules else {
        keep_unruly(plan, stored, text.body.expose());
        return None;
    };
    if text.body.expose() == stored {
        plan.unchanged += 1;
    } else {
        plan.changes.push(Change::SetRules { source: text.body.expose().to_owned() });
    }
    Some(Rules { path: text.path.clone(), server: None, rules: rules.rules })
}

/// Rules that were read before stay in force. Where there were none, the text that cannot be read takes their place, and
/// each reader of it refuses: nothing may run as if the file said nothing.
pub(super) fn keep_unruly(plan: &mut Plan, stored: &str, text: &str) {
    let holds = !stored.trim().is_empty() && rules::read(stored, "environment.yml").0.is_some();
    if holds || stored == text {
        return;
    }
    plan.changes.push(Change::SetRules { source: text.to_owned() });
}

/// What is said beside that `variables.yml` is missing.
pub(super) const MISSING_VARIABLES: &str = "an empty file removes them";

/// Plans the variables, and tells the values that hold afterwards.
fn plan_variables(plan: &mut Plan, view: &View<'_>) -> BTreeMap<String, Secret> {
    let stored = &view.stored.variables;
    let mut values = stored.clone();
    let Some(text) = &view.files.variables else {
        // Bundles and repositories leave this file out on purpose: that must not wipe a team's secrets.
        if !stored.is_empty() && !view.stored.foreign && view.removals == Removals::Apply {
            let path = format!("environments/{}/variables.yml", view.files.environment);
            let sentence = format!("the file is missing: its {} stored variables stay", stored.len());
            plan.say(Severity::Warning, &path, sentence, MISSING_VARIABLES);
        }
        return values;
    };
    let (read, problems) = variables::read(text.body.expose(), &text.path);
    plan.problems.extend(problems);
    let Some(read) = read else { return values };
    if view.stored.foreign {
        let sets = read.iter().any(|(name, value)| stored.get(name) != Some(value));
        let removes = stored.keys().any(|name| !read.contains_key(name));
        if sets || (removes && view.removals == Removals::Apply) {
            refuse_foreign(plan, view, &text.path);
        }
        return values;
    }
    for (name, value) in &read {
        let before = stored.get(name);
        if before == Some(value) {
            plan.unchanged += 1;
            continue;
        }
        let (name, value) = (name.clone(), value.clone());
        values.insert(name.clone(), value.clone());
        plan.changes.push(Change::SetVariable { name, value, existed: before.is_some() });
    }
    if view.removals == Removals::Apply {
        for name in stored.keys().filter(|name| !read.contains_key(*name)) {
            values.remove(name);
            plan.changes.push(Change::RemoveVariable { name: name.clone() });
        }
    }
    values
}

//! Which servers a plan changes, and so are to be discovered anew.

use super::{Change, Plan, Stored};
use crate::file::servers;
use std::collections::{BTreeMap, BTreeSet};

/// Names of the servers that are new, whose definition changes, or that ask for a variable whose value changes.
#[must_use]
pub fn changed_servers(plan: &Plan, stored: &Stored) -> BTreeSet<String> {
    let mut hashes: BTreeMap<&str, &str> = BTreeMap::new();
    for (server, (_, hash)) in stored.configs.values().flat_map(|config| &config.servers) {
        hashes.insert(server, hash);
    }
    let mut values: BTreeMap<&str, &str> =
        stored.variables.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
    let mut variables = BTreeSet::new();
    let mut untouched: BTreeSet<&str> = stored.configs.keys().map(String::as_str).collect();
    for change in &plan.changes {
        match change {
            Change::SetVariable { name, value, .. } => {
                variables.insert(name.as_str());
                values.insert(name, value.expose());
            }
            Change::RemoveVariable { name } => {
                variables.insert(name);
                values.remove(name.as_str());
            }
            Change::PutConfig { name, .. } | Change::RemoveConfig { name, .. } => {
                untouched.remove(name.as_str());
            }
            Change::CreateEnvironment
            | Change::SetRules { .. }
            | Change::SetLock { .. }
            | Change::PutAgent(_)
            | Change::RenameAgent { .. }
            | Change::RemoveAgent { .. } => {}
        }
    }
    let mut changed = BTreeSet::new();
    for change in &plan.changes {
        let Change::PutConfig { servers, .. } = change else { continue };
        changed.extend(
            servers
                .iter()
                .filter(|server| {
                    hashes.get(server.name.as_str()) != Some(&server.definition_hash.as_str())
                        || server.variables.iter().any(|name| variables.contains(name.as_str()))
                })
                .map(|server| server.name.clone()),
        );
    }
    if !variables.is_empty() {
        let value_of = |name: &str| values.get(name).map(|value| (*value).to_owned());
        for config in untouched.into_iter().filter_map(|name| stored.configs.get(name)) {
            let (file, _) = servers::read(config.source.expose(), "", &value_of);
            for entry in file.into_iter().flat_map(|file| file.entries) {
                if entry.uses.iter().any(|place| variables.contains(place.variable.as_str())) {
                    changed.insert(entry.name);
                }
            }
        }
    }
    changed
}

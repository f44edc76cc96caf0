//! Keeps what the store has of files that are there but could not be read.

use super::plan::{MISSING_VARIABLES, keep_unruly};
use super::{Change, Plan, Stored};
use crate::file::rules;
use crate::lock;
use std::collections::BTreeSet;

impl Plan {
    /// Takes back removals of what `unreadable` files define: agent and config names, and `variables.yml`,
    /// `environment.yml` and `mcp.lock` by their file names. A file that cannot be read is not a file that was deleted;
    /// and where no rules were known before, one of rules closes the environment.
    pub fn spare(&mut self, unreadable: &BTreeSet<String>, stored: &Stored) {
        let is = |name: &str| unreadable.contains(name);
        // What may still be there under its old name was not renamed.
        let changes = std::mem::take(&mut self.changes).into_iter();
        let apart = |change: Change| match change {
            Change::RenameAgent { ref from, .. } if is(from) => change.apart(),
            other => vec![other],
        };
        self.changes = changes.flat_map(apart).collect();
        self.changes.retain(|change| match change {
            Change::RemoveAgent { name, .. } | Change::RemoveConfig { name, .. } => !is(name),
            Change::RemoveVariable { .. } => !is("variables.yml"),
            Change::SetRules { source } => !(source.is_empty() && is("environment.yml")),
            Change::SetLock { hash, .. } => !(hash.is_none() && is(lock::FILE)),
            Change::CreateEnvironment
            | Change::SetVariable { .. }
            | Change::PutConfig { .. }
            | Change::PutAgent(_)
            | Change::RenameAgent { .. } => true,
        });
        if is("variables.yml") {
            // It is there: whoever could not read it says why.
            self.problems.retain(|problem| problem.hint.as_deref() != Some(MISSING_VARIABLES));
        }
        if is("environment.yml") && !stored.foreign {
            keep_unruly(self, &stored.rules, rules::UNREAD);
        }
        if is(lock::FILE) && !stored.foreign {
            self.hold_everything(stored.lock.as_deref());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AgentId;

    #[test]
    fn a_file_that_cannot_be_read_is_not_a_removal() {
        let agent = |name: &str| Change::RemoveAgent { id: AgentId(1), name: name.to_owned() };
        let variable = || Change::RemoveVariable { name: "A".to_owned() };
        let mut plan = Plan { changes: vec![agent("kept"), agent("gone"), variable()], ..Plan::default() };
        plan.spare(&["kept".to_owned(), "variables.yml".to_owned()].into(), &Stored::default());
        assert_eq!(plan.changes, [agent("gone")]);
        let rules = |source: &str| Change::SetRules { source: source.to_owned() };
        for (stored, expected) in [("", vec![rules(rules::UNREAD)]), ("tools: {deny: [x]}", Vec::new())] {
            let stored = Stored { rules: stored.to_owned(), ..Stored::default() };
            let mut plan = Plan::default();
            plan.spare(&["environment.yml".to_owned()].into(), &stored);
            assert_eq!(plan.changes, expected);
        }
    }
}

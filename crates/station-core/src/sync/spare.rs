//! Keeps what the store has of files that are there but could not be read.

use super::{Change, Plan};
use std::collections::BTreeSet;

impl Plan {
    /// Takes back removals of what `unreadable` files define: agent and config names, and `variables.yml` and
    /// `environment.yml` by their file names. A file that cannot be read is not a file that was deleted.
    pub fn spare(&mut self, unreadable: &BTreeSet<String>) {
        let is = |name: &str| unreadable.contains(name);
        self.changes.retain(|change| match change {
            Change::RemoveAgent { name, .. } | Change::RemoveConfig { name, .. } => !is(name),
            Change::RemoveVariable { .. } => !is("variables.yml"),
            Change::SetRules { source } => !(source.is_empty() && is("environment.yml")),
            Change::CreateEnvironment
            | Change::SetVariable { .. }
            | Change::PutConfig { .. }
            | Change::PutAgent(_) => true,
        });
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
        plan.spare(&["kept".to_owned(), "variables.yml".to_owned()].into());
        assert_eq!(plan.changes, [agent("gone")]);
    }
}

//! Who may do what: one table for HTTP, MCP, the command line against a server, and pages.
//!
//! A role says what a user may do, the environments assigned to the user say where, and the scopes of an API key say how much
//! of both a program gets. Roles contain each other, so that an action needs no more than the least role that may do it. What
//! this is not: it knows no users and no credentials, and grants of agents ([`grant`](crate::grant)) are another question.

use crate::{Error, Result, near};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What a user is. Each contains those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Sees what is in the environments assigned to it, without variables, users or audit.
    Viewer,
    /// Runs and edits agents of the environments assigned to it.
    User,
    /// Everything, in every environment.
    Admin,
}

/// How much of what its user may do an API key may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// To see.
    Read,
    /// To run agents and call tools.
    Run,
    /// To make, change and delete agents.
    Edit,
    /// To decide about calls that wait for a person.
    Approve,
    /// What only administrators may.
    Admin,
}

/// What the policy decides about. Each stands for the verbs that need the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// To list and show environments.
    ReadEnvironments,
    /// To list and show agents.
    ReadAgents,
    /// To list and show servers and their tools.
    ReadServers,
    /// To list, show and follow runs.
    ReadRuns,
    /// To list and show calls that wait for a person.
    ReadApprovals,
    /// To list budgets.
    ReadBudgets,
    /// To list models.
    ReadModels,
    /// To list names of variables; values are shown to nobody.
    ReadVariables,
    /// To start, cancel, resume, retry, fork and record runs.
    RunAgents,
    /// To call tools, read resources and get prompts of an environment's servers, without an agent.
    CallTools,
    /// To make, change and delete agents.
    EditAgents,
    /// To decide about calls that wait for a person, and about calls whose outcome nobody knows.
    Approve,
    /// To set and unset variables: a server's program, arguments and address may be made of them.
    SetVariables,
    /// To make, change and delete servers, to log in at them, to pin their tools: a server is a program that is started.
    ManageServers,
    /// To apply the files of an environment: servers are among them.
    Sync,
    /// To make, change and delete environments.
    ManageEnvironments,
    /// To set budgets, and to add to those of a run.
    ManageBudgets,
    /// To make and change users, their environments and their API keys.
    ManageUsers,
    /// To change settings, and to remove old runs.
    ManageSettings,
    /// To read and check the audit.
    ReadAudit,
    /// To give the store another key.
    RotateKey,
    /// To read metrics: they tell of every environment.
    ReadMetrics,
}

impl Role {
    /// Every role, the least first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::User, Self::Admin];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::User => "user",
            Self::Admin => "admin",
        }
    }

    /// Whether it may do `action`, where it sees what that is about.
    #[must_use]
    pub fn may(self, action: Action) -> bool {
        self >= action.least()
    }

    /// Somebody who is this, as a sentence says it.
    fn somebody(self) -> &'static str {
        match self {
            Self::Viewer => "a viewer",
            Self::User => "a user",
            Self::Admin => "an admin",
        }
    }
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 5] = [Self::Read, Self::Run, Self::Edit, Self::Approve, Self::Admin];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Edit => "edit",
            Self::Approve => "approve",
            Self::Admin => "admin",
        }
    }

    /// All of them: what a person has, and a key that nobody narrowed.
    #[must_use]
    pub fn all() -> BTreeSet<Self> {
        Self::ALL.into()
    }
}

impl Action {
    /// Every action, in the order of the table.
    pub const ALL: [Self; 22] = [
        Self::ReadEnvironments,
        Self::ReadAgents,
        Self::ReadServers,
        Self::ReadRuns,
        Self::ReadApprovals,
        Self::ReadBudgets,
        Self::ReadModels,
        Self::ReadVariables,
        Self::RunAgents,
        Self::CallTools,
        Self::EditAgents,
        Self::Approve,
        Self::SetVariables,
        Self::ManageServers,
        Self::Sync,
        Self::ManageEnvironments,
        Self::ManageBudgets,
        Self::ManageUsers,
        Self::ManageSettings,
        Self::ReadAudit,
        Self::RotateKey,
        Self::ReadMetrics,
    ];

    /// The least role that may do it, and the scope that a key needs for it.
    fn needs(self) -> (Role, Scope) {
        match self {
            Self::ReadEnvironments
            | Self::ReadAgents
            | Self::ReadServers
            | Self::ReadRuns
            | Self::ReadApprovals
            | Self::ReadBudgets
            | Self::ReadModels => (Role::Viewer, Scope::Read),
            // A key for whoever collects them can do nothing else of an administrator's.
            Self::ReadMetrics => (Role::Admin, Scope::Read),
            Self::ReadVariables => (Role::User, Scope::Read),
            Self::RunAgents | Self::CallTools => (Role::User, Scope::Run),
            Self::EditAgents => (Role::User, Scope::Edit),
            Self::Approve => (Role::User, Scope::Approve),
            Self::SetVariables
            | Self::ManageServers
            | Self::Sync
            | Self::ManageEnvironments
            | Self::ManageBudgets
            | Self::ManageUsers
            | Self::ManageSettings
            | Self::ReadAudit
            | Self::RotateKey => (Role::Admin, Scope::Admin),
        }
    }

    /// The least role that may do it.
    #[must_use]
    pub fn least(self) -> Role {
        self.needs().0
    }

    /// The scope that an API key needs for it.
    #[must_use]
    pub fn scope(self) -> Scope {
        self.needs().1
    }

    /// The roles that may do it, the least first.
    pub fn roles(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| role.may(self))
    }

    /// Who may do it, as a sentence goes on after "by".
    #[must_use]
    pub fn by_whom(self) -> String {
        self.roles().map(Role::somebody).collect::<Vec<_>>().join(" or ")
    }

    /// What somebody may not do who may not do this, as a sentence goes on after "may not".
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::ReadEnvironments => "see environments",
            Self::ReadAgents => "see agents",
            Self::ReadServers => "see servers and tools",
            Self::ReadRuns => "see runs",
            Self::ReadApprovals => "see approvals",
            Self::ReadBudgets => "see budgets",
            Self::ReadModels => "see models",
            Self::ReadVariables => "see variables",
            Self::RunAgents => "run agents",
            Self::CallTools => "call tools",
            Self::EditAgents => "make, change or delete agents",
            Self::Approve => "decide about calls that wait for a person",
            Self::SetVariables => "set variables",
            Self::ManageServers => "make, change or delete servers",
            Self::Sync => "apply files",
            Self::ManageEnvironments => "make, change or delete environments",
            Self::ManageBudgets => "set budgets",
            Self::ManageUsers => "see or change users",
            Self::ManageSettings => "change settings",
            Self::ReadAudit => "see the audit",
            Self::RotateKey => "rotate the key",
            Self::ReadMetrics => "see metrics",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| unknown(text, "role", &Self::ALL.map(Self::as_str)))
    }
}

impl FromStr for Scope {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| unknown(text, "scope", &Self::ALL.map(Self::as_str)))
    }
}

fn unknown(text: &str, what: &str, there: &[&'static str]) -> Error {
    let error = Error::invalid(format!("`{text}` is no {what}: it is one of {}", there.join(", ")));
    match near::hint(text, there.iter().copied()) {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::fmt::Write as _;

    #[test]
    fn a_role_may_do_what_the_table_says() {
        let mut table = String::new();
        for action in Action::ALL {
            let mark = |role: Role| match (role.may(action), role) {
                (false, _) => "-",
                (true, Role::Admin) => "all",
                (true, _) => "own",
            };
            let [viewer, user, admin] = Role::ALL.map(mark);
            let scope = action.scope();
            writeln!(table, "{:45} {viewer:4} {user:4} {admin:4} {scope}", action.words()).expect("a String");
        }
        expect![[r#"
            see environments                              own  own  all  read
            see agents                                    own  own  all  read
            see servers and tools                         own  own  all  read
            see runs                                      own  own  all  read
            see approvals                                 own  own  all  read
            see budgets                                   own  own  all  read
            see models                                    own  own  all  read
            see variables                                 -    own  all  read
            run agents                                    -    own  all  run
            call tools                                    -    own  all  run
            make, change or delete agents                 -    own  all  edit
            decide about calls that wait for a person     -    own  all  approve
            set variables                                 -    -    all  admin
            make, change or delete servers                -    -    all  admin
            apply files                                   -    -    all  admin
            make, change or delete environments           -    -    all  admin
            set budgets                                   -    -    all  admin
            see or change users                           -    -    all  admin
            change settings                               -    -    all  admin
            see the audit                                 -    -    all  admin
            rotate the key                                -    -    all  admin
            see metrics                                   -    -    all  read
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn who_may_do_it_is_said_in_words() {
        for (action, words) in [
            (Action::ReadRuns, "a viewer or a user or an admin"),
            (Action::Approve, "a user or an admin"),
            (Action::Sync, "an admin"),
        ] {
            assert_eq!(action.by_whom(), words);
        }
    }

    #[test]
    fn every_action_is_in_the_table_once() {
        assert_eq!(BTreeSet::from(Action::ALL).len(), Action::ALL.len());
    }

    #[test]
    fn roles_and_scopes_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse::<Role>().expect("it is one"), role);
        }
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse::<Scope>().expect("it is one"), scope);
        }
        let check = |said: Error, expected: &str| assert_eq!(said.to_string(), expected);
        check(
            "root".parse::<Role>().expect_err("no role"),
            "`root` is no role: it is one of viewer, user, admin",
        );
        check(
            "aprove".parse::<Scope>().expect_err("no scope"),
            "`aprove` is no scope: it is one of read, run, edit, approve, admin",
        );
    }
}

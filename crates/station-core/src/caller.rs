//! Who asks, and what they may do.

use crate::policy::{Action, Role, Scope};
use crate::{EnvironmentId, Error, Kind, Micros, Result, RunId, Trace, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Whoever asks Station for something; every verb takes one first, and asks it whether it may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user's row.
    pub user: UserId,
    /// The name shown beside what the caller did: the operating system's, for the person at the terminal.
    pub name: String,
    /// What this caller may do.
    pub role: Role,
    /// Where.
    pub realm: Realm,
    /// How much of that: all of it in person, less where an API key or a run acts as this caller.
    pub scopes: BTreeSet<Scope>,
    /// What it is known by.
    pub known_by: KnownBy,
    /// When that ends; `None` where it does not.
    pub until: Option<Micros>,
    /// The run that acts as this caller; `None` for the caller in person.
    pub acting: Option<RunToken>,
    /// What the request belongs to, where whoever brought it says so.
    pub trace: Option<Trace>,
    /// Where it asks from: the host of its terminal, or the address at the other end of its connection. Empty where nobody asks.
    pub from: String,
}

/// Who did something, as the audit tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The caller's name.
    pub name: String,
    /// Where it asked from, and by which key; `None` where nobody asked.
    pub from: Option<String>,
}

impl From<&str> for Actor {
    /// Somebody of whom no more is known than the name.
    fn from(name: &str) -> Self {
        Self::from(name.to_owned())
    }
}

impl From<String> for Actor {
    /// Somebody of whom no more is known than the name.
    fn from(name: String) -> Self {
        Self { name, from: None }
    }
}

/// What somebody is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// By itself: at its terminal, or signed in.
    Itself,
    /// By this API key.
    Key(i64),
    /// By an access token that somebody else has given out.
    Token,
}

/// The environments that somebody sees. What is in others does not exist for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Realm {
    /// All, and those to come.
    All,
    /// Those assigned.
    Of(BTreeSet<EnvironmentId>),
}

impl Realm {
    /// Whether `environment` is within it.
    #[must_use]
    pub fn has(&self, environment: EnvironmentId) -> bool {
        match self {
            Self::All => true,
            Self::Of(assigned) => assigned.contains(&environment),
        }
    }
}

/// What a run brings to Station's own server when it acts as the caller who started it.
///
/// It is no secret and proves nothing: whoever can hand it to a Station hands the store's key with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunToken {
    /// The run.
    pub run: RunId,
    /// The caller's row.
    pub user: UserId,
    /// Tools of Station that it may call.
    pub verbs: BTreeSet<String>,
    /// What it may do of what the caller may: the scopes of the key it was started with.
    pub scopes: BTreeSet<Scope>,
    /// How many runs are above it.
    pub depth: u32,
    /// When it ends.
    pub expires_at: Micros,
}

impl RunToken {
    /// Refuses a token whose time is over.
    ///
    /// # Errors
    /// `Unauthenticated`.
    pub fn check(&self, now: Micros) -> Result<()> {
        if now < self.expires_at {
            return Ok(());
        }
        Err(Error::new(Kind::Unauthenticated, format!("the token of run {} has expired", self.run)))
    }
}

impl Caller {
    /// The row of the local user, made by the first migration.
    pub const LOCAL_USER: UserId = UserId(1);

    /// Whom nothing is known of; no row has it.
    pub const NOBODY: UserId = UserId(0);

    /// The person at the terminal, an administrator.
    #[must_use]
    pub fn local() -> Self {
        Self {
            user: Self::LOCAL_USER,
            name: "local".to_owned(),
            role: Role::Admin,
            realm: Realm::All,
            scopes: Scope::all(),
            known_by: KnownBy::Itself,
            until: None,
            acting: None,
            trace: None,
            from: String::new(),
        }
    }

    /// Somebody of whom nothing is known: what asks for nobody's right may be asked of a Station all the same.
    #[must_use]
    pub fn nobody() -> Self {
        Self {
            user: Self::NOBODY,
            name: "nobody".to_owned(),
            role: Role::Viewer,
            realm: Realm::Of(BTreeSet::new()),
            scopes: BTreeSet::new(),
            known_by: KnownBy::Itself,
            until: None,
            acting: None,
            trace: None,
            from: String::new(),
        }
    }

    /// The same, for whom a run acts: without the right to approve, which a run never has: an agent must not approve what it
    /// asked for itself. What it does is told as the run's.
    #[must_use]
    pub fn acting(mut self, token: RunToken) -> Self {
        self.name = format!("{} (run {})", self.name, token.run);
        self.scopes.retain(|scope| *scope != Scope::Approve && token.scopes.contains(scope));
        self.acting = Some(token);
        self
    }

    /// The same, with no more of its rights than these.
    #[must_use]
    pub fn within(mut self, scopes: &BTreeSet<Scope>) -> Self {
        self.scopes.retain(|scope| scopes.contains(scope));
        self
    }

    /// The same, asking for something that belongs to `trace`.
    #[must_use]
    pub fn in_trace(self, trace: Option<Trace>) -> Self {
        Self { trace: trace.or(self.trace), ..self }
    }

    /// The same, asking from there: a host or an address.
    #[must_use]
    pub fn at(self, from: impl Into<String>) -> Self {
        Self { from: from.into(), ..self }
    }

    /// The same, asking for what `by` asks for: from there, and for what that belongs to.
    #[must_use]
    pub fn asking_as(self, by: &Self) -> Self {
        self.in_trace(by.trace).at(by.from.clone())
    }

    /// Who is told in the audit to have done what this caller asks for.
    #[must_use]
    pub fn actor(&self) -> Actor {
        let from = match self.known_by {
            _ if self.from.is_empty() => None,
            KnownBy::Itself => Some(self.from.clone()),
            KnownBy::Key(id) => Some(format!("{}, API key {id}", self.from)),
            KnownBy::Token => Some(format!("{}, access token", self.from)),
        };
        Actor { name: self.name.clone(), from }
    }

    /// The same, by the name that the operating system knows them by.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// Refuses a run that may not call Station's tool `verb`, or not any more.
    ///
    /// # Errors
    /// `Forbidden`; `Unauthenticated` where its token has expired.
    pub fn may_call(&self, verb: &str, now: Micros) -> Result<()> {
        let Some(token) = &self.acting else { return Ok(()) };
        token.check(now)?;
        if token.verbs.contains(verb) {
            return Ok(());
        }
        Err(Error::new(Kind::Forbidden, format!("run {} may not call `{verb}`", token.run)))
    }

    /// Refuses a caller whose role, key, token or run may not do `action` anywhere.
    ///
    /// # Errors
    /// `Forbidden`; with the scope that is lacking, where another token may have it.
    pub fn may(&self, action: Action) -> Result<()> {
        let words = action.words();
        if !self.role.may(action) {
            let least = action.least();
            let sentence = format!("`{}` may not {words}: its role is `{}`", self.name, self.role);
            return Err(Error::new(Kind::Forbidden, sentence)
                .with_hint(format!("ask somebody whose role is at least `{least}`")));
        }
        let scope = action.scope();
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        let (sentence, hint) = match (&self.acting, self.known_by) {
            (Some(token), _) => (
                format!("run {} may not {words}", token.run),
                format!("whoever started it may not `{scope}`, or it is nothing for a run: ask a person"),
            ),
            (None, KnownBy::Token) => {
                let sentence = format!(
                    "the access token of `{}` may not {words}: it lacks the scope `{scope}`",
                    self.name
                );
                let hint = format!("log in for the scope `{scope}` too");
                return Err(Error::new(Kind::Forbidden, sentence).with_hint(hint).with_lacking(scope));
            }
            (None, _) => (
                format!("the API key of `{}` may not {words}: it lacks the scope `{scope}`", self.name),
                format!("use a key with the scope `{scope}`"),
            ),
        };
        Err(Error::new(Kind::Forbidden, sentence).with_hint(hint))
    }

    /// The user whose assigned environments are all that this caller sees; `None` where that is everything.
    #[must_use]
    pub fn seen_by(&self) -> Option<UserId> {
        (self.realm != Realm::All).then_some(self.user)
    }

    /// Whether what is in `environment` exists for this caller.
    #[must_use]
    pub fn sees(&self, environment: EnvironmentId) -> bool {
        self.realm.has(environment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_acts_for_its_caller_within_its_token() {
        let token = RunToken {
            run: RunId(7),
            user: Caller::LOCAL_USER,
            verbs: BTreeSet::from(["list_agents".to_owned()]),
            scopes: Scope::all(),
            depth: 1,
            expires_at: Micros(100),
        };
        let acting = Caller::local().named("ann").acting(token);
        let check = |by: &Caller, verb: &str, now: i64, expected: &str| {
            let said =
                by.may_call(verb, Micros(now)).map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!(said, expected, "{verb} at {now}");
        };
        check(&acting, "list_agents", 99, "");
        check(&acting, "create_agent", 99, "run 7 may not call `create_agent`");
        check(&acting, "list_agents", 100, "the token of run 7 has expired");
        check(&Caller::local(), "create_agent", 100, "");
        assert_eq!(acting.name, "ann (run 7)");
        assert!(acting.may(Action::Approve).is_err(), "an agent must not approve what it asked for");
    }

    #[test]
    fn a_caller_may_what_role_and_key_both_allow() {
        let of = |role: Role, scopes: &[Scope]| Caller {
            role,
            scopes: scopes.iter().copied().collect(),
            ..Caller::local().named("ann")
        };
        let check = |by: &Caller, action: Action, expected: &str| {
            let said = by.may(action).map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!(said, expected, "{by:?} {action:?}");
        };
        check(&of(Role::Viewer, &Scope::ALL), Action::ReadRuns, "");
        check(
            &of(Role::Viewer, &Scope::ALL),
            Action::RunAgents,
            "`ann` may not run agents: its role is `viewer`",
        );
        check(&of(Role::User, &Scope::ALL), Action::RunAgents, "");
        check(&of(Role::User, &Scope::ALL), Action::Sync, "`ann` may not apply files: its role is `user`");
        check(&of(Role::Admin, &Scope::ALL), Action::Sync, "");
        let lacks = "the API key of `ann` may not decide about calls that wait for a person: it lacks the scope `approve`";
        check(&of(Role::Admin, &[Scope::Read, Scope::Run]), Action::Approve, lacks);
        check(
            &of(Role::Admin, &[Scope::Read]),
            Action::ReadAudit,
            "the API key of `ann` may not see the audit: it lacks the scope `admin`",
        );
        // What another token may have is said for programs too, and what no token gives is not.
        let by_token = Caller { known_by: KnownBy::Token, ..of(Role::User, &[Scope::Read]) };
        check(
            &by_token,
            Action::RunAgents,
            "the access token of `ann` may not run agents: it lacks the scope `run`",
        );
        let lacks = |by: &Caller, action| by.may(action).expect_err("it may not").lacks();
        assert_eq!(lacks(&by_token, Action::RunAgents), Some(Scope::Run));
        assert_eq!(lacks(&by_token, Action::Sync), None);
        assert_eq!(lacks(&of(Role::User, &[Scope::Read]), Action::RunAgents), None);
    }

    #[test]
    fn what_a_caller_does_is_told_with_the_place_and_the_key() {
        let check = |by: Caller, expected: Option<&str>| {
            let actor = by.actor();
            assert_eq!((actor.name.as_str(), actor.from.as_deref()), ("ann", expected), "{by:?}");
        };
        let ann = || Caller::local().named("ann");
        check(ann(), None);
        check(ann().at("laptop"), Some("laptop"));
        let known = |known_by| Caller { known_by, ..ann().at("192.0.2.7") };
        check(known(KnownBy::Key(4)), Some("192.0.2.7, API key 4"));
        check(known(KnownBy::Token), Some("192.0.2.7, access token"));
    }

    #[test]
    fn an_environment_that_is_not_assigned_does_not_exist() {
        let of = |realm: Realm| Caller { realm, ..Caller::local() };
        assert!(of(Realm::All).sees(EnvironmentId(7)));
        let assigned = of(Realm::Of(BTreeSet::from([EnvironmentId(1), EnvironmentId(3)])));
        assert!(assigned.sees(EnvironmentId(3)));
        assert!(!assigned.sees(EnvironmentId(7)));
    }
}

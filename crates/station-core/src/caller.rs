//! Who asks, and what they may do.

use crate::{Error, Kind, Micros, Result, RunId, UserId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Something that not every caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Right {
    /// To decide about calls that wait for a person, and about calls whose outcome nobody knows. A run never has it:
    /// an agent must not approve what it asked for itself.
    Approve,
}

/// Whoever asks Station for something; every verb takes one first.
///
/// Until users and roles exist there is one: the local administrator, the person at the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user's row.
    pub user: UserId,
    /// The name shown beside what the caller did: the operating system's, for the person at the terminal.
    pub name: String,
    /// What this caller may do beside what everybody may.
    pub rights: BTreeSet<Right>,
    /// The run that acts as this caller; `None` for the caller in person.
    pub acting: Option<RunToken>,
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

    /// The person at the terminal, an administrator.
    #[must_use]
    pub fn local() -> Self {
        Self {
            user: Self::LOCAL_USER,
            name: "local".to_owned(),
            rights: BTreeSet::from([Right::Approve]),
            acting: None,
        }
    }

    /// The same, for whom a run acts: without the rights that a run never has. What it does is told as the run's.
    #[must_use]
    pub fn acting(self, token: RunToken) -> Self {
        let name = format!("{} (run {})", self.name, token.run);
        Self { user: token.user, name, rights: BTreeSet::new(), acting: Some(token) }
    }

    /// The same, with no more than what everybody may.
    #[must_use]
    pub fn without_rights(self) -> Self {
        Self { rights: BTreeSet::new(), ..self }
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

    /// Refuses a caller without `right`.
    ///
    /// # Errors
    /// `Forbidden`.
    pub fn require(&self, right: Right) -> Result<()> {
        if self.rights.contains(&right) {
            return Ok(());
        }
        let sentence = match right {
            Right::Approve => format!("`{}` may not decide about calls that wait for a person", self.name),
        };
        Err(Error::new(Kind::Forbidden, sentence).with_hint("ask somebody who has the right `approve`"))
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
        assert!(acting.require(Right::Approve).is_err(), "an agent must not approve what it asked for");
    }
}

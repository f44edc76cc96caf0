//! Who asks, and what they may do.

use crate::{Error, Kind, Result, UserId};
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
}

impl Caller {
    /// The row of the local user, made by the first migration.
    pub const LOCAL_USER: UserId = UserId(1);

    /// The person at the terminal, an administrator.
    #[must_use]
    pub fn local() -> Self {
        Self { user: Self::LOCAL_USER, name: "local".to_owned(), rights: BTreeSet::from([Right::Approve]) }
    }

    /// The same, by the name that the operating system knows them by.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
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

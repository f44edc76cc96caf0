//! Who asks.

use crate::UserId;

/// Whoever asks Station for something; every verb takes one first.
///
/// Until users and roles exist there is one: the local administrator, the person at the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user's row.
    pub user: UserId,
    /// The name shown beside what the caller did.
    pub name: String,
}

impl Caller {
    /// The row of the local user, made by the first migration.
    pub const LOCAL_USER: UserId = UserId(1);

    /// The person at the terminal.
    #[must_use]
    pub fn local() -> Self {
        Self { user: Self::LOCAL_USER, name: "local".to_owned() }
    }
}

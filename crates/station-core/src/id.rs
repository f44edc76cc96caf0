//! One type per identifier, so that a run's id cannot be passed where an agent's is meant.
//!
//! Numbers come from the database (64-bit, positive). Effects carry a UUIDv7 minted by the engine: it must be unique
//! before any row exists, because it is committed before the effect is sent.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! row_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )*};
}

row_id! {
    /// An agent's row.
    AgentId;
    /// An environment's row.
    EnvironmentId;
    /// A run's row.
    RunId;
    /// An MCP server's row.
    ServerId;
    /// A catalogued tool's row.
    ToolId;
    /// A user's row.
    UserId;
    /// The fencing number of a lease: it only grows, and a write that carries an older one is refused.
    Fence;
}

/// Whether a person who types `text` means an id: digits alone do, so no agent, environment or server has such a name.
#[must_use]
pub fn is_number(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// One effect of a run: a request to a model, a tool call, a sub-agent. UUIDv7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectId(pub uuid::Uuid);

impl fmt::Display for EffectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for EffectId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        uuid::Uuid::parse_str(text).map(Self)
    }
}

/// The SHA-256 of a stored body, as 64 lower-case hex digits. What a run keeps of its inputs it keeps by this.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobHash(String);

impl BlobHash {
    /// Hashes `body`.
    #[must_use]
    pub fn of(body: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(hex::encode(sha2::Sha256::digest(body)))
    }

    /// The 64 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

//! Approvals: what a person is asked for, and what their yes is good for.
//!
//! A yes holds for what was shown and for nothing else: it is bound to the arguments, to the tool as it was defined, to
//! where its server is, and to the rule that asked. If one of them changes it is void, and the question is put anew. A
//! standing yes ("always") holds for every call of one tool by one agent, as long as the tool's definition and its
//! server's place stay what they were.

use crate::tool::{canonical_json, definition_hash};
use crate::{BlobHash, Definition, EffectId, Tool};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;

/// What an approval is given for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// Hash of the arguments as canonical JSON (RFC 8785).
    pub arguments: BlobHash,
    /// Hash of the tool's definition and of the way to its server: [`definition`].
    pub definition: String,
    /// The rule that asked.
    pub rule: Rule,
}

/// A rule that makes a call wait for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Where it is written.
    pub level: Level,
    /// The pattern, as written.
    pub pattern: String,
}

/// Where a rule is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// `station.approve` of the agent's file.
    Agent,
    /// `tools.approve` of the server's entry.
    Server,
    /// `tools.approve` of `environment.yml`.
    Environment,
    /// Nowhere: it holds for every run.
    Station,
}

/// A yes that a call may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Approved {
    /// Given for this call alone; the effect it was asked under is the call's own.
    Once {
        /// What it was given for.
        basis: Basis,
    },
    /// A standing one.
    Always {
        /// Its row.
        id: i64,
    },
}

/// Where a question to a person stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Nobody has decided.
    Pending,
    /// Somebody said yes.
    Approved,
    /// Somebody said no.
    Denied,
    /// Nobody decided in time.
    TimedOut,
    /// It needs no answer any more.
    Void,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Approved, Self::Denied, Self::TimedOut, Self::Void];

    /// The word in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
            Self::TimedOut => "timed_out",
            Self::Void => "void",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

/// What becomes of a call that waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may be sent.
    Approved,
    /// It may not.
    Denied {
        /// Why; may be empty.
        reason: String,
    },
    /// Nobody decided in time.
    TimedOut,
}

/// A decision as the driver of a run finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The effect it was asked under.
    pub effect: EffectId,
    /// What was decided.
    pub decision: Decision,
    /// Who decided, for people; empty where nobody did.
    pub by: String,
}

/// What a yes for `tool` is bound to: what it promises, and where its server is reached. A tool of the same name and
/// words elsewhere is another tool.
#[must_use]
pub fn definition(tool: &Tool, server: &Definition) -> String {
    let both = format!("{} {}", definition_hash(tool), server.way());
    BlobHash::of(both.as_bytes()).to_string()
}

impl Basis {
    /// The basis of one call.
    #[must_use]
    pub fn new(arguments: &Map<String, Value>, definition: String, rule: Rule) -> Self {
        let canonical = canonical_json(&Value::Object(arguments.clone()));
        Self { arguments: BlobHash::of(canonical.as_bytes()), definition, rule }
    }

    /// What of it is not as it was in `given`; `None` where a yes for `given` holds.
    #[must_use]
    pub fn changed_since(&self, given: &Self) -> Option<&'static str> {
        if self.arguments != given.arguments {
            Some("its arguments changed")
        } else if self.definition != given.definition {
            Some("the tool's definition, or where its server is, changed")
        } else if self.rule != given.rule {
            Some("another rule asks for it")
        } else {
            None
        }
    }
}

impl Level {
    fn place(self) -> &'static str {
        match self {
            Self::Agent => "`station.approve` of the agent",
            Self::Server => "`tools.approve` of the server",
            Self::Environment => "`tools.approve` of the environment",
            Self::Station => "Station's own rules",
        }
    }
}

/// "`delete_*` in `tools.approve` of the environment"
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` in {}", self.pattern, self.level.place())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn basis(arguments: &Value, definition: &str, pattern: &str) -> Basis {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let rule = Rule { level: Level::Server, pattern: pattern.to_owned() };
        Basis::new(arguments, definition.to_owned(), rule)
    }

    #[test]
    fn a_yes_holds_for_what_was_shown_and_for_nothing_else() {
        let given = basis(&json!({"path": "/tmp/a", "n": 1}), "v1", "delete_*");
        for (now, expected) in [
            (basis(&json!({"n": 1, "path": "/tmp/a"}), "v1", "delete_*"), None),
            (basis(&json!({"n": 1, "path": "/"}), "v1", "delete_*"), Some("its arguments changed")),
            (basis(&json!({"n": 1}), "v1", "delete_*"), Some("its arguments changed")),
            (
                basis(&json!({"path": "/tmp/a", "n": 1}), "v2", "delete_*"),
                Some("the tool's definition, or where its server is, changed"),
            ),
            (basis(&json!({"path": "/tmp/a", "n": 1}), "v1", "*"), Some("another rule asks for it")),
        ] {
            assert_eq!(now.changed_since(&given), expected, "{now:?}");
        }
    }
}

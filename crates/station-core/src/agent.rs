//! Agents: a prompt, its grants, and where its definition lives.

use crate::is_number;
use crate::{AgentId, EnvironmentId, Error, Micros, Result};
use std::fmt;

/// An agent as the store knows it.
///
/// Its definition, the text of its `.prompt` file, is read by itself: a listing of a thousand agents does not need it.
/// What is shown here was taken from that text when it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its row.
    pub id: AgentId,
    /// The environment it lives in; its grants never reach into another.
    pub environment: EnvironmentId,
    /// Its name, which is the name of its file.
    pub name: AgentName,
    /// One line for people and for models that may call it.
    pub description: String,
    /// The model as written: the first of its list, or `None` for the configured one.
    pub model: Option<String>,
    /// Tags, in file order.
    pub tags: Vec<String>,
    /// Where the definition lives.
    pub origin: Origin,
    /// Whether it may be run.
    pub enabled: bool,
    /// When the row was made.
    pub created_at: Micros,
    /// When the definition last changed.
    pub updated_at: Micros,
}

/// Where a definition lives, and so who may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// In a file of a workspace; sync owns the row.
    File,
    /// In the store alone; sync never touches it.
    Store,
}

impl Origin {
    /// The word in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Store => "store",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "file" => Some(Self::File),
            "store" => Some(Self::Store),
            _ => None,
        }
    }
}

/// A checked agent name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentName(String);

/// Longest agent name: with `.prompt` and an environment before it, it must fit every file system's 255 bytes.
const NAME_BYTES_MAX: usize = 200;

impl AgentName {
    /// Checks `name`: 1–200 bytes, no control character, no `/` or `\`, not all digits (a number is an id), no
    /// leading dot, no blank at either end.
    ///
    /// # Errors
    /// `Invalid` with a sentence that names the rule.
    pub fn parse(name: &str) -> Result<Self> {
        let reason = if name.is_empty() {
            "it is empty"
        } else if name.len() > NAME_BYTES_MAX {
            "it is longer than 200 bytes"
        } else if is_number(name) {
            "a name of digits alone would be read as an id"
        } else if name.chars().any(|c| c.is_control() || matches!(c, '/' | '\\')) {
            "it is also a file name, so `/`, `\\` and control characters are not allowed"
        } else if name.starts_with('.') {
            "a leading dot would hide its file"
        } else if name.trim() != name {
            "it begins or ends with a blank"
        } else {
            return Ok(Self(name.to_owned()));
        };
        Err(Error::invalid(format!("`{}` cannot be the name of an agent: {reason}", name.escape_debug())))
    }

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name under which a coordinating agent's model sees this agent: `__agent_` + [`AgentName::in_plain`].
    #[must_use]
    pub fn tool_name(&self) -> String {
        format!("__agent_{}", self.in_plain())
    }

    /// The name in lower case, every character but `[a-z0-9]` as `_`, runs of `_` merged, ends trimmed. Two names may be
    /// the same so, and it is empty where none of its characters is left.
    #[must_use]
    pub fn in_plain(&self) -> String {
        let mut plain = String::new();
        for c in self.0.to_lowercase().chars() {
            let c = if c.is_ascii_alphanumeric() { c } else { '_' };
            if c != '_' || !plain.ends_with('_') {
                plain.push(c);
            }
        }
        plain.trim_matches('_').to_owned()
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_checked() {
        for (name, fits) in [
            ("triage", true),
            ("Cost Spike Investigator", true),
            ("日本", true),
            ("v2", true),
            ("", false),
            ("42", false),
            ("../x", false),
            (".hidden", false),
            (" x", false),
            ("a\nb", false),
        ] {
            assert_eq!(AgentName::parse(name).is_ok(), fits, "{name:?}");
        }
    }

    #[test]
    fn a_tool_name_is_merged_and_trimmed() {
        for (name, tool) in [
            ("Cost Spike Investigator", "__agent_cost_spike_investigator"),
            ("triage", "__agent_triage"),
            ("--a  b!!", "__agent_a_b"),
        ] {
            assert_eq!(AgentName::parse(name).expect("fits").tool_name(), tool);
        }
    }
}

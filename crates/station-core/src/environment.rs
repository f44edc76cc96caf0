//! Environments: the walls between dev, staging and production.

use crate::is_number;
use crate::{EnvironmentId, Error, Micros, Origin, Result};
use std::fmt;

/// An environment as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Its row.
    pub id: EnvironmentId,
    /// Its name, which is the name of its folder.
    pub name: EnvironmentName,
    /// One line for people; may be empty.
    pub description: String,
    /// Where its definition lives.
    pub origin: Origin,
    /// When the row was made.
    pub created_at: Micros,
}

/// A checked environment name: it is a folder name, so it can neither climb nor hide.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvironmentName(String);

/// Begins with what no name may begin with, so it is nobody's.
const BUILT_IN: &str = "@station";

/// Longest environment name: it becomes part of paths and of metric labels.
const NAME_CHARS_MAX: usize = 64;

impl EnvironmentName {
    /// The environment that is meant where none is named.
    pub const DEFAULT: &'static str = "default";

    /// Checks `name`: 1–64 of letters, digits, `-`, `_`, `.`, beginning with a letter or digit, and not all digits (a
    /// number is an id).
    ///
    /// # Errors
    /// `Invalid` with a sentence that names the rule.
    pub fn parse(name: &str) -> Result<Self> {
        if is_number(name) {
            return Err(Error::invalid(format!("`{name}` cannot be the name of an environment"))
                .with_hint("a name of digits alone would be read as an id: add a letter"));
        }
        Self::checked(name)
    }

    /// As [`EnvironmentName::parse`], of a row: older versions took names of digits alone, and one such environment must
    /// not keep all others from being read.
    ///
    /// # Errors
    /// As [`EnvironmentName::parse`].
    pub fn stored(name: &str) -> Result<Self> {
        if name == BUILT_IN { Ok(Self::built_in()) } else { Self::checked(name) }
    }

    fn checked(name: &str) -> Result<Self> {
        let fits = name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'));
        let starts = name.chars().next().is_some_and(char::is_alphanumeric);
        if fits && starts && name.chars().count() <= NAME_CHARS_MAX {
            return Ok(Self(name.to_owned()));
        }
        Err(Error::invalid(format!("`{name}` cannot be the name of an environment")).with_hint(format!(
            "use 1 to {NAME_CHARS_MAX} letters, digits, `-`, `_` or `.`, beginning with a letter or digit"
        )))
    }

    /// The one that holds Station's own agents. Nobody can type its name, and no list shows it.
    #[must_use]
    pub fn built_in() -> Self {
        Self(BUILT_IN.to_owned())
    }

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for EnvironmentName {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl fmt::Display for EnvironmentName {
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
            ("prod", true),
            ("2024-q1", true),
            ("v2", true),
            ("1.5", true),
            ("日本", true),
            ("", false),
            ("42", false),
            ("007", false),
            ("../x", false),
            (".hidden", false),
            ("a b", false),
        ] {
            assert_eq!(EnvironmentName::parse(name).is_ok(), fits, "{name:?}");
        }
    }
}

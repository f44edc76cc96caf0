//! The process environment: read here and nowhere else, once.

use super::FolderFrom;
use station_core::{Secret, names_a_secret};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The process environment as it was when the command began. A variable that is empty counts as not set; one that is
/// not UTF-8 is passed over, because nothing of ours can be written that way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment(BTreeMap<String, Secret>);

impl Environment {
    /// Reads it.
    pub(crate) fn read() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        let variables = std::env::vars_os();
        let texts =
            variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self(
            texts
                .filter(|(_, value)| !value.is_empty())
                .map(|(name, value)| (name, Secret::new(value)))
                .collect(),
        )
    }

    /// That of another process.
    pub(super) fn from(variables: BTreeMap<String, String>) -> Self {
        Self(variables.into_iter().map(|(name, value)| (name, Secret::new(value))).collect())
    }

    /// The value of `name`.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.expose().trim()).filter(|value| !value.is_empty())
    }

    /// Where the settings of a user's programs are, and which variable says so (XDG Base Directory Specification).
    pub(crate) fn config_home(&self) -> Option<(PathBuf, FolderFrom)> {
        let named = self.get("XDG_CONFIG_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        match named {
            Some(path) => Some((path, FolderFrom::XdgConfigHome)),
            None => Some((Path::new(self.get("HOME")?).join(".config"), FolderFrom::Home)),
        }
    }

    /// The value of the first of `names` that is set, and which that is.
    pub(crate) fn first<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &str)> {
        names.iter().find_map(|name| Some((*name, self.get(name)?)))
    }

    /// The values of variables that are called as secrets are; but for those in which a shell keeps the folder that it is in, and was in.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = &str> {
        let is_secret = |name: &str| names_a_secret(name) && !matches!(name, "PWD" | "OLDPWD");
        self.0.iter().filter(move |(name, _)| is_secret(name)).map(|(_, value)| value.expose())
    }

    /// All of it, for templates that ask for a name.
    pub(crate) fn all(&self) -> BTreeMap<String, Secret> {
        self.0.clone()
    }

    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        Self(variables.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(*value))).collect())
    }
}

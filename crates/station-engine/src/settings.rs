//! Settings: the keys of config.yaml, looked at and changed in the file.
//!
//! A file is what all doors share, so it is read and written where it lies. What holds in this process is what the file said when it
//! began, and may be said otherwise by its environment. **Invariant:** a secret is told to nobody, only whether there is one.

use crate::write_file::refused;
use crate::{FolderLock, Readers, Replace, Station, set_in, write_file};
use serde_json::json;
use station_core::file::config::keys::{self, KEYS, Key, Written};
use station_core::{Action, Caller, Error, Result};
use std::io;
use std::path::Path;

/// A setting as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSetting {
    /// As it was asked for: a key, or a name below one.
    pub name: String,
    /// What it takes and is for.
    pub key: &'static Key,
    /// Whether the file says it.
    pub is_set: bool,
    /// What the file says; of a secret nothing.
    pub value: Option<String>,
}

impl Station {
    /// Every key, with what config.yaml says of it.
    ///
    /// # Errors
    /// `Invalid` where the file cannot be read; `Conflict` where there is none that this process knows of.
    pub async fn list_settings(&self, by: &Caller) -> Result<Vec<FileSetting>> {
        by.may(Action::ManageSettings)?;
        let written = Written::read(&text(self.settings_file()?)?);
        KEYS.iter().map(|key| setting(&written, key.name)).collect()
    }

    /// One of them.
    ///
    /// # Errors
    /// `NotFound` where there is no such setting; as [`Station::list_settings`].
    pub async fn show_setting(&self, by: &Caller, name: &str) -> Result<FileSetting> {
        by.may(Action::ManageSettings)?;
        read(self.settings_file()?, name)
    }

    /// Writes what `name` is; `None` takes it out. The rest of the file stays byte for byte.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` where the value does not fit, the setting is written otherwise, or the file cannot be written.
    pub async fn set_setting(&self, by: &Caller, name: &str, value: Option<&str>) -> Result<FileSetting> {
        by.may(Action::ManageSettings)?;
        let file = self.settings_file()?;
        let edit = |text: &str| set_in(text, name, value);
        // A file is in no transaction: what is refused is told of nowhere, and nothing changes of which nothing is told.
        edit(&text(file)?)?;
        self.note_setting(by, name, value.is_some()).await?;
        change(file, edit)?;
        read(file, name)
    }

    /// Tells the audit that a setting is written, or taken out: by whoever writes the file without us, because without it there may be
    /// no store to open.
    ///
    /// # Errors
    /// The store's.
    pub async fn note_setting(&self, by: &Caller, name: &str, is_set: bool) -> Result<()> {
        by.may(Action::ManageSettings)?;
        // Which, and not what: it may be a secret.
        let action = if is_set { "set_setting" } else { "unset_setting" };
        let (subject, detail) = (format!("setting {name}"), json!({}));
        self.store().note_deed(action, &subject, detail, by.actor(), self.now()).await.map(drop)
    }

    fn settings_file(&self) -> Result<&Path> {
        self.config()
            .settings_file
            .as_deref()
            .ok_or_else(|| Error::conflict("this process was started without a config.yaml"))
    }
}

fn setting(written: &Written, name: &str) -> Result<FileSetting> {
    let (key, _) = keys::find(name)?;
    Ok(FileSetting { name: name.to_owned(), key, is_set: written.has(name)?, value: written.value(name)? })
}

impl FileSetting {
    /// Whether its value is told to nobody.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.key.is_secret()
    }
}

/// What a settings file says of the setting `name`.
///
/// # Errors
/// `NotFound` where there is no such setting; as [`text`].
pub fn read(file: &Path, name: &str) -> Result<FileSetting> {
    setting(&Written::read(&text(file)?), name)
}

/// The text of a settings file; empty where there is none.
///
/// # Errors
/// `Invalid` where it cannot be read.
pub fn text(file: &Path) -> Result<String> {
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        read => read.map_err(|cause| {
            Error::invalid(format!("{} cannot be read: {}", file.display(), cause.kind())).with_cause(cause)
        }),
    }
}

/// Writes a settings file in one step. It is its owner's alone.
///
/// # Errors
/// `Invalid` where it cannot be written.
pub fn write(file: &Path, text: &str) -> Result<()> {
    put(file, text, Readers::Owner)
}

/// Writes what a person made of `before`, a settings file as they read it, for whoever could read it until now.
///
/// # Errors
/// As [`text`] and [`write()`]; `Conflict` where somebody else has written it meanwhile.
pub fn replace(file: &Path, before: &str, edited: &str) -> Result<()> {
    let _lock = file.parent().map(FolderLock::wait);
    if text(file)? != before {
        return Err(Error::conflict(format!("{} was changed while it was edited", file.display()))
            .with_hint("edit it again, as it is now"));
    }
    put(file, edited, Readers::AsBefore)
}

fn put(file: &Path, text: &str, readers: Readers) -> Result<()> {
    // Behind a link is the file that is meant.
    let path = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    write_file(&path, text, readers, Replace::Allowed).map_err(|cause| refused(&path, cause))
}

/// Writes what `edit` makes of a settings file as it is now. Another process may be at it, so it is read under the lock.
///
/// # Errors
/// As [`text`] and [`write()`], and those of `edit`.
pub fn change(file: &Path, edit: impl FnOnce(&str) -> Result<String>) -> Result<()> {
    let _lock = file.parent().map(FolderLock::wait);
    let before = text(file)?;
    let edited = edit(&before)?;
    if edited == before { Ok(()) } else { write(file, &edited) }
}

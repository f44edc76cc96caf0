//! config.yaml written: by `stn init` and `stn settings set`.

use super::Settings;
use station_core::{Error, Result};
use station_engine::{FolderLock, Readers, Replace, write_file};

impl Settings {
    /// Writes config.yaml in one step. The file is its owner's alone.
    ///
    /// # Errors
    /// `Invalid` where it cannot be written.
    pub(crate) fn write(&self, text: &str) -> Result<()> {
        // Behind a link is the file that is meant.
        let path = std::fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone());
        write_file(&path, text, Readers::Owner, Replace::Allowed).map_err(|cause| {
            let sentence = format!("{} cannot be written: {}", path.display(), cause.kind());
            Error::invalid(sentence).with_cause(cause)
        })
    }

    /// The text of config.yaml; empty where there is none.
    ///
    /// # Errors
    /// `Invalid` where it cannot be read.
    pub(crate) fn text(&self) -> Result<String> {
        match std::fs::read_to_string(&self.file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            read => read.map_err(|cause| {
                let sentence = format!("{} cannot be read: {}", self.file.display(), cause.kind());
                Error::invalid(sentence).with_cause(cause)
            }),
        }
    }

    /// Writes what `edit` makes of config.yaml as it is now. Another command may be at it, so it is read under the lock.
    ///
    /// # Errors
    /// As [`Settings::write`], and those of `edit`.
    pub(crate) fn change(&self, edit: impl FnOnce(&str) -> Result<String>) -> Result<()> {
        let _lock = FolderLock::wait(&self.folder);
        let text = self.text()?;
        let edited = edit(&text)?;
        if edited == text { Ok(()) } else { self.write(&edited) }
    }
}

//! config.yaml written: by `stn init` and `stn settings set`.

use super::Settings;
use station_core::{Error, Result};
use station_engine::FolderLock;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

impl Settings {
    /// Writes beside config.yaml, then renames: a reader sees the old text or the new one. The file is its owner's alone.
    ///
    /// # Errors
    /// `Invalid` where it cannot be written.
    pub(crate) fn write(&self, text: &str) -> Result<()> {
        // Behind a link is the file that is meant.
        let path = std::fs::canonicalize(&self.file).unwrap_or_else(|_| self.file.clone());
        let beside = path.with_extension(format!("yaml.{}", std::process::id()));
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::rename(&beside, &path));
        written.map_err(|cause| {
            std::fs::remove_file(&beside).unwrap_or_default();
            let sentence = format!("{} cannot be written: {}", path.display(), cause.kind());
            Error::invalid(sentence).with_cause(cause)
        })
    }

    /// The text of config.yaml; empty where there is none.
    pub(crate) fn text(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap_or_default()
    }

    /// Writes what `edit` makes of config.yaml as it is now. Another command may be at it, so it is read under the lock.
    ///
    /// # Errors
    /// As [`Settings::write`], and those of `edit`.
    pub(crate) fn change(&self, edit: impl FnOnce(&str) -> Result<String>) -> Result<()> {
        let _lock = FolderLock::wait(&self.folder);
        let text = match std::fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(cause) => {
                let sentence = format!("{} cannot be read: {}", self.file.display(), cause.kind());
                return Err(Error::invalid(sentence).with_cause(cause));
            }
        };
        let edited = edit(&text)?;
        if edited == text { Ok(()) } else { self.write(&edited) }
    }
}

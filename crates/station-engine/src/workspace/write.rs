//! One file of a folder of ours, and what is said where it cannot be written.

use crate::write_file::{self, Readers, Replace, write_file};
use station_core::{Error, Result};
use std::io::ErrorKind;
use std::path::Path;

/// The file of an environment whose values may be secrets.
const VARIABLES: &str = "variables.yml";

/// Puts `text` into `path` in one step. What is for its owner alone is so from its first byte on.
pub(super) fn write(path: &Path, text: &str, replace: Replace) -> Result<()> {
    let is_secret = path.file_name().is_some_and(|name| name == VARIABLES);
    let readers = if is_secret { Readers::AsBefore } else { Readers::AsBeforeOrUmask };
    write_file(path, text, readers, replace).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::conflict(format!("the file {} exists already", path.display())),
        _ => unwritable(path, error),
    })
}

/// Makes the removal of an entry beside `path` last.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    write_file::sync_folder(folder).map_err(|error| unwritable(folder, error))
}

pub(super) fn fresh_id() -> Result<String> {
    write_file::fresh_id().map_err(|cause| Error::internal("asking the system for random bytes", cause))
}

pub(super) fn unwritable(path: &Path, error: std::io::Error) -> Error {
    crate::write_file::refused(path, error).with_hint("check the folder's permissions and the free space")
}

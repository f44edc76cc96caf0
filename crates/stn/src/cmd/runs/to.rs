//! Where runs are written: on stdout, or into a file that is made for them.

use crate::error::Result;
use crate::session::Session;
use station_core::Error;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

/// A place that was opened.
pub(super) enum To<'a> {
    Stdout,
    File(&'a Path, File),
}

impl<'a> To<'a> {
    /// Makes the file that `output` names, and its folders; `-`, or nothing, is stdout.
    ///
    /// # Errors
    /// `Conflict` where the file is there; `Invalid` where it cannot be made.
    pub(super) fn open(output: Option<&'a Path>) -> Result<Self> {
        let Some(path) = output.filter(|path| path.as_os_str() != "-") else { return Ok(Self::Stdout) };
        let folder = path.parent().unwrap_or(Path::new(""));
        match std::fs::create_dir_all(folder).and_then(|()| File::create_new(path)) {
            Ok(file) => Ok(Self::File(path, file)),
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
                let sentence = format!("the file {} is there already, and stays as it is", path.display());
                Err(Error::conflict(sentence).with_hint("name another").into())
            }
            Err(cause) => {
                let sentence = format!("{} cannot be made: {}", path.display(), cause.kind());
                Err(Error::invalid(sentence).with_cause(cause).into())
            }
        }
    }

    /// Writes `text` as it is.
    ///
    /// # Errors
    /// `Invalid` where it cannot be written.
    pub(super) fn write(&mut self, session: &Session<'_>, text: &str) -> Result<()> {
        match self {
            Self::Stdout => session.out.verbatim(text),
            Self::File(path, file) => file.write_all(text.as_bytes()).map_err(|cause| {
                let sentence = format!("{} cannot be written: {}", path.display(), cause.kind());
                Error::invalid(sentence).with_cause(cause).into()
            }),
        }
    }

    /// The file; `None` where it is stdout.
    pub(super) fn path(&self) -> Option<&'a Path> {
        match self {
            Self::Stdout => None,
            Self::File(path, _) => Some(path),
        }
    }
}

//! One file written so that a reader and a crash see the old text or the new one.

use station_core::{Error, Result};
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Whether an existing file may be replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Replace {
    Allowed,
    Refused,
}

/// The file of an environment whose values may be secrets.
const VARIABLES: &str = "variables.yml";

/// The mode of a file that Station makes: what is for its owner alone is so from its first byte on. Of others the
/// user's umask decides.
fn mode(name: &str) -> u32 {
    if name == VARIABLES { 0o600 } else { 0o666 }
}

/// Writes `text` beside `path`, syncs it, and puts it in place in one step.
pub(super) fn write(path: &Path, text: &str, replace: Replace) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
    let temporary = folder.join(format!(".{name}.{}", fresh_id()?));
    let result = (|| {
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(mode(name)).open(&temporary)?;
        if let (Replace::Allowed, Ok(was)) = (replace, fs::metadata(path)) {
            // Who may read it was decided by whoever made it, or changed its mode since.
            file.set_permissions(was.permissions())?;
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        match replace {
            Replace::Allowed => fs::rename(&temporary, path)?,
            Replace::Refused => {
                fs::hard_link(&temporary, path)?;
                fs::remove_file(&temporary)?;
            }
        }
        fs::File::open(folder)?.sync_all()
    })();
    result.map_err(|error: std::io::Error| {
        drop(fs::remove_file(&temporary));
        if error.kind() == ErrorKind::AlreadyExists {
            return Error::conflict(format!("the file {} exists already", path.display()));
        }
        unwritable(path, error)
    })
}

/// Makes the removal of an entry beside `path` last.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| unwritable(folder, error))
}

pub(super) fn fresh_id() -> Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|cause| Error::internal("asking the system for random bytes", cause))?;
    Ok(hex::encode(bytes))
}

pub(super) fn unwritable(path: &Path, error: std::io::Error) -> Error {
    Error::invalid(format!("{} cannot be written: {}", path.display(), error.kind()))
        .with_cause(error)
        .with_hint("check the folder's permissions and the free space")
}

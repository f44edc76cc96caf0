//! One file written so that a reader and a crash see the old text or the new one.
//!
//! The text is written beside the file, synced, and put in its place in one step. What this is not: a lock. Of two writers
//! the later one stays, or, with [`Replace::Refused`], the earlier one.

use station_core::{Error, Kind};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// The mode of a file that is for its owner alone.
const OWNER: u32 = 0o600;

/// The mode of any other file: the user's umask takes from it.
const EVERYBODY: u32 = 0o666;

/// Whether an existing file may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// It may.
    Allowed,
    /// It stays, and `AlreadyExists` is the answer.
    Refused,
}

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Its owner alone, from its first byte on, whoever could read the file before.
    Owner,
    /// Who could read the file before; where there was none, its owner alone.
    AsBefore,
    /// Who could read the file before; where there was none, the user's umask decides.
    AsBeforeOrUmask,
}

/// Writes `text` to `path`, whose folder is there.
///
/// # Errors
/// The system's, and `AlreadyExists` where the file is there and may not be replaced. The file is as it was then.
pub fn write_file(path: &Path, text: &str, readers: Readers, replace: Replace) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("file");
    let temporary = folder.join(format!(".{name}.{}", fresh_id()?));
    let was = match (readers, replace) {
        (Readers::Owner, _) | (_, Replace::Refused) => None,
        _ => fs::metadata(path).ok().map(|was| was.permissions()),
    };
    let mode = if readers == Readers::AsBeforeOrUmask { EVERYBODY } else { OWNER };
    let put = write_beside(&temporary, text, mode, was).and_then(|()| match replace {
        Replace::Allowed => fs::rename(&temporary, path),
        Replace::Refused => fs::hard_link(&temporary, path).and_then(|()| fs::remove_file(&temporary)),
    });
    put.and_then(|()| sync_folder(folder)).inspect_err(|_| {
        // The first failure is the one to tell.
        drop(fs::remove_file(&temporary));
    })
}

/// What is said where a file cannot be written. A disk that has no room has some later, and no request is wrong because of it.
pub(crate) fn refused(path: &Path, cause: io::Error) -> Error {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    let kind = if matches!(cause.kind(), StorageFull | QuotaExceeded) { Kind::Busy } else { Kind::Invalid };
    Error::new(kind, format!("{} cannot be written: {}", path.display(), cause.kind())).with_cause(cause)
}

fn write_beside(path: &Path, text: &str, mode: u32, was: Option<Permissions>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    if let Some(was) = was {
        // Who may read it was decided by whoever made it, or changed its mode since.
        file.set_permissions(Permissions::from_mode(was.mode() & 0o777))?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Makes what was put into `folder`, or removed from it, last.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Sixteen hex digits that nobody has drawn before.
pub(crate) fn fresh_id() -> io::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(io::Error::from)?;
    Ok(hex::encode(bytes))
}

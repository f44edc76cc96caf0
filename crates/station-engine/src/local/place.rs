//! Where the socket lies: a folder of ours alone, and a name by the store.

use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

/// The socket's name for the database at `path`. The file itself counts as well as its path: another file that is put
/// in its place is another store.
pub(super) fn socket_name(path: &Path) -> io::Result<String> {
    let path = path.canonicalize()?;
    let file = fs::metadata(&path)?;
    let identity = format!("{}\0{}\0{}", path.display(), file.dev(), file.ino());
    let hash = Sha256::digest(identity.as_bytes());
    Ok(format!("{}.sock", hex::encode(&hash[..8])))
}

/// Makes `folder` for its owner alone, where it is not there, and checks it.
///
/// # Errors
/// Why it cannot be used, in words.
pub(super) fn make(folder: &Path) -> Result<(), String> {
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => {
            Err(format!("{} cannot be made: {}", folder.display(), cause.kind()))
        }
        _ => check(folder),
    }
}

/// Whether `folder` may be trusted: who may write into it could put another socket in the place of ours.
///
/// # Errors
/// Why not, in words.
pub(super) fn check(folder: &Path) -> Result<(), String> {
    let told = |why: &str| format!("{} {why}", folder.display());
    let found = fs::symlink_metadata(folder).map_err(|cause| told(&format!("cannot be used: {cause}")))?;
    judge(found.mode(), found.uid(), our_uid()).map_err(told)
}

fn judge(mode: u32, owner: u32, ours: u32) -> Result<(), &'static str> {
    const KIND: u32 = 0o170_000;
    const FOLDER: u32 = 0o040_000;
    if mode & KIND != FOLDER {
        Err("is no folder")
    } else if owner != ours {
        Err("belongs to somebody else")
    } else if mode & 0o077 != 0 {
        Err("is open to others: it must have mode 0700")
    } else {
        Ok(())
    }
}

/// Whether the process at the other end of a connection belongs to the same user.
pub(super) fn is_ours(peer: &io::Result<tokio::net::unix::UCred>) -> bool {
    peer.as_ref().is_ok_and(|peer| may_speak(peer.uid(), our_uid()))
}

fn may_speak(peer: u32, ours: u32) -> bool {
    peer == ours
}

fn our_uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

/// Nobody else looks at or changes the sockets of a folder while it is held; `None` where somebody else has it.
pub(super) fn lock(folder: &Path) -> io::Result<Option<Flock<File>>> {
    match Flock::lock(File::open(folder)?, FlockArg::LockExclusiveNonblock) {
        Ok(held) => Ok(Some(held)),
        Err((_, nix::errno::Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, errno)) => Err(errno.into()),
    }
}

/// Takes away the socket at `path`, if it is the one with this number.
pub(super) fn remove(path: &PathBuf, number: u64) {
    if fs::symlink_metadata(path).is_ok_and(|found| found.ino() == number) {
        // What is left of it is taken away by the next worker.
        fs::remove_file(path).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_folder_is_trusted_only_where_nobody_else_writes() {
        for (mode, owner, expected) in [
            (0o040_700, 1000, Ok(())),
            (0o040_700, 0, Err("belongs to somebody else")),
            (0o040_750, 1000, Err("is open to others: it must have mode 0700")),
            (0o041_777, 1000, Err("is open to others: it must have mode 0700")),
            (0o120_700, 1000, Err("is no folder")),
            (0o100_600, 1000, Err("is no folder")),
        ] {
            assert_eq!(judge(mode, owner, 1000), expected, "{mode:o} of {owner}");
        }
    }

    #[test]
    fn only_the_same_user_may_speak() {
        assert!(may_speak(1000, 1000));
        assert!(!may_speak(0, 1000));
        assert!(!may_speak(1001, 1000));
    }

    #[test]
    fn a_folder_is_made_for_its_owner_and_a_link_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("station");
        assert_eq!(make(&folder), Ok(()));
        assert_eq!(make(&folder), Ok(()), "it is there");
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);
        symlink(&folder, home.path().join("link")).unwrap();
        assert!(make(&home.path().join("link")).unwrap_err().ends_with("is no folder"));
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(make(&folder).unwrap_err().contains("is open to others"));
        assert!(make(&home.path().join("no/station")).unwrap_err().contains("cannot be made"));
    }

    #[test]
    fn a_store_has_one_name_by_any_path_and_another_file_another() {
        let home = tempfile::tempdir().unwrap();
        let (one, two) = (home.path().join("one.db"), home.path().join("two.db"));
        fs::write(&one, "").unwrap();
        symlink(&one, home.path().join("link.db")).unwrap();
        let name = socket_name(&one).unwrap();
        assert_eq!(name.len(), 16 + ".sock".len());
        assert_eq!(socket_name(&home.path().join("link.db")).unwrap(), name);
        fs::write(&two, "").unwrap();
        fs::rename(&two, &one).unwrap();
        assert_ne!(socket_name(&one).unwrap(), name);
    }
}

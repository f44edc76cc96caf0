//! Notices that an SQLite file is written, by whichever process, without looking at it: the kernel says so.
//!
//! Every commit is written to the log beside the file (`-wal`), and all who share that log are on one machine, because they
//! share memory as well; so the kernel of this machine sees each of them (inotify(7)). The folder is watched and not the
//! log itself, which the last one to leave removes. **What it does not say:** that there was a commit. The log is written
//! before the commit can be read, so whoever hears this asks the database under its lock for writers.

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd, RawFd};
use std::path::Path;
use tokio::io::unix::AsyncFd;

/// What is written beside one database.
pub(crate) struct Written {
    told: AsyncFd<Kernel>,
    log: OsString,
}

/// The kernel's end, as tokio wants it.
struct Kernel(Inotify);

impl AsRawFd for Kernel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Written {
    /// Hears of what is written to `database` from now on.
    ///
    /// # Errors
    /// Where the kernel has no more to give (fs.inotify.max_user_instances), or does not watch this file system.
    pub(crate) fn watch(database: &Path) -> io::Result<Self> {
        // SQLite follows links too, so that the log is beside the file itself.
        let database = database.canonicalize()?;
        let (Some(folder), Some(name)) = (database.parent(), database.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let mut log = name.to_owned();
        log.push("-wal");
        let kernel = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        kernel.add_watch(folder, AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_ONLYDIR)?;
        #[expect(
            deprecated,
            reason = "what took its place is unsafe: this is sound where, as here, the descriptor is owned by what is given"
        )]
        let told = AsyncFd::new(Kernel(kernel))?;
        Ok(Self { told, log })
    }

    /// Resolves when something was written since the last call. Safe to be dropped and called anew.
    ///
    /// # Errors
    /// Where nothing will be heard any more: the folder is gone.
    pub(crate) async fn next(&self) -> io::Result<()> {
        loop {
            let mut ready = self.told.readable().await?;
            let Ok(events) = ready.try_io(|kernel| Ok(kernel.get_ref().0.read_events()?)) else { continue };
            for event in events? {
                if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                    return Err(io::ErrorKind::NotFound.into());
                }
                if self.is_ours(&event) {
                    return Ok(());
                }
            }
        }
    }

    fn is_ours(&self, event: &InotifyEvent) -> bool {
        // More happened than the kernel kept.
        event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) || event.name.as_ref() == Some(&self.log)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    /// Far above what it takes.
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

    #[tokio::test]
    async fn what_is_written_to_the_log_is_heard_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| std::fs::write(folder.path().join(name), name).unwrap();
        write("other.db");
        std::os::unix::fs::symlink(folder.path().join("other.db"), folder.path().join("station.db")).unwrap();
        let written = Written::watch(&folder.path().join("station.db")).unwrap();
        // The log comes and goes with those who have the file open.
        for _ in 0..2 {
            for unheard in ["other.db", "config.yaml", "station.db-wal"] {
                write(unheard);
                tokio::task::yield_now().await;
                assert!(written.next().now_or_never().is_none(), "{unheard}");
            }
            write("other.db-wal");
            tokio::time::timeout(PATIENCE, written.next()).await.expect("it is heard").unwrap();
            std::fs::remove_file(folder.path().join("other.db-wal")).unwrap();
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_gone_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("station.db");
        std::fs::write(&database, "").unwrap();
        let written = Written::watch(&database).unwrap();
        drop(folder);
        let heard = tokio::time::timeout(PATIENCE, written.next()).await.expect("it is said");
        assert!(heard.is_err());
    }
}

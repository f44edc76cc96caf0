//! One process at a time changes what lies in the configuration folder itself: config.yaml, the key, and whose the
//! database's file is.
//!
//! Without it two first commands at once make two keys, of which one opens nothing, or write config.yaml over each
//! other. It is held while the file is looked at and changed, and never while a store is open. It ends with the
//! process. **Invariant:** nobody who holds it takes it again: that would wait for ever.

use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::path::Path;

/// The lock, held until it is dropped.
#[derive(Debug)]
#[must_use = "it is held only as long as it is kept"]
pub struct FolderLock {
    _held: Option<Flock<File>>,
}

impl FolderLock {
    /// Waits until nobody else changes what lies in `folder`. Where a folder cannot be locked, as on some network
    /// file systems, changes go on without.
    pub fn wait(folder: &Path) -> Self {
        let file = File::open(folder).ok();
        Self { _held: file.and_then(|file| Flock::lock(file, FlockArg::LockExclusive).ok()) }
    }
}

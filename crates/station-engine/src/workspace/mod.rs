//! The folder where people keep agents and servers as files: reading an environment whole, writing one file safely.
//!
//! **Invariant:** a file is replaced by rename after fsync, so a reader and a crash see the old text or the new one.
//! A missing environment folder is an error, never "everything was removed", and a file that cannot be read is a
//! problem of that file, never its removal.

mod change;
mod folder;
mod write;

pub use folder::Workspace;

pub(crate) use change::Replaced;
pub(crate) use folder::FolderRead;

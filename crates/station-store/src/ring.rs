//! The keys that a store may be opened with: the one in use and, while the key is rotated, the next.
//!
//! A rotation reaches a store before it reaches everybody who has it open, so a ring also names files in which a key may
//! appear meanwhile: whoever meets a value under a key that it does not know looks there, once more, before it gives up.

use crate::Key;
use std::path::PathBuf;

/// The key in use, others that may be needed beside it, and where more may appear.
#[derive(Clone, Debug)]
pub struct KeyRing {
    current: Key,
    more: Vec<Key>,
    files: Vec<PathBuf>,
}

impl KeyRing {
    /// A ring of one key.
    #[must_use]
    pub fn new(current: Key) -> Self {
        Self { current, more: Vec::new(), files: Vec::new() }
    }

    /// With another key beside it.
    #[must_use]
    pub fn with(mut self, key: Key) -> Self {
        if self.keys().all(|it| it.id() != key.id()) {
            self.more.push(key);
        }
        self
    }

    /// With files that are read when a key is missing.
    #[must_use]
    pub fn with_files(self, files: Vec<PathBuf>) -> Self {
        Self { files, ..self }
    }

    /// The key in use, as it is configured.
    #[must_use]
    pub fn current(&self) -> &Key {
        &self.current
    }

    /// All of them, the one in use first.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.more)
    }

    /// The keys that are in the files now. One that is not there, or is being written, is none.
    pub(crate) fn read_files(&self) -> Vec<Key> {
        let texts = self.files.iter().filter_map(|path| std::fs::read_to_string(path).ok());
        texts.filter_map(|text| Key::from_hex(&text).ok()).collect()
    }
}

impl From<Key> for KeyRing {
    fn from(key: Key) -> Self {
        Self::new(key)
    }
}

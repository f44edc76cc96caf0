//! Sealing under the key that the store names, and opening under any that is known.
//!
//! A store names one key, and what is sealed is sealed under that one. While it is rotated, values under the old one are
//! there as well: each says which, so both open. Who has the store open may meet a key that it was not given; it looks
//! into the files of its ring then. **Invariant:** on PostgreSQL whoever seals reads the name of the key under a share
//! lock of its row, held until COMMIT: once the name has changed, nothing more is sealed under the old key, and one pass
//! over the rows finds all that was.

use crate::Key;
use crate::db::{Conn, unreadable};
use crate::key::KeyId;
use crate::ring::KeyRing;
use crate::seal::{Place, Seal, key_of};
use station_core::{Error, Result, Secret};
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

/// Seals and opens for one open store.
pub(crate) struct Sealer {
    ring: KeyRing,
    known: RwLock<Known>,
}

/// What is known of the keys.
struct Known {
    seals: Vec<Arc<Seal>>,
    /// The one that the store named last.
    current: Arc<Seal>,
}

impl Sealer {
    pub(crate) fn new(ring: KeyRing) -> Self {
        let seals: Vec<Arc<Seal>> = ring.keys().map(|key| Arc::new(Seal::new(key))).collect();
        let current = Arc::clone(seals.first().expect("a ring has a key"));
        Self { ring, known: RwLock::new(Known { seals, current }) }
    }

    /// The keys it was given, and those in the files now.
    pub(crate) fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// Opens what was sealed, under whichever key.
    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Secret> {
        let named = key_of(sealed).and_then(|id| self.find(id));
        // One that names no key, or an unknown one, says so when the current key is tried.
        named.unwrap_or_else(|| self.current()).open(place, sealed)
    }

    /// Whether what was sealed is under a key that is known.
    pub(crate) fn knows_key_of(&self, sealed: &[u8]) -> bool {
        key_of(sealed).is_some_and(|id| self.find(id).is_some())
    }

    /// Whether the key of this id is known.
    pub(crate) fn knows(&self, id: &str) -> bool {
        id_of(id).is_some_and(|id| self.find(id).is_some())
    }

    /// Seals under the key that the store names, as a part of the transaction of `conn`.
    pub(crate) async fn seal(&self, conn: &mut Conn, place: Place<'_>, secret: &Secret) -> Result<Vec<u8>> {
        self.named(conn).await?.seal(place, secret)
    }

    /// The seal of the key that the store names, which stays so until the transaction of `conn` ends.
    pub(crate) async fn named(&self, conn: &mut Conn) -> Result<Arc<Seal>> {
        const SQL: &str = "select key_id from store where id = 1 for share";
        // On SQLite nobody rotates the key of a store that is open.
        if conn.is_sqlite() {
            return Ok(self.current());
        }
        let row = conn.row(SQL, Vec::new()).await?;
        let id = row.ok_or_else(|| unreadable("a store that names no key"))?.text()?;
        self.use_key(&id)
    }

    /// Seals under the key that the store named last: what stands in no row, and is opened by its own key's name.
    pub(crate) fn seal_now(&self, place: Place<'_>, secret: &Secret) -> Result<Vec<u8>> {
        self.current().seal(place, secret)
    }

    /// Seals under the key of what is replaced, whose row is locked; where that has none, as [`Self::seal_now`].
    pub(crate) fn seal_like(&self, replaced: &[u8], place: Place<'_>, secret: &Secret) -> Result<Vec<u8>> {
        let named = key_of(replaced).and_then(|id| self.find(id));
        named.unwrap_or_else(|| self.current()).seal(place, secret)
    }

    /// The ids of all keys that are here, those in the files now among them.
    pub(crate) fn ids(&self) -> String {
        let files = self.ring.read_files();
        let ids: BTreeSet<String> = self.ring.keys().chain(&files).map(Key::id).collect();
        ids.into_iter().collect::<Vec<_>>().join(" ")
    }

    /// Takes the key of this id from now on.
    ///
    /// # Errors
    /// `Invalid` where it is not known: nothing may be sealed then.
    pub(crate) fn use_key(&self, id: &str) -> Result<Arc<Seal>> {
        let seal = id_of(id).and_then(|id| self.find(id)).ok_or_else(|| unknown_key(id))?;
        let is_new = self.current().key_id() != seal.key_id();
        if is_new {
            self.known.write().unwrap_or_else(PoisonError::into_inner).current = Arc::clone(&seal);
        }
        Ok(seal)
    }

    fn current(&self) -> Arc<Seal> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner).current)
    }

    /// The seal of a key's id; where it is not known, the files are asked.
    fn find(&self, id: KeyId) -> Option<Arc<Seal>> {
        let known = |seals: &[Arc<Seal>]| seals.iter().find(|seal| seal.key_id() == id).map(Arc::clone);
        if let Some(seal) = known(&self.known.read().unwrap_or_else(PoisonError::into_inner).seals) {
            return Some(seal);
        }
        let key = self.ring.read_files().into_iter().find(|key| key.id_bytes() == id)?;
        tracing::info!(key = key.id(), "a key that was not known is in a key file now");
        let seal = Arc::new(Seal::new(&key));
        self.known.write().unwrap_or_else(PoisonError::into_inner).seals.push(Arc::clone(&seal));
        Some(seal)
    }
}

fn id_of(text: &str) -> Option<KeyId> {
    let mut id = KeyId::default();
    hex::decode_to_slice(text, &mut id).ok().map(|()| id)
}

/// The refusal where the store names a key that is not here.
pub(crate) fn unknown_key(id: &str) -> Error {
    Error::invalid(format!("the store is sealed under key `{id}`, which this Station does not have"))
        .with_hint("the key was rotated: put the new one into `station.key.next` beside `station.key`, and keep the old one until `stn key rotate` has ended")
        .with_hint("`stn key status` shows which keys are here")
}

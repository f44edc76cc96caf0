//! The rotation of the master key: a new one for the store and for every sealed value, and nothing left under the old one.
//!
//! The next key is on the disk, in a file beside the key file, before anything is sealed under it, and stays there until
//! the store has forgotten the old one; then it takes the key file's place. So at each moment the two files together
//! open the store, and what was cut off is gone on with by rotating again, or by whoever opens the store next
//! ([`Keys::settle`]). A key of the environment or of config.yaml is not ours to change: the next key's file stays beside
//! it then, and the store opens with both, until that was done. What this is not: it makes no copy of the old key.

use crate::instances::{GONE_AFTER, SEEN_EVERY};
use crate::keys::open;
use crate::{FolderLock, KeyPlace, Keys, Replace};
use serde_json::json;
use station_core::{Action, Caller, Error, Micros, Result};
use station_store::{Deed, Exclusive, Key, KeyNames, KeyRing, Location, Resealed, Store, is_there};
use std::time::{Duration, Instant};

/// How long workers may take to find the next key: each looks whenever it says that it is there.
pub const WORKERS_WITHIN: Duration = SEEN_EVERY.saturating_mul(2);

/// What is waited between two looks at them.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// A key that was rotated.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// The id of the key before.
    pub was: String,
    /// The id of the key now.
    pub id: String,
    /// What became of the sealed values.
    pub resealed: Resealed,
    /// Where the key is that is still the old one, and where the new one is until it was put there; `None` where the key
    /// file has the new one.
    pub to_change: Option<(KeyPlace, KeyPlace)>,
}

/// The keys of one rotation.
struct Turn {
    old: Key,
    place: KeyPlace,
    next: Key,
    next_place: KeyPlace,
}

impl Turn {
    fn deed(&self, by: &Caller, now: Micros) -> Deed {
        let detail = json!({ "from": self.old.id(), "to": self.next.id() }).to_string();
        let subject = format!("key {}", self.next.id());
        Deed { at: now, actor: by.actor(), action: "rotate_key", subject, detail }
    }
}

impl Keys {
    /// Gives the store another key: `given`, or the next one that is there already, or, where the key is in its file, one
    /// that is made. Goes on with a rotation that was cut off. On PostgreSQL workers may be at work: they have to find the
    /// next key within `within`.
    ///
    /// # Errors
    /// `Forbidden` where the caller is no administrator; `Invalid` where a key is missing or given twice; `Busy` where an
    /// SQLite store is open elsewhere; `Conflict` where a worker has not found the next key: nothing is changed then.
    pub async fn rotate(
        &self,
        by: &Caller,
        location: &Location,
        given: Option<Key>,
        (now, within): (Micros, Duration),
    ) -> Result<Rotated> {
        by.may(Action::RotateKey)?;
        let _lock = FolderLock::wait(&self.folder);
        let Some((old, place)) = self.find()? else {
            return Err(Error::invalid("there is no key to rotate").with_hint("`stn key status` says more"));
        };
        if !is_there(location).await? {
            return Err(Error::invalid("there is no database yet whose key could be rotated")
                .with_hint("before there is one, another key is simply put in its place"));
        }
        let (next, next_place) = self.next_of(&old, &place, given)?;
        let turn = Turn { old, place, next, next_place };
        let ring = self.ring(turn.old.clone())?.with(turn.next.clone());
        // Brings its schema up to date, and has sentences for whatever is wrong.
        let store = open(ring.clone(), location).await?;
        let resealed = match location {
            Location::Sqlite(path) => {
                store.close().await;
                let mut alone = Exclusive::open(path, &ring).await?;
                let done = self.rotate_alone(&mut alone, &turn, &turn.deed(by, now)).await;
                alone.close().await;
                done?
            }
            Location::Postgres(_) => {
                let done = self.rotate_beside(&store, &turn, (turn.deed(by, now), within)).await;
                store.close().await;
                done?
            }
        };
        self.put_in_place(&turn.place, &turn.next)?;
        let is_ours = matches!(turn.place, KeyPlace::File(_));
        let to_change = (!is_ours).then(|| (turn.place.clone(), turn.next_place.clone()));
        Ok(Rotated { was: turn.old.id(), id: turn.next.id(), resealed, to_change })
    }

    /// Ends a rotation that was cut off, where that needs nobody's word: the store names the next key already. Where the
    /// next key is the configured one by now, its file is not needed any more. What cannot be done now, because somebody
    /// has the store open or it does not open at all, is left: it opens with both keys, or says itself why not.
    ///
    /// # Errors
    /// Where a key is there that cannot be read, or a key file cannot be written.
    pub async fn settle(&self, location: &Location) -> Result<()> {
        if self.find_next()?.is_none() {
            return Ok(());
        }
        let _lock = FolderLock::wait(&self.folder);
        // Another process may have done it while this one waited.
        let (Some((next, _)), Some((key, place))) = (self.find_next()?, self.find()?) else { return Ok(()) };
        if next.id() == key.id() {
            // Where a rotation to it was cut off, the rest is sealed under a key that only its operator has now.
            let is_cut_off = match location {
                Location::Postgres(_) => {
                    names_of(KeyRing::new(key), location).await.is_some_and(|names| names.old.is_some())
                }
                Location::Sqlite(_) => false,
            };
            return if is_cut_off { Ok(()) } else { self.forget_next() };
        }
        let ring = KeyRing::new(key).with(next.clone());
        let is_done = match location {
            _ if !is_there(location).await.unwrap_or(false) => false,
            Location::Sqlite(path) => match Exclusive::open(path, &ring).await {
                Ok(alone) => end_alone(alone, &next).await?,
                Err(_) => false,
            },
            Location::Postgres(_) => names_of(ring, location)
                .await
                .is_some_and(|names| names.key == next.id() && names.old.is_none()),
        };
        if is_done {
            self.put_in_place(&place, &next)?;
        }
        Ok(())
    }

    /// The next key: the one that is there, the one given, or a new one.
    fn next_of(&self, old: &Key, place: &KeyPlace, given: Option<Key>) -> Result<(Key, KeyPlace)> {
        let there = self.find_next()?.filter(|(next, _)| next.id() != old.id());
        if let (Some((next, at)), Some(given)) = (&there, &given)
            && next.id() != given.id()
        {
            return Err(Error::conflict(format!(
                "another next key is there already: {}, in {at}",
                next.id()
            ))
            .with_hint("`stn key rotate` without a key goes on with that one")
            .with_hint("if the store was never rotated to it, take it away first"));
        }
        if let Some(there) = there {
            return Ok(there);
        }
        let next = match given {
            Some(given) if given.id() == old.id() => {
                return Err(Error::invalid(format!("key {} is the one in use", old.id()))
                    .with_hint("`openssl rand -hex 32` makes a new one"));
            }
            Some(given) => given,
            None if matches!(place, KeyPlace::File(_)) => Key::generate()?,
            None => {
                return Err(Error::invalid(format!(
                    "the new key has to be given: the old one is in {place}"
                ))
                .with_hint(
                    "`openssl rand -hex 32 > FILE` makes one, `stn key rotate --from-file FILE` takes it",
                ));
            }
        };
        Ok((next, KeyPlace::File(self.next_path())))
    }

    /// Puts the next key on the disk, where everybody finds it who needs it from now on.
    fn keep_next(&self, turn: &Turn) -> Result<()> {
        match &turn.next_place {
            KeyPlace::File(path) => self.write(path, &turn.next, Replace::Allowed),
            KeyPlace::Environment(_) | KeyPlace::Config => Ok(()),
        }
    }

    async fn rotate_alone(&self, alone: &mut Exclusive, turn: &Turn, deed: &Deed) -> Result<Resealed> {
        self.keep_next(turn)?;
        let done = alone.reseal(&turn.next, deed).await?;
        if alone.file_key() != turn.next.id() {
            alone.rekey(&turn.next).await?;
        }
        Ok(done)
    }

    async fn rotate_beside(
        &self,
        store: &Store,
        turn: &Turn,
        (deed, within): (Deed, Duration),
    ) -> Result<Resealed> {
        self.keep_next(turn)?;
        if store.key_names().await?.key != turn.next.id() {
            self.wait_for_workers(store, &turn.next.id(), within).await?;
        }
        store.begin_rotation(&turn.next.id(), deed).await?;
        store.end_rotation().await
    }

    /// Waits until every worker has the key of this id: one that has not could seal nothing from then on.
    async fn wait_for_workers(&self, store: &Store, id: &str, within: Duration) -> Result<()> {
        let since = Instant::now();
        loop {
            let without = store.workers_without_key(id, crate::lease::millis(GONE_AFTER)).await?;
            if without.is_empty() {
                return Ok(());
            }
            if since.elapsed() >= within {
                let path = self.next_path();
                return Err(Error::conflict(format!(
                    "the next key {id} is not known to {}",
                    without.join(", ")
                ))
                .with_hint(format!(
                    "copy {} into the configuration folder of each (0600), and `stn key rotate` again",
                    path.display()
                ))
                .with_hint("or start them with STATION_ENCRYPTION_KEY_NEXT; nothing was rotated yet"));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The next key takes the place of the old one, where that is the key file.
    fn put_in_place(&self, place: &KeyPlace, next: &Key) -> Result<()> {
        let KeyPlace::File(old) = place else { return Ok(()) };
        // Written anew rather than renamed: the next key may have come by the environment.
        self.write(old, next, Replace::Allowed)?;
        self.forget_next()
    }

    fn forget_next(&self) -> Result<()> {
        let path = self.next_path();
        match std::fs::remove_file(&path) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                let sentence = format!("the file {} cannot be removed: {}", path.display(), cause.kind());
                Err(Error::conflict(sentence)
                    .with_cause(cause)
                    .with_hint("the key in it is the one in use: remove it yourself"))
            }
            _ => Ok(()),
        }
    }
}

/// The keys that the store names; `None` where it does not open, which whoever works on it is told.
async fn names_of(ring: KeyRing, location: &Location) -> Option<KeyNames> {
    let store = open(ring, location).await.ok()?;
    let names = store.key_names().await;
    store.close().await;
    names.ok()
}

/// Ends a rotation of an SQLite store that nobody has open; whether there was one and nothing of it is left to do.
async fn end_alone(mut alone: Exclusive, next: &Key) -> Result<bool> {
    let names = alone.key_names().await?;
    let is_begun = names.key == next.id();
    let done = match is_begun && alone.file_key() != next.id() {
        true => alone.rekey(next).await,
        false => Ok(()),
    };
    alone.close().await;
    done.map(|()| is_begun)
}

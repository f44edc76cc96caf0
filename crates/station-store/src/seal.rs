//! Sealing: single values encrypted before they reach a row, on both engines.
//!
//! SQLCipher hides a stolen file; sealing hides a value from whoever can read the rows: a PostgreSQL administrator, a
//! dump, a replica. A sealed value is bound to its table, column and row, so one that was moved elsewhere does not
//! open. It is not a protection against someone who holds the key.

use crate::key::{KEY_ID_BYTES, Key, KeyId};
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use station_core::{Error, Kind, Result, Secret};

/// The layout of a sealed value: version, key id, nonce, ciphertext with its tag.
const VERSION: u8 = 1;

/// AES-GCM's nonce. Random ones are safe for 2^32 values under one key, far above what one store seals.
const NONCE_BYTES: usize = 12;

const HEAD_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// Where a sealed value lives. It does not open anywhere else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) table: &'static str,
    pub(crate) column: &'static str,
    /// What identifies the row, in parts.
    pub(crate) row: &'a [&'a str],
}

/// Seals and opens under one key.
pub(crate) struct Seal {
    cipher: Aes256Gcm,
    key_id: KeyId,
}

impl Seal {
    pub(crate) fn new(key: &Key) -> Self {
        let derived = key.derive(b"station/seal");
        let cipher = Aes256Gcm::new_from_slice(derived.as_ref()).expect("a derived key has 32 bytes");
        Self { cipher, key_id: key.id_bytes() }
    }

    pub(crate) fn key_id(&self) -> KeyId {
        self.key_id
    }

    pub(crate) fn seal(&self, place: Place<'_>, secret: &Secret) -> Result<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|cause| Error::internal("sealing a secret", cause))?;
        let aad = self.aad(place);
        let body = self
            .cipher
            .encrypt(&Nonce::from(nonce), Payload { msg: secret.expose().as_bytes(), aad: &aad })
            .map_err(|_| Error::internal("sealing a secret", "the value is too long for AES-GCM"))?;
        Ok([&[VERSION][..], &self.key_id, &nonce, &body].concat())
    }

    pub(crate) fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Secret> {
        let (Some(head), Some(body)) = (sealed.get(..HEAD_BYTES), sealed.get(HEAD_BYTES..)) else {
            return Err(broken(place, "it is too short"));
        };
        if head[0] != VERSION {
            return Err(broken(place, "a newer Station sealed it"));
        }
        if head[1..=KEY_ID_BYTES] != self.key_id {
            return Err(broken(place, "it was sealed under another key"));
        }
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&head[1 + KEY_ID_BYTES..]);
        let aad = self.aad(place);
        let plain = self
            .cipher
            .decrypt(&Nonce::from(nonce), Payload { msg: body, aad: &aad })
            .map_err(|_| broken(place, "it was changed, or moved here from another place"))?;
        let text = String::from_utf8(plain).map_err(|_| broken(place, "it is not a text"))?;
        Ok(Secret::new(text))
    }

    /// What a value is bound to, each part with its length, so that no two places can run together.
    fn aad(&self, place: Place<'_>) -> Vec<u8> {
        let mut aad = vec![VERSION];
        aad.extend_from_slice(&self.key_id);
        for part in [place.table, place.column].iter().chain(place.row) {
            aad.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            aad.extend_from_slice(part.as_bytes());
        }
        aad
    }
}

/// Which key a value is sealed under, by its head; `None` where it has none that this version reads.
pub(crate) fn key_of(sealed: &[u8]) -> Option<KeyId> {
    let (version, rest) = sealed.split_first()?;
    (*version == VERSION).then(|| rest.first_chunk().copied()).flatten()
}

fn broken(place: Place<'_>, why: &str) -> Error {
    Error::new(Kind::Conflict, format!("a sealed value of `{}` cannot be opened: {why}", place.table))
        .with_hint("use the key with which it was stored, or set the value again")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place<'static> = Place { table: "variables", column: "value", row: &["1", "TOKEN"] };

    #[test]
    fn a_value_opens_where_it_was_sealed_and_nowhere_else() {
        let key = Key::generate().unwrap();
        let sealer = Seal::new(&key);
        let secret = Secret::new("hunter2 ✓");
        let sealed = sealer.seal(HERE, &secret).unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        assert_ne!(sealed, sealer.seal(HERE, &secret).unwrap(), "a nonce was used twice");
        assert_eq!(sealer.open(HERE, &sealed).unwrap(), secret);

        for elsewhere in [
            Place { table: "mcp_configs", ..HERE },
            Place { column: "source", ..HERE },
            Place { row: &["2", "TOKEN"], ..HERE },
            Place { row: &["1T", "OKEN"], ..HERE },
        ] {
            let sentence = sealer.open(elsewhere, &sealed).unwrap_err().to_string();
            assert!(sentence.ends_with("it was changed, or moved here from another place"), "{sentence}");
        }
    }

    #[test]
    fn a_broken_value_says_why_and_shows_nothing() {
        let sealer = Seal::new(&Key::generate().unwrap());
        let sealed = sealer.seal(HERE, &Secret::new("hunter2")).unwrap();
        let flipped = |at: usize| {
            let mut bytes = sealed.clone();
            bytes[at] ^= 1;
            bytes
        };
        for (bytes, why) in [
            (sealed[..10].to_vec(), "it is too short"),
            (flipped(0), "a newer Station sealed it"),
            (flipped(1), "it was sealed under another key"),
            (flipped(HEAD_BYTES - 1), "it was changed, or moved here from another place"),
            (flipped(sealed.len() - 1), "it was changed, or moved here from another place"),
        ] {
            let sentence = sealer.open(HERE, &bytes).unwrap_err().to_string();
            assert!(sentence.ends_with(why), "{sentence}");
        }
    }
}

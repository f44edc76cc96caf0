//! The one master key of a store.
//!
//! Everything that is encrypted is encrypted under a key derived from it, one per purpose, so that the key of the
//! database opens no sealed value and the other way round. **Invariant:** no text of ours ever shows a key: `Debug`
//! shows its id alone, and a sentence about a broken one says what was wrong without quoting it.

use hkdf::Hkdf;
use sha2::Sha256;
use station_core::{Error, Kind, Result, Secret};
use std::fmt;
use zeroize::Zeroizing;

/// AES-256 and SQLCipher's raw keys are this long.
const KEY_BYTES: usize = 32;

/// Bytes of a key's id: enough to tell the few keys of one owner apart, too few to help a guesser.
pub(crate) const KEY_ID_BYTES: usize = 4;

/// A key's id, as it stands in what is sealed under it.
pub(crate) type KeyId = [u8; KEY_ID_BYTES];

/// A 32-byte master key; wiped from memory on drop.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; KEY_BYTES]>);

impl Key {
    /// Makes a new key from the operating system's generator.
    ///
    /// # Errors
    /// `Internal` where the system gives no random bytes.
    pub fn generate() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut()).map_err(|cause| Error::internal("making a key", cause))?;
        Ok(Self(bytes))
    }

    /// Reads a key from exactly 64 hex digits; white space around them is dropped.
    ///
    /// # Errors
    /// `Invalid`, saying what was wrong without showing any of it.
    pub fn from_hex(text: &str) -> Result<Self> {
        let text = text.trim();
        let wrong = if text.is_empty() {
            "it is empty".to_owned()
        } else if let Some(at) = text.chars().position(|c| !c.is_ascii_hexdigit()) {
            format!("character {} is not a hex digit", at + 1)
        } else if text.len() != 2 * KEY_BYTES {
            format!("it has {} hex digits instead of {}", text.len(), 2 * KEY_BYTES)
        } else {
            let mut bytes = Zeroizing::new([0; KEY_BYTES]);
            hex::decode_to_slice(text, bytes.as_mut())
                .map_err(|cause| Error::internal("reading the encryption key", cause))?;
            return Ok(Self(bytes));
        };
        Err(Error::new(Kind::Invalid, format!("the encryption key cannot be read: {wrong}"))
            .with_hint("a key is 64 hex digits; `stn key generate` makes one"))
    }

    /// The 64 hex digits, for the key file.
    #[must_use]
    pub fn to_hex(&self) -> Secret {
        Secret::new(hex::encode(self.0.as_ref()))
    }

    /// A short name of this key that may be shown: derived, so it tells nothing of the key.
    #[must_use]
    pub fn id(&self) -> String {
        hex::encode(self.id_bytes())
    }

    pub(crate) fn id_bytes(&self) -> KeyId {
        let mut id = [0; KEY_ID_BYTES];
        self.derive_into(b"station/key-id", &mut id);
        id
    }

    /// The key for one purpose.
    pub(crate) fn derive(&self, purpose: &[u8]) -> Zeroizing<[u8; KEY_BYTES]> {
        let mut derived = Zeroizing::new([0; KEY_BYTES]);
        self.derive_into(purpose, derived.as_mut());
        derived
    }

    fn derive_into(&self, purpose: &[u8], out: &mut [u8]) {
        Hkdf::<Sha256>::new(None, self.0.as_ref())
            .expand(purpose, out)
            .expect("HKDF-SHA256 gives up to 8160 bytes and at most 32 are asked for");
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}…)", self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_64_hex_digits_and_a_broken_one_is_not_shown() {
        let good = "00ff".repeat(16);
        for (text, wrong) in [
            (good.clone(), None),
            (format!("  {}\n", good.to_uppercase()), None),
            (String::new(), Some("it is empty")),
            (good[..62].to_owned(), Some("it has 62 hex digits instead of 64")),
            (format!("{good}00"), Some("it has 66 hex digits instead of 64")),
            (format!("{}zz", &good[..62]), Some("character 63 is not a hex digit")),
            ("é".repeat(32), Some("character 1 is not a hex digit")),
        ] {
            let read = Key::from_hex(&text);
            match wrong {
                None => assert_eq!(read.unwrap().to_hex().expose(), good),
                Some(wrong) => {
                    let sentence = read.unwrap_err().to_string();
                    assert!(sentence.ends_with(wrong), "{sentence}");
                    assert!(!sentence.contains("00ff"), "{sentence}");
                }
            }
        }
    }

    #[test]
    fn two_keys_and_two_purposes_differ_and_debug_shows_no_key() {
        let (one, two) = (Key::generate().unwrap(), Key::generate().unwrap());
        assert_ne!(one.id(), two.id());
        assert_ne!(one.derive(b"a"), one.derive(b"b"));
        assert_eq!(one.derive(b"a"), Key::from_hex(one.to_hex().expose()).unwrap().derive(b"a"));
        assert!(!format!("{one:?}").contains(one.to_hex().expose()));
    }
}

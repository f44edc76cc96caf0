//! Passwords: hashed by argon2id (RFC 9106) with the parameters that OWASP recommends, and tried only so often.
//!
//! A wrong password and an unknown user take the same time, because the password of nobody is tried as well. Trying costs 19 MiB
//! for some tens of milliseconds, so no more than a few are tried at once.

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Block, Params, Version, password_hash};
use station_core::{Error, Result, Secret};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Shortest password (NIST SP 800-63B-4, of passwords that are used alone).
const CHARS_MIN: usize = 15;
/// Longest: it is hashed whole, so nobody may send a book.
const BYTES_MAX: usize = 1_024;
/// Blocks of memory (1 KiB each) that are asked for at least, whatever is used of them. The C library keeps what is as large as 32 MiB for
/// whoever asks next, in each thread that had some; what is larger goes back to the system at once.
const BLOCKS_MIN: usize = 33 * 1024;
/// Tried at once.
const AT_ONCE: usize = 2;
/// Tried or waiting for it; one more is turned away.
const PLACES: usize = 32;
/// Wrong ones in a row until the next must wait.
const FREE_TRIES: u32 = 5;
/// The longest wait, after many wrong ones.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);
/// Names that are remembered; where there are more, those that were tried longest ago are forgotten.
const NAMES_MAX: usize = 10_000;

/// What a hash is compared with where there is none: of a password that nobody has.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$c3RhdGlvbiBub2JvZHlzIQ$0000000000000000000000000000000000000000000";

/// The tries of the last while.
pub(crate) struct Passwords {
    turns: Semaphore,
    /// Those that wait for a turn, too.
    places: Semaphore,
    wrong: Mutex<HashMap<String, Wrong>>,
}

/// Wrong tries for one name.
#[derive(Clone, Copy, Debug)]
struct Wrong {
    in_a_row: u32,
    /// Since boot.
    last: Duration,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { turns: Semaphore::new(AT_ONCE), places: Semaphore::new(PLACES), wrong: Mutex::default() }
    }
}

impl Passwords {
    /// The hash of a new password.
    ///
    /// # Errors
    /// `Invalid` where it is too short or too long.
    pub(crate) async fn hash(&self, password: &Secret) -> Result<Secret> {
        let chars = password.expose().chars().count();
        if chars < CHARS_MIN || password.expose().len() > BYTES_MAX {
            return Err(Error::invalid(format!(
                "the password has {chars} characters: it must have {CHARS_MIN} at least, and {BYTES_MAX} bytes at most"
            ))
            .with_hint("a few words in a row make a good one"));
        }
        let password = password.clone();
        self.work(move || {
            let hashed = hashed(password.expose().as_bytes());
            let hashed = hashed.map_err(|cause| Error::internal("hashing a password", cause))?;
            Ok(Secret::new(hashed.to_string()))
        })
        .await
    }

    /// Whether `password` is the one of this hash; of no hash none is. Takes as long either way. `name` is who tries from where.
    ///
    /// # Errors
    /// `Busy` where too many were wrong for this name a moment ago, or too many are tried at once.
    pub(crate) async fn is_right(
        &self,
        name: &str,
        password: &Secret,
        hash: Option<Secret>,
        now: Duration,
    ) -> Result<bool> {
        if let Some(wait) = self.wait(name, now) {
            let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
            return Err(Error::new(station_core::Kind::Busy, "too many wrong passwords: wait a while")
                .with_retry_after_s(seconds));
        }
        // Counted before it is known, so that many at once are not one.
        self.note(name, false, now);
        let (password, known) = (password.clone(), hash.is_some());
        let hash = hash.unwrap_or_else(|| Secret::new(NOBODYS));
        let fits = self
            .work(move || {
                let hash = PasswordHash::new(hash.expose())
                    .map_err(|cause| Error::internal("reading the hash of a password", cause))?;
                let given = password.expose().as_bytes();
                Ok(given.len() <= BYTES_MAX && is_of(given, &hash).unwrap_or(false))
            })
            .await?;
        let is_right = known && fits;
        if is_right {
            self.note(name, true, now);
        }
        Ok(is_right)
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let Ok(_place) = self.places.try_acquire() else {
            let busy = Error::new(station_core::Kind::Busy, "too many passwords are tried at once");
            return Err(busy.with_retry_after_s(1));
        };
        let turn = self.turns.acquire().await;
        let done = tokio::task::spawn_blocking(work).await;
        drop(turn);
        done.map_err(|cause| Error::internal("working on a password", cause))?
    }

    /// How long whoever tries for this name must wait still.
    fn wait(&self, name: &str, now: Duration) -> Option<Duration> {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()?;
        let over = wrong.in_a_row.checked_sub(FREE_TRIES)?;
        let wait = Duration::from_secs(1_u64.checked_shl(over).unwrap_or(u64::MAX)).min(WAIT_MAX);
        (wrong.last + wait).checked_sub(now).filter(|left| !left.is_zero())
    }

    fn note(&self, name: &str, is_right: bool, now: Duration) {
        let mut all = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if is_right {
            all.remove(name);
            return;
        }
        if all.len() >= NAMES_MAX && !all.contains_key(name) {
            let oldest = all.iter().min_by_key(|(_, wrong)| wrong.last).map(|(name, _)| name.clone());
            oldest.and_then(|oldest| all.remove(&oldest));
        }
        let wrong = all.entry(name.to_owned()).or_insert(Wrong { in_a_row: 0, last: now });
        *wrong = Wrong { in_a_row: wrong.in_a_row.saturating_add(1), last: now };
    }
}

/// The hash of `password`, with a salt of its own.
fn hashed(password: &[u8]) -> password_hash::Result<PasswordHash> {
    let (argon2, salt) = (Argon2::default(), Salt::generate());
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    fill(&argon2, password, &salt, &mut out)?;
    Ok(PasswordHash {
        algorithm: ARGON2ID_IDENT,
        version: Some(Version::default().into()),
        params: ParamsString::try_from(argon2.params())?,
        salt: Some(salt),
        hash: Some(Output::new(&out)?),
    })
}

/// Whether `hash` is one of `password`; compared in the same time whatever differs.
fn is_of(password: &[u8], hash: &PasswordHash) -> password_hash::Result<bool> {
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else { return Ok(false) };
    let algorithm = Algorithm::try_from(hash.algorithm.as_str())?;
    let version = hash.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let argon2 = Argon2::new(algorithm, version, Params::try_from(hash)?);
    let mut out = vec![0; expected.len()];
    fill(&argon2, password, salt, &mut out)?;
    Ok(Output::new(&out)? == *expected)
}

fn fill(argon2: &Argon2<'_>, password: &[u8], salt: &[u8], out: &mut [u8]) -> argon2::Result<()> {
    let blocks = argon2.params().block_count();
    let mut memory = Vec::with_capacity(blocks.max(BLOCKS_MIN));
    memory.resize(blocks, Block::default());
    argon2.hash_password_into_with_memory(password, salt, out, &mut memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

    #[test]
    fn a_hash_is_the_one_that_the_library_makes() {
        let password = b"correct horse battery";
        let theirs = Argon2::default().hash_password(password).unwrap();
        assert_eq!(is_of(password, &theirs), Ok(true));
        assert_eq!(is_of(b"correct horse batterz", &theirs), Ok(false));
        let ours = hashed(password).unwrap();
        assert!(Argon2::default().verify_password(password, &ours).is_ok());
        assert_eq!(ours.params, theirs.params);
    }

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_alone() {
        let passwords = Passwords::default();
        let right = Secret::new("correct horse battery");
        let hash = passwords.hash(&right).await.expect("it is long enough");
        assert!(hash.expose().starts_with("$argon2id$"), "{}", hash.expose());
        let now = Duration::from_secs(1);
        for (password, hash, expected) in [
            (&right, Some(hash.clone()), true),
            (&Secret::new("correct horse batterY"), Some(hash.clone()), false),
            (&Secret::new(""), Some(hash.clone()), false),
            (&right, None, false),
        ] {
            let found = passwords.is_right("ann", password, hash, now).await.expect("few were wrong");
            assert_eq!(found, expected);
        }
        for short in ["", "fourteen chars", &"x".repeat(BYTES_MAX + 1)] {
            passwords.hash(&Secret::new(short)).await.expect_err("it is no good password");
        }
    }

    /// As long for an unknown name as for a wrong password: the same work is done.
    #[test]
    fn the_password_of_nobody_is_tried_like_any_other() {
        let nobodys = PasswordHash::new(NOBODYS).unwrap();
        let real = hashed(b"correct horse battery").unwrap();
        let work = |hash: &PasswordHash| (hash.algorithm, hash.version, hash.params.clone());
        assert_eq!(work(&nobodys), work(&real));
        let length = |hash: &PasswordHash| hash.hash.as_ref().map(Output::len);
        assert_eq!(length(&nobodys), length(&real));
        let salt = |hash: &PasswordHash| hash.salt.as_ref().map(|salt| salt.len());
        assert_eq!(salt(&nobodys), salt(&real));
        assert_eq!(is_of(b"correct horse battery", &nobodys), Ok(false), "it is worked out to its end");
    }

    #[tokio::test]
    async fn whoever_must_wait_is_not_let_in_by_the_right_one_either() {
        let passwords = Passwords::default();
        let right = Secret::new("correct horse battery");
        let hash = passwords.hash(&right).await.expect("it is long enough");
        let at = Duration::from_secs;
        for _ in 0..FREE_TRIES {
            passwords.note("ann", false, at(100));
        }
        let early = passwords.is_right("ann", &right, Some(hash.clone()), at(100)).await.unwrap_err();
        assert_eq!((early.kind(), early.retry_after_s()), (station_core::Kind::Busy, Some(2)));
        assert!(passwords.is_right("ann", &right, Some(hash), at(101)).await.unwrap());
    }

    #[test]
    fn after_some_wrong_ones_the_next_waits_longer_each_time() {
        let passwords = Passwords::default();
        let at = Duration::from_secs;
        for _ in 0..FREE_TRIES - 1 {
            passwords.note("ann", false, at(100));
        }
        assert_eq!(passwords.wait("ann", at(100)), None);
        passwords.note("ann", false, at(100));
        assert_eq!(passwords.wait("ann", at(100)), Some(at(1)));
        assert_eq!(passwords.wait("ann", at(101)), None);
        passwords.note("ann", false, at(101));
        assert_eq!(passwords.wait("ann", at(101)), Some(at(2)));
        assert_eq!(passwords.wait("bob", at(101)), None, "another is not kept waiting");
        for _ in 0..200 {
            passwords.note("ann", false, at(200));
        }
        assert_eq!(passwords.wait("ann", at(200)), Some(WAIT_MAX));
        passwords.note("ann", true, at(300));
        assert_eq!(passwords.wait("ann", at(300)), None);
    }
}

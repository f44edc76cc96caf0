//! The keys of the issuer whose tokens are shown to us: asked for when a token needs them, and kept.
//!
//! Whoever sends a token causes a look, before anybody knows who that is. So looks are shared by all who wait, there is one in half a
//! minute at most, and nobody waits for one longer than a while. An issuer that is away takes nobody's keys with it: what was read
//! goes on being believed for a day.

use super::Web;
use super::find::issuer_document;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use station_core::oauth::{KeySet, SigningKey, TokenHead, jwks_url};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// How long keys are taken for all there are: one that was withdrawn is good for no longer.
const FRESH_FOR: Duration = Duration::from_secs(10 * 60);

/// How long they are believed where the issuer is away.
const BELIEVED_FOR: Duration = Duration::from_secs(24 * 3600);

/// How much lies between two looks at least: of an unknown name anybody can send as many as they like.
const AGAIN_AFTER: Duration = Duration::from_secs(30);

/// How long a request waits for a look: it holds a place meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long it waits where a key is believed as it is.
const PATIENCE_WITH_KEY: Duration = Duration::from_secs(1);

/// What came of a look; why there is nothing, as a sentence.
type Looked = Result<KeySet, String>;

/// A look, shared by who waits for it, and when it was begun.
type Look = (Shared<BoxFuture<'static, Looked>>, Instant);

/// The keys of one issuer.
pub struct IssuerKeys {
    look: Box<dyn Fn() -> BoxFuture<'static, Looked> + Send + Sync>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The last keys, and when they were asked for.
    keys: Option<(KeySet, Instant)>,
    /// The last look.
    look: Option<Look>,
}

/// Why there is no key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoKey {
    /// The issuer has none that fits.
    Unknown,
    /// It cannot be asked: why, as a sentence.
    Away(String),
}

impl IssuerKeys {
    /// Those of `issuer`: where its metadata says, or at `jwks_url`.
    ///
    /// # Errors
    /// Where one of them is no address, as the rest of a sentence that begins with the issuer.
    pub fn of(issuer: &str, jwks_url: Option<&str>, allow_private: bool) -> Result<Self, String> {
        let read =
            |text: &str| Url::parse(text).map_err(|error| format!("names an address that is none ({error})"));
        let (at, place) = (read(issuer)?, jwks_url.map(read).transpose()?);
        let issuer = issuer.to_owned();
        Ok(Self::looking(move || {
            let (issuer, at, place) = (issuer.clone(), at.clone(), place.clone());
            async move { published(&issuer, &at, place, allow_private).await }.boxed()
        }))
    }

    fn looking(look: impl Fn() -> BoxFuture<'static, Looked> + Send + Sync + 'static) -> Self {
        Self { look: Box::new(look), kept: Mutex::default() }
    }

    /// The key that a token with this head is signed by.
    pub(super) async fn find(&self, head: &TokenHead) -> Result<SigningKey, NoKey> {
        let (known, is_fresh) = self.known(head);
        let patience = match known {
            Some(key) if is_fresh => return Ok(key),
            Some(_) => PATIENCE_WITH_KEY,
            None => PATIENCE,
        };
        let (look, begun_at) = self.look();
        let looked = match tokio::time::timeout(patience, look).await {
            Ok(Ok(keys)) => {
                self.keep(keys, begun_at);
                Ok(())
            }
            Ok(Err(why)) => Err(why),
            Err(_) => Err("it does not answer".to_owned()),
        };
        match (self.known(head).0, looked) {
            (Some(key), _) => Ok(key),
            (None, Err(why)) => Err(NoKey::Away(why)),
            (None, Ok(())) => Err(NoKey::Unknown),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A key that was read and is believed, and whether that was lately.
    fn known(&self, head: &TokenHead) -> (Option<SigningKey>, bool) {
        let kept = self.kept();
        let Some((keys, read_at)) = &kept.keys else { return (None, false) };
        let age = read_at.elapsed();
        (keys.find(head).filter(|_| age < BELIEVED_FOR).cloned(), age < FRESH_FOR)
    }

    /// A look that is under way, or the last one where that was not long ago, or else a new one.
    fn look(&self) -> Look {
        let mut kept = self.kept();
        if let Some((look, begun_at)) = &kept.look
            && (look.peek().is_none() || begun_at.elapsed() < AGAIN_AFTER)
        {
            return (look.clone(), *begun_at);
        }
        let told = |looked: &Looked| {
            if let Err(why) = looked {
                tracing::warn!(why, "the keys of the issuer of access tokens cannot be read");
            }
        };
        // tracked: aborted with whoever waits for it, and the keys. It goes on where nobody waits any more: its own time runs on.
        let looking = AbortOnDropHandle::new(tokio::spawn((self.look)().inspect(told)));
        let looked = looking.map(|ended| ended.unwrap_or_else(|_| Err("nobody looks any more".to_owned())));
        kept.look.insert((looked.boxed().shared(), Instant::now())).clone()
    }

    /// Keeps what a look has found, unless a later one found something.
    fn keep(&self, keys: KeySet, begun_at: Instant) {
        let mut kept = self.kept();
        if kept.keys.as_ref().is_none_or(|(_, read_at)| *read_at < begun_at) {
            kept.keys = Some((keys, begun_at));
        }
    }
}

impl std::fmt::Debug for IssuerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IssuerKeys").finish_non_exhaustive()
    }
}

/// What the issuer publishes now.
async fn published(issuer: &str, at: &Url, place: Option<Url>, allow_private: bool) -> Looked {
    // The place of the keys is named by the operator, like the issuer itself.
    let web = Web::of_issuer(place.as_ref().unwrap_or(at), allow_private);
    let place = match place {
        Some(place) => place,
        None => found(&web, issuer).await?,
    };
    let document = web.get(&place).await?;
    document.map(|document| KeySet::read(&document)).ok_or_else(|| format!("there are no keys at `{place}`"))
}

/// Where the issuer's metadata says that its keys are.
async fn found(web: &Web, issuer: &str) -> Result<Url, String> {
    let document = issuer_document(web, &web.server).await?;
    let document = document.ok_or_else(|| format!("issuer `{issuer}` publishes no metadata (RFC 8414)"))?;
    jwks_url(&document, issuer).map_err(|words| format!("issuer `{issuer}` {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use station_core::oauth::Algorithm;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// An issuer whose keys are called as `names` says, or that is away; a look at it takes `takes`.
    struct Issuer {
        names: Mutex<Option<Vec<&'static str>>>,
        looks: AtomicU32,
        takes: Duration,
    }

    fn issuer(names: &[&'static str], takes: Duration) -> (Arc<Issuer>, IssuerKeys) {
        let names = Mutex::new(Some(names.to_vec()));
        let issuer = Arc::new(Issuer { names, looks: AtomicU32::new(0), takes });
        let asked = Arc::clone(&issuer);
        let keys = IssuerKeys::looking(move || {
            let issuer = Arc::clone(&asked);
            async move {
                issuer.looks.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(issuer.takes).await;
                let names = issuer.names.lock().unwrap().clone().ok_or("it is away")?;
                let key = |name| json!({ "kty": "OKP", "crv": "Ed25519", "kid": name, "x": name });
                Ok(KeySet::read(&json!({ "keys": names.into_iter().map(key).collect::<Vec<_>>() })))
            }
            .boxed()
        });
        (issuer, keys)
    }

    impl Issuer {
        fn has(&self, names: Option<&[&'static str]>) {
            *self.names.lock().unwrap() = names.map(<[_]>::to_vec);
        }

        fn looks(&self) -> u32 {
            self.looks.load(Ordering::Relaxed)
        }
    }

    async fn find(keys: &IssuerKeys, name: &str) -> Result<(), NoKey> {
        let head = TokenHead { algorithm: Algorithm::EdDsa, kid: Some(name.to_owned()) };
        keys.find(&head).await.map(drop)
    }

    fn away(why: &str) -> Result<(), NoKey> {
        Err(NoKey::Away(why.to_owned()))
    }

    #[tokio::test(start_paused = true)]
    async fn who_needs_keys_at_the_same_time_shares_one_look() {
        let (issuer, keys) = issuer(&["a"], Duration::from_secs(2));
        let found = futures::future::join_all((0..50).map(|_| find(&keys, "a"))).await;
        assert!(found.iter().all(Result::is_ok));
        assert_eq!(issuer.looks(), 1);
        // One that nobody waited for to its end is gone on with, not begun again.
        tokio::time::advance(FRESH_FOR).await;
        assert!(tokio::time::timeout(Duration::from_millis(1), find(&keys, "b")).await.is_err());
        assert_eq!(find(&keys, "b").await, Err(NoKey::Unknown));
        assert_eq!(issuer.looks(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_key_is_found_and_names_that_are_made_up_cost_one_look_in_half_a_minute() {
        let (issuer, keys) = issuer(&["a"], Duration::ZERO);
        assert_eq!(find(&keys, "a").await, Ok(()));
        issuer.has(Some(&["b"]));
        for n in 0..100 {
            assert_eq!(find(&keys, &format!("made up {n}")).await, Err(NoKey::Unknown));
        }
        assert_eq!(issuer.looks(), 1);
        tokio::time::advance(AGAIN_AFTER).await;
        assert_eq!(find(&keys, "b").await, Ok(()));
        assert_eq!(find(&keys, "a").await, Err(NoKey::Unknown), "it was withdrawn");
        assert_eq!(issuer.looks(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_was_withdrawn_is_good_for_ten_minutes_more() {
        let (issuer, keys) = issuer(&["a"], Duration::ZERO);
        assert_eq!(find(&keys, "a").await, Ok(()));
        issuer.has(Some(&["b"]));
        tokio::time::advance(FRESH_FOR - Duration::from_secs(1)).await;
        assert_eq!(find(&keys, "a").await, Ok(()));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(find(&keys, "a").await, Err(NoKey::Unknown));
    }

    #[tokio::test(start_paused = true)]
    async fn an_issuer_that_is_away_takes_no_keys_with_it_for_a_day() {
        let (issuer, keys) = issuer(&["a"], Duration::ZERO);
        issuer.has(None);
        assert_eq!(find(&keys, "a").await, away("it is away"));
        issuer.has(Some(&["a"]));
        assert_eq!(find(&keys, "a").await, away("it is away"), "it was asked a moment ago");
        tokio::time::advance(AGAIN_AFTER).await;
        assert_eq!(find(&keys, "a").await, Ok(()));
        issuer.has(None);
        tokio::time::advance(BELIEVED_FOR - Duration::from_secs(1)).await;
        assert_eq!(find(&keys, "a").await, Ok(()));
        assert_eq!(find(&keys, "b").await, away("it is away"));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(find(&keys, "a").await, away("it is away"));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_long_for_an_issuer_that_does_not_answer() {
        let (_, keys) = issuer(&["a"], Duration::from_secs(15));
        let begun_at = Instant::now();
        assert_eq!(find(&keys, "a").await, away("it does not answer"));
        assert_eq!(begun_at.elapsed(), PATIENCE);
        assert_eq!(find(&keys, "a").await, Ok(()), "whoever comes later has what the same look finds");
        tokio::time::advance(FRESH_FOR).await;
        let begun_at = Instant::now();
        assert_eq!(find(&keys, "a").await, Ok(()));
        assert_eq!(begun_at.elapsed(), PATIENCE_WITH_KEY);
    }
}

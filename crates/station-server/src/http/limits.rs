//! What anybody may ask of this process, over all of its ports: how often, how much at a time, and how many streams to follow.
//!
//! An address is counted before it is known who asks, since finding that out costs something too; a caller once it is known. Whoever
//! asks too often is told when to come again (429), and so is everybody where too much is at work (503); `/health` and `/ready` stand
//! before all of this. Streams that somebody follows are long and cost little, so they are not at work, and have a bound of their own.
//! **Invariant:** what is remembered of addresses is as large as it was at the start, however many there are.

use super::Site;
use super::failure;
use super::peer::Peer;
use super::tally::{Counted, Tally};
use axum::Extension;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use futures::StreamExt as _;
use station_core::rate::Bucket;
use station_core::{Caller, Error, Kind, Result, UserId, plural};
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Addresses that are told apart: those that fall together share a rate, which far fewer than these at a time do not notice.
const ADDRESSES: usize = 8 * 1024;

/// What is allowed: the key `http` of config.yaml.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Requests at work at a time.
    pub requests_max: u32,
    /// Streams that one user follows at a time; the local administrator follows as many as there are connections.
    pub streams_max: u32,
    /// Requests of one user; `None`: as many as it likes.
    pub user_per_minute: Option<u32>,
    /// Requests of one address but this machine's own.
    pub address_per_minute: Option<u32>,
    /// Requests of the local administrator.
    pub administrator_per_minute: Option<u32>,
    /// Headers of a request.
    pub headers_max: usize,
    /// Bytes of its address and all of its headers.
    pub head_bytes_max: usize,
    /// Bytes of a body.
    pub body_bytes_max: usize,
    /// How long a body may take.
    pub body_within: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            // Half of what connections there may be: the rest follows streams, or waits.
            requests_max: 512,
            streams_max: 256,
            // A hundred a second, which no script sends that waits for its answers; an office behind one address twice that.
            user_per_minute: Some(6_000),
            address_per_minute: Some(12_000),
            administrator_per_minute: None,
            // A token, the protocol's own, and what proxies add.
            headers_max: 100,
            head_bytes_max: 64 * 1024,
            // That of the longest message over a pipe.
            body_bytes_max: 16 * 1024 * 1024,
            // The longest one goes over loopback in some milliseconds; a tunnel is slower.
            body_within: Duration::from_secs(30),
        }
    }
}

/// What is counted, of one process.
#[derive(Clone)]
pub struct Limits(Arc<Counts>);

struct Counts {
    bounds: Bounds,
    at_work: Arc<Semaphore>,
    /// By a hash that nobody outside can foresee.
    addresses: Mutex<Vec<Bucket>>,
    hash: RandomState,
    /// As many as users who asked.
    users: Mutex<HashMap<UserId, Bucket>>,
    streams: Tally<UserId>,
    began_at: Instant,
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("bounds", &self.0.bounds).finish_non_exhaustive()
    }
}

impl Limits {
    /// Nothing was counted yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        let address = Bucket::new(bounds.address_per_minute.unwrap_or_default());
        Self(Arc::new(Counts {
            at_work: Arc::new(Semaphore::new(usize::try_from(bounds.requests_max).unwrap_or(usize::MAX))),
            addresses: Mutex::new(vec![address; ADDRESSES]),
            hash: RandomState::new(),
            users: Mutex::default(),
            streams: Tally::default(),
            began_at: Instant::now(),
            bounds,
        }))
    }

    pub(super) fn bounds(&self) -> &Bounds {
        &self.0.bounds
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.began_at.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Counts a request of an address.
    ///
    /// # Errors
    /// After how many milliseconds it may ask again.
    fn count_address(&self, address: IpAddr, now_ms: u64) -> Result<(), u64> {
        let Some(network) = network(address).filter(|_| self.0.bounds.address_per_minute.is_some()) else {
            return Ok(());
        };
        let place = usize::try_from(self.0.hash.hash_one(network)).unwrap_or_default() % ADDRESSES;
        lock(&self.0.addresses)[place].take_now(now_ms)
    }

    /// Counts a request of a caller. Nobody in particular is counted by their address alone.
    ///
    /// # Errors
    /// As [`Limits::count_address`].
    fn count_caller(&self, by: &Caller, now_ms: u64) -> Result<(), u64> {
        let bounds = &self.0.bounds;
        let per_minute = match by.user {
            Caller::LOCAL_USER => bounds.administrator_per_minute,
            Caller::NOBODY => None,
            _ => bounds.user_per_minute,
        };
        let Some(per_minute) = per_minute else { return Ok(()) };
        lock(&self.0.users).entry(by.user).or_insert_with(|| Bucket::new(per_minute)).take_now(now_ms)
    }

    /// A place for a stream that `by` follows.
    ///
    /// # Errors
    /// `Busy` where it follows as many as it may.
    pub(super) fn follow(&self, by: &Caller) -> Result<Followed> {
        let most = self.0.bounds.streams_max;
        let of_this = if by.user == Caller::LOCAL_USER { u32::MAX } else { most };
        self.0.streams.enter(by.user, of_this).map_err(|follows| {
            Error::new(Kind::Busy, format!("`{}` follows {} already", by.name, plural(follows, "stream")))
                .with_hint(format!("close some; `http.streams_max` of config.yaml allows {most}"))
                .with_retry_after_s(5)
        })
    }
}

/// A stream that is followed, as long as this lives.
pub(super) type Followed = Counted<UserId>;

fn lock<T>(counted: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    counted.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an address counts as: of IPv6 the network that one household is given (RFC 6177), all of whose addresses are one client's to
/// choose from. `None` for this machine's own: whoever asks by a proxy on it is known to that.
pub(super) fn network(address: IpAddr) -> Option<u64> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V4(address) => Some(u64::from(address.to_bits())),
        IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).ok(),
    }
}

/// A place among what is at work, as long as anybody holds it: a request, or what goes on for it when whoever sent it is gone.
#[derive(Clone)]
pub(super) struct AtWork {
    _place: Arc<OwnedSemaphorePermit>,
}

/// Says of an answer that somebody follows it: it is not at work.
#[derive(Clone, Copy)]
struct IsFollowed;

/// `answer`, a stream that has its place, where it has one, as long as it is sent.
pub(super) fn followed(answer: Response, place: Option<Followed>) -> Response {
    let Some(place) = place else { return answer };
    let mut answer = holding(answer, place);
    answer.extensions_mut().insert(IsFollowed);
    answer
}

/// `answer` that holds `held` until its body is sent.
fn holding<T: Send + 'static>(answer: Response, held: T) -> Response {
    answer.map(|body| {
        Body::from_stream(body.into_data_stream().map(move |piece| {
            let _held = &held;
            piece
        }))
    })
}

/// Lets a request in whose head is short enough, whose address does not ask too often, and for which there is room.
pub(super) async fn bound(
    State(site): State<Arc<Site>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let limits = &site.limits;
    if let Err(error) = check_head(limits.bounds(), request.uri(), request.headers()) {
        return failure::refused(request.headers(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, &error);
    }
    if let Err(wait_ms) = limits.count_address(peer.address().ip(), limits.now_ms()) {
        return too_often(request.headers(), "this address", "http.address_per_minute", wait_ms);
    }
    let Ok(place) = Arc::clone(&limits.0.at_work).try_acquire_owned() else {
        let most = plural(limits.bounds().requests_max, "request");
        let error = Error::new(Kind::Busy, format!("there is no room for more than {most} at a time"))
            .with_hint("try again shortly; `http.requests_max` of config.yaml says how many there may be")
            .with_retry_after_s(1);
        return failure::refused(request.headers(), StatusCode::SERVICE_UNAVAILABLE, &error);
    };
    let place = AtWork { _place: Arc::new(place) };
    request.extensions_mut().insert(place.clone());
    let answer = next.run(request).await;
    let is_stream = answer.headers().get(header::CONTENT_TYPE).is_some_and(is_stream);
    // What is done while it is told is at work until it is told.
    match answer.extensions().get::<IsFollowed>() {
        None if is_stream => holding(answer, place),
        _ => answer,
    }
}

fn is_stream(kind: &HeaderValue) -> bool {
    kind.as_bytes().starts_with(b"text/event-stream")
}

/// Lets a request go on whose caller does not ask too often.
pub(super) async fn bound_caller(
    State(site): State<Arc<Site>>,
    Extension(by): Extension<Arc<Caller>>,
    request: Request,
    next: Next,
) -> Response {
    match site.limits.count_caller(&by, site.limits.now_ms()) {
        Ok(()) => next.run(request).await,
        Err(wait_ms) => {
            let (who, key) = match by.user {
                Caller::LOCAL_USER => ("the local administrator".to_owned(), "http.administrator_per_minute"),
                _ => (format!("`{}`", by.name), "http.user_per_minute"),
            };
            too_often(request.headers(), &who, key, wait_ms)
        }
    }
}

fn too_often(headers: &HeaderMap, who: &str, key: &str, wait_ms: u64) -> Response {
    let error = Error::new(Kind::Busy, format!("{who} asks too often"))
        .with_hint(format!(
            "wait as long as Retry-After says; `{key}` of config.yaml says how often is allowed"
        ))
        .with_retry_after_s(u32::try_from(wait_ms.div_ceil(1_000)).unwrap_or(u32::MAX).max(1));
    failure::refused(headers, StatusCode::TOO_MANY_REQUESTS, &error)
}

fn check_head(bounds: &Bounds, uri: &Uri, headers: &HeaderMap) -> Result<()> {
    if headers.len() > bounds.headers_max {
        return Err(Error::invalid(format!("a request has {} headers at most", bounds.headers_max)));
    }
    let address = uri.path_and_query().map_or(0, |it| it.as_str().len());
    let bytes =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>() + address;
    if bytes > bounds.head_bytes_max {
        let most = bounds.head_bytes_max;
        return Err(Error::invalid(format!(
            "the address and headers of a request have {most} bytes at most"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use station_core::{Realm, Role, Scope};

    fn user(id: i64) -> Caller {
        Caller {
            user: UserId(id),
            name: format!("user {id}"),
            role: Role::Viewer,
            realm: Realm::All,
            scopes: Scope::all(),
            ..Caller::nobody()
        }
    }

    fn limits(bounds: Bounds) -> Limits {
        Limits::new(bounds)
    }

    #[test]
    fn an_address_is_counted_by_its_network_and_this_machine_is_not() {
        let check = |a: &str, b: &str, is_one: bool| {
            let (a, b) = (network(a.parse().unwrap()), network(b.parse().unwrap()));
            assert_eq!(a == b, is_one, "{a:?} {b:?}");
        };
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true);
        check("2001:db8:1:2::1", "2001:db8:1:3::1", false);
        for own in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(network(own.parse().unwrap()), None, "{own}");
        }
    }

    #[test]
    fn who_asks_too_often_is_told_when_to_come_again_and_nobody_else_is() {
        let bounds = Bounds { user_per_minute: Some(20), address_per_minute: Some(60), ..Bounds::default() };
        let limits = limits(bounds);
        let ask = |by: &Caller, now_ms| limits.count_caller(by, now_ms);
        assert_eq!((ask(&user(2), 0), ask(&user(2), 0), ask(&user(2), 0)), (Ok(()), Ok(()), Err(3_000)));
        assert_eq!(ask(&user(3), 0), Ok(()));
        assert_eq!(ask(&user(2), 3_000), Ok(()));
        for _ in 0..100 {
            assert_eq!(ask(&Caller::local(), 0), Ok(()));
            assert_eq!(ask(&Caller::nobody(), 0), Ok(()), "whoever signs in is counted by the address");
            assert_eq!(limits.count_address("127.0.0.1".parse().unwrap(), 0), Ok(()));
        }
        let from = |address: &str| limits.count_address(address.parse().unwrap(), 0);
        assert!((0..6).all(|_| from("192.0.2.1").is_ok()));
        assert_eq!(from("192.0.2.1"), Err(1_000));
    }

    #[test]
    fn a_rate_for_the_local_administrator_holds_where_one_is_set() {
        let limits = limits(Bounds { administrator_per_minute: Some(1), ..Bounds::default() });
        assert_eq!(limits.count_caller(&Caller::local(), 0), Ok(()));
        assert_eq!(limits.count_caller(&Caller::local(), 0), Err(60_000));
    }

    #[test]
    fn streams_are_counted_while_they_are_followed() {
        let limits = limits(Bounds { streams_max: 2, ..Bounds::default() });
        let first = limits.follow(&user(2)).unwrap();
        let _second = limits.follow(&user(2)).unwrap();
        assert_eq!(limits.follow(&user(2)).err().unwrap().to_string(), "`user 2` follows 2 streams already");
        let _other = limits.follow(&user(3)).unwrap();
        let _many: Vec<Followed> = (0..9).map(|_| limits.follow(&Caller::local()).unwrap()).collect();
        drop(first);
        limits.follow(&user(2)).unwrap();
    }

    #[test]
    fn a_head_is_measured_by_its_headers_and_its_address() {
        let bounds = Bounds { headers_max: 2, head_bytes_max: 21, ..Bounds::default() };
        let check = |path: &'static str, names: &[&'static str], is_fine: bool| {
            let headers: HeaderMap =
                names.iter().map(|name| (name.parse().unwrap(), HeaderValue::from_static("12345"))).collect();
            let found = check_head(&bounds, &Uri::from_static(path), &headers);
            assert_eq!(found.is_ok(), is_fine, "{path} {names:?}: {found:?}");
        };
        check("/", &["host", "accept"], true);
        check("/1234", &["host", "accept"], false);
        check("/", &["a", "b", "c"], false);
    }
}

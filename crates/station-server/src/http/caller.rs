//! Who asks: the one decision for MCP, API and pages.
//!
//! Whoever shows a credential is judged by it: the API key of a user, an access token that names one, the cookie of a browser that signed
//! in, or the token of a file that only we can read, which is the local administrator's. Without one a request is the local administrator's only while there
//! is no user, where its socket belongs to a process of our own user that is not below us (an agent's tools are, and must not manage
//! what they serve), and nothing about it says that a web page of somebody else made it.

use super::peer::{Owner, Peer};
use super::resource::{self, Why};
use super::{Offers, Site, cors, failure, metrics};
use crate::{api, pages};
use axum::Extension;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use station_core::{BlobHash, Caller, Error, Kind, Result, Scope, Secret};
use std::collections::BTreeSet;
use std::sync::Arc;

/// The cookie of a browser that signed in. Its prefix says that it came over TLS or from this machine, from this host, for all of it.
pub(super) const COOKIE: &str = "__Host-station";

/// What a proxy adds to what it passes on (RFC 7239, and what was usual before).
const PASSED_ON: [HeaderName; 6] = [
    header::FORWARDED,
    header::VIA,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

/// What of which one may stand alone: who reads the first, and who reads the last, would not judge the same request.
const ONCE: [HeaderName; 3] = [header::AUTHORIZATION, header::HOST, header::ORIGIN];

/// What is known of a request before anything is done for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Knock<'a> {
    host: Option<&'a str>,
    origin: Option<&'a str>,
    /// Whether config.yaml names that origin.
    is_named: bool,
    /// How this door speaks: `http` or `https`.
    scheme: &'static str,
    /// Whether it changes something.
    changes: bool,
    /// The type of a body that is sent; `None` where none can be.
    sends: Option<&'a str>,
    shown: Shown,
    /// Whose process is at the other end, where that says who asks.
    owner: Owner,
    /// Whether there is any user but the local one.
    has_users: bool,
    /// Whether it asks for what nobody need be known for.
    is_open: bool,
}

/// What a request shows to say who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    /// An API key or an access token that holds, or the token of the file.
    Key,
    /// The cookie of somebody who is signed in.
    Session,
    Wrong,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is whoever it shows to be.
    Known,
    /// It is the local administrator.
    Administrator,
    /// It is anybody.
    Anybody,
    Refused(StatusCode, &'static str),
}

/// Decides about a request to `port`.
fn judge(knock: Knock<'_>, port: u16) -> Verdict {
    use Verdict::Refused;
    if knock.shown == Shown::Wrong {
        return Refused(StatusCode::UNAUTHORIZED, "the credential is wrong, was revoked, or is over");
    }
    // A name that leads here is no danger to whoever brings a key: no page of a browser has it.
    if knock.shown != Shown::Key && !knock.host.is_some_and(|host| is_loopback(host) || knock.has_users) {
        return Refused(
            StatusCode::FORBIDDEN,
            "Host is not a name of this machine: use localhost or 127.0.0.1",
        );
    }
    if !knock.origin.is_none_or(|origin| is_ours(origin, &knock, port)) {
        if !knock.is_named {
            return Refused(
                StatusCode::FORBIDDEN,
                "Origin is another site, and `cors.origins` does not name it",
            );
        }
        // Neither a cookie nor a socket says that the person meant it.
        if knock.shown != Shown::Key {
            return Refused(StatusCode::UNAUTHORIZED, "a page of another site sends an API key");
        }
    }
    if knock.shown == Shown::Session && knock.changes && knock.origin.is_none() {
        return Refused(StatusCode::FORBIDDEN, "a browser that changes something says its Origin");
    }
    if knock.sends.is_some_and(|kind| !is_json(kind)) {
        return Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json");
    }
    match (knock.shown, knock.owner) {
        (Shown::Key | Shown::Session, _) => Verdict::Known,
        (_, Owner::Us) if !knock.has_users => Verdict::Administrator,
        _ if knock.is_open => Verdict::Anybody,
        _ if knock.has_users => Refused(
            StatusCode::UNAUTHORIZED,
            "send an API key: `Authorization: Bearer stn_…`; `stn user key create` makes one",
        ),
        (_, Owner::Below) => {
            Refused(StatusCode::UNAUTHORIZED, "a program that Station started needs the token")
        }
        _ => Refused(
            StatusCode::UNAUTHORIZED,
            "send the token of the file api-token: `Authorization: Bearer …`",
        ),
    }
}

/// Whether a request says that somebody passed it on: then the socket is theirs, and says nothing of who asks.
pub(super) fn is_passed_on(headers: &HeaderMap) -> bool {
    PASSED_ON.iter().any(|name| headers.contains_key(name))
}

/// `host` or `host:port` of this machine, whatever the port: a proxy of the user's may have another.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || matches!(name, "127.0.0.1" | "::1")
}

/// Whether a page of ours says it: one of this machine at our port, or of the very host that is asked.
fn is_ours(origin: &str, knock: &Knock<'_>, port: u16) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    // Where we speak without TLS, a proxy before us may speak with it.
    let may_be_proxied = knock.scheme == "http" && scheme == "https";
    match knock.host.filter(|host| !is_loopback(host)) {
        Some(host) => (scheme == knock.scheme || may_be_proxied) && authority.eq_ignore_ascii_case(host),
        None => scheme == knock.scheme && is_loopback(authority) && authority.ends_with(&format!(":{port}")),
    }
}

fn is_json(kind: &str) -> bool {
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// Lets a request through with its caller, or answers it.
pub(super) async fn admit(
    State(site): State<Arc<Site>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Extension(place): Extension<failure::Place>,
    mut request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    let from = peer.address().ip().to_string();
    let known = known(&site, (&peer, &from), request.headers(), request.method(), &path).await;
    let refusal = match known {
        Ok(caller) => {
            let caller = Arc::new(caller.in_trace(Some(place.own)).at(from));
            let method = request.method().clone();
            request.extensions_mut().insert(Arc::clone(&caller));
            let answer = next.run(request).await;
            if answer.status() == StatusCode::FORBIDDEN {
                let asked = format!("{method} {path}");
                site.station.note_refusal(&caller, &asked, "it lacks the right").await;
            }
            return challenged(&site, &path, &caller.scopes, answer);
        }
        Err(refusal) => refusal,
    };
    let Refusal { status, error, is_wrong } = refusal;
    if is_wrong || status == StatusCode::FORBIDDEN {
        site.station.note_refusal(&Caller::nobody().at(from), "a request", error.sentence()).await;
    }
    let mut refused = failure::refused(request.headers(), status, &error);
    if status == StatusCode::UNAUTHORIZED {
        let why = if is_wrong { Why::Wrong(error.sentence()) } else { Why::Missing };
        let challenge = site.resource.as_ref().map(|resource| resource.challenge(&path, why));
        let challenge = challenge.unwrap_or(header::HeaderValue::from_static("Bearer"));
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    challenged(&site, &path, &BTreeSet::new(), refused)
}

/// `answer`, asking for another token where this one, of these scopes, lacks one for what was asked.
fn challenged(site: &Site, path: &str, scopes: &BTreeSet<Scope>, mut answer: Response) -> Response {
    let lacks = answer.extensions().get::<failure::Lacks>().copied();
    if let (Some(failure::Lacks(scope)), Some(resource)) = (lacks, &site.resource) {
        let challenge = resource.challenge(path, Why::Lacks(scopes, scope));
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    answer
}

/// Why somebody is not let in.
struct Refusal {
    status: StatusCode,
    error: Error,
    /// Whether what was shown is at fault.
    is_wrong: bool,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { status: failure::status(error.kind()), error, is_wrong: false }
    }
}

/// Who asks, or why they are refused.
async fn known(
    site: &Site,
    (peer, from): (&Peer, &str),
    headers: &HeaderMap,
    method: &Method,
    path: &str,
) -> Result<Caller, Refusal> {
    if let Some(twice) = ONCE.iter().find(|name| headers.get_all(*name).iter().nth(1).is_some()) {
        let error = Error::invalid(format!("the header `{twice}` stands twice"));
        return Err(Refusal { status: StatusCode::BAD_REQUEST, error, is_wrong: false });
    }
    let Seen { shown, caller, why } = seen(site, headers, path, from).await?;
    // A cookie that is over must not keep anybody from signing in anew.
    let is_open = api::is_open(method, path)
        || (site.offers == Offers::Station && pages::is_open(method, path))
        || resource::is_open(site, method, path)
        || metrics::is_open(site, path, headers);
    let is_open = is_open && headers.get(header::AUTHORIZATION).is_none();
    let shown = if is_open && shown == Shown::Wrong { Shown::Nothing } else { shown };
    let text = |name| headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let changes = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
    let kind = text(header::CONTENT_TYPE).unwrap_or_default();
    // Where an address does not take the method, nothing is done with what is sent: it is told that, whatever its type.
    let sends = matches!(*method, Method::POST | Method::PATCH)
        && (is_json(kind) || !api::is_for_another_method(method, path));
    // Beyond this machine nobody is known by a socket, whoever is at its other end.
    let has_users = match shown {
        _ if site.is_public => true,
        Shown::Nothing => site.station.has_users().await?,
        // Somebody is signed in, or was.
        Shown::Session => true,
        // It is judged by what it shows.
        Shown::Key | Shown::Wrong => false,
    };
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("?"));
    // Looked up only where it matters.
    let owner = match shown {
        Shown::Nothing if !has_users && !is_passed_on(headers) => peer.owner(site.port).await,
        _ => Owner::Other,
    };
    let knock = Knock {
        host: text(header::HOST),
        origin,
        is_named: origin.is_some_and(|origin| cors::is_named(site, origin)),
        scheme: site.scheme,
        changes,
        sends: sends.then_some(kind),
        shown,
        owner,
        has_users,
        is_open,
    };
    let is_wrong = shown == Shown::Wrong && headers.contains_key(header::AUTHORIZATION);
    let refused = |status, error| Err(Refusal { status, error, is_wrong });
    match (judge(knock, site.port), caller) {
        (Verdict::Known, Some(caller)) => Ok(caller),
        (Verdict::Administrator, _) => Ok(site.by.clone()),
        (Verdict::Anybody, _) => Ok(Caller::nobody()),
        (Verdict::Refused(status, sentence), _) => {
            refused(status, why.unwrap_or_else(|| Error::new(failure::kind(status), sentence)))
        }
        (Verdict::Known, None) => {
            refused(StatusCode::UNAUTHORIZED, Error::new(Kind::Unauthenticated, "nobody is known by that"))
        }
    }
}

/// What a request shows, who that is, and why it is nobody, where that helps: of an access token whoever set its issuer up must know.
struct Seen {
    shown: Shown,
    caller: Option<Caller>,
    why: Option<Error>,
}

impl Seen {
    /// What was shown is `shown` where it is somebody's.
    ///
    /// # Errors
    /// Whatever says nothing of what was shown.
    fn of(shown: Shown, caller: Result<Caller>) -> Result<Self> {
        match caller {
            Ok(caller) => Ok(Self { shown, caller: Some(caller), why: None }),
            Err(error) if error.kind() == Kind::Unauthenticated => {
                Ok(Self { shown: Shown::Wrong, caller: None, why: None })
            }
            Err(error) => Err(error),
        }
    }
}

/// What a request to `path` shows, which comes from `from`.
async fn seen(site: &Site, headers: &HeaderMap, path: &str, from: &str) -> Result<Seen> {
    let without = |shown| Ok(Seen { shown, caller: None, why: None });
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let Some(given) = value.to_str().ok().and_then(bearer) else { return without(Shown::Wrong) };
        // Hashes are compared, so that how long it takes says nothing of the token.
        let hash = |text: &str| BlobHash::of(text.as_bytes());
        if hash(given) == hash(site.token.expose()) {
            return Seen::of(Shown::Key, Ok(site.by.clone()));
        }
        let given = Secret::new(given);
        return match &site.resource {
            // No API key has a dot.
            Some(resource) if given.expose().contains('.') => {
                let now = site.station.config().clock.now();
                let known = match resource.check(&given, path, now).await {
                    Ok(token) => site.station.know_token(&token).await,
                    Err(error) => Err(error),
                };
                match known {
                    Err(why) if why.kind() == Kind::Unauthenticated => {
                        Ok(Seen { shown: Shown::Wrong, caller: None, why: Some(why) })
                    }
                    known => Seen::of(Shown::Key, known),
                }
            }
            _ => Seen::of(Shown::Key, site.station.know_key(&given, from).await),
        };
    }
    match cookie(headers) {
        Some(cookie) => Seen::of(Shown::Session, site.station.know_session(&cookie).await),
        None => without(Shown::Nothing),
    }
}

/// The token of `Authorization` (RFC 6750); the scheme's case does not matter.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// What the cookie of a browser says that signed in.
pub(super) fn cookie(headers: &HeaderMap) -> Option<Secret> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| Secret::new(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_known_by_its_socket_or_brings_the_token() {
        const OWN: Knock<'static> = Knock {
            host: Some("127.0.0.1:8585"),
            origin: None,
            is_named: false,
            scheme: "http",
            changes: true,
            sends: Some("application/json"),
            shown: Shown::Nothing,
            owner: Owner::Us,
            has_users: false,
            is_open: false,
        };
        let check = |knock: Knock<'_>, status: u16| {
            let found = match judge(knock, 8585) {
                Verdict::Administrator | Verdict::Known => 200,
                Verdict::Anybody => 0,
                Verdict::Refused(status, _) => status.as_u16(),
            };
            assert_eq!(found, status, "{knock:?}");
        };
        check(OWN, 200);
        for host in ["localhost", "LOCALHOST:1", "[::1]:8585", "127.0.0.1"] {
            check(Knock { host: Some(host), ..OWN }, 200);
        }
        for host in ["example.com", "127.0.0.1.example.com", "[::2]", "", "localhost.example.com:8585"] {
            check(Knock { host: Some(host), ..OWN }, 403);
            check(Knock { host: Some(host), shown: Shown::Key, ..OWN }, 200);
        }
        check(Knock { host: None, ..OWN }, 403);
        check(Knock { origin: Some("http://localhost:8585"), ..OWN }, 200);
        for origin in
            ["http://localhost:3000", "https://localhost:8585", "http://example.com:8585", "null", "?"]
        {
            check(Knock { origin: Some(origin), ..OWN }, 403);
            check(Knock { origin: Some(origin), shown: Shown::Key, ..OWN }, 403);
        }
        check(Knock { sends: Some("application/json; charset=utf-8"), ..OWN }, 200);
        check(Knock { sends: Some("text/plain"), ..OWN }, 415);
        check(Knock { sends: Some(""), ..OWN }, 415);
        check(Knock { sends: None, ..OWN }, 200);
        for owner in [Owner::Other, Owner::Below] {
            check(Knock { owner, ..OWN }, 401);
            check(Knock { owner, shown: Shown::Key, ..OWN }, 200);
        }
        // Whoever shows a credential is judged by it, whatever else is wrong.
        check(Knock { shown: Shown::Wrong, ..OWN }, 401);
        check(Knock { shown: Shown::Wrong, host: Some("example.com"), origin: Some("null"), ..OWN }, 401);
        // Once there are users nobody is known by a socket.
        let users = Knock { has_users: true, ..OWN };
        check(users, 401);
        check(Knock { shown: Shown::Key, ..users }, 200);
        // To become known nobody need be, and still no other site may have it done.
        let open = Knock { is_open: true, ..users };
        check(open, 0);
        check(Knock { origin: Some("null"), ..open }, 403);
        check(Knock { sends: Some("text/plain"), ..open }, 415);
        check(Knock { shown: Shown::Wrong, ..open }, 401);
        check(Knock { owner: Owner::Other, has_users: false, ..open }, 0);
        // Pages of other sites that config.yaml names bring a key, and nothing else will do.
        let named = Knock { origin: Some("https://app.example.com"), is_named: true, ..OWN };
        check(named, 401);
        check(Knock { shown: Shown::Session, ..named }, 401);
        check(Knock { shown: Shown::Key, ..named }, 200);
        check(Knock { shown: Shown::Key, is_named: false, ..named }, 403);
        // Over TLS our own pages come by it too.
        let secured = Knock { scheme: "https", ..OWN };
        check(Knock { origin: Some("https://localhost:8585"), ..secured }, 200);
        check(Knock { origin: Some("http://localhost:8585"), ..secured }, 403);
        // A browser says where its page is from.
        let page = Knock { shown: Shown::Session, host: Some("station.example.com"), ..users };
        check(page, 403);
        check(Knock { changes: false, sends: None, ..page }, 200);
        check(Knock { origin: Some("https://station.example.com"), ..page }, 200);
        check(Knock { origin: Some("https://example.com"), ..page }, 403);
        check(Knock { origin: Some("http://localhost:8585"), ..page }, 403);
        check(Knock { origin: Some("http://station.example.com"), ..page }, 200);
        check(Knock { origin: Some("http://station.example.com"), scheme: "https", ..page }, 403);
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        assert!(cookie(&headers).is_none());
        headers.append(header::COOKIE, header::HeaderValue::from_static("a=b; __Host-station2=no"));
        headers.append(header::COOKIE, header::HeaderValue::from_static("c=d;__Host-station=yes"));
        assert_eq!(cookie(&headers).expect("it is there").expose(), "yes");
    }
}

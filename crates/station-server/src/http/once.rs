//! `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a request that is sent again is done once, and answered as the first.
//!
//! A request with a key is done in a task of its own, whoever hears of it: a client whose connection broke comes again with the key,
//! and finds the answer, or that it is still at work. What a key comes to is decided in the engine; here it is said.

use super::api::Refused;
use super::limits::AtWork;
use super::{Site, failure};
use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::future::BoxFuture;
use serde_json::Value;
use station_core::once::{Again, Key};
use station_core::{Caller, Error, Kind, Result};
use station_engine::{Begun, KeyedRequest, RequestClaim, Station};
use std::sync::Arc;
use tracing::Instrument as _;

/// What a sender calls its request.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Says that an answer is that of an earlier request. The draft names no such header; this is what others call it.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A request with a key.
pub(super) struct Keyed {
    pub(super) request: KeyedRequest,
    /// How errors are told where it was sent.
    pub(super) shown: fn(&Error) -> Value,
    /// Its place among what is at work, which it has until it is done.
    pub(super) place: Option<AtWork>,
}

/// What was done.
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) body: Value,
    pub(super) keep: Keep,
}

/// How much of an answer is kept for whoever sends its request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    Answer,
    /// That there was one: it holds a secret that is told once.
    Status,
}

/// The key of a request, where its sender gave it one.
///
/// # Errors
/// `Invalid` where it is malformed, or given twice.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<Key>> {
    let mut given = headers.get_all(KEY).iter();
    match (given.next(), given.next()) {
        (None, _) => Ok(None),
        // What is no text is no key either, and is told as one that is none.
        (Some(one), None) => Key::parse(one.to_str().unwrap_or("\u{fffd}")).map(Some),
        (Some(_), Some(_)) => Err(Error::invalid("`Idempotency-Key` is given twice")),
    }
}

/// Has a request done by `work`, or answers it as the one before with its key.
///
/// # Errors
/// What `work` refuses; why the key does not let it be done.
pub(super) async fn answered(
    site: &Arc<Site>,
    by: &Caller,
    keyed: Keyed,
    id: &str,
    work: impl FnOnce(RequestClaim) -> BoxFuture<'static, Result<Told>>,
) -> Result<Response, Refused> {
    let again = keyed.request.again;
    let claim = match site.station.begin_request(by, keyed.request).await? {
        Begun::Do(claim) => claim,
        Begun::Tell(status, body) => return replayed(status, &body, id).map_err(Refused::Error),
        Begun::Withhold => return Err(withheld().into()),
        Begun::Another => return Err(Refused::As(StatusCode::UNPROCESSABLE_ENTITY, another())),
        Begun::Later => return Err(later().into()),
        Begun::Unknown => return Err(unknown().into()),
    };
    let (station, shown, work) = (site.station.clone(), keyed.shown, work(claim.clone()));
    let place = keyed.place;
    let working = async move {
        let _place = place;
        let told = station.do_request(&claim, work).await;
        keep(&station, (&claim, again), &told, shown).await;
        told
    };
    let working = site.keyed.spawn(working.instrument(tracing::Span::current()));
    let Told { status, body, .. } =
        working.await.map_err(|panicked| Error::internal("doing a request with a key", panicked))??;
    Ok((status, Json(body)).into_response())
}

/// Keeps what became of a request. One that was refused because there is no room now may be sent again, where it is known that it was
/// not done: a run is queued and bound to its key at once or not at all. What else was refused so late may have been done before
/// that; it stays at work until its lease is over, and then nobody knows.
async fn keep(
    station: &Station,
    (claim, again): (&RequestClaim, Again),
    told: &Result<Told>,
    shown: fn(&Error) -> Value,
) {
    let kept = match told {
        Ok(Told { status, body, keep: Keep::Answer }) => {
            station.settle_request(claim, status.as_u16(), Some(body.to_string())).await
        }
        Ok(Told { status, .. }) => station.settle_request(claim, status.as_u16(), None).await,
        Err(error) if error.kind() == Kind::Busy && again == Again::Unsure => Ok(()),
        Err(error) if error.kind() == Kind::Busy => station.release_request(claim).await,
        Err(error) => {
            let status = failure::status(error.kind()).as_u16();
            station.settle_request(claim, status, Some(shown(error).to_string())).await
        }
    };
    if let Err(error) = kept {
        tracing::warn!(%error, causes = ?error.causes(), "what became of a request with a key is not kept");
    }
}

/// What the first request was answered, to the request `id`.
fn replayed(status: u16, body: &str, id: &str) -> Result<Response> {
    let unreadable = |error| Error::internal("reading what a request was answered", error);
    let mut body: Value = serde_json::from_str(body).map_err(unreadable)?;
    if let Some(error) = body.get_mut("error").and_then(Value::as_object_mut) {
        error.insert("request_id".to_owned(), id.into());
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let mut response = (status, Json(&body)).into_response();
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    if let Some(seconds) = body["error"]["retry_after_s"].as_u64() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    Ok(response)
}

fn another() -> Error {
    Error::invalid("this `Idempotency-Key` came with another request before")
        .with_hint("send a new key with each request, and a known one only with the very same request again")
}

fn later() -> Error {
    Error::conflict("the first request with this `Idempotency-Key` is still at work")
        .with_hint("send it again with the same key: it is answered once that is done")
        .with_retry_after_s(1)
}

fn unknown() -> Error {
    Error::conflict(
        "nobody knows whether the first request with this `Idempotency-Key` was done: Station ended while it was at work",
    )
    .with_hint("look whether it was: the audit (`stn audit list`, GET /api/v1/audit) tells what was changed and called")
    .with_hint("where it was not, send it with another key")
}

fn withheld() -> Error {
    Error::conflict(
        "this was done by the first request with this `Idempotency-Key`, and its answer is not told twice",
    )
    .with_hint("list what it made; what is told once, such as an API key, is made anew with another key")
}

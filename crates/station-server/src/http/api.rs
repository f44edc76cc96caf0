//! `/api/v1`: takes a request in, has its operation done, and wraps what comes of it.

use super::body::Unread;
use super::caller::{COOKIE, cookie};
use super::failure;
use super::limits::{AtWork, followed};
use super::once::{self, Keep, Keyed, Told};
use super::{Site, mcp};
use crate::api::{self, BASE, Needs, Operation, Reply};
use crate::wire;
use axum::extract::{FromRequestParts as _, Query, RawPathParams, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::Event;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on};
use axum::{Extension, Json, Router};
use futures::{FutureExt as _, StreamExt as _};
use futures::{future, stream};
use serde_json::{Map, Value, json};
use station_core::tool::canonical_json;
use station_core::{Caller, Error, Kind, Result, RunId};
use station_engine::{KeyedRequest, RunEvent, SESSION_VALID_FOR};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where the document is.
const DOCUMENT: &str = "/openapi.json";

pub(super) fn routes() -> Router<Arc<Site>> {
    let mut router = Router::new().route(&format!("{BASE}{DOCUMENT}"), get(document));
    for operation in api::operations() {
        router = router.route(&format!("{BASE}{}", operation.path), routed(operation));
    }
    router
}

/// Where it stands what there is.
pub(super) const WHAT_THERE_IS: &str =
    "/api/v1/openapi.json lists the API; MCP is at /mcp, and for an environment at /mcp/env/{name}";

fn routed(operation: &'static Operation) -> MethodRouter<Arc<Site>> {
    let method = MethodFilter::try_from(operation.verb.method()).expect("a method that axum routes");
    on(
        method,
        move |State(site): State<Arc<Site>>, Extension(by): Extension<Arc<Caller>>, request: Request| async move {
            let id = failure::request_id(request.headers()).to_owned();
            match answered(&site, &by, operation, request, &id).await {
                Ok(response) => response,
                Err(Refused::Error(error)) => failure::response(&id, failure::status(error.kind()), &error),
                Err(Refused::As(status, error)) => failure::response(&id, status, &error),
            }
        },
    )
}

/// Why there is no answer.
pub(super) enum Refused {
    /// Under the status of its kind.
    Error(Error),
    /// Under a status that says more.
    As(StatusCode, Error),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Unread> for Refused {
    fn from(Unread(status, error): Unread) -> Self {
        Self::As(status, error)
    }
}

async fn answered(
    site: &Arc<Site>,
    by: &Caller,
    operation: &'static Operation,
    request: Request,
    id: &str,
) -> Result<Response, Refused> {
    let shown_cookie = cookie(request.headers());
    let key = if operation.heeds_key() { once::key(request.headers())? } else { None };
    let at_work = request.extensions().get::<AtWork>().cloned();
    let given = given(site, operation, request).await?;
    let arguments = api::read(operation, &given)?;
    // Before anything is looked for: a refusal says nothing of what there is. The verb asks again, and alone decides.
    if let Needs::Right(action) = operation.needs {
        by.may(action)?;
    }
    let status = StatusCode::from_u16(operation.status).unwrap_or(StatusCode::OK);
    if let Some(key) = key {
        let asks = format!("{} {}", operation.id, canonical_json(&Value::Object(given)));
        let keyed = Keyed {
            request: KeyedRequest { key, asks, again: operation.again() },
            shown: envelope,
            place: at_work,
        };
        let (desk, of) = (site.management.desk(), by.clone());
        let work = async move |claim| {
            let mut arguments = arguments;
            arguments.once = Some(claim);
            told(status, (operation.call)(&desk, &of, arguments).await?)
        };
        return once::answered(site, by, keyed, id, |claim| work(claim).boxed()).await;
    }
    // Before anything is begun for it.
    let place = match operation.id {
        "follow_run" => {
            Some(site.limits.follow(by).map_err(|error| Refused::As(StatusCode::TOO_MANY_REQUESTS, error))?)
        }
        _ => None,
    };
    let desk = site.management.desk();
    let done =
        (operation.call)(&desk, by, arguments).await.map_err(|error| match (operation.id, error.kind()) {
            // Not the server is at its limit, but whoever guesses.
            ("create_session", Kind::Busy) => Refused::As(StatusCode::TOO_MANY_REQUESTS, error),
            _ => Refused::Error(error),
        });
    match done? {
        Reply::Body(body) | Reply::Once(body) => Ok((status, Json(body)).into_response()),
        Reply::Events { run, events } => Ok(followed(streamed(site, by, run, events), place)),
        Reply::SignedIn { cookie, caller } => {
            let cookie = set_cookie(cookie.expose(), SESSION_VALID_FOR.as_secs());
            Ok((status, [(header::SET_COOKIE, cookie)], Json(wire::Caller::from(&*caller))).into_response())
        }
        Reply::SignedOut => {
            if let Some(cookie) = shown_cookie {
                site.station.delete_session(&cookie).await?;
            }
            Ok((status, [(header::SET_COOKIE, set_cookie("", 0))], Json(json!({}))).into_response())
        }
    }
}

/// What an operation is given: in its address, and in its query or its body.
async fn given(site: &Site, operation: &Operation, request: Request) -> Result<Map<String, Value>, Refused> {
    let (mut parts, body) = request.into_parts();
    let mut given = Map::new();
    let path = RawPathParams::from_request_parts(&mut parts, &()).await;
    let path = path.map_err(|_| Error::invalid("the address has bytes that are no text"))?;
    given.extend(path.iter().map(|(name, value)| (name.to_owned(), Value::from(value))));
    let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
    let Query(query) = query.map_err(|_| Error::invalid("the query cannot be read"))?;
    match operation.verb.has_body() {
        false => {
            for (name, value) in query {
                if operation.is_list(&name) {
                    let list = given.entry(name).or_insert_with(|| json!([]));
                    list.as_array_mut().into_iter().for_each(|list| list.push(value.as_str().into()));
                } else {
                    add(&mut given, name, value.into())?;
                }
            }
            // How a browser goes on where it was cut off (HTML, server-sent events).
            if operation.id == "follow_run"
                && let Some(last) = last_event(&parts.headers)?
            {
                given.insert("after".to_owned(), last.into());
            }
        }
        true => {
            if let Some((name, _)) = query.first() {
                let method = &parts.method;
                return Err(Error::invalid(format!(
                    "`{name}` stands in the query, where a {method} has nothing"
                ))
                .with_hint("send it in the body")
                .into());
            }
            let request = Request::from_parts(parts, body);
            let object = match operation.needs {
                Needs::Nothing => object(&site.bodies.read_short(request).await?)?,
                _ => object(&site.bodies.read(request).await?.bytes)?,
            };
            for (name, value) in object {
                add(&mut given, name, value)?;
            }
        }
    }
    Ok(given)
}

/// What is told of an operation that heeds keys, and whether it may be told again.
fn told(status: StatusCode, reply: Reply) -> Result<Told> {
    match reply {
        Reply::Body(body) => Ok(Told { status, body, keep: Keep::Answer }),
        Reply::Once(body) => Ok(Told { status, body, keep: Keep::Status }),
        Reply::Events { .. } | Reply::SignedIn { .. } | Reply::SignedOut => {
            Err(Error::internal("answering a request with a key", "its answer is more than a body"))
        }
    }
}

/// The envelope of an error, as yet without the request's name.
fn envelope(error: &Error) -> Value {
    serde_json::to_value(wire::Error::from(error)).expect("wire structs serialize")
}

/// Our cookie, for so many seconds.
fn set_cookie(value: &str, seconds: u64) -> String {
    format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={seconds}")
}

/// Adds a value that stands nowhere else.
fn add(given: &mut Map<String, Value>, name: String, value: Value) -> Result<()> {
    if given.contains_key(&name) {
        return Err(Error::invalid(format!("`{name}` is given twice")));
    }
    given.insert(name, value);
    Ok(())
}

fn object(body: &[u8]) -> Result<Map<String, Value>> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|error| {
        Error::invalid(format!("the body is no JSON object: {error}"))
            .with_hint("send `{\"name\": value, …}`")
    })
}

fn last_event(headers: &HeaderMap) -> Result<Option<String>> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    match value.to_str().map(str::trim) {
        Ok("") => Ok(None),
        Ok(id) if station_core::is_number(id) => Ok(Some(id.to_owned())),
        _ => {
            Err(Error::invalid("`Last-Event-ID` is not the id of an event that was sent: those are numbers"))
        }
    }
}

/// Events of a run, and at its end the run itself.
fn streamed(site: &Site, by: &Caller, run: RunId, events: api::Events) -> Response {
    let (station, by) = (site.station.clone(), by.clone());
    // Nobody who was refused in between hears of the end.
    let broken = Arc::new(AtomicBool::new(false));
    let broke = Arc::clone(&broken);
    let end = async move {
        if broken.load(Ordering::Relaxed) {
            return None;
        }
        match station.show_run(&by, run).await {
            Ok(details) if details.run.status.is_final() => {
                Some(event("end", &wire::Run::new(&details.run, details.interrupted)))
            }
            // It broke off, or this process ends: whoever listens comes again and goes on.
            Ok(_) => None,
            Err(error) => Some(event("error", &wire::Error::from(&error))),
        }
    };
    let events = events.map(move |told| match told {
        Ok(RunEvent::Entry(entry)) => event("entry", &wire::Entry::from(&*entry)).id(entry.seq.to_string()),
        Ok(RunEvent::Text(text)) => event("text", &text),
        Ok(RunEvent::Parked(run)) => event("parked", &wire::Run::new(&run, false)),
        Err(error) => {
            broke.store(true, Ordering::Relaxed);
            event("error", &wire::Error::from(&error))
        }
    });
    let all = events.map(Some).chain(stream::once(end)).filter_map(future::ready);
    mcp::streamed(all.take_until(site.left.clone().cancelled_owned()).map(Ok))
}

fn event<T: serde::Serialize>(name: &str, data: &T) -> Event {
    let data = serde_json::to_string(data).expect("wire structs serialize");
    Event::default().event(name).data(data)
}

async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], format!("{:#}\n", api::document())).into_response()
}

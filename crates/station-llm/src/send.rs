//! Sends one request and reads its answer as it comes.

use crate::choose::Endpoint;
use crate::dialect::Dialect;
use crate::failure::{self, Failed};
use crate::sse::TooLong;
use crate::transport::Transport;
use crate::{Delta, Request};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode};
use station_core::{Answer, Trace};
use std::time::Duration;
use tokio::time::timeout;

/// Most bytes read of a refusal: enough for its message.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// Most bytes read of an answer that is not streamed.
const WHOLE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Asks `endpoint` once.
pub(crate) async fn ask(
    endpoint: &Endpoint,
    asked: &Request<'_>,
    idle: Duration,
    transport: &Transport,
    on_delta: &(dyn Fn(Delta) + Send + Sync),
) -> Result<Answer, Failed> {
    let response = send(endpoint, asked, idle, transport).await?;
    let status = response.status();
    if status != StatusCode::OK {
        let after = crate::retry_after::retry_after(response.headers());
        // A refusal whose body does not come is a refusal all the same.
        let body = whole_body(endpoint, response, idle, REFUSAL_BYTES_MAX).await.unwrap_or_default();
        return Err(failure::of_status(endpoint, status.as_u16(), &body, after));
    }
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.starts_with("application/json") {
        let body = whole_body(endpoint, response, idle, WHOLE_BYTES_MAX).await?;
        return finish_whole(endpoint, &body, on_delta);
    }
    if kind.starts_with("text/html") {
        return Err(failure::garbled(endpoint, "answered with a web page")
            .with_hint(match endpoint.dialect {
                Dialect::Chat | Dialect::Responses => "check `STN_AI_BASE_URL`; it usually ends in /v1",
                Dialect::Anthropic | Dialect::Gemini | Dialect::Ollama => "check `STN_AI_BASE_URL`",
            })
            .for_good());
    }
    read_stream(endpoint, response, idle, on_delta).await
}

async fn send(
    endpoint: &Endpoint,
    asked: &Request<'_>,
    idle: Duration,
    transport: &Transport,
) -> Result<Response, Failed> {
    let body = endpoint.dialect.body(endpoint, asked).to_string();
    let mut builder = transport
        .client(&endpoint.url)?
        .post(&endpoint.url)
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "text/event-stream")
        .body(body);
    for (name, value) in endpoint.dialect.headers() {
        builder = builder.header(*name, *value);
    }
    if let Some(trace) = asked.trace {
        builder = builder.header(Trace::NAME, trace.to_string());
    }
    match timeout(idle, with_key(builder, endpoint)?.send()).await {
        Err(_) => Err(failure::silent(endpoint, idle)),
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => {
            tracing::debug!(error = %error.without_url(), "a request to a model failed");
            Err(failure::unreachable(endpoint))
        }
    }
}

/// `builder` with the key of `endpoint`, where that has one.
pub(crate) fn with_key(builder: RequestBuilder, endpoint: &Endpoint) -> Result<RequestBuilder, Failed> {
    let Some(key) = &endpoint.key else { return Ok(builder) };
    let (name, before) = endpoint.dialect.key_header();
    let mut value = HeaderValue::try_from(format!("{before}{}", key.expose().trim())).map_err(|_| {
        failure::of_status(endpoint, 401, "", None)
            .with_hint(format!("{} has characters that no key has", endpoint.key_variables))
    })?;
    value.set_sensitive(true);
    Ok(builder.header(name, value))
}

async fn read_stream(
    endpoint: &Endpoint,
    mut response: Response,
    idle: Duration,
    on_delta: &(dyn Fn(Delta) + Send + Sync),
) -> Result<Answer, Failed> {
    let mut frames = endpoint.dialect.frames();
    let mut reading = endpoint.dialect.reading();
    while !reading.is_done() {
        let chunk = match timeout(idle, response.chunk()).await {
            // Only the usage is missing: not worth the answer.
            Err(_) if reading.is_whole() => break,
            Err(_) => return Err(failure::silent(endpoint, idle)),
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => break,
            Ok(Err(error)) => {
                tracing::debug!(error = %error.without_url(), "a model's stream broke");
                break;
            }
        };
        let events = frames
            .push(&chunk)
            .map_err(|TooLong| failure::garbled(endpoint, "sent an endless event").for_good())?;
        for event in events {
            tell(reading.take(endpoint, &event)?, on_delta);
        }
    }
    if !reading.is_whole()
        && let Some(event) = frames.finish()
    {
        // Half an event is a truncated answer, not a garbled one.
        tell(reading.take(endpoint, &event).map_err(|_| failure::truncated(endpoint))?, on_delta);
    }
    reading.finish(endpoint)
}

fn finish_whole(
    endpoint: &Endpoint,
    body: &str,
    on_delta: &(dyn Fn(Delta) + Send + Sync),
) -> Result<Answer, Failed> {
    let mut reading = endpoint.dialect.reading();
    tell(reading.take(endpoint, body)?, on_delta);
    if !reading.is_whole() {
        return Err(failure::garbled(endpoint, "sent JSON that is not an answer"));
    }
    reading.finish(endpoint)
}

fn tell(text: Option<String>, on_delta: &(dyn Fn(Delta) + Send + Sync)) {
    if let Some(text) = text {
        on_delta(Delta::Text(text));
    }
}

/// The body as text, at most `limit` bytes of it.
async fn whole_body(
    endpoint: &Endpoint,
    mut response: Response,
    idle: Duration,
    limit: usize,
) -> Result<String, Failed> {
    let mut body = Vec::new();
    while body.len() < limit {
        match timeout(idle, response.chunk()).await {
            Err(_) => return Err(failure::silent(endpoint, idle)),
            Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
            Ok(Ok(None)) => break,
            Ok(Err(_)) => return Err(failure::truncated(endpoint)),
        }
    }
    body.truncate(limit);
    Ok(String::from_utf8_lossy(&body).into_owned())
}

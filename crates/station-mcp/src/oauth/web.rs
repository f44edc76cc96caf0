//! The requests themselves: JSON and forms, within limits, to where the guard lets them.

use super::guard::Guard;
use crate::outbound::{self, NO_TLS};
use reqwest::header::{ACCEPT, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use std::time::Duration;
use url::Url;

/// Longest time of one request. Nobody waits longer for a page of metadata.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes of an answer that are read. Real ones have a few thousand.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// Redirects of a look at metadata: one for the host, one for a slash, and one more.
const REDIRECTS_MAX: usize = 3;

/// How requests that a login needs are made.
#[derive(Debug)]
pub struct Web {
    guard: Guard,
    pub(super) server: Url,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// `Null` where it is no JSON.
    pub(super) body: Value,
}

/// What is sent.
pub(super) enum Body<'a> {
    Json(&'a Value),
    Form(&'a [(&'a str, &'a str)]),
}

impl Web {
    /// For a login at the server of this address.
    ///
    /// # Errors
    /// Where it is none.
    pub fn of(server: &str, allow_private: bool) -> Result<Self, String> {
        let server =
            Url::parse(server.trim()).map_err(|error| format!("has a `url` that is none ({error})"))?;
        Ok(Self { guard: Guard::of(&server, allow_private), server })
    }

    /// For looks at what the issuer at this address publishes.
    pub(super) fn of_issuer(issuer: &Url, allow_private: bool) -> Self {
        Self { guard: Guard::of_issuer(issuer, allow_private), server: issuer.clone() }
    }

    /// A document, where there is one; redirects are followed, each looked at like the first.
    pub(super) async fn get(&self, url: &Url) -> Result<Option<Value>, String> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let request = self.request(Method::GET, &url)?.header(ACCEPT, "application/json");
            let response = request.send().await.map_err(|error| explain(&url, &error))?;
            if response.status().is_redirection() {
                let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
                match location.and_then(|location| url.join(location).ok()) {
                    Some(next) => url = next,
                    None => return Ok(None),
                }
                continue;
            }
            let answer = read(&url, response).await?;
            // Some answer every address with a page of theirs.
            return Ok(Some(answer.body).filter(|body| answer.status.is_success() && body.is_object()));
        }
        Err(format!("`{}` redirects in a circle", shown(&url)))
    }

    /// Posts; `basic` is a client and its secret. No redirect is followed with a secret.
    pub(super) async fn post(
        &self,
        url: &Url,
        body: Body<'_>,
        basic: Option<(&str, &str)>,
    ) -> Result<Answer, String> {
        let mut request = self.request(Method::POST, url)?.header(ACCEPT, "application/json");
        if let Some((id, secret)) = basic {
            // RFC 6749, section 2.3.1: each is encoded as in a form first.
            let encoded =
                |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            request = request.basic_auth(encoded(id), Some(encoded(secret)));
        }
        let request = match body {
            Body::Json(body) => request.json(body),
            Body::Form(fields) => {
                let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
                request.header("content-type", "application/x-www-form-urlencoded").body(form)
            }
        };
        let response = request.send().await.map_err(|error| explain(url, &error))?;
        read(url, response).await
    }

    /// A client of its own for each request: what a name may lead to depends on the request.
    fn request(&self, method: Method, url: &Url) -> Result<RequestBuilder, String> {
        self.guard.admits(url).map_err(|why| format!("`{}` {why}", shown(url)))?;
        let builder = outbound::builder(url).timeout(TIMEOUT).dns_resolver(self.guard.resolver_for(url));
        let client = builder.build().map_err(|error| {
            tracing::warn!(%error, "the HTTP client could not be made");
            NO_TLS.to_owned()
        })?;
        Ok(client.request(method, url.clone()))
    }
}

async fn read(url: &Url, mut response: Response) -> Result<Answer, String> {
    let status = response.status();
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| explain(url, &error))? {
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(format!("`{}` answered more than {} KiB", shown(url), BODY_BYTES_MAX / 1024));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body: serde_json::from_slice(&bytes).unwrap_or_default() })
}

/// An address without what may be secret in it.
pub(super) fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

fn explain(url: &Url, error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("`{}` did not answer within {TIMEOUT:?}", shown(url));
    }
    format!("`{}` cannot be reached: {}", shown(url), outbound::innermost(error))
}

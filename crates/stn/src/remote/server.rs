//! Asking a server: who is asked with which key, and what is done when an answer does not come.

use super::answer::{self, Answer};
use super::{Address, Logins};
use crate::config::Environment;
use reqwest::header::{AUTHORIZATION, COOKIE, HeaderMap, HeaderValue, ORIGIN, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, redirect, retry};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use station_core::{Error, Kind, Result, Secret};
use station_server::api::{Request, request};
use std::error::Error as _;
use std::time::{Duration, Instant};

/// Longest time to reach a server; one that does not answer by then will not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest time for an answer: a tool may be called, and every server of an environment asked for its tools.
const ANSWER_WITHIN: Duration = Duration::from_secs(600);

/// How long an answer that was lost is asked for again: a server that is updated is back by then.
const AGAIN_WITHIN: Duration = Duration::from_secs(15);

/// The first wait between two tries; doubled each time.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Most items that are asked for at a time.
const PAGE: usize = 1_000;

/// A server that was named.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: Address,
    /// Whether the variable named it, and not the command line.
    pub(crate) is_of_environment: bool,
    /// Whether it may be spoken to without TLS wherever it is.
    pub(crate) plain_http: bool,
}

impl Target {
    /// The server that the command line names, or else the environment, if one of them does.
    ///
    /// # Errors
    /// `Invalid` where that is no address.
    pub(crate) fn chosen(
        typed: Option<&str>,
        plain_http: bool,
        environment: &Environment,
    ) -> Result<Option<Self>> {
        let Some(text) = typed.or_else(|| environment.get("STN_SERVER")) else { return Ok(None) };
        let is_of_environment = typed.is_none();
        let address = Address::parse(text);
        let address = address.map_err(|error| match is_of_environment {
            true => error.with_hint("it stands in STN_SERVER"),
            false => error,
        })?;
        Ok(Some(Self { address, is_of_environment, plain_http }))
    }

    /// The key for it in the environment: it is for the server that the environment names, where that names one.
    fn key_of(&self, environment: &Environment) -> Option<Secret> {
        let named = environment.get("STN_SERVER").map(Address::parse);
        let is_for_it = named.is_none_or(|named| named.is_ok_and(|named| named == self.address));
        environment.get("STN_SERVER_KEY").filter(|_| is_for_it).map(Secret::new)
    }
}

/// A server, with what is shown to it.
pub(crate) struct Server {
    pub(crate) address: Address,
    client: Client,
    /// Headers of every request: they are secrets.
    shown: HeaderMap,
}

/// What came of sending a request once, where no answer did.
pub(super) enum Lost {
    /// Nothing was sent: why, as the rest of a sentence that begins with the server.
    Unreached(String),
    /// It was sent, and nobody knows what came of it.
    Cut(String),
    /// As `Cut`: it took too long.
    TimedOut,
}

impl Server {
    /// The server of `target`, asked with the key of the environment, or else the one that is kept for it, or else none.
    ///
    /// # Errors
    /// `Invalid` where what is sent could be read on the way and nobody said that it may, and where a key is none; `Internal` where no
    /// request can be made at all.
    pub(crate) fn open(target: &Target, environment: &Environment) -> Result<Self> {
        let key = target.key_of(environment);
        let login = match Logins::of(environment) {
            Ok(logins) => logins.find(&target.address)?,
            // Without a home there is only what the environment says.
            Err(_) => None,
        };
        let plain_http = target.plain_http || login.as_ref().is_some_and(|login| login.plain_http);
        let key = key.or_else(|| login.map(|login| login.key()));
        Self::with(&Target { plain_http, ..target.clone() }, key.as_ref())
    }

    /// The server of `target`, asked with this key.
    ///
    /// # Errors
    /// As [`Server::open`].
    pub(crate) fn with(target: &Target, key: Option<&Secret>) -> Result<Self> {
        let address = target.address.clone();
        if address.is_plain() && !address.is_here() && !target.plain_http {
            return Err(Error::invalid(format!(
                "{address} is spoken to without TLS: whoever is in between would read the key"
            ))
            .with_hint("write `https://…`; `--plain-http` allows it, for a network that is yours alone"));
        }
        let mut shown = HeaderMap::new();
        if let Some(key) = key {
            shown.insert(AUTHORIZATION, secret_header(&format!("Bearer {}", key.expose()))?);
        }
        let client = client(&address)?;
        Ok(Self { address, client, shown })
    }

    /// This server, asked as somebody who signed in with a password.
    ///
    /// # Errors
    /// The server's.
    pub(crate) async fn signed_in(mut self, name: &str, password: &Secret) -> Result<Self> {
        let given = json!({ "name": name, "password": password.expose() });
        let answer = self.answer(&asked("create_session", given)?).await?;
        let cookie = answer.headers.get(SET_COOKIE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        answer.read::<Value>(&self.address, "create_session")?;
        let cookie = cookie.as_deref().and_then(|cookie| cookie.split(';').next());
        let cookie = cookie.ok_or_else(|| answer::no_station(&self.address, "it signed nobody in"))?;
        self.shown.insert(COOKIE, secret_header(cookie)?);
        // As a page of its own: a cookie alone says nothing of whether somebody meant it.
        self.shown.insert(ORIGIN, secret_header(&self.address.origin())?);
        Ok(self)
    }

    /// Whether it is asked as anybody.
    pub(crate) fn shows_nothing(&self) -> bool {
        self.shown.is_empty()
    }

    /// Has `operation` done with what is `given`, of which `null` says nothing.
    ///
    /// # Errors
    /// The server's, as they would be here; where it cannot be reached, does not answer, or is no Station.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, operation: &str, given: Value) -> Result<T> {
        let answer = self.answer(&asked(operation, given)?).await?;
        let read = answer.read(&self.address, operation);
        read.map_err(|error| self.with_way_in(error))
    }

    /// The first `most` items of a list, over as many pages as that takes.
    ///
    /// # Errors
    /// As [`Server::ask`].
    pub(crate) async fn list<T: DeserializeOwned>(
        &self,
        operation: &str,
        mut given: Value,
        most: u32,
    ) -> Result<Vec<T>> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let mut items: Vec<T> = Vec::new();
        while items.len() < most {
            given["limit"] = (most - items.len()).min(PAGE).into();
            let (page, next) = self.page(operation, given.clone()).await?;
            items.extend(page);
            let Some(next) = next else { break };
            given["cursor"] = next;
        }
        Ok(items)
    }

    /// One page of items, and the cursor of the next where there is one.
    ///
    /// # Errors
    /// As [`Server::ask`].
    pub(crate) async fn page<T: DeserializeOwned>(
        &self,
        operation: &str,
        given: Value,
    ) -> Result<(Vec<T>, Option<Value>)> {
        let nouns = ["list_", "export_"].iter().find_map(|verb| operation.strip_prefix(verb));
        let mut page: Map<String, Value> = self.ask(operation, given).await?;
        let read =
            serde_json::from_value::<Vec<T>>(page.remove(nouns.unwrap_or(operation)).unwrap_or_default());
        let read = read.map_err(|cause| answer::unread(&self.address, operation, cause))?;
        // A page of nothing is the last, whatever it says.
        let next = page.remove("next").filter(|next| next.is_string() && !read.is_empty());
        Ok((read, next))
    }

    /// All items of a list.
    ///
    /// # Errors
    /// As [`Server::ask`].
    pub(crate) async fn all<T: DeserializeOwned>(&self, operation: &str, given: Value) -> Result<Vec<T>> {
        self.list(operation, given, u32::MAX).await
    }

    /// The answer to a request, also where the connection broke before it was there, and asking again is safe.
    async fn answer(&self, request: &Request) -> Result<Answer> {
        let key = request.heeds_key.then(|| uuid::Uuid::now_v7().to_string());
        let may_repeat = key.is_some() || request.only_looks;
        let (mut wait, mut lost_at) = (AGAIN_AFTER, None);
        loop {
            let lost = match self.once(request, key.as_deref()).await {
                // The first one is not done yet, or the server is only beginning.
                Ok(answer) if lost_at.is_some() && answer.is_early() => None,
                Ok(answer) => return Ok(answer),
                Err(lost) => Some(lost),
            };
            let is_first = lost_at.is_none();
            let since: Instant = *lost_at.get_or_insert_with(Instant::now);
            let over = matches!(lost, Some(Lost::TimedOut)) || since.elapsed() >= AGAIN_WITHIN;
            let unsent = is_first && matches!(lost, Some(Lost::Unreached(_)));
            if !may_repeat || over || unsent {
                return Err(self.failed(request, lost, is_first));
            }
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }

    /// Sends a request.
    async fn once(&self, request: &Request, key: Option<&str>) -> Result<Answer, Lost> {
        let mut sent = self.request(request).timeout(ANSWER_WITHIN);
        if let Some(key) = key {
            sent = sent.header("idempotency-key", format!("\"{key}\""));
        }
        Answer::of(sent.send().await.map_err(|error| lost(&error))?).await.map_err(|error| lost(&error))
    }

    /// Opens the stream with which `request` is answered.
    pub(super) async fn open_stream(&self, request: &Request, last: Option<i64>) -> Result<Response, Lost> {
        let sent = self.request(request).header("accept", "text/event-stream");
        let sent = match last {
            Some(last) => sent.header("last-event-id", last),
            None => sent,
        };
        sent.send().await.map_err(|error| lost(&error))
    }

    fn request(&self, request: &Request) -> RequestBuilder {
        let sent =
            self.client.request(request.method.clone(), self.address.of(request)).headers(self.shown.clone());
        match &request.body {
            Some(body) => sent.json(body),
            None => sent,
        }
    }

    /// Why a request has no answer.
    pub(super) fn failed(&self, request: &Request, lost: Option<Lost>, is_first: bool) -> Error {
        let address = &self.address;
        let was_sent = !is_first || !matches!(lost, Some(Lost::Unreached(_)));
        let error = match lost {
            Some(Lost::Unreached(why)) => Error::upstream(format!("{address} cannot be reached: {why}")),
            Some(Lost::Cut(why)) => {
                Error::upstream(format!("{address} broke the connection off before it answered: {why}"))
            }
            Some(Lost::TimedOut) => Error::new(Kind::Timeout, format!("{address} did not answer in time")),
            None => Error::new(Kind::Busy, format!("{address} has not done yet what it was asked for")),
        };
        match error.sentence().contains("certificate") {
            true => error.with_hint("its certificate must be signed by one of the system's; SSL_CERT_FILE names a file with others (PEM)"),
            false if !was_sent => error.with_hint("is it running there (`stn serve`), and is the address right?"),
            false if request.only_looks => error.with_hint("try it again"),
            false => error.with_hint(format!("nobody here knows whether `{}` was done: look before you try it again", request.operation)),
        }
    }

    /// Says how one becomes known, where a server does not know who asks.
    pub(super) fn with_way_in(&self, error: Error) -> Error {
        match error.kind() {
            Kind::Unauthenticated if self.shows_nothing() => {
                let address = &self.address;
                Error::new(
                    Kind::Unauthenticated,
                    format!("{address} wants to know who asks, and no key for it is kept here"),
                )
                .with_hint(format!("`stn login {address}` keeps one; STN_SERVER_KEY gives one for a while"))
            }
            Kind::Unauthenticated => {
                error.with_hint(format!("`stn login {}` keeps another key for it", self.address))
            }
            _ => error,
        }
    }
}

/// How `operation` is asked for.
pub(super) fn asked(operation: &str, given: Value) -> Result<Request> {
    let Value::Object(given) = given else {
        return Err(Error::internal(format!("asking for `{operation}`"), "what is given is no object"));
    };
    request(operation, given)
}

fn secret_header(value: &str) -> Result<HeaderValue> {
    let value = HeaderValue::try_from(value.trim());
    let mut value = value.map_err(|_| Error::invalid("the API key has characters that no key has"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn client(address: &Address) -> Result<Client> {
    let builder = Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .user_agent(concat!("station/", env!("CARGO_PKG_VERSION")));
    // Plain HTTP needs no certificates.
    let builder = if address.is_plain() { builder.tls_certs_only([]) } else { builder };
    builder.build().map_err(|cause| {
        Error::invalid("no TLS connection can be made on this machine")
            .with_hint("install the system's certificates (Debian: `ca-certificates`)")
            .with_cause(cause)
    })
}

/// What an error of the client says of the request.
pub(super) fn lost(error: &reqwest::Error) -> Lost {
    if error.is_connect() {
        return Lost::Unreached(match error.is_timeout() {
            true => format!("it did not answer within {CONNECT_TIMEOUT:?}"),
            false => innermost(error),
        });
    }
    if error.is_timeout() { Lost::TimedOut } else { Lost::Cut(innermost(error)) }
}

/// The last link of the chain says what happened; those before it name the address.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(next) = cause.and_then(std::error::Error::source) {
        cause = Some(next);
    }
    cause.map_or_else(|| "no reason was given".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_the_environment_goes_to_the_server_that_the_environment_names() {
        let check = |typed: Option<&str>, named: &str, expected: bool| {
            let environment = Environment::of(&[("STN_SERVER", named), ("STN_SERVER_KEY", "stn_1_a")]);
            let target = Target::chosen(typed, false, &environment).unwrap().unwrap();
            assert_eq!(target.key_of(&environment).is_some(), expected, "{typed:?} {named}");
        };
        check(Some("https://a"), "", true);
        check(None, "https://a", true);
        check(Some("https://a/"), "https://a", true);
        check(Some("https://b"), "https://a", false);
        check(Some("http://a"), "https://a", false);
        check(Some("https://b"), "nonsense", false);
    }
}

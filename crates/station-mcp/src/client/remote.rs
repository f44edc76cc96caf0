//! Greeting a remote server: like a child, but there is no process to start anew, and a third way to speak.
//!
//! A server that refuses both greetings of streamable HTTP with 400, 404 or 405 and no word of the protocol may speak
//! only the transport of 2024-11-05: then its stream of events is opened. Greeting is repeatable, so these tries are
//! harmless; a call is never part of them.

use super::greet::{Failure, Greeting, begin, connected, failure, known_version, refusal};
use super::handler::Handler;
use super::http::{Link, Target, Wire};
use super::pass::Heard;
use super::traffic::Traffic;
use super::{Carrier, ConnectError, Connection, Launch};
use rmcp::ClientHandler as _;
use rmcp::model::RequestMetaObject;
use rmcp::service::ClientInitializeError;
use serde_json::{Map, Value};
use station_core::mirror::Mirror;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::time::Instant;

/// The far end of a connection; dropping it closes every stream and request of it.
pub(super) struct Remote {
    link: Arc<Link>,
    /// What every request of the modern era says of us (revision 2026-07-28, "Request metadata"); nothing in the older one.
    meta: Map<String, Value>,
}

impl Remote {
    /// Notes what tools want mirrored into the headers of their calls.
    pub(super) fn note_mirrors(&self, mirrors: HashMap<String, Vec<Mirror>>) {
        self.link.note_mirrors(mirrors);
    }

    /// Posts a request and waits for its end.
    pub(super) async fn ask(
        &self,
        method: &'static str,
        params: Map<String, Value>,
        meta: Map<String, Value>,
        effect: &str,
    ) -> Heard {
        let mut all = self.meta.clone();
        all.extend(meta);
        self.link.ask(method, params, all, effect).await
    }

    /// Tells the server that its session is over, and waits until nothing of ours reads any more.
    pub(super) async fn end(&self) {
        self.link.end().await;
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.link.close();
    }
}

/// A way to reach a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Streamable(Greeting),
    /// The transport of 2024-11-05.
    Old,
}

/// How a try failed.
struct Failed {
    /// As the rest of a sentence that begins with the server's name.
    words: String,
    failure: Failure,
    /// Whether a server that speaks only the old transport fails so.
    may_be_old: bool,
}

pub(super) async fn connect(
    launch: &Launch,
    url: &str,
    headers: &BTreeMap<String, String>,
    deadline: Instant,
) -> Result<Connection, ConnectError> {
    let refused = |words: &str| ConnectError::plain(format!("server `{}` {words}", launch.server));
    let target = || Target::new(url, headers, &launch.bearer).map_err(|words| refused(&words));
    let first = Greeting::first(launch.era);
    let mut failed = match attempt(launch, target()?, Way::Streamable(first), deadline).await {
        Ok(connection) => return Ok(connection),
        Err(failed) => failed,
    };
    let second = match first.instead(failed.failure) {
        // It is not updated but older than was thought.
        Some(_) | None if failed.may_be_old => Way::Old,
        Some(greeting) => Way::Streamable(greeting),
        None => return Err(refused(&failed.words)),
    };
    tracing::debug!(server = %launch.server, ?second, "the server is greeted differently");
    match attempt(launch, target()?, second, deadline).await {
        Ok(connection) => return Ok(connection),
        // What the newer way said is worth more than that the older one is not there either.
        Err(again) if second != Way::Old && again.failure != Failure::Final => failed = again,
        Err(_) => {}
    }
    Err(refused(&failed.words))
}

async fn attempt(launch: &Launch, target: Target, way: Way, deadline: Instant) -> Result<Connection, Failed> {
    let last = |words: String| Failed { words, failure: Failure::Final, may_be_old: false };
    let late = || last(format!("did not answer within {:?}", launch.connect_timeout));
    let traffic = Arc::new(Traffic::default());
    let (wire, greeting) = match way {
        Way::Streamable(greeting) => {
            (Wire::streamable(&launch.server, target, Arc::clone(&traffic)), greeting)
        }
        Way::Old => {
            let opening = Wire::old(&launch.server, target, Arc::clone(&traffic));
            let opened = tokio::time::timeout_at(deadline, opening).await.map_err(|_| late())?;
            (opened.map_err(last)?, Greeting::Handshake)
        }
    };
    let link = wire.link();
    let handler = Handler::new(launch, &traffic);
    let changes = handler.changes.clone();
    let greeted = begin(handler, wire, greeting);
    match tokio::time::timeout_at(deadline, greeted).await {
        Ok(Ok(service)) => match known_version(&service) {
            Some(version) => {
                let we = service.service().get_info();
                let said = || {
                    let (info, can) = (we.client_info.clone(), we.capabilities.clone());
                    RequestMetaObject::with_client_context(version.clone(), info, can).0.0
                };
                let meta = if version.has_initialize() { Map::new() } else { said() };
                let carrier = Carrier::Remote(Remote { link, meta });
                Ok(connected(launch, carrier, service, &version, changes, traffic))
            }
            None => Err(last("speaks a version of the protocol that Station does not know".to_owned())),
        },
        Ok(Err(error)) => Err(explain(&link, &error)),
        Err(_) => Err(late()),
    }
}

fn explain(link: &Link, error: &ClientInitializeError) -> Failed {
    let failure = failure(error);
    let trouble = link.trouble();
    let may_be_old = trouble.as_ref().is_some_and(|trouble| trouble.may_be_old);
    match trouble {
        // HTTP itself failed: that says more than what rmcp makes of it, and greeting again would change nothing.
        Some(trouble) if !trouble.is_answer => {
            Failed { words: trouble.words, failure: Failure::Final, may_be_old }
        }
        _ if failure == Failure::HungUp => {
            Failed { words: "closed the connection before it answered".to_owned(), failure, may_be_old }
        }
        _ => Failed { words: refusal(error), failure, may_be_old },
    }
}

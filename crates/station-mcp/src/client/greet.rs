//! Greeting a server: which era it speaks, and what to try when the first guess was wrong.
//!
//! A server whose era is not known is probed with `server/discover`; an old one answers that with an error and is
//! greeted by the handshake on the same connection, a silent one after rmcp's fixed ten seconds. What no probe can
//! cover needs a fresh process: old servers that end at a request they do not know, and servers that changed their era
//! since they were last seen. One second try is made, never a third; [`Greeting::instead`] says which. How a remote
//! server is greeted stands in [`super::remote`].

use super::handler::{self, Changes, Handler};
use super::traffic::Traffic;
use super::wire::Wire;
use super::{Carrier, ConnectError, Connection, Inner, Launch, remote, stdio};
use rmcp::RoleClient;
use rmcp::model::ProtocolVersion;
use rmcp::service::{ClientInitializeError, ClientLifecycleMode, ClientServiceExt as _, RunningService};
use rmcp::transport::IntoTransport;
use station_core::{Definition, Era};
use std::sync::{Arc, Mutex};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// A way to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// Discover, and the handshake where that is refused or not answered.
    Probe,
    /// The handshake alone.
    Handshake,
    /// Discover alone, for as long as it takes.
    Discover,
}

/// How a greeting failed, as far as it matters for what is tried next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The server could not be started, or there is no time left.
    Final,
    /// It ended, or closed its output, without an answer.
    HungUp,
    /// It answered, and not with what was asked for.
    Refused,
    /// It answered something that no greeting is answered with.
    Misread,
    /// It refused both, one after the other.
    RefusedBoth,
}

impl Greeting {
    pub(super) fn first(seen: Option<Era>) -> Self {
        match seen {
            Some(Era::Legacy) => Self::Handshake,
            // Discover is the first thing a probe says: a modern server loses nothing.
            Some(Era::Modern) | None => Self::Probe,
        }
    }

    /// What is worth a fresh process after `failure`.
    pub(super) fn instead(self, failure: Failure) -> Option<Self> {
        match (self, failure) {
            // Old servers end at a request they do not know, or say nothing with many words.
            (Self::Probe, Failure::HungUp | Failure::Misread) => Some(Self::Handshake),
            // A modern server that was too slow for the probe refused the handshake.
            (Self::Probe, Failure::Refused) => Some(Self::Discover),
            // It was updated since it was seen.
            (Self::Handshake, Failure::Refused | Failure::Misread) => Some(Self::Probe),
            (Self::Handshake, Failure::HungUp)
            | (Self::Discover, _)
            | (_, Failure::Final | Failure::RefusedBoth) => None,
        }
    }

    pub(super) fn lifecycle(self) -> ClientLifecycleMode {
        let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
        match self {
            Self::Probe => ClientLifecycleMode::Auto {
                preferred_versions,
                legacy_version: Some(ProtocolVersion::LATEST_WITH_INITIALIZE),
            },
            Self::Handshake => ClientLifecycleMode::Initialize,
            Self::Discover => ClientLifecycleMode::Discover { preferred_versions },
        }
    }
}

pub(super) async fn connect(launch: &Launch) -> Result<Connection, ConnectError> {
    let deadline = Instant::now() + launch.connect_timeout;
    if let Definition::Http { url, headers, .. } = &launch.definition {
        return remote::connect(launch, url, headers, deadline).await;
    }
    let first = Greeting::first(launch.era);
    let (error, failure) = match attempt(launch, first, deadline).await {
        Ok(connection) => return Ok(connection),
        Err(failed) => failed,
    };
    let Some(second) = first.instead(failure) else { return Err(error) };
    tracing::debug!(server = %launch.server, ?second, "the server is started again and greeted differently");
    attempt(launch, second, deadline).await.map_err(|(again, failure)| match failure {
        // There was no time left for it: what the first one said is worth more.
        Failure::Final => error,
        Failure::HungUp | Failure::Refused | Failure::Misread | Failure::RefusedBoth => again,
    })
}

async fn attempt(
    launch: &Launch,
    greeting: Greeting,
    deadline: Instant,
) -> Result<Connection, (ConnectError, Failure)> {
    let (child, streams) = stdio::spawn(launch).map_err(|error| (error, Failure::Final))?;
    let traffic = Arc::new(Traffic::default());
    let wire = Wire::new(&launch.server, streams, Arc::clone(&traffic));
    let handler = Handler::new(launch, &traffic);
    let changes = handler.changes.clone();
    let greeted = begin(handler, wire, greeting);
    let (told, failure) = match tokio::time::timeout_at(deadline, greeted).await {
        Ok(Ok(service)) => match known_version(&service) {
            Some(version) => {
                let carrier = Carrier::Child(child);
                return Ok(connected(launch, carrier, service, &version, changes, traffic));
            }
            None => {
                ("speaks a version of the protocol that Station does not know".to_owned(), Failure::Final)
            }
        },
        Ok(Err(error)) => explain(&child, &traffic, &error).await,
        Err(_) => (format!("did not answer within {:?}", launch.connect_timeout), Failure::Final),
    };
    // Gone before another one is started: two of the same server may fight over a port or a file.
    child.kill_now().await;
    let sentence = format!("server `{}` {told}", launch.server);
    Err((ConnectError { sentence, stderr: child.stderr() }, failure))
}

/// Greets over `wire`, and leaves the loop running that serves the connection. In a task of its own: that loop would hold the span
/// of whoever connects open for as long as it lives.
pub(super) async fn begin<T, E, A>(
    handler: Handler,
    wire: T,
    greeting: Greeting,
) -> Result<RunningService<RoleClient, Handler>, ClientInitializeError>
where
    T: IntoTransport<RoleClient, E, A> + Send + 'static,
    E: std::error::Error + Send + Sync + 'static,
    A: 'static,
{
    // tracked: aborted with this future.
    let greeting = tokio::spawn(handler.serve_with_lifecycle(wire, greeting.lifecycle()));
    match AbortOnDropHandle::new(greeting).await {
        Ok(greeted) => greeted,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only where the runtime ends, and everything with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// The version that was agreed upon. rmcp takes whatever an old server answers; we take what we know.
pub(super) fn known_version(service: &RunningService<RoleClient, Handler>) -> Option<ProtocolVersion> {
    let version = service.peer().peer_info()?.protocol_version.clone();
    ProtocolVersion::KNOWN_VERSIONS.contains(&version).then_some(version)
}

pub(super) fn connected(
    launch: &Launch,
    carrier: Carrier,
    service: RunningService<RoleClient, Handler>,
    version: &ProtocolVersion,
    changes: Changes,
    traffic: Arc<Traffic>,
) -> Connection {
    let peer = service.peer().clone();
    let era = if version.has_initialize() { Era::Legacy } else { Era::Modern };
    let listener = match (era, handler::wanted(&peer)) {
        (Era::Modern, Some(filter)) => {
            let following = handler::follow(peer.clone(), filter, changes.clone());
            // tracked: aborted when the last handle of the connection is dropped.
            Some(AbortOnDropHandle::new(tokio::spawn(following)))
        }
        _ => None,
    };
    let inner = Inner {
        server: launch.server.clone(),
        era,
        output_bytes_max: launch.output_bytes_max,
        redaction: launch.definition.redaction(),
        bearer: launch.bearer.clone(),
        answers: launch.answers.clone(),
        peer,
        level: Mutex::new(None),
        changes,
        traffic,
        _listener: listener,
        service: Mutex::new(Some(service)),
        carrier,
    };
    Connection { inner: Arc::new(inner) }
}

/// What is told of a failed greeting, as the rest of a sentence that begins with the server's name.
async fn explain(
    child: &stdio::Child,
    traffic: &Traffic,
    error: &ClientInitializeError,
) -> (String, Failure) {
    let failure = failure(error);
    if failure != Failure::HungUp {
        return (refusal(error), failure);
    }
    if let Some(fault) = traffic.fault() {
        return (fault, Failure::Final);
    }
    // The process may be about to end, and its end says more.
    match child.ending().await {
        Some(ending) if !ending.started => (ending.words, Failure::Final),
        Some(ending) => (format!("{} before it answered", ending.words), failure),
        None => ("closed its output before it answered".to_owned(), failure),
    }
}

pub(super) fn failure(error: &ClientInitializeError) -> Failure {
    match error {
        ClientInitializeError::ConnectionClosed(_) | ClientInitializeError::TransportError { .. } => {
            Failure::HungUp
        }
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => match failure(fallback) {
            Failure::HungUp => Failure::HungUp,
            _ => Failure::RefusedBoth,
        },
        ClientInitializeError::ExpectedInitResult(_) | ClientInitializeError::ExpectedInitResponse(_) => {
            Failure::Misread
        }
        ClientInitializeError::Cancelled => Failure::Final,
        _ => Failure::Refused,
    }
}

/// What the server answered, as the rest of a sentence.
pub(super) fn refusal(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::JsonRpcError(answer) => {
            format!("refused the connection: {} ({})", answer.message, answer.code.0)
        }
        ClientInitializeError::LegacyFallbackFailed { fallback, .. } => refusal(fallback),
        ClientInitializeError::NoCompatibleProtocolVersion { server_supported, .. } => {
            let versions: Vec<&str> = server_supported.iter().map(ProtocolVersion::as_str).collect();
            format!(
                "speaks no version of the protocol that Station knows (it offers {})",
                versions.join(", ")
            )
        }
        _ => "answered the greeting with something else".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rmcp::model::{ErrorCode, ErrorData};

    #[test]
    fn a_second_try_is_made_where_the_first_guess_may_have_been_wrong() {
        use Failure::{Final, HungUp, Misread, Refused, RefusedBoth};
        use Greeting::{Discover, Handshake, Probe};
        let rows = [
            (Probe, Final, None),
            (Probe, HungUp, Some(Handshake)),
            (Probe, Refused, Some(Discover)),
            (Probe, Misread, Some(Handshake)),
            (Probe, RefusedBoth, None),
            (Handshake, Final, None),
            (Handshake, HungUp, None),
            (Handshake, Refused, Some(Probe)),
            (Handshake, Misread, Some(Probe)),
            (Discover, HungUp, None),
            (Discover, Refused, None),
        ];
        for (greeting, failure, second) in rows {
            assert_eq!(greeting.instead(failure), second, "{greeting:?} {failure:?}");
        }
    }

    #[test]
    fn what_rmcp_reports_is_sorted_by_what_it_means() {
        let closed = || ClientInitializeError::ConnectionClosed("discover response".to_owned());
        let refused =
            || ClientInitializeError::JsonRpcError(ErrorData::new(ErrorCode(-32000), "no key", None));
        let both = |fallback| ClientInitializeError::LegacyFallbackFailed {
            discover: Box::new(refused()),
            fallback: Box::new(fallback),
        };
        let check = |error: ClientInitializeError, expected: Failure, words: &str| {
            assert_eq!(failure(&error), expected);
            assert_eq!(refusal(&error), words);
        };
        check(refused(), Failure::Refused, "refused the connection: no key (-32000)");
        check(both(refused()), Failure::RefusedBoth, "refused the connection: no key (-32000)");
        check(
            ClientInitializeError::NoCompatibleProtocolVersion {
                client_supported: Vec::new(),
                server_supported: vec![ProtocolVersion::V_2025_03_26],
            },
            Failure::Refused,
            "speaks no version of the protocol that Station knows (it offers 2025-03-26)",
        );
        assert_eq!(failure(&closed()), Failure::HungUp);
        assert_eq!(failure(&both(closed())), Failure::HungUp);
    }
}

//! The client: a server is started or reached, greeted in the era it speaks, and then listed and called.
//!
//! [`connect`] gives a [`Connection`], a cheap handle to a running server; the server lives as long as one of its
//! handles does, and no longer. A connection is never renewed here and a call never sent twice: whoever holds the pool
//! renews, and whoever drives a run decides about repeating.

mod asks;
mod bearer;
mod call;
mod follow;
mod greet;
mod handler;
mod http;
mod list;
mod messages;
mod pass;
mod ping;
mod remote;
mod rounds;
mod skim;
mod stderr;
mod stdio;
mod traffic;
mod wire;

use crate::Process;
use crate::sandbox::Confine;
use crate::serve::Level;

pub use asks::Asks;
pub use bearer::Bearer;
pub use call::CallEnd;
pub(crate) use messages::read_any;
pub use pass::{Along, Hearer, Hears, Passed, Question, Told};
pub(crate) use traffic::EFFECT_KEY;

use handler::{Changes, Handler};
use rmcp::RoleClient;
use rmcp::service::{Peer, RunningService};
use serde_json::Value;
use station_core::answers::Answers;
use station_core::{Definition, Era, Redaction, Secret, Transport, mirror};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

/// How our own program is started as a shim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shim {
    /// The program: `/proc/self/exe`, which stays right when the file is replaced by an update.
    pub program: PathBuf,
    /// Its arguments: [`crate::shim::ARGUMENT`].
    pub args: Vec<String>,
}

/// Everything that is needed to start a server and connect to it.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Its name, for messages.
    pub server: String,
    /// How it is reached, with every variable resolved.
    pub definition: Definition,
    /// How the shim is started.
    pub shim: Shim,
    /// Station's own variables, as far as they may be passed on: those of the base list and of `child_env` are.
    pub inherited: BTreeMap<String, String>,
    /// Names that are passed on to every server beside the base list.
    pub child_env: Vec<String>,
    /// Where it runs, if its definition does not say.
    pub folder: PathBuf,
    /// What its program is kept from.
    pub confine: Confine,
    /// The era it spoke last, so that a silent server does not cost a probe each time.
    pub era: Option<Era>,
    /// What it reads from descriptor [`HANDED_FD`](crate::HANDED_FD), to its end: for Station's own server. Whoever is handed
    /// something is trusted with it.
    pub handed: Option<Secret>,
    /// How long starting and greeting may take together.
    pub connect_timeout: Duration,
    /// Bytes of a result that are kept.
    pub output_bytes_max: u64,
    /// What it is answered when it asks us something.
    pub answers: Answers,
    /// What is shown to a remote server whose entry has no `Authorization` of its own.
    pub bearer: Bearer,
    /// What it may ask us while it is at work.
    pub asks: Asks,
    /// Counted up whenever one of its lists changes; shared by all servers.
    pub news: watch::Sender<u64>,
}

/// Why a server could not be connected to, or not be listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectError {
    /// What failed, for people.
    pub sentence: String,
    /// The last lines the server wrote to stderr.
    pub stderr: Vec<String>,
}

impl ConnectError {
    fn plain(sentence: String) -> Self {
        Self { sentence, stderr: Vec::new() }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for ConnectError {}

/// A handle to a running server; clones share it, and dropping the last one kills it.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    server: String,
    era: Era,
    output_bytes_max: u64,
    /// Takes the definition's secrets out of errors.
    redaction: Redaction,
    bearer: Bearer,
    answers: Answers,
    peer: Peer<RoleClient>,
    /// The most talkative level of log messages that a server of the older era was told.
    level: Mutex<Option<Level>>,
    changes: Changes,
    traffic: Arc<traffic::Traffic>,
    /// Follows the lists of a modern server, which tells changes only to those who listen.
    _listener: Option<AbortOnDropHandle<()>>,
    /// Taken by `close`; dropping it ends the protocol and closes the server's stdin.
    service: Mutex<Option<RunningService<RoleClient, Handler>>>,
    /// Last, so that stdin closes before the shim is told to kill.
    carrier: Carrier,
}

/// What a connection goes over.
enum Carrier {
    Child(stdio::Child),
    Remote(remote::Remote),
}

/// Starts the server and greets it.
///
/// # Errors
///
/// When it cannot be started, ends, stays silent, or speaks no version we know.
pub async fn connect(launch: Launch) -> Result<Connection, ConnectError> {
    let transport = launch.definition.transport().as_str();
    let span = tracing::info_span!("mcp.connect", server = %launch.server, transport, outcome = Empty, error = Empty);
    let connected = greet::connect(&launch).instrument(span.clone()).await;
    match &connected {
        Ok(_) => span.record("outcome", "connected"),
        Err(_) => span.record("outcome", "failed").record("error", "connect"),
    };
    connected
}

impl Connection {
    /// The era the server speaks: to be remembered.
    #[must_use]
    pub fn era(&self) -> Era {
        self.inner.era
    }

    /// What it goes over.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match &self.inner.carrier {
            Carrier::Child(_) => Transport::Stdio,
            Carrier::Remote(_) => Transport::Http,
        }
    }

    /// Whether arguments are sent in headers too, where a tool's schema wants that: over HTTP, in the modern era.
    #[must_use]
    pub fn mirrors_arguments(&self) -> bool {
        self.transport() == Transport::Http && self.inner.era == Era::Modern
    }

    /// What must be taken out of what the server says.
    fn redaction(&self) -> Redaction {
        self.inner.bearer.redaction(&self.inner.redaction)
    }

    /// The shim's process; `None` for a remote server, and where it was gone before it could be looked at.
    #[must_use]
    pub fn process(&self) -> Option<Process> {
        match &self.inner.carrier {
            Carrier::Child(child) => child.process(),
            Carrier::Remote(_) => None,
        }
    }

    /// Whether nothing can be sent any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner.peer.is_transport_closed() || self.inner.traffic.is_over()
    }

    /// The last lines the server wrote to stderr; none where it is remote.
    #[must_use]
    pub fn stderr(&self) -> Vec<String> {
        match &self.inner.carrier {
            Carrier::Child(child) => child.stderr(),
            Carrier::Remote(_) => Vec::new(),
        }
    }

    /// A number that grows whenever the server says that its tools, resources or prompts have changed.
    #[must_use]
    pub fn list_changed(&self) -> watch::Receiver<u64> {
        self.inner.changes.lists.subscribe()
    }

    /// Tells what is known of the server's tools, by name and input schema, where they were not listed over this connection:
    /// a modern remote server wants some arguments in headers too.
    pub fn know_tools<'a>(&self, tools: impl IntoIterator<Item = (&'a str, &'a Value)>) {
        let Carrier::Remote(remote) = &self.inner.carrier else { return };
        if !self.mirrors_arguments() {
            return;
        }
        let wanting = |(name, schema): (&str, &Value)| {
            let mirrors = mirror::mirrors(schema).ok()?;
            (!mirrors.is_empty()).then(|| (name.to_owned(), mirrors))
        };
        remote.note_mirrors(tools.into_iter().filter_map(wanting).collect());
    }

    /// Ends the server: its stdin is closed, and when it has not ended after a grace time, it is killed with all it
    /// started. A remote one is told that its session is over. Calls in flight end as unknown. Closing twice is closing
    /// once.
    pub async fn close(&self) {
        let service = self.inner.service.lock().expect("nobody panics while holding the service").take();
        if let Some(mut service) = service
            && let Err(error) = service.close().await
        {
            tracing::warn!(server = %self.inner.server, %error, "the protocol's task failed");
        }
        match &self.inner.carrier {
            Carrier::Child(child) => child.end().await,
            Carrier::Remote(remote) => remote.end().await,
        }
    }

    /// The span of one request.
    fn request_span(&self, method: &str) -> Span {
        tracing::info_span!("mcp.request", method, server = %self.inner.server, outcome = Empty, error = Empty)
    }

    /// What is known about why the connection broke, as the rest of a sentence that begins with the server's name.
    async fn breakage(&self) -> String {
        match self.inner.traffic.fault() {
            Some(fault) => fault,
            None => match &self.inner.carrier {
                Carrier::Child(child) => child.ending().await.map(|ending| ending.words),
                Carrier::Remote(_) => None,
            }
            .unwrap_or_else(|| "closed the connection".to_owned()),
        }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("server", &self.inner.server)
            .field("era", &self.inner.era)
            .field("process", &self.process())
            .finish_non_exhaustive()
    }
}

//! An authorization server, and the gate that it keeps in front of an MCP server.
//!
//! Real as far as a client can tell: it registers clients, binds a code to its challenge, its redirect and its resource,
//! gives out tokens that end, takes each refresh token once, and refuses what does not fit, with the words of the RFCs. It
//! agrees to everything by itself, as a person would. HTTP by hand, on a port of the system's choice.

mod grants;
mod serve;

use grants::Grants;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// How it behaves.
#[derive(Clone, Debug)]
pub struct Conduct {
    /// How long a token is good.
    pub expires_in_s: u64,
    /// The scope that tool calls need beside `read`.
    pub calls_need: Option<&'static str>,
    /// Whether clients register by themselves.
    pub registers: bool,
    /// A client that was registered by hand, and its secret.
    pub known_client: Option<(&'static str, &'static str)>,
    /// Whether it gives out codes for other devices.
    pub has_devices: bool,
    /// What it says in its answers that it is, where that is not the truth.
    pub pretends_to_be: Option<&'static str>,
}

impl Default for Conduct {
    fn default() -> Self {
        Self {
            expires_in_s: 3600,
            calls_need: None,
            registers: true,
            known_client: None,
            has_devices: false,
            pretends_to_be: None,
        }
    }
}

/// A running issuer, ended when this is dropped.
pub struct Issuer {
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    conduct: Conduct,
    /// `host:port` of the MCP server behind the gate.
    upstream: String,
    address: SocketAddr,
    grants: Mutex<Grants>,
    stopping: AtomicBool,
}

impl Issuer {
    /// Starts one in front of the server at `upstream` (`http://host:port/…`).
    ///
    /// # Panics
    ///
    /// When no port can be had.
    #[must_use]
    pub fn before(upstream: &str, conduct: Conduct) -> Self {
        let upstream =
            upstream.trim_start_matches("http://").split('/').next().unwrap_or_default().to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let stopping = AtomicBool::new(false);
        let grants = Mutex::default();
        let shared = Arc::new(Shared { conduct, upstream, address, grants, stopping });
        let accepting = Arc::clone(&shared);
        let accepting = std::thread::spawn(move || serve::accept(&listener, &accepting));
        Self { shared, accepting: Some(accepting) }
    }

    /// The address of the guarded MCP server.
    #[must_use]
    pub fn mcp(&self) -> String {
        format!("{}/mcp", self.name())
    }

    /// Its own name.
    #[must_use]
    pub fn name(&self) -> String {
        self.shared.name()
    }

    /// Every token that was ever given out, and every code.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        self.shared.grants().secrets.clone()
    }

    /// What was asked for, in order: `register`, `authorize read`, `code`, `refresh`, `revoke`, …
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.shared.grants().asked.clone()
    }

    /// Ends every access token; refresh tokens stay good.
    pub fn end_tokens(&self) {
        self.shared.grants().tokens.clear();
    }

    /// Ends everything: who is logged in must log in again.
    pub fn end_logins(&self) {
        let mut grants = self.shared.grants();
        grants.tokens.clear();
        grants.refreshes.clear();
    }
}

impl Shared {
    fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the accept; that it fails means the listener is gone already.
        drop(TcpStream::connect(self.shared.address));
        if let Some(accepting) = self.accepting.take() {
            accepting.join().ok();
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("address", &self.shared.address).finish_non_exhaustive()
    }
}

//! The loop that takes connections in, and what each may cost.
//!
//! Whoever can reach the address can open a connection, on loopback also another user of the machine, before anything is known of who that
//! is. So there is a bound on everything that happens before: connections, the time and size of a head, the time and size of
//! a body, and the time in which an answer is taken. **Invariant:** nobody holds memory or a connection of ours for longer
//! than these by doing nothing.

use super::limits::network;
use super::peer::Peer;
use super::slow::Slow;
use super::tally::{Counted, Tally};
use super::tls::Tls;
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use station_core::file::config::{HEAD_BYTES_READ_MAX, HEADERS_READ_MAX};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Connections at a time: some hundred clients with a stream and a request each. One more is turned away with a sentence.
const CONNECTIONS_MAX: u32 = 1024;

/// Connections of one address, or IPv6 network: half of them, since a proxy before us has many.
const OF_A_NETWORK_MAX: u32 = CONNECTIONS_MAX / 2;

/// How long a connection may be without a whole head of a request, be it slow or be it idle. Clients that keep connections
/// for later find them closed, and open another.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// Connections beside these, for the probes of whoever looks after this process: a crowd must not have it killed. Each is for one
/// request, which has to come at once.
const SPARE_MAX: usize = 32;
const SPARE_HEAD_WITHIN: Duration = Duration::from_secs(2);

/// How long a client may take nothing of an answer that is ready for it.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// How long not to accept where the system cannot give a connection: too many open files, most likely, which passes.
const PAUSE: Duration = Duration::from_millis(100);

/// What is told to whoever comes when there is not even room for probes.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
    content-type: application/json\r\ncontent-length: 112\r\n\r\n\
    {\"error\":{\"kind\":\"busy\",\"message\":\"all connections are in use\",\"hints\":[\"try again shortly\"],\"retry_after_s\":1}}";

/// What is answered over a connection.
#[derive(Clone)]
pub(super) struct Routes {
    /// Everything.
    pub(super) all: Router,
    /// What is left where all places are taken.
    pub(super) spare: Router,
}

/// Answers whoever connects to `listener` until `stop`, or until what this gives is dropped.
pub(super) fn open(
    listener: TcpListener,
    routes: Routes,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
) -> AbortOnDropHandle<()> {
    // tracked: the door's own, and aborted with it.
    AbortOnDropHandle::new(tokio::spawn(accept(listener, routes, CONNECTIONS_MAX as usize, tls, stop)))
}

/// What of its time and of later requests a connection has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Terms {
    Usual,
    Spare,
}

impl Terms {
    fn head_within(self) -> Duration {
        match self {
            Self::Usual => HEAD_WITHIN,
            Self::Spare => SPARE_HEAD_WITHIN,
        }
    }
}

/// The place that a connection holds as long as it is open, and that of its network, where those are counted.
type Held = (OwnedSemaphorePermit, Option<Counted<u64>>);

/// Answers whoever connects to `listener` until `stop`; then what is under way is finished, and nothing more is read.
async fn accept(
    listener: TcpListener,
    routes: Routes,
    places: usize,
    tls: Option<Arc<Tls>>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(places));
    let spare = Arc::new(Semaphore::new(SPARE_MAX));
    let networks = Tally::default();
    // Dropped with this: a connection does not outlive its door.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_one_client(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // 44 ms per kept-alive request were measured without.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection answers late");
        }
        let place = Arc::clone(&places).try_acquire_owned().ok().zip(place_of(&networks, address.ip()));
        let (held, terms): (Held, Terms) = match place {
            Some(place) => (place, Terms::Usual),
            None => match Arc::clone(&spare).try_acquire_owned() {
                Ok(place) => ((place, None), Terms::Spare),
                Err(_) => {
                    turn_away(&stream, tls.is_some());
                    continue;
                }
            },
        };
        let router = if terms == Terms::Usual { &routes.all } else { &routes.spare };
        let router = router.clone().layer(axum::Extension(ConnectInfo(Peer::new(address))));
        let (stop, tls) = (stop.clone(), tls.clone());
        connections.spawn(async move {
            match tls {
                None => serve(stream, router, terms, &stop).await,
                Some(tls) => {
                    if let Some(stream) = tls.admit(stream).await {
                        serve(stream, router, terms, &stop).await;
                    }
                }
            }
            drop(held);
        });
    }
    while connections.join_next().await.is_some() {}
}

/// A place of the network that an address is of, where it has one left; this machine's own are not counted.
fn place_of(networks: &Tally<u64>, address: IpAddr) -> Option<Option<Counted<u64>>> {
    network(address).map(|network| networks.enter(network, OF_A_NETWORK_MAX)).transpose().ok()
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    terms: Terms,
    stop: &CancellationToken,
) {
    let io = TokioIo::new(Slow::new(stream, TAKEN_WITHIN));
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(terms.head_within())
        .keep_alive(terms == Terms::Usual)
        // What is read at all; `limits` allows less, and says so.
        .max_headers(HEADERS_READ_MAX)
        .max_buf_size(HEAD_BYTES_READ_MAX);
    let mut connection = std::pin::pin!(builder.serve_connection(io, TowerToHyperService::new(router)));
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        // A client that went away, or was too slow: its own affair.
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Says that there is no room, without waiting for anybody.
fn turn_away(stream: &TcpStream, is_tls: bool) {
    // Over TLS there is nothing to be said before a handshake, which is what there is no room for.
    if is_tls {
        return;
    }
    if let Err(error) = stream.try_write(FULL) {
        tracing::debug!(%error, "somebody was turned away without a word");
    }
}

/// Whether it says something of the client that came and went, and nothing of us (accept(2)).
fn is_of_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::Instant;

    /// What a client hears that sends `head` and no more, and after how long its connection ends.
    async fn silent_after(head: &[u8], terms: Terms) -> (String, Duration) {
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let began = Instant::now();
        let stop = CancellationToken::new();
        let router = Router::new().route("/", axum::routing::post(|| async { "read" }));
        let client = async {
            theirs.write_all(head).await.unwrap();
            let mut heard = Vec::new();
            theirs.read_to_end(&mut heard).await.unwrap();
            String::from_utf8(heard).unwrap()
        };
        let ((), heard) = tokio::join!(serve(ours, router, terms, &stop), client);
        (heard, began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_sends_no_whole_head_is_let_go_of() {
        for terms in [Terms::Usual, Terms::Spare] {
            for head in [&b""[..], b"POST / HTTP/1.1\r\nhost: local"] {
                let (heard, after) = silent_after(head, terms).await;
                assert!(heard.is_empty() || heard.starts_with("HTTP/1.1 408"), "{heard}");
                assert_eq!(after.as_secs(), terms.head_within().as_secs());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_has_its_answer_and_says_no_more_is_let_go_of() {
        let request = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n";
        for (terms, within) in [(Terms::Usual, HEAD_WITHIN), (Terms::Spare, Duration::ZERO)] {
            let (heard, after) = silent_after(request, terms).await;
            assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
            assert_eq!(after.as_secs(), within.as_secs());
        }
    }

    #[tokio::test]
    async fn a_crowd_that_says_nothing_keeps_no_probe_from_its_answer() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = |word: &'static str| Router::new().fallback(async move || word);
        let routes = Routes { all: answers("all"), spare: answers("spare") };
        let stop = CancellationToken::new();
        let ask = async || {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
            let mut heard = String::new();
            stream.read_to_string(&mut heard).await.unwrap();
            heard
        };
        let client = async {
            assert!(ask().await.ends_with("all"));
            let silent = TcpStream::connect(address).await.unwrap();
            assert!(ask().await.ends_with("spare"));
            assert!(ask().await.ends_with("spare"));
            drop(silent);
            stop.cancel();
        };
        tokio::join!(accept(listener, routes, 1, None, stop.clone()), client);
    }

    #[test]
    fn one_network_has_half_of_the_places_and_gives_them_back() {
        let networks = Tally::default();
        let enter = |address: &str| place_of(&networks, address.parse().unwrap());
        let mut held: Vec<_> = (0..OF_A_NETWORK_MAX).map(|_| enter("203.0.113.9").unwrap()).collect();
        assert!(enter("203.0.113.9").is_none());
        assert!(enter("203.0.113.10").is_some() && enter("127.0.0.1").is_some());
        held.pop();
        assert!(enter("203.0.113.9").is_some());
    }

    #[test]
    fn who_is_turned_away_is_told_as_many_bytes_as_announced() {
        let told = std::str::from_utf8(FULL).unwrap();
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}", body.len())), "{}", body.len());
    }
}

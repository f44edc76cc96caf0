//! HTTP/1.1 by hand, a thread per connection: a client library's bugs are not found by a server that shares them.

use super::judge::{self, Verdict};
use super::turn::{Answer, End, Turn, status};
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Longest request body: a test's conversation is far smaller.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// E.g. `POST`.
    pub method: String,
    /// E.g. `/v1/chat/completions`.
    pub path: String,
    /// By lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The body; null where it is not JSON.
    pub body: Value,
}

type Choose = dyn Fn(&Seen) -> Turn + Send + Sync;

/// The running stand-in.
pub struct OpenAi {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    turns: Mutex<VecDeque<Turn>>,
    choose: Option<Box<Choose>>,
    seen: Mutex<Vec<Seen>>,
    open: Mutex<Vec<TcpStream>>,
    stopping: AtomicBool,
}

impl Seen {
    /// What tools gave so far, in order.
    ///
    /// # Panics
    /// Where it is no request for a chat.
    #[must_use]
    pub fn results(&self) -> Vec<String> {
        let messages = self.body["messages"].as_array().expect("a chat has messages").iter();
        let tools = messages.filter(|message| message["role"] == "tool");
        tools.map(|message| message["content"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

impl OpenAi {
    /// Answers one turn per request, in order; after the last, 500 with a message that says so.
    #[must_use]
    pub fn start(turns: Vec<Turn>) -> Self {
        Self::serve(turns.into(), None)
    }

    /// Answers each request as `choose` says.
    #[must_use]
    pub fn from_fn(choose: impl Fn(&Seen) -> Turn + Send + Sync + 'static) -> Self {
        Self::serve(VecDeque::new(), Some(Box::new(choose)))
    }

    /// What belongs into `STN_AI_BASE_URL`.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.url())
    }

    /// The same without a path, as providers of other dialects are named.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<Seen> {
        lock(&self.shared.seen).clone()
    }

    /// How many turns were not asked for.
    #[must_use]
    pub fn left(&self) -> usize {
        lock(&self.shared.turns).len()
    }

    fn serve(turns: VecDeque<Turn>, choose: Option<Box<Choose>>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            turns: Mutex::new(turns),
            choose,
            seen: Mutex::default(),
            open: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let accepting = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || accept(&listener, &shared))
        };
        Self { address, shared, accepting: Some(accepting) }
    }
}

impl Drop for OpenAi {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the accept; that it fails means the listener is gone already.
        drop(TcpStream::connect(self.address));
        if let Some(accepting) = self.accepting.take() {
            accepting.join().ok();
        }
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAi").field("address", &self.address).finish_non_exhaustive()
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut serving = Vec::new();
    while let Ok((stream, _)) = listener.accept() {
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        if let Ok(handle) = stream.try_clone() {
            lock(&shared.open).push(handle);
        }
        let shared = Arc::clone(shared);
        // A client that goes away in the middle is a scene of the tests, not an error.
        serving.push(std::thread::spawn(move || converse(&stream, &shared).unwrap_or_default()));
    }
    for stream in lock(&shared.open).drain(..) {
        stream.shutdown(Shutdown::Both).ok();
    }
    for thread in serving {
        thread.join().ok();
    }
}

fn converse(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    while let Some(seen) = read(&mut reader)? {
        lock(&shared.seen).push(seen.clone());
        let turn = choose(shared, &seen);
        if !answer(stream, &turn, &seen)? {
            // Not before the client has read what came: closing with unread input would reset the connection.
            stream.shutdown(Shutdown::Write)?;
            break;
        }
    }
    Ok(())
}

fn choose(shared: &Shared, seen: &Seen) -> Turn {
    match judge::judge(&seen.method, &seen.path, &seen.body) {
        Verdict::Good => {}
        Verdict::Refused(refusal) => return status(400, &refusal),
        Verdict::NoSuchAddress => {
            return status(404, &format!("Invalid URL ({} {})", seen.method, seen.path));
        }
    }
    match &shared.choose {
        Some(choose) => choose(seen),
        None => lock(&shared.turns)
            .pop_front()
            .unwrap_or_else(|| status(500, "the stand-in has no turn left for this request")),
    }
}

fn read(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<Seen>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; BODY_BYTES_MAX.min(length)];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(Seen { method, path, headers, body }))
}

/// Sends `turn`; whether the connection can be used again.
fn answer(mut stream: &TcpStream, turn: &Turn, seen: &Seen) -> io::Result<bool> {
    match &turn.answer {
        _ if turn.end == End::Silence => {
            until_gone(stream);
            Ok(false)
        }
        Answer::Status { status, headers, body } => {
            let extra: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            send_whole(stream, *status, "application/json", &extra, body)
        }
        Answer::Raw { content_type, body } if turn.is_whole() => {
            send_whole(stream, 200, content_type, "", body)
        }
        Answer::Message { .. } if seen.body["stream"] != true => {
            send_whole(stream, 200, "application/json", "", &turn.whole().to_string())
        }
        Answer::Message { .. } | Answer::ErrorInStream(_) | Answer::Raw { .. } => {
            let kind = match &turn.answer {
                Answer::Raw { content_type, .. } => content_type.as_str(),
                _ => "text/event-stream; charset=utf-8",
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n\
                Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            stream.write_all(head.as_bytes())?;
            for piece in turn.pieces(seen.body["stream_options"]["include_usage"] == true) {
                // One write per piece, so that it also arrives as one.
                let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
                chunk.extend_from_slice(&piece);
                chunk.extend_from_slice(b"\r\n");
                stream.write_all(&chunk)?;
                stream.flush()?;
                if !turn.every.is_zero() && is_gone_within(stream, turn.every)? {
                    return Ok(false);
                }
            }
            match turn.end {
                End::Done | End::WithoutDone => stream.write_all(b"0\r\n\r\n").map(|()| true),
                End::Stall | End::Silence => {
                    until_gone(stream);
                    Ok(false)
                }
                End::Cut => Ok(false),
            }
        }
    }
}

fn send_whole(mut stream: &TcpStream, status: u16, kind: &str, extra: &str, body: &str) -> io::Result<bool> {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{extra}\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    Ok(true)
}

/// Waits so long; true at once where the client closes or the stand-in is dropped meanwhile.
fn is_gone_within(mut stream: &TcpStream, wait: Duration) -> io::Result<bool> {
    stream.set_read_timeout(Some(wait))?;
    let gone = matches!(stream.read(&mut [0]), Ok(0));
    stream.set_read_timeout(None)?;
    Ok(gone)
}

/// Waits until the client closes, or the stand-in is dropped.
fn until_gone(mut stream: &TcpStream) {
    let mut byte = [0];
    while matches!(stream.read(&mut byte), Ok(1..)) {}
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

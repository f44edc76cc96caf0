//! The fake server over HTTP: sockets, threads and text, no HTTP library, so that our client is judged by its bytes.
//!
//! `/mcp` is streamable HTTP in both eras, `/sse` and `/messages` are the transport of 2024-11-05; which of them is there
//! is an option. A request is answered on the thread of its connection; what is sent meanwhile goes into its stream.

use crate::append;
use crate::protocol::{Server, is_modern};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// Everything that is open or kept between requests.
#[derive(Default)]
pub(crate) struct Web {
    sessions: Mutex<Vec<String>>,
    /// Streams that a client listens to.
    listening: Mutex<Vec<TcpStream>>,
    /// Answers that were cut off, by the id of the last event before.
    kept: Mutex<HashMap<String, String>>,
    events: AtomicUsize,
}

/// Where what is sent on this thread goes.
struct Exchange {
    stream: TcpStream,
    /// Whether answers come as events, and whether their stream was begun.
    events: Option<bool>,
    session: Option<String>,
    /// Those of the request.
    headers: HashMap<String, String>,
}

thread_local! {
    static EXCHANGE: RefCell<Option<Exchange>> = const { RefCell::new(None) };
}

struct Request {
    verb: String,
    path: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

/// Listens on a port of the system's choice, writes it to `file`, and serves until stdin closes.
pub(crate) fn serve(server: &Arc<Server>, file: &Path) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be had");
    let port = listener.local_addr().expect("it is bound").port();
    let draft = file.with_extension("draft");
    std::fs::write(&draft, port.to_string()).expect("the file can be written");
    std::fs::rename(&draft, file).expect("the file can be put in place");
    let accepting = Arc::clone(server);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let server = Arc::clone(&accepting);
            std::thread::spawn(move || attend(&server, &stream));
        }
    });
    std::io::stdin().lock().read_to_end(&mut Vec::new()).expect("stdin can be read");
}

/// Serves one connection, request after request.
fn attend(server: &Arc<Server>, stream: &TcpStream) {
    let mut reader = BufReader::new(stream.try_clone().expect("a socket can be shared"));
    while let Some(request) = read(&mut reader) {
        note(server, &request);
        if !answer(server, &request, stream) {
            return;
        }
    }
}

/// Answers one request; `false` where the connection is not read any further.
fn answer(server: &Arc<Server>, request: &Request, stream: &TcpStream) -> bool {
    let options = &server.options;
    if let Some(to) = &options.redirect_to
        && !request.path.starts_with("/moved")
    {
        return write(stream, &format!("HTTP/1.1 307 Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"));
    }
    if let Some((name, value)) = options.need_header.as_deref().and_then(|it| it.split_once('='))
        && request.headers.get(&name.to_ascii_lowercase()).map(String::as_str) != Some(value)
    {
        return status(stream, 401, "no key, no answer");
    }
    match (request.verb.as_str(), request.path.split('?').next().unwrap_or_default()) {
        ("GET", "/sse") if options.old_http => open_old(server, stream),
        ("POST", "/messages") if options.old_http => {
            let went = write(stream, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
            receive(
                server,
                request,
                Exchange {
                    stream: old_stream(server),
                    events: Some(true),
                    session: None,
                    headers: request.headers.clone(),
                },
            );
            went
        }
        ("POST", "/mcp" | "/moved") if !options.old_http => post(server, request, stream),
        ("GET", "/mcp") if !options.old_http => get(server, request, stream),
        ("DELETE", "/mcp") if options.sessions => {
            server.web.sessions().retain(|it| Some(it) != request.headers.get("mcp-session-id"));
            status(stream, 200, "")
        }
        ("GET" | "POST" | "DELETE", "/mcp" | "/sse") => status(stream, 405, "not here"),
        _ => status(stream, 404, "nothing here"),
    }
}

fn post(server: &Arc<Server>, request: &Request, stream: &TcpStream) -> bool {
    let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if let Some(problem) = mismatch(&request.headers, &message) {
        return refuse(stream, &message, -32020, &problem);
    }
    let mut session = None;
    if server.options.sessions && !is_modern(&message) {
        if server.options.forget.as_deref().is_some_and(|file| std::fs::remove_file(file).is_ok()) {
            server.web.sessions().clear();
        }
        if message["method"] == "initialize" {
            let id = format!("session-{}", server.web.events.fetch_add(1, Ordering::SeqCst));
            server.web.sessions().push(id.clone());
            session = Some(id);
        } else {
            match request.headers.get("mcp-session-id") {
                None => return refuse(stream, &message, -32000, "Bad Request: Server not initialized"),
                Some(id) if !server.web.sessions().contains(id) => {
                    return status(stream, 404, "Session not found");
                }
                Some(_) => {}
            }
        }
    }
    if message.get("id").is_none() || message.get("method").is_none() {
        server.receive_here(&message);
        return write(stream, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
    }
    let events = (server.options.reply_sse || message["method"] == "subscriptions/listen").then_some(false);
    let shared = stream.try_clone().expect("a socket can be shared");
    let went_on = receive(
        server,
        request,
        Exchange { stream: shared, events, session, headers: request.headers.clone() },
    );
    went_on && events.is_none()
}

/// What headers must say by the specification of 2026-07-28, and do not.
fn mismatch(headers: &HashMap<String, String>, message: &Value) -> Option<String> {
    let said = |name: &str| headers.get(name).map_or("nothing", String::as_str);
    if is_modern(message) {
        let method = message["method"].as_str().unwrap_or_default();
        let name = message["params"]["name"].as_str().filter(|_| method == "tools/call").unwrap_or("nothing");
        for (header, expected) in
            [("mcp-method", method), ("mcp-name", name), ("mcp-protocol-version", "2026-07-28")]
        {
            if said(header) != expected {
                return Some(format!("header mismatch: `{header}` is {}, not {expected}", said(header)));
            }
        }
        if headers.contains_key("mcp-session-id") {
            return Some("there are no sessions any more".to_owned());
        }
    }
    let accepts = said("accept");
    let both = accepts.contains("application/json") && accepts.contains("text/event-stream");
    (!both).then(|| format!("not acceptable: {accepts}"))
}

/// Opens a stream to listen to, or gives the rest of one that was cut.
fn get(server: &Arc<Server>, request: &Request, stream: &TcpStream) -> bool {
    if let Some(rest) = request.headers.get("last-event-id").and_then(|id| server.web.kept().remove(id)) {
        if begin_events(stream, None) {
            write(stream, &rest);
        }
        return false;
    }
    if !server.options.sessions || request.headers.contains_key("last-event-id") {
        return status(stream, 405, "no stream here");
    }
    if begin_events(stream, None) {
        server.web.listening().push(stream.try_clone().expect("a socket can be shared"));
    }
    // Nothing more is read from it.
    false
}

fn open_old(server: &Arc<Server>, stream: &TcpStream) -> bool {
    let address =
        if server.options.strays { "http://elsewhere.invalid/messages" } else { "/messages?session=1" };
    if begin_events(stream, None) {
        // Before the address is told: whoever has it may post at once.
        server.web.listening().push(stream.try_clone().expect("a socket can be shared"));
        write(stream, &format!("event: endpoint\ndata: {address}\n\n"));
    }
    false
}

fn old_stream(server: &Server) -> TcpStream {
    let streams = server.web.listening();
    let last = streams.last().expect("a client opens its stream before it posts");
    last.try_clone().expect("a socket can be shared")
}

/// Acts on a message with everything that is sent meanwhile going to `exchange`; `false` where the connection is closed.
fn receive(server: &Arc<Server>, request: &Request, exchange: Exchange) -> bool {
    let Ok(message) = serde_json::from_slice(&request.body) else {
        return status(&exchange.stream, 400, "not JSON");
    };
    EXCHANGE.with_borrow_mut(|slot| *slot = Some(exchange));
    server.receive_here(&message);
    EXCHANGE.take().is_some()
}

/// Sends a message over the exchange of this thread; `false` where there is none.
pub(crate) fn send(server: &Server, message: &Value) -> bool {
    EXCHANGE.with_borrow_mut(|slot| {
        let Some(exchange) = slot else { return false };
        let is_answer = message.get("result").is_some() || message.get("error").is_some();
        let stream = &exchange.stream;
        match &mut exchange.events {
            None => {
                let session = exchange.session.as_ref().map(|id| format!("Mcp-Session-Id: {id}\r\n"));
                let (session, body) = (session.unwrap_or_default(), message.to_string());
                write(stream, &format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n{session}Content-Length: {}\r\n\r\n{body}",
                    body.len()
                ));
            }
            Some(begun) => {
                let is_old = server.options.old_http;
                if !std::mem::replace(begun, true) && !is_old {
                    begin_events(stream, exchange.session.as_deref());
                }
                let event = format!("event: message\ndata: {message}\n\n");
                if is_answer && server.options.cut && !is_old && is_call_answer(message) {
                    let id = format!("event-{}", server.web.events.fetch_add(1, Ordering::SeqCst));
                    server.web.kept().insert(id.clone(), event);
                    write(stream, &format!("id: {id}\nretry: 1\ndata:\n\ndata: {{\"begun\""));
                } else {
                    write(stream, &event);
                }
                if message["method"] == "notifications/subscriptions/acknowledged" {
                    server.web.listening().push(stream.try_clone().expect("a socket can be shared"));
                }
            }
        }
        true
    })
}

/// Answers of calls have content; those of a greeting are never cut.
fn is_call_answer(message: &Value) -> bool {
    message["result"].get("content").is_some()
}

/// Answers the call on this thread with a bare status, or with nothing at all where `code` is 0.
pub(crate) fn answer_with_status(code: u16) {
    if let Some(exchange) = EXCHANGE.take() {
        if code != 0 {
            let head = format!("HTTP/1.1 {code} Said\r\nContent-Type: text/html\r\nConnection: close");
            write(&exchange.stream, &format!("{head}\r\nContent-Length: 6\r\n\r\n<html>"));
        }
        drop(exchange.stream.shutdown(std::net::Shutdown::Both));
    }
}

/// Answers the call on this thread with `body`, whatever that is; `false` where the call did not come over HTTP. A byte
/// order mark at its front goes to the front of the stream.
pub(crate) fn answer_as_written(body: &str) -> bool {
    let Some(exchange) = EXCHANGE.take() else { return false };
    let (mark, rest) = body.strip_prefix('\u{feff}').map_or(("", body), |rest| ("\u{feff}", rest));
    match exchange.events {
        None => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
            write(&exchange.stream, &format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
        Some(begun) => {
            if !begun {
                begin_events(&exchange.stream, None);
            }
            write(&exchange.stream, &format!("{mark}data: {rest}\n\n"));
        }
    }
    true
}

/// A header of the request that is answered on this thread.
pub(crate) fn header(name: &str) -> Option<String> {
    EXCHANGE.with_borrow(|slot| slot.as_ref()?.headers.get(&name.to_ascii_lowercase()).cloned())
}

/// Whether the client of this thread's exchange has gone.
pub(crate) fn hung_up() -> bool {
    EXCHANGE.with_borrow(|slot| {
        let Some(Exchange { stream, .. }) = slot else { return false };
        stream.set_nonblocking(true).expect("a socket can be set");
        let gone = matches!(stream.peek(&mut [0]), Ok(0));
        stream.set_nonblocking(false).expect("a socket can be set");
        gone
    })
}

/// Ends the streams of everyone who listens, without a word.
pub(crate) fn cut_listeners(server: &Server) {
    for stream in server.web.listening().drain(..) {
        drop(stream.shutdown(std::net::Shutdown::Both));
    }
}

/// Tells everyone who listens.
pub(crate) fn tell(server: &Server, message: &Value) {
    server.web.listening().retain(|stream| write(stream, &format!("data: {message}\n\n")));
}

impl Web {
    fn sessions(&self) -> MutexGuard<'_, Vec<String>> {
        self.sessions.lock().expect("no thread panics")
    }

    fn listening(&self) -> MutexGuard<'_, Vec<TcpStream>> {
        self.listening.lock().expect("no thread panics")
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<String, String>> {
        self.kept.lock().expect("no thread panics")
    }
}

/// A line of the trace: the message, with the verb and the headers it came with.
fn note(server: &Server, request: &Request) {
    let Some(trace) = &server.options.trace else { return };
    let mut message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if !message.is_object() {
        message = json!({});
    }
    let headers: Map<String, Value> =
        request.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    message["http"] = json!({ "verb": request.verb, "path": request.path, "headers": headers });
    append(trace, &message.to_string());
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace();
    let (verb, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { verb, path, headers, body })
}

fn begin_events(stream: &TcpStream, session: Option<&str>) -> bool {
    let session = session.map(|id| format!("Mcp-Session-Id: {id}\r\n")).unwrap_or_default();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n";
    write(stream, &format!("{head}{session}\r\n"))
}

fn refuse(stream: &TcpStream, message: &Value, code: i64, text: &str) -> bool {
    // What refuses before it reads does not know the id.
    let id = if code == -32000 { &Value::Null } else { &message["id"] };
    let body = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": text } }).to_string();
    let head = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json";
    write(stream, &format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()))
}

fn status(stream: &TcpStream, code: u16, body: &str) -> bool {
    let head = format!("HTTP/1.1 {code} Said\r\nContent-Type: text/html\r\nContent-Length: {}", body.len());
    write(stream, &format!("{head}\r\n\r\n{body}"))
}

/// Writes, and says whether anybody is there.
fn write(mut stream: &TcpStream, text: &str) -> bool {
    stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).is_ok()
}

//! The issuer over HTTP: its own paths, and `/mcp`, which is passed on to the server behind the gate.

use super::Shared;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;

struct Request {
    verb: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

pub(super) fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming().flatten() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let shared = Arc::clone(shared);
        // Ends with its one request; a client that goes away ends it too.
        std::thread::spawn(move || attend(&shared, &stream).ok());
    }
}

fn attend(shared: &Shared, stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let Some(request) = read(&mut reader)? else { return Ok(()) };
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let form = |text: &str| -> BTreeMap<String, String> {
        text.split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(a, b)| (decoded(a), decoded(b)))
            .collect()
    };
    let fields = form(&String::from_utf8_lossy(&request.body));
    let answered = |result: Result<Value, (u16, Value)>, status: u16| match result {
        Ok(body) => answer(stream, status, "", &body),
        Err((status, body)) => answer(stream, status, "", &body),
    };
    match (request.verb.as_str(), path) {
        (_, "/mcp") => guarded(shared, stream, &request),
        ("GET", "/.well-known/oauth-protected-resource/mcp") => {
            let name = shared.name();
            let body = json!({ "resource": format!("{name}/mcp"), "authorization_servers": [name] });
            answer(stream, 200, "", &body)
        }
        ("GET", "/.well-known/oauth-authorization-server") => answer(stream, 200, "", &shared.document()),
        ("POST", "/register") => {
            answered(shared.register(&serde_json::from_slice(&request.body).unwrap_or_default()), 201)
        }
        ("GET", "/authorize") => match shared.authorize(&form(query)) {
            Ok(to) => answer(stream, 302, &format!("Location: {to}\r\n"), &Value::Null),
            Err((status, body)) => answer(stream, status, "", &body),
        },
        ("POST", "/token") => answered(shared.token(&fields, basic(&request).as_deref()), 200),
        ("POST", "/device") => answer(stream, 200, "", &shared.device()),
        ("POST", "/revoke") => {
            shared.revoke(&fields);
            answer(stream, 200, "", &Value::Null)
        }
        _ => answer(stream, 404, "", &json!({ "error": "not_found" })),
    }
}

/// Passes a request on, if it may pass; every answer ends its connection.
fn guarded(shared: &Shared, mut stream: &TcpStream, request: &Request) -> io::Result<()> {
    let token = request.headers.get("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    if let Some((status, challenge)) = shared.challenge(token, message["method"] == "tools/call") {
        let header = format!("WWW-Authenticate: {challenge}\r\n");
        return answer(stream, status, &header, &json!({ "error": "unauthorized" }));
    }
    let mut upstream = TcpStream::connect(&shared.upstream)?;
    let mut head = format!("{} {} HTTP/1.1\r\n", request.verb, request.path);
    for (name, value) in &request.headers {
        if !matches!(name.as_str(), "connection" | "authorization") {
            head += &format!("{name}: {value}\r\n");
        }
    }
    upstream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes())?;
    upstream.write_all(&request.body)?;
    relay(&mut upstream, &mut stream)
}

/// One answer, to its end: by its length where it has one.
fn relay(upstream: &mut TcpStream, stream: &mut &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(upstream);
    let (mut head, mut length) = (String::new(), None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        if let Some(told) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = told.trim().parse::<u64>().ok();
        }
        if !line.to_ascii_lowercase().starts_with("connection:") {
            head += &line;
        }
    }
    stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    match length {
        Some(length) => io::copy(&mut reader.take(length), stream).map(drop),
        None => io::copy(&mut reader, stream).map(drop),
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(verb), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Request { verb: verb.to_owned(), path: path.to_owned(), headers, body }))
}

fn basic(request: &Request) -> Option<String> {
    let value = request.headers.get("authorization")?.strip_prefix("Basic ")?;
    // Each half is encoded as in a form (RFC 6749, section 2.3.1).
    Some(decoded(&String::from_utf8(BASE64_STANDARD.decode(value).ok()?).ok()?))
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let hex = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).unwrap_or(0);
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (high, low) = (hex(rest.next()), hex(rest.next()));
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn answer(mut stream: &TcpStream, status: u16, headers: &str, body: &Value) -> io::Result<()> {
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nConnection: close\r\n");
    stream.write_all(format!("{head}{headers}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
}

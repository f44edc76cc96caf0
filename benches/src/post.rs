//! A client over HTTP, of MCP and of the API, that costs next to nothing: requests are made beforehand, answers are read and not parsed. What
//! is measured with it is who answers, and it is the same for everybody who is compared.

use serde_json::{Value, json};
use std::io;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::samples::Samples;

/// A message of the revision 2026-07-28.
#[must_use]
pub fn message(method: &str, params: &Value) -> Value {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "bench", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

/// The same as the bytes of a request to `path`, with the headers that belong to it.
#[must_use]
pub fn request(path: &str, method: &str, params: &Value) -> Vec<u8> {
    let body = message(method, params).to_string();
    let name = params["name"].as_str().map(|name| format!("mcp-name: {name}\r\n")).unwrap_or_default();
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\n\
         mcp-method: {method}\r\n{name}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A call of the tool `name` that says something back.
#[must_use]
pub fn echo(path: &str, name: &str) -> Vec<u8> {
    request(path, "tools/call", &json!({ "name": name, "arguments": { "text": "hello" } }))
}

/// A request of the API: without a body where `body` is none.
#[must_use]
pub fn api(method: &str, path: &str, body: Option<&Value>) -> Vec<u8> {
    let body = body.map(Value::to_string).unwrap_or_default();
    format!(
        "{method} /api/v1{path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// `request`, by whoever has `key`.
///
/// # Panics
/// Where it is none.
#[must_use]
pub fn by(key: &str, request: &[u8]) -> Vec<u8> {
    let line = request.iter().position(|byte| *byte == b'\n').expect("a request has a first line") + 1;
    [&request[..line], format!("authorization: Bearer {key}\r\n").as_bytes(), &request[line..]].concat()
}

/// What stands in the result of a call.
pub const RESULT: &str = "\"content\":";

/// One connection that is kept.
pub struct Client {
    stream: BufReader<TcpStream>,
    body: Vec<u8>,
}

impl Client {
    /// Connects to a port of this machine.
    ///
    /// # Panics
    /// Where nobody listens.
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("somebody listens");
        stream.set_nodelay(true).expect("a socket can be set");
        Self { stream: BufReader::with_capacity(64 * 1024, stream), body: Vec::new() }
    }

    /// As [`Client::ask`].
    ///
    /// # Panics
    /// Where it is not answered with one whole message.
    pub async fn send(&mut self, request: &[u8]) -> &[u8] {
        self.ask(request).await.expect("the server answers")
    }

    /// Sends a request and reads the answer; its body.
    ///
    /// # Errors
    /// Where it is not answered with one whole message, or with a refusal.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<&[u8]> {
        self.stream.write_all(request).await?;
        let (mut length, mut line, mut status) = (None, String::new(), String::new());
        loop {
            line.clear();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err(io::Error::other("it closed the connection"));
            }
            if status.is_empty() {
                line.clone_into(&mut status);
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().ok();
                }
                Some(_) => {}
                None if line.trim_end().is_empty() => break,
                None => {}
            }
        }
        let length = length.ok_or_else(|| io::Error::other(format!("{status}: no length")))?;
        self.body.resize(length, 0);
        self.stream.read_exact(&mut self.body).await?;
        if status.contains(" 20") {
            return Ok(&self.body);
        }
        Err(io::Error::other(format!("{}: {}", status.trim_end(), String::from_utf8_lossy(&self.body))))
    }

    /// As [`Client::follow`].
    ///
    /// # Panics
    /// Where the stream ends before.
    pub async fn hear(&mut self, request: &[u8], what: &str) {
        self.follow(request, what).await.expect("it is heard");
    }

    /// Sends `request`, if there is one, and reads a stream until `what` was heard; what came with it is forgotten.
    ///
    /// # Errors
    /// Where the stream ends before.
    pub async fn follow(&mut self, request: &[u8], what: &str) -> io::Result<()> {
        self.stream.write_all(request).await?;
        self.body.clear();
        while !holds(&self.body, what) {
            if self.stream.read_buf(&mut self.body).await? == 0 {
                return Err(io::Error::other(format!("the stream ended without `{what}`")));
            }
        }
        Ok(())
    }
}

/// What came of calls that were made at once.
pub struct Load {
    /// How long each took.
    pub samples: Samples,
    /// Calls that ended in a second.
    pub each_second: f64,
}

/// `each` times the same request over each of `at_once` connections, after `each / 4` that are not counted; `says` is what
/// stands in every right answer.
///
/// # Panics
/// Where it does not.
pub async fn load(port: u16, request: &[u8], says: &str, at_once: usize, each: usize) -> Load {
    let mut clients = Vec::new();
    for _ in 0..at_once {
        clients.push(Client::connect(port).await);
    }
    let clients = warmed(clients, request, says, each / 4).await.0;
    let started = Instant::now();
    let (_, samples) = warmed(clients, request, says, each).await;
    let took = started.elapsed();
    Load { each_second: per_second(samples.n(), took), samples }
}

async fn warmed(clients: Vec<Client>, request: &[u8], says: &str, each: usize) -> (Vec<Client>, Samples) {
    let calling = clients.into_iter().map(|mut client| async move {
        let mut took = Vec::with_capacity(each);
        for _ in 0..each {
            took.push(called(&mut client, request, says).await);
        }
        (client, took)
    });
    let mut samples = Samples::default();
    let mut clients = Vec::new();
    for (client, took) in futures::future::join_all(calling).await {
        clients.push(client);
        took.into_iter().for_each(|took| samples.add(took));
    }
    (clients, samples)
}

/// How long one call takes, in whose right answer `says` stands.
///
/// # Panics
/// Where it does not.
pub async fn called(client: &mut Client, request: &[u8], says: &str) -> Duration {
    asked(client, request, says).await.expect("the answer is right")
}

/// As [`called`].
///
/// # Errors
/// Where it does not, or there is no answer.
pub async fn asked(client: &mut Client, request: &[u8], says: &str) -> io::Result<Duration> {
    let started = Instant::now();
    let body = client.ask(request).await?;
    let took = started.elapsed();
    if holds(body, says) {
        Ok(took)
    } else {
        Err(io::Error::other(String::from_utf8_lossy(body).into_owned()))
    }
}

fn holds(body: &[u8], text: &str) -> bool {
    body.windows(text.len()).any(|it| it == text.as_bytes())
}

#[expect(clippy::cast_precision_loss, reason = "some thousands")]
fn per_second(n: usize, took: Duration) -> f64 {
    n as f64 / took.as_secs_f64()
}

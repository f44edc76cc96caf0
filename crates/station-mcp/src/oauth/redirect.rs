//! Where the browser comes back to: one address of this machine, for as long as a login is waited for.
//!
//! As for all native programs (RFC 8252, section 7.3). What does not carry the state of the login is answered and
//! passed over: any page and any program of this machine could send it.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const PATH: &str = "/callback";

/// Bytes of a request's first lines. A code and a state are short.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long a connection may take: the browser is on this machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// A listener.
#[derive(Debug)]
pub struct Redirect {
    listener: TcpListener,
    address: String,
}

impl Redirect {
    /// Listens on `port`, or on any free one.
    ///
    /// # Errors
    /// Where it is taken.
    pub async fn bind(port: Option<u16>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).await?;
        let address = format!("http://127.0.0.1:{}{PATH}", listener.local_addr()?.port());
        Ok(Self { listener, address })
    }

    /// The address that the browser is sent to.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits for the answer that carries `state`, and gives it as the browser brought it.
    ///
    /// # Errors
    /// Where nothing can be listened to any more.
    pub async fn wait(&self, state: &str) -> io::Result<String> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let answered = tokio::time::timeout(PATIENCE, attend(stream, state)).await;
            if let Ok(Ok(Some(target))) = answered {
                return Ok(target);
            }
        }
    }
}

async fn attend(mut stream: TcpStream, state: &str) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut chunk = [0; 1024];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") && head.len() < HEAD_BYTES_MAX {
        match stream.read(&mut chunk).await? {
            0 => break,
            n => head.extend_from_slice(&chunk[..n]),
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (verb, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let query = target.strip_prefix(PATH).and_then(|rest| rest.strip_prefix('?'));
    let carries = |query: &str| {
        url::form_urlencoded::parse(query.as_bytes()).any(|(key, value)| key == "state" && value == state)
    };
    let is_ours = verb == "GET" && query.is_some_and(carries);
    let (status, text) = match is_ours {
        true => ("200 OK", "Station has what it needs. You can close this window."),
        false => ("404 Not Found", "This is not the login that Station waits for."),
    };
    let page = format!("<!doctype html><meta charset=\"utf-8\"><title>Station</title><p>{text}</p>\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Ok(is_ours.then(|| target.to_owned()))
}

//! A browser without a window: it opens the address it is given, and follows where it is sent, on this machine alone.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Redirects that are followed: a login needs two.
const REDIRECTS_MAX: usize = 5;

fn main() {
    let mut address = std::env::args().nth(1).expect("an address is given");
    for _ in 0..REDIRECTS_MAX {
        let rest = address.strip_prefix("http://127.0.0.1:").expect("the address is one of this machine");
        let (port, path) = rest.split_once('/').expect("the address has a path");
        let port: u16 = port.parse().expect("the address has a port");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
        let request = format!("GET /{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("the request is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer is text");
        match answer.lines().find_map(|line| line.strip_prefix("Location: ")) {
            Some(to) => to.clone_into(&mut address),
            None => return,
        }
    }
}

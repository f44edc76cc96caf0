//! A browser without a window: it opens the address it is given, and follows where it is sent, on this machine alone, with the cookies
//! that it was given on the way.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// Redirects that are followed: a login needs two where the issuer keeps nothing of the browser, and twice as many where it does.
const REDIRECTS_MAX: usize = 8;

fn main() {
    let mut address = std::env::args().nth(1).expect("an address is given");
    let mut cookies = BTreeMap::new();
    for _ in 0..REDIRECTS_MAX {
        let rest = address.strip_prefix("http://127.0.0.1:").expect("the address is one of this machine");
        let (port, path) = rest.split_once('/').expect("the address has a path");
        let port: u16 = port.parse().expect("the address has a port");
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
        let shown: Vec<String> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = format!(
            "GET /{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {}\r\nConnection: close\r\n\r\n",
            shown.join("; ")
        );
        stream.write_all(request.as_bytes()).expect("the request is taken");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the answer is text");
        let headers =
            answer.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
        let mut to = None;
        for (name, value) in headers {
            match name.to_ascii_lowercase().as_str() {
                "location" => to = Some(value.to_owned()),
                "set-cookie" => {
                    let pair = value.split(';').next().and_then(|pair| pair.split_once('='));
                    let (name, value) = pair.expect("a cookie has a name");
                    cookies.insert(name.to_owned(), value.to_owned());
                }
                _ => {}
            }
        }
        match to {
            Some(to) => address = to,
            None => return,
        }
    }
}

//! A program that tries what a sandbox is to keep it from, and says how that went.

use serde_json::{Value, json};
use std::io::{self, Read as _};
use std::net::{TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::process::{Command, Stdio};

/// The tool, where it is offered.
pub(crate) fn list() -> Value {
    let word = json!({ "type": "string" });
    json!({
        "name": "reach",
        "title": "What is within reach",
        "description": "Tries to reach something: read, list, make, fill, open, tcp, udp, unix, hear, abstract, signal, start or hold.",
        "inputSchema": {
            "type": "object", "properties": { "what": word, "target": word }, "required": ["what", "target"],
        },
        "annotations": { "readOnlyHint": true },
    })
}

/// What came of it: `ok`, with what was found, or the system's word for why not.
pub(crate) fn reach(what: &str, target: &str) -> String {
    match tried(what, target) {
        Ok(found) => format!("ok {found}").trim_end().to_owned(),
        Err(error) => error.kind().to_string(),
    }
}

fn tried(what: &str, target: &str) -> io::Result<String> {
    let number = || target.parse::<i32>().map_err(io::Error::other);
    match what {
        "read" => std::fs::read_to_string(target),
        "list" => Ok(std::fs::read_dir(target)?.count().to_string()),
        "make" => std::fs::write(target, "made").map(|()| String::new()),
        // `BYTES PATH`: a file of so many bytes.
        "fill" => {
            // Blocked, the signal of a file that is too long becomes an error of the write.
            let mut signals = nix::sys::signal::SigSet::empty();
            signals.add(nix::sys::signal::Signal::SIGXFSZ);
            signals.thread_block()?;
            let (bytes, path) = target.split_once(' ').ok_or(io::ErrorKind::InvalidInput)?;
            std::fs::write(path, vec![b'x'; bytes.parse().map_err(io::Error::other)?]).map(|()| String::new())
        }
        // So many files at once; how many it was let.
        "open" => {
            let files = (0..number()?).map_while(|_| std::fs::File::open("/dev/null").ok());
            Ok(files.collect::<Vec<_>>().len().to_string())
        }
        "tcp" => {
            let address = target.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
            TcpStream::connect(address).map(|_| String::new())
        }
        "udp" => UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", target).map(|_| String::new()),
        "unix" => UnixStream::connect(target).map(|_| String::new()),
        // What whoever listens says first.
        "hear" => {
            let mut heard = [0; 1024];
            let length = UnixStream::connect(target)?.read(&mut heard)?;
            Ok(String::from_utf8_lossy(&heard[..length]).into_owned())
        }
        "abstract" => {
            UnixStream::connect_addr(&SocketAddr::from_abstract_name(target)?).map(|_| String::new())
        }
        "signal" => {
            let pid = nix::unistd::Pid::from_raw(number()?);
            nix::sys::signal::kill(pid, None).map(|()| String::new()).map_err(io::Error::from)
        }
        "start" => {
            for _ in 0..number()? {
                let idle = || Stdio::null();
                // They end with the server: its shim sees to that.
                Command::new("sleep").arg("600").stdin(idle()).stdout(idle()).stderr(idle()).spawn()?;
            }
            Ok(String::new())
        }
        "hold" => {
            let bytes = usize::try_from(number()?).map_err(io::Error::other)? << 20;
            let mut held: Vec<u8> = Vec::new();
            held.try_reserve_exact(bytes).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
            Ok(String::new())
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

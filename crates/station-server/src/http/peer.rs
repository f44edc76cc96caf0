//! Whose the other end of a connection is: found in the kernel's table of sockets, once per connection.

use station_mcp::servers;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::{fs, io};

/// Whose process is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// One of our own user.
    Us,
    /// This process, one that it started, or a tool server of another Station that keeps it in a sandbox.
    Below,
    /// Somebody else's, or nobody knows.
    Other,
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    address: SocketAddr,
    owner: Arc<OnceLock<Owner>>,
}

impl Peer {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, owner: Arc::default() }
    }

    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whose it is; it came in at our `port`. Once for a connection, and not on a thread that has others to serve: every
    /// process of the machine is looked at.
    pub(super) async fn owner(&self, port: u16) -> Owner {
        if let Some(known) = self.owner.get() {
            return *known;
        }
        let (address, owner) = (self.address, Arc::clone(&self.owner));
        let looked = tokio::task::spawn_blocking(move || *owner.get_or_init(|| look(address, port)));
        looked.await.unwrap_or(Owner::Other)
    }
}

fn look(peer: SocketAddr, port: u16) -> Owner {
    let SocketAddr::V4(address) = peer else { return Owner::Other };
    if !address.ip().is_loopback() {
        return Owner::Other;
    }
    // A client may reach an IPv4 address by a socket of IPv6.
    let found = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .find_map(|table| socket(&fs::read_to_string(table).ok()?, (*address.ip(), address.port()), port));
    match found {
        Some((uid, inode)) if uid == nix::unistd::geteuid().as_raw() && inode != 0 => {
            let mut ours = std::iter::once(std::process::id()).chain(servers());
            if ours.any(|pid| has(pid, inode)) { Owner::Below } else { Owner::Us }
        }
        _ => Owner::Other,
    }
}

/// User and inode of the socket at `peer` that is connected to our `port`, by a table of the kernel (proc(5),
/// /proc/net/tcp).
fn socket(table: &str, peer: (Ipv4Addr, u16), port: u16) -> Option<(u32, u64)> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, remote) = (end(fields.get(1)?)?, end(fields.get(2)?)?);
        let is_it = local == peer && remote.1 == port && remote.0.is_loopback();
        is_it.then(|| Some((fields.get(7)?.parse().ok()?, fields.get(9)?.parse().ok()?)))?
    })
}

/// One end as the kernel writes it: the address in words of this machine's byte order, the port in hex.
fn end(text: &str) -> Option<(Ipv4Addr, u16)> {
    let (address, port) = text.split_once(':')?;
    let word = match address.len() {
        8 => address,
        // An IPv4 address within IPv6: the last word, after the mark of such an address.
        32 if address[..24].eq_ignore_ascii_case("0000000000000000FFFF0000") => &address[24..],
        _ => return None,
    };
    let word = u32::from_str_radix(word, 16).ok()?;
    Some((Ipv4Addr::from(word.to_ne_bytes()), u16::from_str_radix(port, 16).ok()?))
}

/// Whether the process has the socket open. One that does not let us look may have it: a program can make itself opaque.
fn has(pid: u32, inode: u64) -> bool {
    let name = format!("socket:[{inode}]");
    let open = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(open) => open.flatten(),
        Err(error) => return error.kind() != io::ErrorKind::NotFound,
    };
    open.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|link| link.as_os_str() == name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_both_of_its_ends() {
        const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:2189 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1 0\n\
            1: 0100007F:D431 0100007F:2189 01 00000000:00000000 00:00000000 00000000  1001        0 22 1 0\n\
            2: 0000000000000000FFFF00000100007F:D432 0000000000000000FFFF00000100007F:2189 01 0:0 0:0 0  1002        0 33 1 0\n";
        // As a machine of this byte order writes them.
        let table = if cfg!(target_endian = "little") {
            TABLE.to_owned()
        } else {
            TABLE.replace("0100007F", "7F000001")
        };
        let check = |port: u16, ours: u16, expected| {
            assert_eq!(socket(&table, (Ipv4Addr::LOCALHOST, port), ours), expected, "{port} {ours}");
        };
        check(0xD431, 8585, Some((1001, 22)));
        check(0xD432, 8585, Some((1002, 33)));
        check(0xD431, 8586, None);
        check(8585, 0xD431, None);
        check(1, 8585, None);
    }
}

//! Where a request may go that a stranger's document asks for.
//!
//! Metadata names addresses, and who wrote it may want us to knock at doors behind our firewall. So a name is resolved
//! here, and an address in a private network is never connected to, unless the server that we log in at is itself
//! there: at the same address where that stands in its entry as such, or at the server's own origin.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use url::{Host, Url};

/// What is allowed beside the public internet.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    server: Url,
    /// The address of the server, where its entry gives one, or the name of this machine.
    own: Option<IpAddr>,
    allow_private: bool,
    /// What would allow it, in words.
    allowed_by: &'static str,
}

/// The address that stands in `url` in place of a name, or that the name of this machine means.
fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
        Host::Domain("localhost") => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        Host::Domain(_) => None,
    }
}

impl Guard {
    pub(super) fn of(server: &Url, allow_private: bool) -> Self {
        let allowed_by = "`\"station\": {\"oauth\": {\"allow_private\": true}}` in the server's entry";
        Self { server: server.clone(), own: literal(server), allow_private, allowed_by }
    }

    /// For requests to the issuer of tokens that are shown to us, which config.yaml names.
    pub(super) fn of_issuer(issuer: &Url, allow_private: bool) -> Self {
        let allowed_by = "`oauth.allow_private` of config.yaml";
        Self { allowed_by, ..Self::of(issuer, allow_private) }
    }

    fn refusal(&self) -> String {
        format!("is in a private network, which metadata may not lead into: {} allows it", self.allowed_by)
    }

    /// Whether `url` may be asked at all; where its name leads is looked at when it is resolved.
    ///
    /// # Errors
    /// Why not, as the rest of a sentence that begins with the address.
    pub(super) fn admits(&self, url: &Url) -> Result<(), String> {
        if !matches!(url.scheme(), "https" | "http") {
            return Err("is not of HTTP".to_owned());
        }
        if url.host().is_none() {
            return Err("names no host".to_owned());
        }
        let literal = literal(url);
        let is_own = self.is_origin_of(url);
        if let Some(address) = literal
            && !is_own
            && !self.admits_address(address)
        {
            return Err(self.refusal());
        }
        let is_near = literal.is_some_and(|address| address.is_loopback());
        if url.scheme() == "http" && !is_own && !is_near && !self.allow_private {
            return Err("is not encrypted: it must begin with `https://`".to_owned());
        }
        Ok(())
    }

    /// Whether `url` is of the server's own origin, which was asked before and is no stranger's choice.
    fn is_origin_of(&self, url: &Url) -> bool {
        url.origin() == self.server.origin()
    }

    fn admits_address(&self, address: IpAddr) -> bool {
        let is_own =
            self.own.is_some_and(|own| own == address || (own.is_loopback() && address.is_loopback()));
        !is_private(address) || is_own || (self.allow_private && !is_link_local(address))
    }

    /// The addresses that a name leads to, as far as they may be connected to.
    pub(super) fn resolver_for(&self, url: &Url) -> Resolver {
        Resolver { guard: self.clone(), is_own: self.is_origin_of(url) }
    }
}

/// Resolves names for one request.
pub(super) struct Resolver {
    guard: Guard,
    is_own: bool,
}

impl reqwest::dns::Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let (guard, is_own, name) = (self.guard.clone(), self.is_own, name.as_str().to_owned());
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let admitted: Vec<SocketAddr> =
                found.into_iter().filter(|it| is_own || guard.admits_address(it.ip())).collect();
            if admitted.is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::PermissionDenied,
                    format!("it {}", guard.refusal()),
                )
                .into());
            }
            Ok(Box::new(admitted.into_iter()) as reqwest::dns::Addrs)
        })
    }
}

/// Whether `address` is not of the public internet.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => match inner_v4(address) {
            Some(inner) => is_private_v4(inner),
            None => {
                address.is_loopback()
                    || address.is_unspecified()
                    || address.is_multicast()
                    || address.is_unique_local()
                    || address.is_unicast_link_local()
                    // Once site-local (RFC 3879), and still in use.
                    || address.segments()[0] & 0xffc0 == 0xfec0
            }
        },
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || a == 0
        // Reserved, broadcast.
        || a >= 240
        // Shared by carriers (RFC 6598), protocols (RFC 6890), measurements (RFC 2544).
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 198 && (b == 18 || b == 19))
}

/// The old address that a new one stands for: mapped, translated (RFC 6052) or by 6to4.
fn inner_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let of = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match segments {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0xffff, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

/// Clouds keep their machines' secrets there: no setting opens that.
fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => {
            address.is_unicast_link_local() || inner_v4(address).is_some_and(|inner| inner.is_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_leads_into_no_private_network() {
        let check = |server: &str, allow_private: bool, url: &str, is_admitted: bool| {
            let guard = Guard::of(&Url::parse(server).unwrap(), allow_private);
            let admitted = guard.admits(&Url::parse(url).unwrap());
            assert_eq!(admitted.is_ok(), is_admitted, "{server} {allow_private} {url} {admitted:?}");
        };
        let far = "https://mcp.example/mcp";
        check(far, false, "https://as.example/", true);
        check(far, false, "http://as.example/", false);
        check(far, false, "ftp://as.example/", false);
        for private in [
            "https://127.0.0.1/",
            "https://localhost/",
            "https://10.1.2.3/",
            "https://172.31.0.1/",
            "https://192.168.1.1/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
            "https://255.255.255.255/",
            "https://[::1]/",
            "https://[fd00::1]/",
            "https://[fe80::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://[64:ff9b::a00:1]/",
            "https://[2002:a00:1::]/",
        ] {
            check(far, false, private, false);
        }
        check(far, false, "https://8.8.8.8/", true);
        check(far, true, "http://10.1.2.3/", true);
        check(far, true, "http://169.254.169.254/latest", false);
        check(far, true, "https://[fe80::1]/", false);
        // A server of this machine may name others of this machine, and none of the network.
        check("http://localhost:1/mcp", false, "http://127.0.0.1:2/token", true);
        check("http://127.0.0.1:1/mcp", false, "http://[::1]:2/token", true);
        check("http://127.0.0.1:1/mcp", false, "http://10.0.0.1/", false);
        check("http://10.0.0.1/mcp", false, "http://10.0.0.1/token", true);
        check("http://10.0.0.1/mcp", false, "https://10.0.0.1:9/token", true);
        check("http://10.0.0.1/mcp", false, "https://10.0.0.2/token", false);
        check("http://inner.example/mcp", false, "http://inner.example/token", true);
    }

    #[test]
    fn the_metadata_of_an_issuer_leads_into_no_private_network_either() {
        let admitted = |issuer: &str, allow_private: bool, url: &str| {
            let guard = Guard::of_issuer(&Url::parse(issuer).unwrap(), allow_private);
            guard.admits(&Url::parse(url).unwrap())
        };
        let refused = admitted("https://as.example", false, "https://10.0.0.1/jwks").unwrap_err();
        assert!(refused.ends_with("`oauth.allow_private` of config.yaml allows it"), "{refused}");
        assert!(admitted("https://as.example", true, "https://10.0.0.1/jwks").is_ok());
        assert!(admitted("https://as.example", false, "http://as.example/jwks").is_err());
        assert!(admitted("https://10.0.0.1", false, "https://10.0.0.1/jwks").is_ok());
    }

    #[test]
    fn a_name_is_looked_at_where_it_leads() {
        let guard = Guard::of(&Url::parse("https://mcp.example/mcp").unwrap(), false);
        for (address, is_admitted) in [("127.0.0.1", false), ("::1", false), ("1.1.1.1", true)] {
            assert_eq!(guard.admits_address(address.parse().unwrap()), is_admitted, "{address}");
        }
    }
}

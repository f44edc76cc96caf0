//! The keys `tls` and `cors`: how HTTP is spoken, and whose pages may.

use super::read::not_empty;
use crate::file::sheet::Sheet;
use crate::file::tree::Node;

/// The key `tls`; `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// A file with the certificate and its chain.
    pub cert: Option<String>,
    /// A file with its private key.
    pub key: Option<String>,
    /// A file with those who sign the certificates of clients.
    pub client_ca: Option<String>,
    /// A port without TLS that leads to the one with it.
    pub redirect_port: Option<u16>,
}

impl Tls {
    /// Takes the value of `what`, where that is one of these keys.
    pub(super) fn take(&mut self, sheet: &mut Sheet<'_>, what: &str, node: &Node) -> bool {
        match what {
            "tls.cert" => self.cert = not_empty(sheet.text(node, what)),
            "tls.key" => self.key = not_empty(sheet.text(node, what)),
            "tls.client_ca" => self.client_ca = not_empty(sheet.text(node, what)),
            "tls.redirect_port" => self.redirect_port = sheet.number(node, what, 0),
            _ => return false,
        }
        true
    }
}

/// Origins as browsers write them: scheme, host and port, nothing else (RFC 6454, section 6.2).
pub(super) fn origins(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Vec<String> {
    let origins = sheet.texts(node, what);
    for origin in origins.iter().filter(|origin| !is_origin(origin)) {
        let sentence =
            format!("`{what}` has `{origin}`, and takes origins alone, like `https://app.example.com`");
        sheet.error(node.at, sentence);
    }
    origins
}

pub(super) fn is_origin(text: &str) -> bool {
    let authority = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:[]".contains(c);
    authority.is_some_and(|authority| !authority.is_empty() && authority.chars().all(fits))
}

#[cfg(test)]
mod tests {
    use super::super::read;

    #[test]
    fn what_is_said_of_tls_and_of_other_sites_is_read() {
        let text = "tls: {cert: c.pem, key: k.pem, client_ca: ca.pem, redirect_port: 8080}\n\
            cors: {origins: [\"https://app.example.com\", \"http://localhost:3000\", \"http://[::1]:1\"]}\n";
        let (config, problems) = read(text, "");
        assert_eq!(problems, []);
        let config = config.expect("nothing is wrong");
        assert_eq!((config.tls.cert.as_deref(), config.tls.redirect_port), (Some("c.pem"), Some(8080)));
        assert_eq!(
            (config.tls.key.as_deref(), config.tls.client_ca.as_deref()),
            (Some("k.pem"), Some("ca.pem"))
        );
        assert_eq!(config.cors_origins.len(), 3);
        for origin in
            ["*", "null", "https://", "https://a.example/", "app.example.com", "https://A.example", "ftp://a"]
        {
            let (_, problems) = read(&format!("cors: {{origins: [\"{origin}\"]}}\n"), "");
            assert_eq!(problems.len(), 1, "{origin}");
        }
    }
}

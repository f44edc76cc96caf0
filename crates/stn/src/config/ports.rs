//! Where the HTTP door listens, and what a caller brings that its socket does not tell of.

use super::Settings;
use station_core::{Error, Result, Secret};
use station_engine::{Key, Readers, Replace, write_file};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::MetadataExt as _;

/// `api_host` where nobody says another.
pub(crate) const API_HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// `api_port` where nobody says another.
pub(super) const API_PORT: u16 = 8585;

/// Ports that HTTP is served on; 0 means one that the system chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// The address of all of them.
    pub(crate) host: IpAddr,
    /// For everything.
    pub(crate) api: u16,
    /// Whether somebody chose it: where nobody did, a port that is taken is no reason not to work.
    pub(crate) api_is_chosen: bool,
    /// A second one, for clients that were set up with it.
    pub(crate) mcp: Option<u16>,
}

impl Ports {
    /// The port next to `mcp`, that of MCP, for agents: 0 next to 0.
    ///
    /// # Errors
    /// `Invalid` where there is none, or it is that of everything.
    pub(crate) fn after_mcp(&self, mcp: u16) -> Result<u16> {
        if mcp == 0 {
            return Ok(0);
        }
        let next = mcp.checked_add(1).filter(|next| *next != self.api);
        next.ok_or_else(|| {
            Error::invalid(format!("`mcp_port` is {mcp}, and the port after it is not free for agents"))
                .with_hint("STN_MCP_PORT, or `mcp_port` in config.yaml, chooses another: two ports in a row")
        })
    }
}

impl Settings {
    /// Where HTTP is served.
    ///
    /// # Errors
    /// `Invalid` where a variable is no port.
    pub(crate) fn ports(&self) -> Result<Ports> {
        let of = |name: &str| {
            let Some(text) = self.environment.get(name) else { return Ok(None) };
            let port = text.parse::<u16>().map(Some);
            port.map_err(|_| {
                Error::invalid(format!("{name} is `{text}`, and must be a port from 0 to 65535"))
            })
        };
        let host = match (self.environment.get("STN_API_HOST"), &self.config.api_host) {
            (Some(text), _) => Some(("STN_API_HOST", text)),
            (None, written) => written.as_deref().map(|text| ("`api_host` of config.yaml", text)),
        };
        let host = host.map(|(place, text)| {
            text.parse::<IpAddr>().map_err(|_| {
                Error::invalid(format!(
                    "{place} is `{text}`, and must be an address such as 127.0.0.1 or 0.0.0.0"
                ))
            })
        });
        let api = of("STN_API_PORT")?.or(self.config.api_port);
        Ok(Ports {
            host: host.transpose()?.unwrap_or(API_HOST),
            api: api.unwrap_or(API_PORT),
            api_is_chosen: api.is_some(),
            mcp: of("STN_MCP_PORT")?.or(self.config.mcp_port),
        })
    }

    /// The API key that the operator made for the first administrator: of the file that STN_ADMIN_KEY_FILE names, or of
    /// STN_ADMIN_KEY.
    ///
    /// # Errors
    /// `Invalid` where the file cannot be read.
    pub(crate) fn admin_key(&self) -> Result<Option<Secret>> {
        let Some(path) = self.environment.get("STN_ADMIN_KEY_FILE") else {
            return Ok(self.environment.get("STN_ADMIN_KEY").map(Secret::new));
        };
        let text = fs::read_to_string(path).map_err(|cause| {
            Error::invalid(format!(
                "{path}, which STN_ADMIN_KEY_FILE names, cannot be read: {}",
                cause.kind()
            ))
            .with_cause(cause)
        })?;
        Ok(Some(Secret::new(text.trim())))
    }

    /// The token of the file `api-token` in the configuration folder, made where there is none. Only its owner may read
    /// that file.
    ///
    /// # Errors
    /// `Invalid` where it cannot be read or made, or where others can read it.
    pub(crate) fn api_token(&self) -> Result<Secret> {
        let path = self.folder.join("api-token");
        let shown = path.display();
        let token = Key::generate()?.to_hex();
        match write_file(&path, &format!("{}\n", token.expose()), Readers::Owner, Replace::Refused) {
            Ok(()) => return Ok(token),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(
                    Error::invalid(format!("{shown} cannot be made: {}", error.kind())).with_cause(error)
                );
            }
        }
        let failed = |error: io::Error| {
            Error::invalid(format!("{shown} cannot be read: {}", error.kind())).with_cause(error)
        };
        if fs::metadata(&path).map_err(failed)?.mode() & 0o077 != 0 {
            return Err(Error::invalid(format!("{shown} can be read by others"))
                .with_hint(format!("`chmod 600 {shown}`, or delete it: a new one is made")));
        }
        let text = fs::read_to_string(&path).map_err(failed)?;
        match text.trim() {
            "" => Err(Error::invalid(format!("{shown} is empty")).with_hint("delete it: a new one is made")),
            token => Ok(Secret::new(token)),
        }
    }
}

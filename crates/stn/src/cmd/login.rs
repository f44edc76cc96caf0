//! `stn login`

use crate::config::host;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::question::given_secret;
use crate::remote::{Address, Login, Logins, Server, Target};
use crate::session::{Session, install_tls};
use serde_json::json;
use station_core::{Error, Secret};
use station_engine::KEY_PREFIX;
use station_server::wire;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Keep an API key for a server, for `--server`
///
/// The key (`stn_…`) is asked for on a terminal, where it is not seen, or read from standard input: `stn login URL < key.txt`. With
/// `--user` it is the password that is asked for or read, and a key is made for this machine. It is checked with the server and kept in
/// a file that its owner alone may read, `~/.config/stn/logins`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's address, e.g. `https://station.example.com`; the one of `--server` or STN_SERVER if left out
    url: Option<String>,
    /// Read the key from this file
    #[arg(long, value_name = "FILE", conflicts_with = "user")]
    key_file: Option<PathBuf>,
    /// Sign in with a password, and make a key of this user for this machine
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// How long the key that is made holds
    #[arg(long, value_name = "DAYS", requires = "user", default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=36_500))]
    days: i64,
}

/// Longest file that a key is read from.
const KEY_BYTES_MAX: u64 = 4 * 1024;

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let logins = Logins::of(&session.settings.environment)?;
        let target = self.target(session)?;
        let address = &target.address;
        // Before anything is asked for.
        install_tls();
        let anybody = Server::with(&target, None)?;
        let (key, made) = match &self.user {
            None => (self.key(session).await?, None),
            Some(user) => self.make(session, anybody, user).await?,
        };
        let server = Server::with(&target, Some(&key))?;
        let caller: wire::Caller = server.ask("show_caller", json!({})).await?;
        let path = logins.keep(address, &Login::new(&target, &key, &caller.name, made))?;
        if session.out.is_json() {
            session.out.json(&json!({ "login": { "server": address.to_string(), "path": path.display().to_string(), "caller": caller } }))?;
            return Ok(Code::Done);
        }
        let wire::Caller { name, role, scopes, .. } = &caller;
        let scopes = if scopes.is_empty() { "nothing".to_owned() } else { scopes.join(", ") };
        session.out.note(Tone::Good, &format!("You are `{name}` at {address}: {role}, and may {scopes}."));
        session.out.note(Tone::Plain, &format!("The key is kept in {}", path.display()));
        session
            .out
            .hint(&format!("`stn --server {address} agent list`; STN_SERVER says it for all commands"));
        Ok(Code::Done)
    }

    fn target(&self, session: &Session<'_>) -> Result<Target> {
        let named = session.server.as_ref();
        let Some(url) = &self.url else {
            return named.cloned().ok_or_else(|| {
                Error::invalid("name the server: `stn login https://station.example.com`").into()
            });
        };
        let plain_http = session.plain_http;
        Ok(Target { address: Address::parse(url)?, is_of_environment: false, plain_http })
    }

    async fn key(&self, session: &Session<'_>) -> Result<Secret> {
        let key = match &self.key_file {
            Some(path) => read(path)?,
            None => {
                given_secret(session, "API key", "pipe it in, or name its file with `--key-file`").await?
            }
        };
        let text = key.expose().trim();
        if !text.starts_with(KEY_PREFIX) {
            return Err(Error::invalid(format!(
                "what was given is no API key: that begins with `{KEY_PREFIX}`"
            ))
            .with_hint(
                "`stn user key create` makes one where the server is; `--user NAME` takes a password instead",
            )
            .into());
        }
        Ok(Secret::new(text))
    }

    /// Makes a key of `user` for this machine.
    async fn make(&self, session: &Session<'_>, server: Server, user: &str) -> Result<(Secret, Option<i64>)> {
        let password = given_secret(session, "Password", "pipe it in").await?;
        let server = server.signed_in(user, &password).await?;
        let name = format!("stn on {}", host().as_deref().unwrap_or("a machine without a name"));
        let made =
            server.ask("create_api_key", json!({ "user": user, "name": name, "days": self.days })).await;
        // Nobody is to stay signed in for a key.
        drop(server.ask::<serde_json::Value>("delete_session", json!({})).await);
        let made: wire::NewApiKey = made?;
        Ok((Secret::new(made.secret), Some(made.api_key.id)))
    }
}

fn read(path: &Path) -> Result<Secret> {
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(KEY_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|cause| {
        Error::invalid(format!("{} cannot be read: {}", path.display(), cause.kind())).with_cause(cause)
    })?;
    Ok(Secret::new(text))
}

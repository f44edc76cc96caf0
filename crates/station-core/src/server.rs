//! MCP servers: how one is reached, and what Station is told to do with it.

use crate::answers::Answers;
use crate::oauth::OauthSettings;
use crate::sandbox::Sandbox;
use crate::tool::canonical_json;
use crate::verify::VerifyRule;
use crate::{BlobHash, EnvironmentId, Micros, Redaction, Role, Secret, ServerId, is_plain};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A server as the store knows it. Its definition is not here: that may hold secrets and is resolved when a
/// connection is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its row.
    pub id: ServerId,
    /// The environment it belongs to.
    pub environment: EnvironmentId,
    /// Its key in `mcpServers`.
    pub name: String,
    /// The name of the file it is defined in, without `.json`.
    pub config: String,
    /// `stdio` or `http`.
    pub transport: Transport,
    /// Hash of the definition with its variables unresolved.
    pub definition_hash: String,
    /// The protocol era seen last, so that a silent server does not cost a probe each time.
    pub era: Option<Era>,
    /// When its tools were last listed.
    pub discovered_at: Option<Micros>,
    /// Why it could not be listed, or not be reached, when that was tried last; `None` when it worked or was never tried.
    pub problem: Option<String>,
    /// When that was.
    pub problem_at: Option<Micros>,
    /// Since when every try has failed.
    pub down_since: Option<Micros>,
}

/// How a server is reached. A word of the journal, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// A child process speaking over its standard streams.
    #[default]
    Stdio,
    /// A remote server over streamable HTTP.
    Http,
}

impl Transport {
    /// The word in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
        }
    }

    /// Whether it is a child of ours: then what it was given is at work no more when it is gone. A remote server may
    /// go on with a call long after whoever sent it.
    #[must_use]
    pub fn ends_with_us(&self) -> bool {
        match self {
            Self::Stdio => true,
            Self::Http => false,
        }
    }
}

/// The two eras of MCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    /// 2024-11-05 to 2025-11-25: an `initialize` handshake opens a session.
    Legacy,
    /// 2026-07-28: stateless, `server/discover`.
    Modern,
}

impl Era {
    /// The word in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Legacy => "legacy",
            Self::Modern => "modern",
        }
    }

    /// Reads the word back.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "legacy" => Some(Self::Legacy),
            "modern" => Some(Self::Modern),
            _ => None,
        }
    }
}

/// A server's definition with every variable resolved: what a connection is made from.
///
/// It may hold secrets, so its `Debug` shows names only.
#[derive(Clone, PartialEq, Eq)]
pub enum Definition {
    /// A child process.
    Stdio {
        /// The program, looked up in `PATH`.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Variables declared for it, beside the base list.
        env: BTreeMap<String, String>,
        /// Its working directory; the workspace folder where `None`.
        cwd: Option<String>,
        /// Values of variables that were filled in anywhere above and are not plain: part of no connection, and never to
        /// be told.
        filled: Vec<Secret>,
    },
    /// A remote server.
    Http {
        /// Where it listens.
        url: String,
        /// Headers sent with every request.
        headers: BTreeMap<String, String>,
        /// Values of variables that were filled in anywhere above and are not plain: part of no connection, and never to
        /// be told.
        filled: Vec<Secret>,
    },
}

/// What starts Station's own server: `stn stdio`, by whatever path `stn` was named.
#[must_use]
pub(crate) fn starts_station(command: &str) -> bool {
    matches!(command.rsplit(['/', '\\']).next(), Some("stn" | "stn.exe"))
}

impl Definition {
    /// Whether this is the Station that starts it: `stn stdio` and nothing else, so no other home, and no gateway.
    #[must_use]
    pub fn is_station(&self) -> bool {
        match self {
            Self::Stdio { command, args, env, .. } => {
                starts_station(command) && *args == ["stdio"] && env.is_empty()
            }
            Self::Http { .. } => false,
        }
    }

    /// How this server is reached.
    #[must_use]
    pub fn transport(&self) -> Transport {
        match self {
            Self::Stdio { .. } => Transport::Stdio,
            Self::Http { .. } => Transport::Http,
        }
    }

    /// What must be taken out of whatever the server says before anybody reads it: values of variables wherever they
    /// were filled in, and values of `env` and `headers`, all but the plain ones ([`is_plain`]).
    #[must_use]
    pub fn redaction(&self) -> Redaction {
        let (declared, filled) = match self {
            Self::Stdio { env, filled, .. } => (env, filled),
            Self::Http { headers, filled, .. } => (headers, filled),
        };
        let declared =
            declared.iter().filter(|(name, value)| !is_plain(name, value)).map(|(_, value)| value.as_str());
        Redaction::of(declared.chain(filled.iter().map(Secret::expose)))
    }

    /// What an approval is bound to of it, beside the tool: the program and its arguments, or the address. Values of
    /// variables that may be secrets are not in it, so that a new token voids no approval; another folder does. And except that the host of an address counts as it is: that is where the call goes.
    #[must_use]
    pub fn way(&self) -> BlobHash {
        let redaction = self.redaction();
        let parts = match self {
            Self::Stdio { command, args, cwd, .. } => {
                let args: Vec<String> = args.iter().map(|arg| redaction.apply(arg)).collect();
                serde_json::json!({ "command": command, "args": args, "cwd": cwd })
            }
            Self::Http { url, .. } => {
                serde_json::json!({ "host": host(url), "url": redaction.apply(url) })
            }
        };
        BlobHash::of(canonical_json(&parts).as_bytes())
    }

    /// One unambiguous byte string of the whole definition, secrets included: what the pool's key is made from.
    #[must_use]
    pub fn fingerprint(&self) -> Vec<u8> {
        let parts: Vec<String> = match self {
            Self::Stdio { command, args, env, cwd, filled: _ } => std::iter::once("stdio".to_owned())
                .chain([command.clone(), cwd.clone().unwrap_or_default(), args.len().to_string()])
                .chain(args.iter().cloned())
                .chain(env.iter().flat_map(|(name, value)| [name.clone(), value.clone()]))
                .collect(),
            Self::Http { url, headers, filled: _ } => ["http".to_owned(), url.clone()]
                .into_iter()
                .chain(headers.iter().flat_map(|(name, value)| [name.clone(), value.clone()]))
                .collect(),
        };
        // Length-prefixed, so that no two definitions can run together into the same bytes.
        parts
            .iter()
            .flat_map(|part| [part.len().to_string().as_bytes(), b":", part.as_bytes()].concat())
            .collect()
    }
}

/// Scheme, host and port of `url` as written, without the user that may stand before them.
fn host(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}").to_ascii_lowercase()
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdio { command, args, env, .. } => f
                .debug_struct("Stdio")
                .field("command", command)
                .field("args", &args.len())
                .field("env", &env.keys().collect::<Vec<_>>())
                .finish_non_exhaustive(),
            Self::Http { headers, .. } => f
                .debug_struct("Http")
                .field("headers", &headers.keys().collect::<Vec<_>>())
                .finish_non_exhaustive(),
        }
    }
}

/// The `station` key of a server entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerSettings {
    /// Who shares a connection.
    pub isolation: Isolation,
    /// Seconds one call may take; the default of the pool where `None`.
    pub timeout_s: Option<u64>,
    /// Calls at a time on one connection.
    pub concurrency: Option<u32>,
    /// Bytes of a result that are kept.
    pub output_bytes_max: Option<u64>,
    /// Bytes of a result that stand in the conversation; the rest of what is kept is read by handle.
    pub result_bytes_max: Option<u64>,
    /// Agents that may use this server, as globs over names: all where it is not written, none where
    /// the list is empty.
    pub allow_agents: Option<Vec<String>>,
    /// Roles whose users, and runs they start, may use this server; those above a role are meant with it. All where it is not
    /// written, none where it is empty.
    pub allow_roles: Option<BTreeSet<Role>>,
    /// What its program is kept from.
    pub sandbox: Sandbox,
    /// What it is answered when it asks us something.
    pub answers: Answers,
    /// How a login at it is made.
    pub oauth: OauthSettings,
    /// Rules over its tools.
    pub tools: ToolRules,
}

/// Who shares a connection to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// All runs of the environment.
    #[default]
    Environment,
    /// Each run has its own.
    Run,
}

/// Rules over tools: the `tools` block of a server entry and of `environment.yml`. All are globs over tool names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolRules {
    /// Only these may be used: all where it is not written, none where the list is empty.
    pub allow: Option<Vec<String>>,
    /// These may not be used.
    pub deny: Vec<String>,
    /// These wait for a person's approval; `@destructive` stands for every tool that may destroy something.
    pub approve: Vec<String>,
    /// These change nothing, whatever their annotations say.
    pub read_only: Vec<String>,
    /// These may be repeated, whatever their annotations say.
    pub idempotent: Vec<String>,
    /// What these answer is kept from models, and from what is stored of a run.
    pub secret: Vec<String>,
    /// How it is found out whether a call of these took effect, by pattern, in file order.
    pub verify: Vec<(String, VerifyRule)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stdio(command: &str, args: &[&str], secret: &str) -> Definition {
        Definition::Stdio {
            command: command.to_owned(),
            args: args.iter().map(ToString::to_string).collect(),
            env: BTreeMap::from([("TOKEN".to_owned(), secret.to_owned())]),
            cwd: None,
            filled: vec![Secret::new(secret)],
        }
    }

    fn http(url: &str, secret: &str) -> Definition {
        Definition::Http {
            url: url.to_owned(),
            headers: BTreeMap::from([("Authorization".to_owned(), secret.to_owned())]),
            filled: vec![Secret::new(secret)],
        }
    }

    #[test]
    fn a_way_is_where_a_call_goes_and_no_secret() {
        let base = stdio("npx", &["-y", "server", "--key=sk-long-one"], "sk-long-one");
        for (other, same) in [
            (stdio("npx", &["-y", "server", "--key=sk-long-two"], "sk-long-two"), true),
            (stdio("npx", &["-y", "other", "--key=sk-long-one"], "sk-long-one"), false),
            (stdio("evil", &["-y", "server", "--key=sk-long-one"], "sk-long-one"), false),
        ] {
            assert_eq!(base.way() == other.way(), same, "{other:?}");
        }
        let base = http("https://mcp.example.com/mcp?key=sk-long-one", "sk-long-one");
        for (other, same) in [
            (http("https://mcp.example.com/mcp?key=sk-long-two", "sk-long-two"), true),
            (http("https://mcp.example.com/other?key=sk-long-one", "sk-long-one"), false),
            (http("http://mcp.example.com/mcp?key=sk-long-one", "sk-long-one"), false),
            (http("https://mcp.example.com:8443/mcp?key=sk-long-one", "sk-long-one"), false),
            (http("https://mcp.example.com@evil.example/mcp?key=sk-long-one", "sk-long-one"), false),
        ] {
            assert_eq!(base.way() == other.way(), same, "{other:?}");
        }
        // A host out of a variable is where the call goes all the same.
        assert_ne!(
            http("https://one.example/", "one.example").way(),
            http("https://two.example/", "two.example").way()
        );
    }
}

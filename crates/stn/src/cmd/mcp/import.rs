//! `stn mcp import`

use super::client;
use crate::error::{Code, Failure, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::problems;
use crate::session::Session;
use serde_json::{Value, json};
use station_core::file::clients::{ClientServer, servers};
use station_core::{EnvironmentName, Error, Secret};
use station_engine::{EnvironmentRef, NewServer, Station};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Take over the servers of an MCP client's file
///
/// Reads the JSON of Claude, Cursor, VS Code and Gemini, and Codex's TOML. Each server gets a file of its own in the environment's
/// `mcp-servers/`. Values that look like secrets, also among arguments and in addresses, and headers, are put into variables.yml, and
/// stand in the server's file as `{{ .NAME }}`. Where a variable of that name has another value already, it stays, and the server gets
/// `{{ .SERVER_NAME }}`. Station itself, and servers that are switched off, are passed over. Nothing is started: `stn mcp sync` asks the servers for their tools.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The client's file
    file: PathBuf,
    /// The environment [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
}

/// What became of one server.
struct Became {
    name: String,
    status: &'static str,
    why: Option<String>,
    variables: Vec<String>,
    /// Keys that have no meaning here.
    left: Vec<String>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let text = std::fs::read_to_string(&self.file).map_err(|cause| {
            Error::invalid(format!("{} cannot be read: {}", self.file.display(), cause.kind()))
                .with_cause(cause)
        })?;
        let root = client::read(&self.file, &text)?;
        let found = servers(&root).ok_or_else(|| {
            Error::invalid(format!("{} defines no MCP servers", self.file.display()))
                .with_hint("it has neither `mcpServers`, nor `servers`, nor `[mcp_servers.…]`")
        })?;
        session
            .with(async |station| {
                let environment = session.environment(station, self.env.as_ref()).await?;
                take(session, station, &environment, found).await
            })
            .await
    }
}

async fn take(
    session: &Session<'_>,
    station: &Station,
    environment: &EnvironmentName,
    found: Vec<ClientServer>,
) -> Result {
    let mut all = Vec::new();
    for server in found {
        let name = server.name.clone();
        let passed = |why: &str| Became {
            name: name.clone(),
            status: "passed_over",
            why: Some(why.to_owned()),
            variables: Vec::new(),
            left: Vec::new(),
        };
        all.push(match (server.is_station, server.is_disabled) {
            (true, _) => passed("it is Station itself"),
            (_, true) => passed("it is switched off there"),
            _ => add(session, station, environment, server).await?,
        });
    }
    let n_failed = all.iter().filter(|it| it.status == "failed").count();
    if session.out.is_json() {
        let rows: Vec<Value> = all
            .iter()
            .map(|it| json!({ "server": it.name, "status": it.status, "error": it.why, "variables": it.variables, "left_out": it.left }))
            .collect();
        session.out.json(&json!({ "servers": rows, "count": rows.len() }))?;
    } else {
        session.out.lines(&all.iter().map(Became::line).collect::<Vec<_>>())?;
        if all.iter().any(|it| it.status == "added") {
            session.out.hint(&format!("ask them for their tools with `stn sync {environment}`"));
        }
    }
    Ok(if n_failed > 0 { Code::Partial } else { Code::Done })
}

impl Became {
    fn line(&self) -> (Tone, String) {
        let why = self.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        let with = match self.variables.len() {
            0 => String::new(),
            _ => format!(" (variables: {})", self.variables.join(", ")),
        };
        let left = match self.left.len() {
            0 => String::new(),
            _ => format!(", without {}, which means nothing here", self.left.join(", ")),
        };
        let tone = if self.status == "failed" { Tone::Bad } else { Tone::Plain };
        (tone, format!("{}: {}{with}{why}{left}", self.name, self.status.replace('_', " ")))
    }
}

/// Adds one server, and those of its secrets that are not variables yet.
async fn add(
    session: &Session<'_>,
    station: &Station,
    environment: &EnvironmentName,
    mut server: ClientServer,
) -> Result<Became> {
    let name = server.name.clone();
    let left = std::mem::take(&mut server.left);
    let failed = |why: String| Became {
        name: name.clone(),
        status: "failed",
        why: Some(why),
        variables: Vec::new(),
        left: Vec::new(),
    };
    let unset = match settle(session, station, environment, &mut server).await? {
        Ok(unset) => unset,
        Err(why) => return Ok(failed(why)),
    };
    let new = NewServer {
        name: name.clone(),
        environment: environment.clone(),
        entry: Value::Object(server.entry),
        file: None,
    };
    let added = match station.add_server(&session.by, new).await {
        Ok(added) => added,
        Err(error) if !error.causes().is_empty() => return Err(Failure::from(error)),
        Err(error) => return Ok(failed(error.sentence().to_owned())),
    };
    for problem in &added.problems {
        problems::tell(session.out, &session.settings.root(), problem);
    }
    for (variable, value) in &unset {
        station.set_variable(&session.by, environment, variable, value).await?;
    }
    Ok(Became { name, status: "added", why: None, variables: unset.into_keys().collect(), left })
}

/// Gives each secret of a server a variable that has no other value; those that are to be set. An error is why that cannot be.
async fn settle(
    session: &Session<'_>,
    station: &Station,
    environment: &EnvironmentName,
    server: &mut ClientServer,
) -> Result<Result<BTreeMap<String, Secret>, String>> {
    let mut unset = BTreeMap::new();
    for (variable, value) in server.secrets.clone() {
        let value = Secret::new(value);
        let is_set =
            async |variable: &str| station.is_variable(&session.by, environment, variable, &value).await;
        let mut called = variable.clone();
        let mut state = is_set(&called).await?;
        if state == Some(false)
            && let Some(apart) = server.set_apart(&variable)
        {
            state = is_set(&apart).await?;
            called = apart;
        }
        match state {
            Some(true) => {}
            Some(false) => {
                return Ok(Err(format!(
                    "the variables `{variable}` and `{called}` have other values already"
                )));
            }
            None => drop(unset.insert(called, value)),
        }
    }
    Ok(Ok(unset))
}

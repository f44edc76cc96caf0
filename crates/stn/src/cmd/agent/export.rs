//! `stn agent export`

use crate::at::{At, named};
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::session::Session;
use serde_json::{Value, json};
use station_core::{AgentName, Error};
use station_engine::EnvironmentRef;
use station_server::wire;
use std::path::{Path, PathBuf};

/// Write an agent's definition to a file
///
/// With `--to` the text goes there, byte for byte (`--to -` is stdout). Without it, an agent that lives in the store
/// alone becomes a file of the workspace, which is what counts from then on; one that has a file stays as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id or name
    agent: String,
    /// The environment of a name; an id needs none
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    /// Write it here, e.g. triage.prompt; a folder gets a file of the agent's name
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// Write over a file that is there
    #[arg(long, requires = "to")]
    force: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| match &self.to {
                None => told(session, &self.exported(session, at).await?),
                Some(to) => self.write_to(session, to, self.read(session, at).await?),
            })
            .await
    }

    /// The agent, once it is a file of the workspace.
    async fn exported(&self, session: &Session<'_>, at: At<'_>) -> Result<wire::ExportedAgent> {
        match at {
            At::Here(station) => {
                let (agent, _) = session.agent(station, &self.agent, self.env.as_ref()).await?;
                Ok(wire::ExportedAgent::from(&station.export_agent(&session.by, &agent).await?))
            }
            At::There(server) => Ok(server.ask("export_agent", self.named()).await?),
        }
    }

    /// The agent's definition.
    async fn read(&self, session: &Session<'_>, at: At<'_>) -> Result<wire::AgentDefinition> {
        match at {
            At::Here(station) => {
                let (agent, _) = session.agent(station, &self.agent, self.env.as_ref()).await?;
                Ok(wire::AgentDefinition::from(&station.read_agent(&session.by, &agent).await?))
            }
            At::There(server) => Ok(server.ask("read_agent", self.named()).await?),
        }
    }

    /// The agent, as a server is told of it.
    fn named(&self) -> Value {
        json!({ "agent": self.agent, "environment": named(self.env.as_ref()) })
    }

    /// Writes a definition where it was asked for on this machine.
    fn write_to(&self, session: &Session<'_>, to: &Path, read: wire::AgentDefinition) -> Result {
        if to.as_os_str() == "-" {
            session.out.verbatim(&read.source)?;
            return Ok(Code::Done);
        }
        let name = &read.agent.name;
        let path = match to.is_dir() {
            // What a server says may not lead out of the folder.
            true => to.join(format!("{}.prompt", AgentName::parse(name)?)),
            false => to.to_owned(),
        };
        self.write(&path, &read.source)?;
        let path = path.display().to_string();
        if session.out.is_json() {
            let made = wire::ExportedAgent { agent: read.agent, path: Some(path), made: true };
            session.out.json(&made)?;
        } else {
            session.out.lines(&[(Tone::Good, format!("Wrote agent `{name}` to {path}"))])?;
        }
        Ok(Code::Done)
    }

    fn write(&self, path: &Path, text: &str) -> Result<()> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        if !self.force {
            options.create_new(true);
        }
        let written =
            options.open(path).and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()));
        written.map_err(|cause| {
            if cause.kind() == std::io::ErrorKind::AlreadyExists {
                let sentence = format!("the file {} exists already", path.display());
                return Error::conflict(sentence).with_hint("`--force` writes over it").into();
            }
            let sentence = format!("{} cannot be written: {}", path.display(), cause.kind());
            Error::invalid(sentence).with_cause(cause).into()
        })
    }
}

fn told(session: &Session<'_>, exported: &wire::ExportedAgent) -> Result {
    if session.out.is_json() {
        session.out.json(exported)?;
        return Ok(Code::Done);
    }
    let path = exported.path.as_deref().unwrap_or_default();
    let text = match exported.made {
        true => format!("Agent `{}` is a file now: {path}", exported.agent.name),
        false => format!("Agent `{}` is a file already: {path}", exported.agent.name),
    };
    session.out.lines(&[(Tone::Good, text)])?;
    if !exported.made {
        session.out.hint("`--to FILE` writes a copy, `--to -` prints it");
    }
    Ok(Code::Done)
}

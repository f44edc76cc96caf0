//! `stn agent export`

use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::Error;
use station_engine::{EnvironmentRef, Exported};
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
            .with(async |station| {
                let (agent, _) = session.agent(station, &self.agent, self.env.as_ref()).await?;
                let Some(to) = &self.to else {
                    let exported = station.export_agent(&session.by, &agent).await?;
                    return told(session, &exported);
                };
                let exported = station.read_agent(&session.by, &agent).await?;
                if to.as_os_str() == "-" {
                    session.out.verbatim(&exported.source)?;
                    return Ok(Code::Done);
                }
                let file = format!("{}.prompt", exported.agent.name);
                let path = if to.is_dir() { to.join(file) } else { to.clone() };
                self.write(&path, &exported.source)?;
                if session.out.is_json() {
                    session.out.json(&answer(&exported, &path.display().to_string()))?;
                } else {
                    let text = format!("Wrote agent `{}` to {}", exported.agent.name, path.display());
                    session.out.lines(&[(Tone::Good, text)])?;
                }
                Ok(Code::Done)
            })
            .await
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

fn answer(exported: &Exported, path: &str) -> serde_json::Value {
    json!({
        "agent": { "id": exported.agent.id.0, "name": exported.agent.name.as_str(),
            "environment": exported.environment.name.as_str(), "origin": exported.agent.origin.as_str() },
        "path": path,
    })
}

fn told(session: &Session<'_>, exported: &Exported) -> Result {
    let path = exported.file.clone().unwrap_or_default();
    if session.out.is_json() {
        session.out.json(&answer(exported, &path))?;
        return Ok(Code::Done);
    }
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

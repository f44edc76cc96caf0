//! `stn agent import`

use crate::at::{At, named_or_default};
use crate::error::{Code, Failure, Result};
use crate::named::environment_ref;
use crate::out::{Out, Tone};
use crate::problems;
use crate::question::{Yes, confirm};
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
use station_core::{AgentName, Error, Kind};
use station_engine::{AgentImport, EnvironmentRef, OnConflict, Station};
use station_server::wire;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};

/// Take in an agent from a file
///
/// Reads a `.prompt` file, which is kept byte for byte, or the JSON of an older export. What the agent names and this
/// environment does not have (tools, servers, agents, variables) is listed; the agent is taken in all the same.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The file; - is standard input
    file: PathBuf,
    /// The environment it comes to [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    /// Its name there, instead of its own
    #[arg(long, value_name = "NAME")]
    rename: Option<String>,
    #[command(flatten)]
    yes: Yes,
}

/// Largest file that is read, as in a workspace.
const FILE_BYTES_MAX: u64 = 1 << 20;

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let text = read(&self.file)?;
        let rename = self.rename.as_deref().map(AgentName::parse).transpose()?;
        let on_conflict = if self.yes.yes { OnConflict::Replace } else { OnConflict::Refuse };
        session
            .at(async |at| {
                let import = async |on_conflict| match at {
                    At::Here(station) => {
                        let (text, rename) = (text.clone(), rename.clone());
                        self.import_here(session, station, (text, rename), on_conflict).await
                    }
                    At::There(server) => self.import_there(session, server, &text, on_conflict).await,
                };
                let imported = match import(on_conflict).await {
                    Err(Failure::Station(error))
                        if error.kind() == Kind::Conflict
                            && on_conflict == OnConflict::Refuse
                            && std::io::stdin().is_terminal() =>
                    {
                        confirm(session, &[format!("{error}.")], "replace it?", self.yes).await?;
                        import(OnConflict::Replace).await?
                    }
                    done => done?,
                };
                told(session, &imported)
            })
            .await
    }

    async fn import_here(
        &self,
        session: &Session<'_>,
        station: &Station,
        (text, rename): (String, Option<AgentName>),
        on_conflict: OnConflict,
    ) -> Result<wire::ImportedAgent> {
        let import = AgentImport {
            text,
            path: Some(self.file.clone()).filter(|file| file.as_os_str() != "-"),
            environment: session.environment(station, self.env.as_ref()).await?,
            rename,
            on_conflict,
        };
        let imported = station.import_agent(&session.by, import).await?;
        for problem in &imported.problems {
            problems::tell(session.out, &session.settings.root(), problem);
        }
        Ok(wire::ImportedAgent::from(&imported))
    }

    async fn import_there(
        &self,
        session: &Session<'_>,
        server: &Server,
        text: &str,
        on_conflict: OnConflict,
    ) -> Result<wire::ImportedAgent> {
        let file = self.file.file_name().filter(|name| *name != "-");
        let given = json!({
            "environment": named_or_default(self.env.as_ref()),
            "definition": text,
            "file": file.map(|name| name.to_string_lossy()),
            "rename": self.rename,
            "replace": on_conflict == OnConflict::Replace,
        });
        let imported: wire::ImportedAgent = server.ask("import_agent", given).await?;
        for problem in &imported.problems {
            problems::tell_afar(session.out, problem);
        }
        Ok(imported)
    }
}

fn read(path: &Path) -> Result<String> {
    let shown =
        if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() };
    let mut bytes = Vec::new();
    let limit = FILE_BYTES_MAX + 1;
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(limit).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    let refused = |sentence: String| Failure::Station(Error::invalid(sentence));
    read.map_err(|cause| {
        let sentence = format!("{shown} cannot be read: {}", cause.kind());
        Failure::Station(Error::invalid(sentence).with_cause(cause))
    })?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        return Err(refused(format!("{shown} is larger than 1 MiB, and no agent")));
    }
    String::from_utf8(bytes).map_err(|_| refused(format!("{shown} is not UTF-8")))
}

fn told(session: &Session<'_>, imported: &wire::ImportedAgent) -> Result {
    if session.out.is_json() {
        session.out.json(imported)?;
        return Ok(Code::Done);
    }
    let wire::Agent { id, name, environment, .. } = &imported.agent;
    let mut lines =
        vec![(Tone::Good, format!("Imported agent {id} `{name}` into environment `{environment}`."))];
    if let Some(path) = &imported.path {
        lines.push((Tone::Plain, format!("  file   {path}")));
    }
    session.out.lines(&lines)?;
    tell_missing(session.out, &imported.missing);
    Ok(Code::Done)
}

fn tell_missing(out: &Out, missing: &wire::Missing) {
    // Missing tools and agents are among the warnings about the file.
    for (noun, names, hint) in [
        ("server", &missing.servers, "add it with `stn mcp add`"),
        ("variable", &missing.variables, "set it with `stn variables set`"),
    ] {
        for name in names {
            out.warning(&format!("this environment has no {noun} `{name}`"));
        }
        if !names.is_empty() {
            out.hint(hint);
        }
    }
}

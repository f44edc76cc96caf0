//! `stn mcp config`

use super::client::{Client, Places};
use crate::config::FolderFrom;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::Error;
use station_engine::{Readers, Replace, write_file};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Print, or merge, what an MCP client needs to start Station
///
/// The client then starts `stn stdio` by itself, and offers Station's tools to its model. Without `--write` what has to be in
/// the client's file is printed. With it the file is changed: the rest of it stays byte for byte, and a file that cannot
/// be understood well enough for that is left alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The client
    #[arg(value_enum)]
    client: Client,
    /// Merge it into the client's file
    #[arg(long)]
    write: bool,
    /// What Station is called there
    #[arg(long, value_name = "NAME", default_value = "station", value_parser = server_name)]
    name: String,
}

impl Args {
    pub(crate) fn run(self, session: &Session<'_>) -> Result {
        let command = std::env::current_exe()
            .map_err(|cause| Error::internal("finding the path of this program", cause))?
            .display()
            .to_string();
        let args = arguments(session);
        let path = self.client.file(&places(session)?);
        if !self.write {
            session.out.verbatim(&self.client.snippet(&self.name, &command, &args))?;
            session.out.hint(&format!("it belongs into {}; `--write` merges it", path.display()));
            return Ok(Code::Done);
        }
        let before = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(unusable(&path, "read", error).into()),
        };
        let merged = self.client.merged(&before, &self.name, &command, &args);
        let merged = merged.map_err(|failure| named(failure, &path))?;
        if let Some(text) = &merged {
            write(&path, text)?;
        }
        if session.out.is_json() {
            session.out.json(&json!({ "path": path, "changed": merged.is_some() }))?;
        } else if merged.is_some() {
            let text = format!("Added `{}` to {}.", self.name, path.display());
            session.out.lines(&[(Tone::Good, text)])?;
            session.out.hint("start the client anew: it reads its file when it starts");
        } else {
            session.out.note(Tone::Plain, &format!("{} has it already.", path.display()));
        }
        Ok(Code::Done)
    }
}

/// What `stn` is started with: the client does not have this command's environment, so a home that was named by it is said.
fn arguments(session: &Session<'_>) -> Vec<String> {
    let settings = &session.settings;
    let named = match settings.folder_from {
        FolderFrom::Home => None,
        FolderFrom::Flag => Some(&settings.file),
        FolderFrom::StationConfigDir | FolderFrom::XdgConfigHome => Some(&settings.folder),
    };
    let config = named.into_iter().flat_map(|path| ["--config".to_owned(), path.display().to_string()]);
    config.chain(["stdio".to_owned()]).collect()
}

fn places(session: &Session<'_>) -> Result<Places> {
    let of = |name: &str| session.settings.environment.get(name).map(PathBuf::from);
    let home = of("HOME").ok_or_else(|| Error::invalid("there is no home folder").with_hint("set HOME"))?;
    let settings = if cfg!(target_os = "macos") {
        home.join("Library/Application Support")
    } else {
        of("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"))
    };
    Ok(Places { home, settings, codex: of("CODEX_HOME") })
}

/// Writes a file whole or not at all; one that is a link keeps being one.
fn write(path: &Path, text: &str) -> Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let failed = |error| unusable(&path, "written", error);
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(failed)?;
    let written = write_file(&path, text, Readers::AsBeforeOrUmask, Replace::Allowed);
    written.map_err(|error| unusable(&path, "written", error).into())
}

fn unusable(path: &Path, doing: &str, error: io::Error) -> Error {
    Error::invalid(format!("{} cannot be {doing}: {}", path.display(), error.kind())).with_cause(error)
}

/// A failure with the file that it is about.
fn named(failure: crate::error::Failure, path: &Path) -> crate::error::Failure {
    match failure {
        crate::error::Failure::Station(error) => {
            let sentence = format!("{} is left as it is: {}", path.display(), error.sentence());
            error.hints().iter().fold(Error::new(error.kind(), sentence), Error::with_hint).into()
        }
        other => other,
    }
}

fn server_name(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if fits { Ok(text.to_owned()) } else { Err("write letters, digits, `-` and `_`".to_owned()) }
}

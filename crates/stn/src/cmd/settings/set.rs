//! `stn settings set`

use crate::error::{Code, Failure, Result};
use crate::out::Tone;
use crate::remote::Server;
use crate::session::{Session, has_store, make_folder};
use serde_json::json;
use station_core::Error;
use station_core::file::config::keys;
use station_engine::settings::change;
use station_engine::{Station, set_in};
use station_server::wire;
use std::io::Read as _;

/// Set a key of config.yaml
///
/// The rest of the file stays byte for byte: comments, order, keys that Station does not know. A key below another is
/// written with dots: `execution.timeout`, `models.gpt-4o-mini`. A secret is better given on standard input:
/// `stn settings set ai_api_key < key.txt`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name, e.g. ai_model; docs/reference/config.md has all of them
    name: String,
    /// Its value; read from standard input if left out. Names of a list are separated by commas
    #[arg(conflicts_with = "unset", allow_hyphen_values = true)]
    value: Option<String>,
    /// Take it out of config.yaml: its default holds
    #[arg(long)]
    unset: bool,
}

/// Longest value that is read.
const VALUE_BYTES_MAX: u64 = 64 * 1024;

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match &session.server {
            None => self.set_here(session).await,
            Some(target) => session.there(target, async |server| self.set_there(session, server).await).await,
        }
    }

    async fn set_here(&self, session: &Session<'_>) -> Result {
        let settings = &session.settings;
        let (key, _) = keys::find(&self.name)?;
        make_folder(&settings.folder)?;
        let value = self.value()?;
        change(&settings.file, |text| set_in(text, &self.name, value.as_deref()))?;
        self.note(session).await;
        let file = settings.file.display().to_string();
        self.told(session, &file, Some(&file), key.is_secret())
    }

    /// Tells the audit, where there is a store. One that does not open keeps nobody from setting what opens it.
    async fn note(&self, session: &Session<'_>) {
        if !session.settings.location().is_ok_and(|(location, _)| has_store(&location)) {
            return;
        }
        let note =
            async |station: &Station| Ok(station.note_setting(&session.by, &self.name, !self.unset).await?);
        if let Err(Failure::Station(error)) = session.with_bare(note).await {
            session.out.warning(&format!("this is not in the audit: {error}"));
        }
    }

    async fn set_there(&self, session: &Session<'_>, server: &Server) -> Result {
        let (name, value) = (&self.name, self.value()?);
        let setting: wire::FileSetting = match value {
            Some(value) => server.ask("set_setting", json!({ "setting": name, "value": value })).await?,
            None => server.ask("unset_setting", json!({ "setting": name })).await?,
        };
        let code =
            self.told(session, &format!("config.yaml of {}", server.address), None, setting.is_secret)?;
        session.out.hint("a server keeps what it began with: start it again, and this holds");
        Ok(code)
    }

    /// What it is to be; `None` where it is to be taken out.
    fn value(&self) -> Result<Option<String>> {
        Ok(match &self.value {
            _ if self.unset => None,
            Some(value) => Some(value.clone()),
            None => Some(typed(&self.name)?),
        })
    }

    /// Says what was done in the file at `place`, whose path is known where it is of this machine.
    fn told(&self, session: &Session<'_>, place: &str, path: Option<&str>, is_secret: bool) -> Result {
        if session.out.is_json() {
            session
                .out
                .json(&json!({ "setting": { "name": self.name, "set": !self.unset, "path": path } }))?;
            return Ok(Code::Done);
        }
        let text = match self.unset {
            true => format!("Took `{}` out of {place}", self.name),
            false => format!("Set `{}` in {place}", self.name),
        };
        session.out.note(Tone::Good, &text);
        if is_secret && self.value.is_some() {
            session.out.hint("it stands in your shell's history now: give a secret on standard input");
        }
        Ok(Code::Done)
    }
}

fn typed(name: &str) -> Result<String> {
    let mut value = String::new();
    std::io::stdin().take(VALUE_BYTES_MAX).read_to_string(&mut value).map_err(|cause| {
        Error::invalid(format!("the value of `{name}` cannot be read: {}", cause.kind())).with_cause(cause)
    })?;
    let value = value.trim_end_matches(['\n', '\r']);
    if value.is_empty() {
        return Err(Error::invalid(format!("no value for `{name}` was given"))
            .with_hint("give it behind the name or on standard input; `--unset` takes the setting out")
            .into());
    }
    Ok(value.to_owned())
}

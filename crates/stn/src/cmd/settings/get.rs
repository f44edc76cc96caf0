//! `stn settings get`

use crate::config::{Setting, settings};
use crate::error::{Code, Result};
use crate::session::Session;
use serde_json::json;
use station_core::Error;
use station_core::file::config::keys::{self, Written};
use station_engine::settings::text;

/// Print the value of one setting
///
/// Prints what holds, wherever it comes from; a secret is told as "set". Exits 1 where nothing sets it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name, as `stn settings list` shows it
    name: String,
}

impl Args {
    pub(crate) fn run(self, session: &Session<'_>) -> Result {
        let rows = settings(&session.settings);
        let is_meant = |row: &&Setting| row.name == self.name || row.name == shown_as(&self.name);
        let Setting { value: Some(value), from, .. } = (match rows.iter().find(is_meant) {
            Some(row) => row.clone(),
            None => self.written(session)?,
        }) else {
            return Err(not_set(&self.name).into());
        };
        if session.out.is_json() {
            session.out.json(&json!({ "setting": { "name": self.name, "value": value, "from": from } }))?;
        } else {
            session.out.answer(&value)?;
        }
        Ok(Code::Done)
    }

    /// A setting that has no line of its own in the list: as config.yaml says it, else as it is by default.
    fn written(&self, session: &Session<'_>) -> Result<Setting> {
        let (key, below) = keys::find(&self.name)?;
        let (value, from) = match Written::read(&text(&session.settings.file)?).value(&self.name)? {
            Some(value) => (Some(value), "config.yaml"),
            None => (Some(key.default.replace('`', "")), "default"),
        };
        let value = value.filter(|value| !value.is_empty() && (below.is_none() || from != "default"));
        Ok(Setting { name: self.name.clone(), from: value.is_some().then(|| from.to_owned()), value })
    }
}

/// Keys that stand under another name in the list, because more than config.yaml decides about them.
fn shown_as(key: &str) -> &str {
    match key {
        "database_url" => "database",
        "encryption_key" => "encryption key",
        key => key,
    }
}

fn not_set(name: &str) -> Error {
    Error::not_found(format!("`{name}` is not set"))
        .with_hint(format!("set it with `stn settings set {name} VALUE`"))
}

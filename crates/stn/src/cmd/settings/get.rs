//! `stn settings get`

use super::of_file;
use crate::config::{Setting, settings};
use crate::error::{Code, Result};
use crate::session::Session;
use serde_json::json;
use station_core::Error;
use station_engine::settings::read;
use station_server::wire;

/// Print the value of one setting
///
/// Prints what holds, wherever it comes from; a secret is told as "set". Exits 1 where nothing sets it. Of a server (`--server`), what
/// its config.yaml says is printed, else what holds by default.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name, as `stn settings list` shows it
    name: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let setting = match &session.server {
            None => self.find(session)?,
            Some(target) => {
                let given = json!({ "setting": self.name });
                session
                    .there(target, async |server| Ok(server.ask("show_setting", given).await?))
                    .await
                    .map(|it: wire::FileSetting| of_file(&it))?
            }
        };
        let Setting { value: Some(value), from, .. } = setting else {
            return Err(not_set(&self.name).into());
        };
        if session.out.is_json() {
            session.out.json(&json!({ "setting": { "name": self.name, "value": value, "from": from } }))?;
        } else {
            session.out.answer(&value)?;
        }
        Ok(Code::Done)
    }

    /// A setting as it holds here. One that has no line of its own in the list is as config.yaml says it.
    fn find(&self, session: &Session<'_>) -> Result<Setting> {
        let rows = settings(&session.settings);
        let is_meant = |row: &&Setting| row.name == self.name || row.name == shown_as(&self.name);
        match rows.iter().find(is_meant) {
            Some(row) => Ok(row.clone()),
            None => {
                let written = read(&session.settings.file, &self.name)?;
                Ok(of_file(&wire::FileSetting::from(&written)))
            }
        }
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

//! `stn settings list`

use super::of_file;
use crate::config::{Setting, settings};
use crate::error::{Code, Result};
use crate::problems;
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
use station_server::wire;

/// List every setting that holds, and where it comes from
///
/// The command line wins over the environment, and that over config.yaml. Secrets are shown as "set". Of a server (`--server`), what
/// its config.yaml says is listed, and what holds by default.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match &session.server {
            None => show(session),
            Some(target) => session.there(target, async |server| show_there(session, server).await).await,
        }
    }
}

/// Shows what holds; `stn config show` is the same.
pub(crate) fn show(session: &Session<'_>) -> Result {
    let config = &session.settings.config;
    told(session, &settings(&session.settings), Some(&config.unknown))?;
    if session.out.is_json() {
        return Ok(Code::Done);
    }
    for problem in &session.settings.problems {
        problems::tell(session.out, &session.settings.folder, problem);
    }
    if !config.unknown.is_empty() {
        session.out.warning(&format!(
            "config.yaml has keys that Station does not know; they are kept: {}",
            config.unknown.join(", ")
        ));
    }
    Ok(Code::Done)
}

/// Shows what the config.yaml of a server says.
async fn show_there(session: &Session<'_>, server: &Server) -> Result {
    let all: Vec<wire::FileSetting> = server.all("list_settings", json!({})).await?;
    let rows: Vec<Setting> = all.iter().map(of_file).collect();
    told(session, &rows, None)?;
    Ok(Code::Done)
}

/// Prints settings; keys that Station does not know are a part of the document, `null` where nobody says which.
fn told(session: &Session<'_>, rows: &[Setting], unknown: Option<&[String]>) -> Result<()> {
    if session.out.is_json() {
        session.out.json(&json!({ "settings": rows, "count": rows.len(), "unknown": unknown }))?;
        return Ok(());
    }
    let table = rows.iter().map(|row| {
        let shown = |cell: &Option<String>, nothing: &str| cell.clone().unwrap_or_else(|| nothing.to_owned());
        [row.name.clone(), shown(&row.value, "-"), shown(&row.from, "")]
    });
    session.out.table(["SETTING", "VALUE", "FROM"], table.collect())?;
    Ok(())
}

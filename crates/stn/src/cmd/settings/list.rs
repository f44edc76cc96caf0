//! `stn settings list`

use crate::config::settings;
use crate::error::{Code, Result};
use crate::problems;
use crate::session::Session;
use serde_json::json;

/// List every setting that holds, and where it comes from
///
/// The command line wins over the environment, and that over config.yaml. Secrets are shown as "set".
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, session: &Session<'_>) -> Result {
        show(session)
    }
}

/// Shows what holds; `stn config show` is the same.
pub(crate) fn show(session: &Session<'_>) -> Result {
    let rows = settings(&session.settings);
    let config = &session.settings.config;
    if session.out.is_json() {
        session.out.json(&json!({
            "settings": rows, "count": rows.len(), "unknown": config.unknown,
        }))?;
        return Ok(Code::Done);
    }
    let table = rows
        .into_iter()
        .map(|row| [row.name, row.value.unwrap_or_else(|| "-".to_owned()), row.from.unwrap_or_default()]);
    session.out.table(["SETTING", "VALUE", "FROM"], table.collect())?;
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

//! `stn variables …`

mod list;
mod set;
mod unset;

use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Look at the variables of an environment, set them and take them out; values are never shown
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Set(set::Args),
    Unset(unset::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Set(args) => args.run(session).await,
            Self::Unset(args) => args.run(session).await,
        }
    }
}

/// A variable that was set or taken out.
#[derive(Debug, Deserialize, Serialize)]
struct Changed {
    name: String,
    environment: String,
    stored: bool,
}

/// Tells what was changed.
fn told(session: &Session<'_>, changed: &Changed, text: &str) -> Result {
    if session.out.is_json() {
        session.out.json(&json!({ "variable": changed }))?;
    } else {
        session.out.note(Tone::Good, text);
    }
    Ok(Code::Done)
}

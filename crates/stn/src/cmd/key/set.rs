//! `stn key set`

use super::given;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::{Session, make_folder};
use serde_json::json;
use std::path::PathBuf;

const COMMAND: &str = "stn key set";

/// Keep a key that you have in the key file
///
/// The key, 64 hex digits, is read from standard input or from a file, never from the command line. A key that does
/// not open the database that is there is refused.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Read the key from this file
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// A key typed here is refused, and not repeated.
    #[arg(hide = true, num_args = 0.., allow_hyphen_values = true)]
    typed: Vec<std::ffi::OsString>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        if !self.typed.is_empty() {
            return Ok(given::refuse_typed(session.out, COMMAND));
        }
        let key = given::read(self.from_file.as_deref(), COMMAND)?;
        let (location, _) = session.settings.location()?;
        let keys = session.settings.keys();
        make_folder(&session.settings.folder)?;
        keys.set(&key, &location).await?;
        let place = keys.find()?.map(|(_, place)| place.to_string()).unwrap_or_default();
        if session.out.is_json() {
            session.out.json(&json!({ "key": { "id": key.id(), "place": place } }))?;
            return Ok(Code::Done);
        }
        session.out.lines(&[(Tone::Good, format!("Key {} is in use: {place}", key.id()))])?;
        if session.settings.config.encryption_key.is_some() {
            session.out.hint("the key file wins: take `encryption_key` out of config.yaml now");
        }
        Ok(Code::Done)
    }
}

//! `stn key generate`

use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::{Session, make_folder};
use serde_json::json;

/// Make a key and keep it in the key file
///
/// Only where there is neither a key nor a database yet: a second key would open nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let (location, _) = session.settings.location()?;
        let keys = session.settings.keys();
        make_folder(&session.settings.folder)?;
        let key = keys.generate(&location).await?;
        let path = keys.path().display().to_string();
        if session.out.is_json() {
            session.out.json(&json!({ "key": { "id": key.id(), "place": path } }))?;
            return Ok(Code::Done);
        }
        session.out.lines(&[(Tone::Good, format!("Made key {} in {path}", key.id()))])?;
        session.out.hint("back it up: without it nobody can open the database, and it is kept nowhere else");
        Ok(Code::Done)
    }
}

//! `stn key rotate`

use super::given;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::plural;
use station_engine::{Clock, KeyPlace, Rotated, WORKERS_WITHIN};
use std::path::PathBuf;

const COMMAND: &str = "stn key rotate";

/// Give the database and all that is sealed in it another key
///
/// On SQLite nobody else may have the database open meanwhile. On PostgreSQL workers go on: each needs the next key, in
/// `station.key.next` beside its `station.key`, before anything is sealed under it, and workers without it are named. Where
/// the key is in the environment or in config.yaml, the new one is read from standard input or a file, never from the
/// command line. A rotation that was cut off is gone on with by the same command.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Read the new key from this file instead of making one
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
        let (location, _) = session.settings.location()?;
        let keys = session.settings.keys();
        let is_ours_to_make = match keys.find()? {
            Some((_, KeyPlace::File(_))) | None => true,
            Some(_) => keys.find_next()?.is_some(),
        };
        let given = match &self.from_file {
            None if is_ours_to_make => None,
            file => Some(given::read(file.as_deref(), COMMAND)?),
        };
        let when = (Clock::System.now(), WORKERS_WITHIN);
        let done = keys.rotate(&session.by, &location, given, when).await?;
        if session.out.is_json() {
            session.out.json(&told(&done))?;
            return Ok(Code::Done);
        }
        let (id, was, values) = (&done.id, &done.was, plural(done.resealed.values, "value"));
        let line = format!("Key {id} is in use in place of key {was}: {values} sealed anew");
        session.out.lines(&[(Tone::Good, line)])?;
        for (table, n) in &done.resealed.unopened {
            session
                .out
                .warning(&format!("{n} of `{table}` could not be opened before, and were left as they are"));
        }
        let Some((place, next)) = &done.to_change else {
            session.out.hint("back the new key up; what was copied before opens with the old one alone");
            return Ok(Code::Done);
        };
        session.out.hint(&format!("put the new key into {place} and restart what uses it"));
        session.out.hint(&match next {
            KeyPlace::File(path) => format!(
                "until then {} has it: whoever finds the new key in place removes that file",
                path.display()
            ),
            KeyPlace::Environment(_) | KeyPlace::Config => format!("then take {next} away"),
        });
        Ok(Code::Done)
    }
}

fn told(done: &Rotated) -> serde_json::Value {
    let change = done
        .to_change
        .as_ref()
        .map(|(place, next)| json!({ "place": place.to_string(), "kept_in": next.to_string() }));
    json!({ "key": {
        "id": done.id, "was": done.was, "resealed": done.resealed.values, "unopened": done.resealed.unopened,
        "to_change": change,
    } })
}

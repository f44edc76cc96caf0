//! `stn key status`

use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_engine::{KeyPlace, KeyStatus};

/// Show where the key is and whether it opens the database
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let (location, _) = session.settings.location()?;
        let status = session.settings.keys().status(&location).await?;
        let hint = status.place.as_ref().and_then(KeyPlace::hint);
        let code = if matches!(status.opens, Some(Err(_))) { Code::Failed } else { Code::Done };
        if session.out.is_json() {
            let (opens, error) = match &status.opens {
                None => (None, None),
                Some(Ok(())) => (Some(true), None),
                Some(Err(sentence)) => (Some(false), Some(sentence)),
            };
            let place = status.place.as_ref().map(ToString::to_string);
            session.out.json(&json!({ "key": {
                "id": status.id, "place": place, "opens_database": opens, "error": error, "hint": hint,
                "next": status.next.as_ref().map(|(id, place)| json!({ "id": id, "place": place.to_string() })),
            } }))?;
            return Ok(code);
        }
        session.out.lines(&lines(&status))?;
        if let Some(hint) = hint {
            session.out.hint(&hint);
        }
        if status.next.is_some() {
            session
                .out
                .hint("`stn key rotate` ends what was begun with the next key, and says what is left to do");
        }
        if status.locked_out {
            session
                .out
                .hint("there is a database: give its key with `stn key set`, or in STATION_ENCRYPTION_KEY");
            session.out.hint("a new key would not open it, so none is made");
        } else if status.place.is_none() {
            session.out.hint("`stn init` makes one, or the first command that needs the database does");
        }
        Ok(code)
    }
}

fn lines(status: &KeyStatus) -> Vec<(Tone, String)> {
    let (Some(place), Some(id)) = (&status.place, &status.id) else {
        return vec![(Tone::Plain, "No key is configured.".to_owned())];
    };
    let opens = match &status.opens {
        None => (Tone::Plain, "  there is no database yet".to_owned()),
        Some(Ok(())) => (Tone::Good, "  it opens the database".to_owned()),
        Some(Err(sentence)) => (Tone::Bad, format!("  it does not open the database: {sentence}")),
    };
    let next = status
        .next
        .as_ref()
        .map(|(id, place)| (Tone::Plain, format!("  the next one is key {id}, in {place}")));
    [(Tone::Plain, format!("Key {id} in {place}")), opens].into_iter().chain(next).collect()
}

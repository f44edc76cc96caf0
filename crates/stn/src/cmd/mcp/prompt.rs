//! `stn mcp prompt`

use super::call::pair;
use super::way::Way;
use crate::error::{Code, Result};
use crate::follow::{Tell, follow};
use crate::session::Session;
use serde_json::{Map, Value};
use station_core::Error;
use station_engine::{ServerRef, Station};
use station_server::wire;

/// Have a server fill in one of its prompts, and print it
///
/// Prints who says what in it, message by message; what is no text is named, and whole with `--json`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's id or name; with `--url` there is none, and the prompt comes first
    server: String,
    /// The prompt's name at its server, then its arguments as NAME=VALUE
    #[arg(value_name = "NAME", required_unless_present = "url")]
    words: Vec<String>,
    #[command(flatten)]
    way: Way,
}

/// What is to be filled in.
struct Wanted {
    name: String,
    arguments: Map<String, Value>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let wanted = self.wanted()?;
        let fills =
            async |station: &Station, server| Box::pin(self.fill(session, station, &server, &wanted)).await;
        self.way.with(session, &self.server, fills).await
    }

    /// What was typed; with `--url` each word stands one place further to the front.
    fn wanted(&self) -> Result<Wanted> {
        let mut words = self.words.iter();
        let name = if self.way.is_by_address() { Some(&self.server) } else { words.next() };
        let name = name.ok_or_else(|| Error::invalid("no prompt is named"))?.clone();
        let arguments = words.map(|word| {
            let (name, value) = pair(word).map_err(|hint| {
                Error::invalid(format!("`{word}` is no argument of a prompt")).with_hint(hint)
            })?;
            Ok((name, Value::from(value)))
        });
        let arguments = arguments.collect::<Result<_, Error>>()?;
        Ok(Wanted { name, arguments })
    }

    async fn fill(
        &self,
        session: &Session<'_>,
        station: &Station,
        server: &ServerRef,
        wanted: &Wanted,
    ) -> Result {
        let prompt = (wanted.name.as_str(), wanted.arguments.clone());
        let filled = station.get_prompt(&session.by, server, prompt, self.way.given.values());
        let doing = format!("filling in `{}`", wanted.name);
        let filled = follow(session.out, station, Tell::Runs, &doing, filled).await?;
        if session.out.is_json() {
            session.out.json(&wire::FilledPrompt::from(filled))?;
            return Ok(Code::Done);
        }
        for (role, text) in &filled.told {
            session.out.answer(&format!("{role}: {text}"))?;
        }
        Ok(Code::Done)
    }
}

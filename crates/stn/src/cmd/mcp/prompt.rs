//! `stn mcp prompt`

use super::call::pair;
use super::way::Way;
use crate::error::{Code, Result};
use crate::follow::{Tell, alive, follow};
use crate::remote::Server;
use crate::session::Session;
use serde_json::{Map, Value, json};
use station_core::Error;
use station_engine::{ServerRef, Station, told_message};
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
        let here =
            async |station: &Station, server| Box::pin(self.fill(session, station, &server, &wanted)).await;
        let there = async |server: &Server| self.fill_there(session, server, &wanted).await;
        self.way.at(session, &self.server, here, there).await
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
        told(session, &wire::FilledPrompt::from(filled))
    }

    async fn fill_there(&self, session: &Session<'_>, server: &Server, wanted: &Wanted) -> Result {
        let given = json!({
            "server": self.server,
            "prompt": wanted.name,
            "arguments": wanted.arguments,
            "environment": self.way.named(),
        });
        let doing = format!("filling in `{}`", wanted.name);
        told(session, &alive(session.out, &doing, server.ask("get_prompt", given)).await?)
    }
}

fn told(session: &Session<'_>, filled: &wire::FilledPrompt) -> Result {
    if session.out.is_json() {
        session.out.json(filled)?;
        return Ok(Code::Done);
    }
    for (role, text) in filled.messages.iter().map(told_message) {
        session.out.answer(&format!("{role}: {text}"))?;
    }
    Ok(Code::Done)
}

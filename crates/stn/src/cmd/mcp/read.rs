//! `stn mcp read`

use super::way::Way;
use crate::error::{Code, Result};
use crate::follow::{Tell, alive, follow};
use crate::out::Tone;
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
use station_core::Error;
use station_engine::{ServerRef, Station};
use station_server::wire;

/// Read a resource of a server, without an agent
///
/// Prints its text. What is no text is named on stderr; `--json` has it in base64.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's id or name; with `--url` there is none, and the resource comes first
    server: String,
    /// The resource's address at its server
    #[arg(required_unless_present = "url")]
    uri: Option<String>,
    #[command(flatten)]
    way: Way,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let uri = self.uri()?;
        let here =
            async |station: &Station, server| Box::pin(self.read(session, station, &server, uri)).await;
        let there = async |server: &Server| self.read_there(session, server, uri).await;
        self.way.at(session, &self.server, here, there).await
    }

    /// What was typed; with `--url` it stands in the place of the server.
    fn uri(&self) -> Result<&str, Error> {
        match (self.way.is_by_address(), &self.uri) {
            (false, Some(uri)) => Ok(uri),
            (true, None) => Ok(&self.server),
            (true, Some(_)) => Err(Error::invalid("with `--url` there is no server to name")
                .with_hint("write the resource alone")),
            (false, None) => Err(Error::invalid("no resource is named")),
        }
    }

    async fn read(&self, session: &Session<'_>, station: &Station, server: &ServerRef, uri: &str) -> Result {
        let read = station.read_resource(&session.by, server, uri, self.way.given.values());
        let doing = format!("reading `{uri}`");
        let read = follow(session.out, station, Tell::Runs, &doing, read).await?;
        told(session, uri, &wire::ReadResource::from(read))
    }

    async fn read_there(&self, session: &Session<'_>, server: &Server, uri: &str) -> Result {
        let given = json!({ "server": self.server, "uri": uri, "environment": self.way.named() });
        let doing = format!("reading `{uri}`");
        told(session, uri, &alive(session.out, &doing, server.ask("read_resource", given)).await?)
    }
}

fn told(session: &Session<'_>, uri: &str, read: &wire::ReadResource) -> Result {
    if session.out.is_json() {
        session.out.json(read)?;
        return Ok(Code::Done);
    }
    for content in &read.contents {
        match content["text"].as_str() {
            Some(text) => session.out.answer(text)?,
            None => {
                let what = content["mimeType"].as_str().unwrap_or("data");
                let uri = content["uri"].as_str().unwrap_or(uri);
                session.out.note(Tone::Plain, &format!("`{uri}` is {what}, and no text."));
                session.out.hint("`--json` has it in base64");
            }
        }
    }
    if read.contents.is_empty() {
        session.out.note(Tone::Plain, &format!("`{uri}` is empty."));
    }
    Ok(Code::Done)
}

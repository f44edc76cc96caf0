//! `stn mcp read`

use super::at::At;
use super::given::Given;
use crate::error::{Code, Result};
use crate::follow::{Tell, follow};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::session::Session;
use station_core::Error;
use station_engine::{EnvironmentRef, ReadResource, ServerRef, Station};
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
    /// The environment of a name [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    at: At,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        if let Some(url) = &self.at.url {
            if self.uri.is_some() {
                let error = Error::invalid("with `--url` there is no server to name");
                return Err(error.with_hint("write the resource alone").into());
            }
            let reads = async |station: &Station, server| {
                Box::pin(self.read(session, station, &server, &self.server)).await
            };
            return self.at.with(session, (url, &self.given), reads).await;
        }
        let uri = self.uri.as_deref().ok_or_else(|| Error::invalid("no resource is named"))?;
        session
            .with(async |station| {
                let (server, environment) = session.server(station, &self.server, self.env.as_ref()).await?;
                self.given.bring(session, station, &environment, Some(&server)).await?;
                self.read(session, station, &server, uri).await
            })
            .await
    }

    async fn read(&self, session: &Session<'_>, station: &Station, server: &ServerRef, uri: &str) -> Result {
        let read = station.read_resource(&session.by, server, uri, self.given.values());
        let doing = format!("reading `{uri}`");
        told(session, uri, follow(session.out, station, Tell::Runs, &doing, read).await?)
    }
}

fn told(session: &Session<'_>, uri: &str, read: ReadResource) -> Result {
    if session.out.is_json() {
        session.out.json(&wire::ReadResource::from(read))?;
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

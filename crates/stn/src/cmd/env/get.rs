//! `stn env get`

use crate::at::At;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::plural;
use station_engine::EnvironmentRef;
use station_server::wire;

/// Show one environment and what is in it
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id or name
    environment: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let of = EnvironmentRef::parse(&self.environment)?;
        session
            .at(async |at| {
                let details = match at {
                    At::Here(station) => {
                        wire::EnvironmentDetails::from(&station.show_environment(&session.by, &of).await?)
                    }
                    At::There(server) => {
                        server.ask("show_environment", json!({ "environment": of.to_string() })).await?
                    }
                };
                if session.out.is_json() {
                    session.out.json(&details)?;
                } else {
                    session.out.lines(&lines(&details))?;
                }
                Ok(Code::Done)
            })
            .await
    }
}

/// What there is to say about an environment; also after it was changed.
pub(super) fn lines(details: &wire::EnvironmentDetails) -> Vec<(Tone, String)> {
    let environment = &details.environment;
    let mut lines = vec![(Tone::Plain, format!("Environment {} `{}`", environment.id, environment.name))];
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push((Tone::Plain, format!("  {name:<12} {value}")));
        }
    };
    row("description", environment.description.clone());
    row("origin", environment.origin.to_string());
    row("folder", details.folder.clone().unwrap_or_default());
    row("agents", details.agents.join(", "));
    row("servers", details.servers.join(", "));
    row("variables", details.variables.join(", "));
    row("runs", plural(details.runs_count, "run"));
    lines
}

//! `stn env create`

use crate::at::At;
use crate::error::{Code, Result};
use crate::named::new_environment;
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::EnvironmentName;
use station_server::wire;

/// Make an environment with its folder
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name; not all digits
    #[arg(value_parser = new_environment)]
    name: EnvironmentName,
    /// What it is for, in one line
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let (environment, folder) = self.create(session, at).await?;
                if session.out.is_json() {
                    session.out.json(&json!({ "environment": environment, "folder": folder }))?;
                    return Ok(Code::Done);
                }
                let place = folder
                    .as_ref()
                    .map_or_else(|| " in the store".to_owned(), |folder| format!(": {folder}"));
                session.out.lines(&[(Tone::Good, format!("Created environment `{}`{place}", self.name))])?;
                if folder.is_some() {
                    session.out.hint(&format!(
                        "put server files into its `mcp-servers/`, then `stn sync {}`",
                        self.name
                    ));
                }
                Ok(Code::Done)
            })
            .await
    }

    async fn create(&self, session: &Session<'_>, at: At<'_>) -> Result<(wire::Environment, Option<String>)> {
        match at {
            At::Here(station) => {
                let new = station.create_environment(&session.by, &self.name, &self.description).await?;
                let folder = new.folder.as_ref().map(|folder| folder.display().to_string());
                Ok((wire::Environment::from(&new.environment), folder))
            }
            At::There(server) => {
                let given = json!({ "name": self.name.as_str(), "description": self.description });
                let made: wire::Environment = server.ask("create_environment", given).await?;
                let given = json!({ "environment": made.id });
                let details: wire::EnvironmentDetails = server.ask("show_environment", given).await?;
                Ok((made, details.folder))
            }
        }
    }
}

//! `stn env update`

use super::get::lines;
use crate::at::At;
use crate::error::{Code, Result};
use crate::session::Session;
use serde_json::json;
use station_engine::EnvironmentRef;
use station_server::wire;

/// Describe an environment
///
/// The description is written into its environment.yml; the rest of that file stays byte for byte. Its rules are written
/// there by hand. An environment keeps its name: make another one where you need another name.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id or name
    environment: String,
    /// What it is for, in one line
    #[arg(long, value_name = "TEXT")]
    description: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let of = EnvironmentRef::parse(&self.environment)?;
        session
            .at(async |at| {
                let details = match at {
                    At::Here(station) => {
                        let details = station.update_environment(&session.by, &of, &self.description).await?;
                        wire::EnvironmentDetails::from(&details)
                    }
                    At::There(server) => {
                        let given = json!({ "environment": of.to_string(), "description": self.description });
                        server.ask("update_environment", given).await?
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

//! `stn variables unset`

use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_engine::EnvironmentRef;

/// Take a variable out of an environment
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name
    variable: String,
    /// The environment [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                let environment = session.environment(station, self.env.as_ref()).await?;
                station.unset_variable(&session.by, &environment, &self.variable).await?;
                if session.out.is_json() {
                    session.out.json(&json!({ "variable": {
                        "name": self.variable, "environment": environment.as_str(), "stored": false,
                    } }))?;
                } else {
                    let text = format!("Took `{}` out of environment `{environment}`.", self.variable);
                    session.out.note(Tone::Good, &text);
                }
                Ok(Code::Done)
            })
            .await
    }
}

//! `stn variables unset`

use super::{Changed, told};
use crate::at::{At, named_or_default};
use crate::error::Result;
use crate::named::environment_ref;
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
            .at(async |at| {
                let changed = match at {
                    At::Here(station) => {
                        let environment = session.environment(station, self.env.as_ref()).await?;
                        station.unset_variable(&session.by, &environment, &self.variable).await?;
                        Changed { name: self.variable, environment: environment.to_string(), stored: false }
                    }
                    At::There(server) => {
                        let environment = named_or_default(self.env.as_ref());
                        let given = json!({ "environment": environment, "name": self.variable });
                        server.ask("unset_variable", given).await?
                    }
                };
                let text = format!("Took `{}` out of environment `{}`.", changed.name, changed.environment);
                told(session, &changed, &text)
            })
            .await
    }
}

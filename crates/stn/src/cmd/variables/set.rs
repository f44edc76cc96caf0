//! `stn variables set`

use super::{Changed, told};
use crate::at::{At, named_or_default};
use crate::error::Result;
use crate::named::environment_ref;
use crate::question::given_secret;
use crate::session::Session;
use serde_json::json;
use station_core::Secret;
use station_engine::EnvironmentRef;

/// Set a variable of an environment
///
/// It is written into the environment's variables.yml; the rest of that file stays byte for byte. Without a value it is
/// read from standard input, so that a secret stands neither in the history of a shell nor in a list of processes:
/// `stn variables set TOKEN < token.txt`. One line end behind it does not count.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name, or NAME=VALUE
    variable: String,
    /// The environment [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
}

impl Args {
    fn hint(&self) -> String {
        let name = &self.variable;
        format!("write `{name}=VALUE`, or give it on standard input; `{name}=` is an empty one")
    }

    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let (name, value) = match self.variable.split_once('=') {
            Some((name, value)) => (name.to_owned(), Secret::new(value)),
            None => (
                self.variable.clone(),
                given_secret(session, &format!("Value of {}", self.variable), &self.hint()).await?,
            ),
        };
        session
            .at(async |at| {
                let changed = match at {
                    At::Here(station) => {
                        let environment = session.environment(station, self.env.as_ref()).await?;
                        station.set_variable(&session.by, &environment, &name, &value).await?;
                        Changed { name, environment: environment.to_string(), stored: true }
                    }
                    At::There(server) => {
                        let environment = named_or_default(self.env.as_ref());
                        let given =
                            json!({ "environment": environment, "name": name, "value": value.expose() });
                        server.ask("set_variable", given).await?
                    }
                };
                let text = format!("Set `{}` in environment `{}`.", changed.name, changed.environment);
                told(session, &changed, &text)
            })
            .await
    }
}

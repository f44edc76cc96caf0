//! `stn variables set`

use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::question::secret;
use crate::session::Session;
use serde_json::json;
use station_core::{Error, Secret};
use station_engine::EnvironmentRef;
use std::io::{IsTerminal as _, Read as _};

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

/// Longest value that is read: keys and certificates have a few kilobytes.
const VALUE_BYTES_MAX: u64 = 1 << 20;

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let (name, value) = match self.variable.split_once('=') {
            Some((name, value)) => (name.to_owned(), Secret::new(value)),
            None => (self.variable.clone(), typed(session, &self.variable).await?),
        };
        session
            .with(async |station| {
                let environment = session.environment(station, self.env.as_ref()).await?;
                station.set_variable(&session.by, &environment, &name, &value).await?;
                if session.out.is_json() {
                    session.out.json(&json!({ "variable": {
                        "name": name, "environment": environment.as_str(), "stored": true,
                    } }))?;
                } else {
                    let text = format!("Set `{name}` in environment `{environment}`.");
                    session.out.note(Tone::Good, &text);
                }
                Ok(Code::Done)
            })
            .await
    }
}

async fn typed(session: &Session<'_>, name: &str) -> Result<Secret> {
    if std::io::stdin().is_terminal() {
        return secret(session, &format!("Value of {name} (it is not shown):")).await;
    }
    let mut value = String::new();
    let mut input = std::io::stdin().take(VALUE_BYTES_MAX + 1);
    input.read_to_string(&mut value).map_err(|cause| {
        Error::invalid(format!("the value of `{name}` cannot be read: {}", cause.kind())).with_cause(cause)
    })?;
    if u64::try_from(value.len()).is_ok_and(|length| length > VALUE_BYTES_MAX) {
        return Err(Error::invalid(format!("the value of `{name}` is longer than 1 MiB")).into());
    }
    let value = value.strip_suffix('\n').unwrap_or(&value);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.is_empty() {
        return Err(Error::invalid(format!("no value for `{name}` was given"))
            .with_hint(format!(
                "write `{name}=VALUE`, or give it on standard input; `{name}=` is an empty one"
            ))
            .into());
    }
    Ok(Secret::new(value))
}

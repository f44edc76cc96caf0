//! `stn variables list`

use crate::at::{At, named_or_default};
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::session::Session;
use serde_json::json;
use station_engine::{EnvironmentRef, NOT_APPLIED};
use station_server::wire;

/// List the variables of an environment: those that are set, and those that its servers ask for
///
/// Values are never shown, only where each comes from.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The environment [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let (environment, variables) = self.ask(session, at).await?;
                if session.out.is_json() {
                    session.out.json(&wire::list("variables", &variables))?;
                    return Ok(Code::Done);
                }
                let rows = variables.iter().map(|it| {
                    let from = it.from.as_deref().unwrap_or("not set");
                    [it.name.clone(), from.to_owned(), it.asked_by.join(", ")]
                });
                session.out.table(["VARIABLE", "FROM", "ASKED FOR BY"], rows.collect())?;
                if variables.iter().any(|it| it.from.as_deref() == Some(NOT_APPLIED)) {
                    session.out.hint(&format!("apply variables.yml with `stn sync {environment}`"));
                }
                if let Some(unset) = variables.iter().find(|it| it.from.is_none()) {
                    session.out.hint(&format!(
                        "a default in the server's file holds for what is not set; set it with `stn variables set {} --env {environment}`",
                        unset.name
                    ));
                }
                Ok(Code::Done)
            })
            .await
    }

    async fn ask(
        &self,
        session: &Session<'_>,
        at: At<'_>,
    ) -> Result<(String, Vec<wire::EnvironmentVariable>)> {
        match at {
            At::Here(station) => {
                let environment = session.environment(station, self.env.as_ref()).await?;
                let variables = station.list_variables(&session.by, &environment).await?;
                let variables = variables.iter().map(wire::EnvironmentVariable::from).collect();
                Ok((environment.to_string(), variables))
            }
            At::There(server) => {
                let environment = named_or_default(self.env.as_ref());
                let given = json!({ "environment": environment });
                let variables = server.all("list_variables", given).await?;
                Ok((environment, variables))
            }
        }
    }
}

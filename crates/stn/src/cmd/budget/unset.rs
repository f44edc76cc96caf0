//! `stn budget unset`

use super::scope::{Scope, period, scope, shown};
use crate::at::At;
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::session::Session;
use serde_json::{Value, json};
use station_core::budget::Period;
use station_engine::EnvironmentRef;

/// Take away limits that were set by hand
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// all, env:NAME, agent:NAME or run:ID
    #[arg(value_parser = scope)]
    scope: Scope,
    /// Only the limit of each `run`, or only that of a `day`
    #[arg(long, value_name = "PERIOD", value_parser = period)]
    per: Option<Period>,
    /// The environment of an agent's name
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let of = match at {
                    At::Here(station) => {
                        let of = self.scope.meant(session, station, self.env.as_ref()).await?;
                        station.unset_budget(&session.by, &of, self.per).await?;
                        shown(&of)
                    }
                    At::There(server) => {
                        let mut given = self.scope.given(self.env.as_ref());
                        given["period"] = self.per.map(Period::as_str).into();
                        server.ask::<Value>("unset_budget", given).await?;
                        self.scope.shown_as_typed()
                    }
                };
                if session.out.is_json() {
                    session
                        .out
                        .json(&json!({ "unset": { "scope": of, "period": self.per.map(Period::as_str) } }))?;
                } else {
                    session.out.note(Tone::Good, &format!("Took away what was set by hand for {of}."));
                }
                Ok(Code::Done)
            })
            .await
    }
}

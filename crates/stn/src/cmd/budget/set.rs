//! `stn budget set`

use super::scope::{Scope, amount, caps, given_amounts, period, scope, shown};
use crate::at::At;
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::budget::{Measure, Period};
use station_engine::EnvironmentRef;
use station_server::wire;

/// Set a limit, in place of the one that was set for this scope and period
///
/// It holds at once, also for runs that are under way, and it can only tighten what files say. A day's account counts
/// from the first run on that had a limit in it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// all, env:NAME, agent:NAME or run:ID
    #[arg(value_parser = scope)]
    scope: Scope,
    /// tokens=50000, usd=1.50, calls=20 or time=10m; several may be given
    #[arg(required = true, value_name = "LIMIT", value_parser = amount)]
    limits: Vec<(Measure, i64)>,
    /// For each `run` (with its sub-agents), or for all runs of a `day` (UTC)
    #[arg(long, value_name = "PERIOD", default_value = "run", value_parser = period)]
    per: Period,
    /// The environment of an agent's name
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let caps = caps(&self.limits);
                let (budget, of) = match at {
                    At::Here(station) => {
                        let of = self.scope.meant(session, station, self.env.as_ref()).await?;
                        let limit = station.set_budget(&session.by, &of, self.per, caps).await?;
                        (wire::Budget::of(&limit), shown(&of))
                    }
                    At::There(server) => {
                        let mut given = self.scope.given(self.env.as_ref());
                        given["period"] = self.per.as_str().into();
                        given["limits"] = json!(given_amounts(|measure| caps.get(measure)));
                        (server.ask("set_budget", given).await?, self.scope.shown_as_typed())
                    }
                };
                if session.out.is_json() {
                    session.out.json(&json!({ "budget": budget }))?;
                    return Ok(Code::Done);
                }
                let per = match self.per {
                    Period::Run => "per run",
                    Period::Day => "per day",
                };
                let text = format!("Limited {of} to {} {per}.", caps.shown());
                session.out.note(Tone::Good, &text);
                Ok(Code::Done)
            })
            .await
    }
}

//! `stn budget unset`

use super::scope::{Scope, period, scope};
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::{Session, environment_name};
use station_core::EnvironmentName;
use station_core::budget::Period;

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
    #[arg(long, value_name = "NAME", value_parser = environment_name)]
    env: Option<EnvironmentName>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let of = self.scope.meant(self.env.as_ref());
        session
            .with(async |station| {
                station.unset_budget(&session.by, &of, self.per).await?;
                let text = format!("Took away what was set by hand for {}.", self.scope.shown());
                session.out.note(Tone::Good, &text);
                Ok(Code::Done)
            })
            .await
    }
}

//! `stn runs resume`

use crate::at::At;
use crate::attend::{Drive, Where, attend, tell_handed};
use crate::cmd::budget::{amount, given_amounts, sum};
use crate::error::Result;
use crate::follow::Tell;
use crate::remote;
use crate::session::Session;
use serde_json::json;
use station_core::RunId;
use station_core::budget::Measure;
use station_engine::From;
use station_server::wire;

/// Drive an interrupted or waiting run on
///
/// Everything that happened stays. A call whose outcome is unknown is sent again only if its tool is read-only or
/// idempotent; of any other the model is told that its outcome is unknown. Where a worker (`stn serve`) has the same store
/// open, it drives the run on, and the run is followed from here. A run that reached its own budget goes on when
/// something is added to it, and is driven here then.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id
    run: RunId,
    /// Add to the run's own budget, its sub-agents included: tokens=50000, usd=1.50, calls=10 or time=10m; several may be
    /// given
    #[arg(long = "add", value_name = "AMOUNT", value_parser = amount)]
    added: Vec<(Measure, i64)>,
    #[command(flatten)]
    place: Where,
    /// Show the model's text on stderr while it arrives
    #[arg(long)]
    tail: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let tell = if self.tail { Tell::Text } else { Tell::Events };
        let (id, added) = (self.run, sum(&self.added));
        session
            .at(async |at| {
                let station = match at {
                    At::Here(station) => station,
                    At::There(server) => {
                        self.place.check_there()?;
                        let add =
                            given_amounts(|measure| Some(added.get(measure)).filter(|amount| *amount != 0));
                        let begun = remote::Begun::now(session, server, id).await?;
                        let run: wire::Run =
                            server.ask("resume_run", json!({ "run": id.0, "add": add })).await?;
                        return remote::attend(session, server, &run, begun, tell).await;
                    }
                };
                let workers = self.place.workers(station).await?;
                if added.is_zero() && !workers.is_empty() && station.is_for_workers(&session.by, id).await? {
                    tell_handed(session, station, id, &workers, tell);
                    return attend(session, station, id, Drive::Handed(From::Now), tell).await;
                }
                attend(session, station, id, Drive::Resume(added), tell).await
            })
            .await
    }
}

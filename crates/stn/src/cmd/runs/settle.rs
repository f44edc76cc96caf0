//! `stn runs settle`

use crate::at::At;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::RunId;
use station_engine::Settled;
use station_server::wire;

/// Say what became of a call whose outcome nobody knows
///
/// A run of an agent with `station: {unknown: park}` waits when the answer of a call was lost that may not be repeated.
/// `done`: it took effect, and the model is told so. `not-done`: it did not, and is sent again under the id that it had.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id
    run: RunId,
    /// The call's id, or the end of it; `stn runs inspect` shows it
    effect: String,
    /// What became of it
    #[arg(value_enum)]
    outcome: Outcome,
    /// What the model is told besides
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Outcome {
    /// It took effect
    Done,
    /// It did not
    NotDone,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let settled = match self.outcome {
            Outcome::Done => Settled::Done,
            Outcome::NotDone => Settled::NotDone,
        };
        session
            .at(async |at| {
                let run = match at {
                    At::Here(station) => {
                        let settled =
                            station.settle_effect(&session.by, self.run, &self.effect, settled, self.note);
                        let run = settled.await?;
                        wire::Run::new(&run, station.is_interrupted(&run))
                    }
                    At::There(server) => {
                        let given = json!({
                            "run": self.run.0, "effect": self.effect, "outcome": settled.as_str(), "note": self.note,
                        });
                        server.ask("settle_effect", given).await?
                    }
                };
                if session.out.is_json() {
                    session.out.json(&json!({ "run": run }))?;
                    return Ok(Code::Done);
                }
                session.out.note(Tone::Plain, &format!("The call of run {} was settled.", self.run));
                let waits = run.parent_id.unwrap_or(run.id);
                session.out.hint(&match at {
                    At::Here(_) => {
                        format!(
                            "a running `stn serve` goes on with it; without one: `stn runs resume {waits}`"
                        )
                    }
                    At::There(server) => {
                        let address = &server.address;
                        format!(
                            "it goes on there: follow it with `stn runs follow {waits} --server {address}`"
                        )
                    }
                });
                Ok(Code::Done)
            })
            .await
    }
}

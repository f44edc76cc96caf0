//! `stn approvals approve`

use super::decided;
use crate::error::{Code, Result};
use crate::session::Session;
use station_engine::Yes;

/// Let a waiting call be sent
///
/// The yes holds for the arguments, the definition of the tool and the rule as they were when it was asked for; if one
/// of them has changed when the call is to be sent, it is asked for anew. Every decision is kept in the audit.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The approval's id
    id: i64,
    /// Also every later call of this tool by this agent, as long as the tool is defined as it is
    #[arg(long)]
    always: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                let how = if self.always { Yes::Always } else { Yes::Once };
                let approval = station.approve(&session.by, self.id, how).await?;
                let what = if self.always { "was approved, for always" } else { "was approved" };
                decided(session, station, &approval, what).await?;
                Ok(Code::Done)
            })
            .await
    }
}

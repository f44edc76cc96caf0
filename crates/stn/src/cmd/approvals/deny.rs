//! `stn approvals deny`

use super::decided;
use crate::error::{Code, Result};
use crate::session::Session;

/// Do not let a waiting call be sent
///
/// The model is told that it was denied, with the reason, and the run goes on.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The approval's id
    id: i64,
    /// What the model is told
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                let approval = station.deny(&session.by, self.id, self.reason).await?;
                decided(session, station, &approval, "was denied").await?;
                Ok(Code::Done)
            })
            .await
    }
}

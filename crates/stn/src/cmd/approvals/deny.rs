//! `stn approvals deny`

use super::decided;
use crate::at::At;
use crate::error::{Code, Result};
use crate::session::Session;
use serde_json::json;
use station_server::wire;

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
            .at(async |at| {
                let approval = match at {
                    At::Here(station) => {
                        wire::Approval::from(&station.deny(&session.by, self.id, self.reason).await?)
                    }
                    At::There(server) => {
                        server.ask("deny", json!({ "approval": self.id, "reason": self.reason })).await?
                    }
                };
                decided(session, at, &approval, "was denied").await?;
                Ok(Code::Done)
            })
            .await
    }
}

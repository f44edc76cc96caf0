//! `stn approvals approve`

use super::decided;
use crate::at::At;
use crate::error::{Code, Result};
use crate::session::Session;
use serde_json::json;
use station_engine::Yes;
use station_server::wire;

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
            .at(async |at| {
                let approval = match at {
                    At::Here(station) => {
                        let how = if self.always { Yes::Always } else { Yes::Once };
                        wire::Approval::from(&station.approve(&session.by, self.id, how).await?)
                    }
                    At::There(server) => {
                        server.ask("approve", json!({ "approval": self.id, "always": self.always })).await?
                    }
                };
                let what = if self.always { "was approved, for always" } else { "was approved" };
                decided(session, at, &approval, what).await?;
                Ok(Code::Done)
            })
            .await
    }
}

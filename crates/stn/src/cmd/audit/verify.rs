//! `stn audit verify`

use crate::at::At;
use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde::{Deserialize, Serialize};
use serde_json::json;
use station_core::Error;
use station_engine::AuditFault;

/// Check that no decision was changed or taken out
///
/// Each row of the audit names the hash of the one before, where the chain ends is kept sealed, and each decision has its row.
/// Ends with 1 where that does not hold, and says where. Prints place and hash of the newest row: noted elsewhere, they show
/// that nobody put an older copy of everything back.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// An audit that is whole.
#[derive(Debug, Deserialize, Serialize)]
struct Checked {
    whole: bool,
    head: Head,
}

/// Its newest row.
#[derive(Debug, Deserialize, Serialize)]
struct Head {
    seq: i64,
    hash: String,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let checked = match at {
                    At::Here(station) => {
                        let head = station.check_audit(&session.by).await?.map_err(|fault| broken(&fault))?;
                        Checked { whole: true, head: Head { seq: head.seq, hash: head.hash } }
                    }
                    At::There(server) => server.ask("check_audit", json!({})).await?,
                };
                let head = &checked.head;
                if session.out.is_json() {
                    session.out.json(&checked)?;
                } else {
                    let mut lines = vec![(Tone::Good, "The audit is whole.".to_owned())];
                    if head.seq > 0 {
                        lines.push((Tone::Plain, format!("Its newest row is {} {}", head.seq, head.hash)));
                    }
                    session.out.lines(&lines)?;
                    if head.seq > 0 {
                        session.out.hint("note it elsewhere: it shows later that no older copy was put back");
                    }
                }
                Ok(Code::Done)
            })
            .await
    }
}

fn broken(fault: &AuditFault) -> Error {
    Error::conflict(fault.to_string()).with_hint("compare it with a backup")
}

//! `stn audit export`

use crate::error::{Code, Result};
use crate::session::Session;
use station_core::Error;
use station_server::wire;

/// Rows that are read at a time.
const PAGE: u32 = 1_000;

/// Print the audit as JSON Lines, oldest first, for a copy elsewhere
///
/// Each row names the hash of the one before, so that the copy can be checked by itself. A copy goes on with `--after` and the
/// `seq` of its last row.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those behind this one
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    after: i64,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                let mut after = self.after;
                loop {
                    let rows = station.export_audit(&session.by, after, PAGE).await?;
                    let Some(last) = rows.last() else { return Ok(Code::Done) };
                    after = last.seq;
                    let mut lines = String::new();
                    for row in &rows {
                        lines += &serde_json::to_string(&wire::AuditEntry::from(row))
                            .map_err(|cause| Error::internal("writing a row of the audit", cause))?;
                        lines.push('\n');
                    }
                    session.out.verbatim(&lines)?;
                }
            })
            .await
    }
}

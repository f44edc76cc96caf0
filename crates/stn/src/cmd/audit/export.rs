//! `stn audit export`

use crate::at::At;
use crate::error::{Code, Result};
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
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
            .at(async |at| {
                let station = match at {
                    At::Here(station) => station,
                    At::There(server) => return self.export_there(session, server).await,
                };
                let mut after = self.after;
                loop {
                    let rows = station.export_audit(&session.by, after, PAGE).await?;
                    let Some(last) = rows.last() else { return Ok(Code::Done) };
                    after = last.seq;
                    // What comes behind a page that is not full tells of this export.
                    let is_last = u32::try_from(rows.len()).is_ok_and(|n| n < PAGE);
                    let rows: Vec<wire::AuditEntry> = rows.iter().map(wire::AuditEntry::from).collect();
                    print(session, &rows)?;
                    if is_last || session.out.is_closed() {
                        return Ok(Code::Done);
                    }
                }
            })
            .await
    }

    async fn export_there(&self, session: &Session<'_>, server: &Server) -> Result {
        let mut next = Some(json!(self.after.to_string()));
        while let Some(cursor) = next.filter(|_| !session.out.is_closed()) {
            let rows;
            (rows, next) = server.page("export_audit", json!({ "cursor": cursor, "limit": PAGE })).await?;
            print(session, &rows)?;
        }
        Ok(Code::Done)
    }
}

fn print(session: &Session<'_>, rows: &[wire::AuditEntry]) -> Result<()> {
    let mut lines = String::new();
    for row in rows {
        lines += &serde_json::to_string(row)
            .map_err(|cause| Error::internal("writing a row of the audit", cause))?;
        lines.push('\n');
    }
    session.out.verbatim(&lines)
}

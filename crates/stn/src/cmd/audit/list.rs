//! `stn audit list`

use crate::at::At;
use crate::error::{Code, Result};
use crate::narrate::{cut, moment};
use crate::session::Session;
use serde_json::json;
use station_server::wire;

/// List decisions, newest first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only those before this one: the next page
    #[arg(long, value_name = "SEQ")]
    before: Option<i64>,
    /// Show so many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let audit: Vec<wire::AuditEntry> = match at {
                    At::Here(station) => {
                        let audit = station.list_audit(&session.by, self.before, self.limit).await?;
                        audit.iter().map(wire::AuditEntry::from).collect()
                    }
                    At::There(server) => {
                        let given = json!({ "cursor": self.before.map(|seq| seq.to_string()) });
                        server.list("list_audit", given, self.limit).await?
                    }
                };
                if session.out.is_json() {
                    session.out.json(&wire::list("audit", &audit))?;
                    return Ok(Code::Done);
                }
                let row = |it: &wire::AuditEntry| {
                    let (at, detail) = (moment(&it.at), cut(&it.detail.to_string(), 80));
                    let from = it.from.clone().unwrap_or_default();
                    [
                        it.seq.to_string(),
                        at,
                        it.actor.clone(),
                        from,
                        it.action.clone(),
                        it.subject.clone(),
                        detail,
                    ]
                };
                let header = ["SEQ", "AT (UTC)", "ACTOR", "FROM", "ACTION", "SUBJECT", "DETAIL"];
                session.out.table(header, audit.iter().map(row).collect())?;
                Ok(Code::Done)
            })
            .await
    }
}

//! `stn audit list`

use crate::error::{Code, Result};
use crate::narrate::{cut, moment};
use crate::session::Session;
use station_engine::AuditEntry;
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
            .with(async |station| {
                let audit = station.list_audit(&session.by, self.before, self.limit).await?;
                if session.out.is_json() {
                    let audit: Vec<wire::AuditEntry> = audit.iter().map(wire::AuditEntry::from).collect();
                    session.out.json(&wire::list("audit", &audit))?;
                    return Ok(Code::Done);
                }
                let row = |it: &AuditEntry| {
                    let (at, detail) = (moment(it.at), cut(&it.detail, 80));
                    [it.seq.to_string(), at, it.actor.clone(), it.action.clone(), it.subject.clone(), detail]
                };
                let header = ["SEQ", "AT (UTC)", "ACTOR", "ACTION", "SUBJECT", "DETAIL"];
                session.out.table(header, audit.iter().map(row).collect())?;
                Ok(Code::Done)
            })
            .await
    }
}

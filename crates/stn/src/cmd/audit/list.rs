//! `stn audit list`

use crate::at::At;
use crate::error::{Code, Result};
use crate::narrate::{cut, moment};
use crate::session::Session;
use crate::when::{When, when};
use serde_json::{Value, json};
use station_engine::{AuditFilter, Clock};
use station_server::wire;

/// List who did what, newest first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only what exactly this one did
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only this action, e.g. create_agent
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// Only what was done to exactly this, e.g. "agent 7"
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Only what was done at this time or later: 2h, 7d (ago), 2026-11-26 or 2026-11-26T09:30:00Z
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<When>,
    /// Only what was done before this time, in the same forms
    #[arg(long, value_name = "TIME", value_parser = when)]
    until: Option<When>,
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
                let filter = self.filter();
                let audit: Vec<wire::AuditEntry> = match at {
                    At::Here(station) => {
                        let audit = station.list_audit(&session.by, &filter, self.limit).await?;
                        audit.iter().map(wire::AuditEntry::from).collect()
                    }
                    At::There(server) => server.list("list_audit", given(&filter), self.limit).await?,
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

    fn filter(&self) -> AuditFilter {
        let now = Clock::System.now();
        AuditFilter {
            actor: self.actor.clone(),
            action: self.action.clone(),
            subject: self.subject.clone(),
            since: self.since.map(|when| when.meant(now)),
            until: self.until.map(|when| when.meant(now)),
            before: self.before,
        }
    }
}

/// As a server is told of it.
fn given(filter: &AuditFilter) -> Value {
    let AuditFilter { actor, action, subject, since, until, before } = filter;
    json!({
        "actor": actor,
        "action": action,
        "subject": subject,
        "since": since.map(|at| at.to_string()),
        "until": until.map(|at| at.to_string()),
        "cursor": before.map(|seq| seq.to_string()),
    })
}

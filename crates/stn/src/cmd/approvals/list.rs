//! `stn approvals list`

use crate::at::At;
use crate::error::{Code, Result};
use crate::narrate::{cut, moment};
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
use station_engine::Which;
use station_server::wire;

/// List calls that wait for a person, oldest first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Decided ones as well, newest first
    #[arg(long, conflicts_with = "always")]
    all: bool,
    /// Instead, what was approved for always
    #[arg(long)]
    always: bool,
    /// Show so many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| match self.always {
                true => standing(session, at).await,
                false => self.list(session, at).await,
            })
            .await
    }

    async fn list(&self, session: &Session<'_>, at: At<'_>) -> Result {
        let approvals: Vec<wire::Approval> = match at {
            At::Here(station) => {
                let which = if self.all { Which::All } else { Which::Pending };
                let approvals = station.list_approvals(&session.by, which, self.limit).await?;
                approvals.iter().map(wire::Approval::from).collect()
            }
            At::There(server) => self.ask(server).await?,
        };
        if session.out.is_json() {
            session.out.json(&wire::list("approvals", &approvals))?;
            return Ok(Code::Done);
        }
        if approvals.is_empty() && !self.all {
            session.out.hint("no call waits for a person; `--all` shows what was decided");
        }
        let header = ["ID", "RUN", "AGENT", "ENVIRONMENT", "TOOL", "STATUS", "ASKED (UTC)", "ARGUMENTS"];
        session.out.table(header, approvals.iter().map(row).collect())?;
        Ok(Code::Done)
    }

    async fn ask(&self, server: &Server) -> Result<Vec<wire::Approval>> {
        // A server tells both by id; here, decided ones are told newest first.
        let most = if self.all { u32::MAX } else { self.limit };
        let given = json!({ "all": self.all });
        let mut approvals: Vec<wire::Approval> = server.list("list_approvals", given, most).await?;
        if self.all {
            approvals.reverse();
            approvals.truncate(usize::try_from(self.limit).unwrap_or(usize::MAX));
        }
        Ok(approvals)
    }
}

fn row(approval: &wire::Approval) -> [String; 8] {
    let (run, agent) = match approval.run_id {
        Some(run) => (run.to_string(), approval.agent.clone().unwrap_or_default()),
        None => ("-".to_owned(), format!("a client of {}", approval.caller.as_deref().unwrap_or_default())),
    };
    [
        approval.id.to_string(),
        run,
        agent,
        approval.environment.clone(),
        format!("{}/{}", approval.server, approval.tool),
        approval.status.clone(),
        moment(&approval.asked_at),
        cut(&approval.arguments.to_string(), 60),
    ]
}

async fn standing(session: &Session<'_>, at: At<'_>) -> Result {
    let standing: Vec<wire::StandingApproval> = match at {
        At::Here(station) => {
            let standing = station.list_standing_approvals(&session.by).await?;
            standing.iter().map(wire::StandingApproval::from).collect()
        }
        At::There(server) => server.all("list_standing_approvals", json!({})).await?,
    };
    if session.out.is_json() {
        session.out.json(&wire::list("standing_approvals", &standing))?;
        return Ok(Code::Done);
    }
    if standing.is_empty() {
        session.out.hint("nothing was approved for always");
    }
    let row = |it: &wire::StandingApproval| {
        [
            it.id.to_string(),
            it.agent.clone(),
            it.environment.clone(),
            format!("{}/{}", it.server, it.tool),
            it.made_by.clone(),
            moment(&it.made_at),
            it.uses.to_string(),
        ]
    };
    let header = ["ID", "AGENT", "ENVIRONMENT", "TOOL", "BY", "SINCE (UTC)", "USED"];
    session.out.table(header, standing.iter().map(row).collect())?;
    Ok(Code::Done)
}

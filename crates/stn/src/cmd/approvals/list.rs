//! `stn approvals list`

use crate::error::{Code, Result};
use crate::narrate::{cut, moment};
use crate::session::Session;
use station_engine::{Approval, Asker, StandingApproval, Which};
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
        if self.always {
            return standing(session).await;
        }
        session
            .with(async |station| {
                let which = if self.all { Which::All } else { Which::Pending };
                let approvals = station.list_approvals(&session.by, which, self.limit).await?;
                if session.out.is_json() {
                    let approvals: Vec<wire::Approval> = approvals.iter().map(wire::Approval::from).collect();
                    session.out.json(&wire::list("approvals", &approvals))?;
                    return Ok(Code::Done);
                }
                if approvals.is_empty() && !self.all {
                    session.out.hint("no call waits for a person; `--all` shows what was decided");
                }
                let header =
                    ["ID", "RUN", "AGENT", "ENVIRONMENT", "TOOL", "STATUS", "ASKED (UTC)", "ARGUMENTS"];
                session.out.table(header, approvals.iter().map(row).collect())?;
                Ok(Code::Done)
            })
            .await
    }
}

fn row(approval: &Approval) -> [String; 8] {
    let (run, agent) = match &approval.asker {
        Asker::Run { run, agent } => (run.to_string(), agent.clone()),
        Asker::Caller(name) => ("-".to_owned(), format!("a client of {name}")),
    };
    [
        approval.id.to_string(),
        run,
        agent,
        approval.environment.clone(),
        format!("{}/{}", approval.server, approval.tool),
        approval.status.clone(),
        moment(approval.asked_at),
        cut(&approval.arguments, 60),
    ]
}

async fn standing(session: &Session<'_>) -> Result {
    session
        .with(async |station| {
            let standing = station.list_standing_approvals(&session.by).await?;
            if session.out.is_json() {
                let standing: Vec<wire::StandingApproval> =
                    standing.iter().map(wire::StandingApproval::from).collect();
                session.out.json(&wire::list("standing_approvals", &standing))?;
                return Ok(Code::Done);
            }
            if standing.is_empty() {
                session.out.hint("nothing was approved for always");
            }
            let row = |it: &StandingApproval| {
                [
                    it.id.to_string(),
                    it.agent.clone(),
                    it.environment.clone(),
                    format!("{}/{}", it.server, it.tool),
                    it.made_by.clone(),
                    moment(it.made_at),
                    it.uses.to_string(),
                ]
            };
            let header = ["ID", "AGENT", "ENVIRONMENT", "TOOL", "BY", "SINCE (UTC)", "USED"];
            session.out.table(header, standing.iter().map(row).collect())?;
            Ok(Code::Done)
        })
        .await
}

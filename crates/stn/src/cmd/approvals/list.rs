//! `stn approvals list`

use crate::at::{At, named};
use crate::error::{Code, Result};
use crate::named::{environment_ref, none_of};
use crate::narrate::{cut, moment};
use crate::session::Session;
use serde_json::{Value, json};
use station_core::approval::Status;
use station_core::{AgentId, RunId};
use station_engine::{ApprovalFilter, EnvironmentRef, Station};
use station_server::wire;

/// List calls that wait for a person, oldest first
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Decided ones as well, newest first
    #[arg(long, conflicts_with_all = ["always", "status"])]
    all: bool,
    /// Instead, what was approved for always
    #[arg(long, conflicts_with_all = ["status", "agent", "env", "run"])]
    always: bool,
    /// Instead, those with this status: pending, approved, denied, timed_out or void; decided ones newest first
    #[arg(long, value_parser = status)]
    status: Option<Status>,
    /// Only calls of this agent, by id or name
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only calls in this environment; also the environment of the agent's name
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    /// Only calls of this run
    #[arg(long, value_name = "RUN")]
    run: Option<RunId>,
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
        let agent = match &self.agent {
            Some(text) => Some(at.agent_id(session, text, self.env.as_ref()).await?),
            None => None,
        };
        let approvals: Vec<wire::Approval> = match at {
            At::Here(station) => {
                let filter = self.filter(session, station, agent).await?;
                let approvals = station.list_approvals(&session.by, &filter, self.limit).await?;
                approvals.iter().map(wire::Approval::from).collect()
            }
            At::There(server) => server.list("list_approvals", self.given(agent), self.limit).await?,
        };
        if session.out.is_json() {
            session.out.json(&wire::list("approvals", &approvals))?;
            return Ok(Code::Done);
        }
        if approvals.is_empty() && self.wanted() == Some(Status::Pending) {
            session.out.hint("no call waits for a person; `--all` shows what was decided");
        }
        let header = ["ID", "RUN", "AGENT", "ENVIRONMENT", "TOOL", "STATUS", "ASKED (UTC)", "ARGUMENTS"];
        session.out.table(header, approvals.iter().map(row).collect())?;
        Ok(Code::Done)
    }

    /// The status that is looked for; `None` for all.
    fn wanted(&self) -> Option<Status> {
        if self.all { None } else { Some(self.status.unwrap_or(Status::Pending)) }
    }

    async fn filter(
        &self,
        session: &Session<'_>,
        station: &Station,
        agent: Option<AgentId>,
    ) -> Result<ApprovalFilter> {
        let environment = match &self.env {
            Some(of) => Some(station.environment(&session.by, of).await?.id),
            None => None,
        };
        let status = self.wanted();
        Ok(ApprovalFilter { status, environment, agent, run: self.run, ..ApprovalFilter::default() })
    }

    fn given(&self, agent: Option<AgentId>) -> Value {
        json!({
            "all": self.all.then_some(true),
            "status": self.wanted().map(Status::as_str),
            "agent": agent.map(|id| id.0),
            "environment": named(self.env.as_ref()),
            "run": self.run.map(|id| id.0),
        })
    }
}

fn status(word: &str) -> Result<Status, String> {
    Status::from_word(word).ok_or_else(|| none_of(word, Status::ALL.map(Status::as_str).into()))
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

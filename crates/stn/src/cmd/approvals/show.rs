//! `stn approvals show`

use super::asker;
use crate::at::At;
use crate::error::{Code, Result};
use crate::narrate::moment;
use crate::out::{Tone, shown};
use crate::session::Session;
use serde_json::json;
use station_server::wire;

/// Show what a waiting call would do, which rule makes it wait, and who may decide
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The approval's id
    id: i64,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let approval = match at {
                    At::Here(station) => {
                        wire::Approval::from(&station.show_approval(&session.by, self.id).await?)
                    }
                    At::There(server) => server.ask("show_approval", json!({ "approval": self.id })).await?,
                };
                if session.out.is_json() {
                    session.out.json(&json!({ "approval": approval }))?;
                    return Ok(Code::Done);
                }
                session.out.lines(&lines(&approval))?;
                if approval.is_pending() {
                    let sends = match approval.run_id {
                        Some(_) => "sends it",
                        None => "lets its client send it",
                    };
                    session.out.hint(&format!(
                        "`stn approvals approve {0}` {sends}, `stn approvals deny {0} --reason …` tells the model why not",
                        self.id
                    ));
                }
                Ok(Code::Done)
            })
            .await
    }
}

fn lines(approval: &wire::Approval) -> Vec<(Tone, String)> {
    let wire::Approval { id, environment, status, .. } = approval;
    let head = format!("Approval {id} for {} in `{environment}`: {status}", asker(approval));
    let mut lines = vec![(Tone::Plain, head)];
    let mut row = |name: &str, value: String| lines.push((Tone::Plain, format!("  {name:<9} {value}")));
    row("tool", format!("{}/{}", approval.server, approval.tool));
    row("rule", approval.rule.clone());
    if !approval.may_decide.is_empty() {
        row("decides", approval.may_decide.join(" or "));
    }
    row("asked", format!("{} UTC", moment(&approval.asked_at)));
    if let Some(at) = approval.expires_at.as_ref().filter(|_| approval.is_pending()) {
        row("until", format!("{} UTC", moment(at)));
    }
    if let Some(by) = &approval.decided_by {
        row("by", by.clone());
    }
    if let Some(reason) = approval.reason.as_deref().filter(|reason| !reason.is_empty()) {
        row("reason", shown(reason));
    }
    if let Some(at) = &approval.used_at {
        row("sent", format!("{} UTC", moment(at)));
    }
    row("effect", approval.effect_id.clone());
    row("arguments", String::new());
    let pretty = serde_json::to_string_pretty(&approval.arguments).unwrap_or_default();
    lines.extend(pretty.lines().map(|line| (Tone::Plain, format!("    {}", shown(line)))));
    lines
}

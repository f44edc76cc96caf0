//! `stn approvals show`

use crate::error::{Code, Result};
use crate::narrate::moment;
use crate::out::{Tone, shown};
use crate::session::Session;
use serde_json::json;
use station_engine::Approval;
use station_server::wire;

/// Show what a waiting call would do, and which rule makes it wait
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The approval's id
    id: i64,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                let approval = station.show_approval(&session.by, self.id).await?;
                if session.out.is_json() {
                    session.out.json(&json!({ "approval": wire::Approval::from(&approval) }))?;
                    return Ok(Code::Done);
                }
                session.out.lines(&lines(&approval))?;
                if approval.status == "pending" {
                    let sends = match approval.run() {
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

fn lines(approval: &Approval) -> Vec<(Tone, String)> {
    let mut lines = vec![(
        Tone::Plain,
        format!(
            "Approval {} for {} in `{}`: {}",
            approval.id, approval.asker, approval.environment, approval.status
        ),
    )];
    let mut row = |name: &str, value: String| lines.push((Tone::Plain, format!("  {name:<9} {value}")));
    row("tool", format!("{}/{}", approval.server, approval.tool));
    row("rule", approval.basis.rule.to_string());
    row("asked", format!("{} UTC", moment(approval.asked_at)));
    if let Some(at) = approval.expires_at.filter(|_| approval.status == "pending") {
        row("until", format!("{} UTC", moment(at)));
    }
    if let Some(by) = &approval.decided_by {
        row("by", by.clone());
    }
    if let Some(reason) = approval.reason.as_deref().filter(|reason| !reason.is_empty()) {
        row("reason", shown(reason));
    }
    if let Some(at) = approval.used_at {
        row("sent", format!("{} UTC", moment(at)));
    }
    row("effect", approval.effect.to_string());
    row("arguments", String::new());
    let arguments: serde_json::Value = serde_json::from_str(&approval.arguments).unwrap_or_default();
    let pretty = serde_json::to_string_pretty(&arguments).unwrap_or_else(|_| approval.arguments.clone());
    lines.extend(pretty.lines().map(|line| (Tone::Plain, format!("    {}", shown(line)))));
    lines
}

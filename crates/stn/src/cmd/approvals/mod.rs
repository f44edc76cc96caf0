//! `stn approvals …`

mod approve;
mod deny;
mod list;
mod revoke;
mod show;

use crate::at::At;
use crate::error::Result;
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::RunId;
use station_core::run::Status;
use station_server::wire;

/// Decide about calls that wait for a person
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Show(show::Args),
    Approve(approve::Args),
    Deny(deny::Args),
    Revoke(revoke::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Show(args) => args.run(session).await,
            Self::Approve(args) => args.run(session).await,
            Self::Deny(args) => args.run(session).await,
            Self::Revoke(args) => args.run(session).await,
        }
    }
}

/// Who asks: a run, or a client.
fn asker(approval: &wire::Approval) -> String {
    match (approval.run_id, &approval.agent) {
        (Some(run), Some(agent)) => format!("run {run} of `{agent}`"),
        (Some(run), None) => format!("run {run}"),
        (None, _) => format!("a client of `{}`", approval.caller.as_deref().unwrap_or_default()),
    }
}

/// Says what was decided, and how the run goes on.
async fn decided(session: &Session<'_>, at: At<'_>, approval: &wire::Approval, what: &str) -> Result<()> {
    let out = session.out;
    if out.is_json() {
        out.json(&json!({ "approval": approval }))?;
        return Ok(());
    }
    let by = approval.run_id.map_or_else(|| asker(approval), |run| format!("run {run}"));
    let text = format!("The call of `{}` of `{}` by {by} {what}.", approval.tool, approval.server);
    out.note(Tone::Plain, &text);
    let Some(run) = approval.run_id else {
        out.hint("its client hears it when it calls again with the same arguments");
        return Ok(());
    };
    let run = at.show_run(&session.by, RunId(run)).await?.run;
    if run.recorded() == Status::Queued {
        let root = run.parent_id.unwrap_or(run.id);
        out.hint(&format!("a running `stn serve` goes on with it; without one: `stn runs resume {root}`"));
    }
    Ok(())
}

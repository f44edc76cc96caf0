//! `stn approvals …`

mod approve;
mod deny;
mod list;
mod revoke;
mod show;

use crate::error::Result;
use crate::out::Tone;
use crate::session::Session;
use station_core::run::Status;
use station_engine::{Approval, Asker, Station};

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

/// Says what was decided, and how the run goes on.
async fn decided(session: &Session<'_>, station: &Station, approval: &Approval, what: &str) -> Result<()> {
    let out = session.out;
    if out.is_json() {
        out.json(&serde_json::json!({ "approval": station_server::wire::Approval::from(approval) }))?;
        return Ok(());
    }
    let by = match &approval.asker {
        Asker::Run { run, .. } => format!("run {run}"),
        asker @ Asker::Caller(_) => asker.to_string(),
    };
    let text = format!("The call of `{}` of `{}` by {by} {what}.", approval.tool, approval.server);
    out.note(Tone::Plain, &text);
    let Some(run) = approval.run() else {
        out.hint("its client hears it when it calls again with the same arguments");
        return Ok(());
    };
    let run = station.show_run(&session.by, run).await?.run;
    if run.status == Status::Queued {
        let root = run.parent.unwrap_or(run.id);
        out.hint(&format!("a running `stn serve` goes on with it; without one: `stn runs resume {root}`"));
    }
    Ok(())
}

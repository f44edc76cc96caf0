//! What a person can do about a run that waits for one.

use crate::error::Result;
use crate::session::Session;
use station_core::budget::{Account, Scope};
use station_core::run::{Status, WaitKind};
use station_engine::{Run, RunDetails, Station};

/// Runs of one tree that are looked at: more of them wait for the same person, who sees the rest when these are decided.
const LOOKED_AT_MAX: usize = 20;

/// Hints for what `run` and its sub-agents wait for.
///
/// # Errors
/// The engine's.
pub(crate) async fn of_tree(session: &Session<'_>, station: &Station, run: &Run) -> Result<Vec<String>> {
    let mut open = vec![run.id];
    let mut hints = Vec::new();
    let mut looked_at = 0;
    while let Some(id) = open.pop()
        && looked_at < LOOKED_AT_MAX
    {
        looked_at += 1;
        let details = station.show_run(&session.by, id).await?;
        hints.extend(of_run(&details));
        let waiting = details.children.iter().filter(|child| child.status == Status::Waiting);
        open.extend(waiting.map(|child| child.id));
    }
    Ok(hints)
}

/// Hints for what one run waits for.
pub(crate) fn of_run(details: &RunDetails) -> Vec<String> {
    let asked = details.approvals.iter().filter(|it| it.status == "pending").map(|approval| {
        format!(
            "`{}` waits for you: `stn approvals show {1}`, then `stn approvals approve {1}` or `deny {1}`",
            approval.tool, approval.id
        )
    });
    let run = details.run.id;
    let lost = details.unsettled.iter().map(|effect| {
        format!("say what became of the lost call: `stn runs settle {run} {effect} done` or `not-done`")
    });
    asked.chain(lost).chain(of_limit(details)).collect()
}

/// Hint for the limit, or the price, that keeps a run.
fn of_limit(details: &RunDetails) -> Option<String> {
    let (run, account, on) = (details.run.id, details.kept_by()?, details.run.waiting_on.as_deref()?);
    if details.run.waits_on_kind() == Some(WaitKind::Price) {
        let root = details.run.parent.unwrap_or(run);
        return Some(format!("write the price into config.yaml, then `stn runs resume {root}`"));
    }
    match account {
        Account { scope: Scope::Run(limited), day: None } => {
            let who = if limited == run { String::new() } else { format!("run {run} waits for {on}; ") };
            Some(format!("{who}give it more with `stn runs resume {limited} --add tokens=…`"))
        }
        _ => Some(
            "`stn budget list` shows where that limit is written; the day ends at midnight UTC".to_owned(),
        ),
    }
}

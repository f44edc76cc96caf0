//! What a person can do about a run that waits for one.

use crate::at::At;
use crate::error::Result;
use crate::session::Session;
use station_core::RunId;
use station_core::budget::{Account, Measure, Scope, measure_of};
use station_core::run::{Status, WaitKind, limit_reached};
use station_server::wire;

/// Runs of one tree that are looked at: more of them wait for the same person, who sees the rest when these are decided.
const LOOKED_AT_MAX: usize = 20;

/// Hints for what `run` and its sub-agents wait for.
///
/// # Errors
/// The engine's.
pub(crate) async fn of_tree(
    session: &Session<'_>,
    at: At<'_>,
    run: &wire::RunDetails,
) -> Result<Vec<String>> {
    let mut hints = of_run(run);
    let mut open = waiting_children(run);
    let mut looked_at = 1;
    while let Some(id) = open.pop()
        && looked_at < LOOKED_AT_MAX
    {
        looked_at += 1;
        let details = at.show_run(&session.by, id).await?;
        hints.extend(of_run(&details));
        open.extend(waiting_children(&details));
    }
    Ok(hints)
}

fn waiting_children(run: &wire::RunDetails) -> Vec<RunId> {
    let waiting = run.children.iter().filter(|child| child.recorded() == Status::Waiting);
    waiting.map(|child| RunId(child.id)).collect()
}

/// Hints for what one run waits for.
pub(crate) fn of_run(details: &wire::RunDetails) -> Vec<String> {
    let asked = details.approvals.iter().filter(|it| it.is_pending()).map(|approval| {
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
fn of_limit(details: &wire::RunDetails) -> Option<String> {
    let (run, on) = (&details.run, details.run.waiting_on.as_deref()?);
    let entries = details.entries();
    let (account, sentence) = limit_reached(&entries).filter(|_| run.recorded() == Status::Waiting)?;
    let id = run.id;
    if run.waiting_kind.as_deref() == Some(WaitKind::Price.as_str()) {
        let root = run.parent_id.unwrap_or(id);
        return Some(format!("write the price into config.yaml, then `stn runs resume {root}`"));
    }
    match account {
        Account { scope: Scope::Run(limited), day: None } => {
            let who = if limited.0 == id { String::new() } else { format!("run {id} waits for {on}; ") };
            let measure = measure_of(sentence).unwrap_or(Measure::Tokens).as_str();
            Some(format!("{who}give it more with `stn runs resume {limited} --add {measure}=…`"))
        }
        _ => Some(
            "`stn budget list` shows where that limit is written; the day ends at midnight UTC".to_owned(),
        ),
    }
}

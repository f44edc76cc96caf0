//! What became, while nobody drove a run, of that for which it waited: sub-agents that ended, and what people decided.

use crate::Station;
use crate::journal::Journal;
use station_core::Result;
use station_core::approval::{Decided, Decision};
use station_core::run::{Event, Machine, child_text};
use station_store::{Run, Settlement};

/// Appends what happened meanwhile to that for which the run waits.
///
/// # Errors
/// The store's.
pub(crate) async fn hear(
    station: &Station,
    run: &Run,
    machine: &mut Machine,
    journal: &mut Journal,
) -> Result<()> {
    join(station, run, machine, journal).await?;
    let awaiting = machine.awaiting();
    if !awaiting.is_empty() {
        for decided in station.store().decisions(run.id).await? {
            if awaiting.contains(&decided.effect) {
                journal.heard(decided.effect);
                journal.add(machine.apply(event(decided)));
            }
        }
    }
    let unsettled = machine.unsettled();
    if !unsettled.is_empty() {
        for settlement in station.store().settlements(run.id).await? {
            let Settlement { effect: id, done, note, by } = settlement;
            if unsettled.contains(&id) {
                journal.heard(id);
                journal.add(machine.apply(Event::EffectSettled { id, done, by: by.name, note }));
            }
        }
    }
    Ok(())
}

fn event(Decided { effect: id, decision, by }: Decided) -> Event {
    match decision {
        Decision::Approved => Event::EffectApproved { id, by },
        Decision::Denied { reason } => Event::EffectDenied { id, by: Some(by), reason },
        Decision::TimedOut => Event::EffectDenied { id, by: None, reason: String::new() },
    }
}

/// Joins sub-agents whose runs have ended since the parent parked.
async fn join(station: &Station, run: &Run, machine: &mut Machine, journal: &mut Journal) -> Result<()> {
    let open = machine.children();
    if open.is_empty() {
        return Ok(());
    }
    for child in station.store().children(run.id).await? {
        let Some(id) = child.parent_effect.filter(|id| open.contains(id) && child.status.is_final()) else {
            continue;
        };
        let text = child_text(
            child.id,
            &child.agent_name,
            child.status,
            child.answer.as_deref(),
            child.error.as_deref(),
        );
        let ms = child.ended_at.unwrap_or(child.created_at).ms_since(child.created_at);
        let ended = Event::ChildEnded { id, run: child.id, status: child.status, text, whole: None, ms };
        let (ended, whole) = machine.shorten(ended);
        journal.keep(whole);
        journal.add(machine.apply(ended));
    }
    Ok(())
}

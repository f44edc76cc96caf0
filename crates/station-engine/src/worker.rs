//! Claims a run, drives it, and lets go of it; sub-agents are driven in between, side by side.
//!
//! The terminal's `agent run` is a worker whose queue holds one run; its sub-agents' runs are rows like any other, so
//! a kill in the middle leaves a tree of runs that `resume` works off through the same lines.

use crate::Station;
use crate::drive::{Left, Stop, drive};
use crate::lease::{LEASE, Lease, millis};
use futures::future::{BoxFuture, FutureExt as _};
use station_core::{Error, Kind, Result, RunId};
use station_store::{Claim, LeaseInfo, Owner, Run};
use std::time::Instant;

/// Works off `run` and the runs of its sub-agents until it has ended.
///
/// # Errors
/// The store's; `Busy` where another living worker has the run. What happened so far is kept.
pub(crate) fn work_off<'a>(station: &'a Station, id: RunId, stop: &'a Stop) -> BoxFuture<'a, Result<()>> {
    async move {
        loop {
            let Some((run, lease)) = claim(station, id).await? else {
                return Ok(());
            };
            let left = tokio::select! {
                left = drive(station, &run, &lease, stop) => left?,
                lost = lease.keep(station) => return Err(lost),
            };
            match left {
                Left::Ended => {
                    if let Err(error) = station.discover_changed(run.environment).await {
                        tracing::warn!(run = %id, %error, "changed tools were not listed anew");
                    }
                    station.pool().end_run(id).await;
                    return Ok(());
                }
                Left::Waiting(children) => {
                    // Every child to its end, also beside one that fails: a dropped one would look killed.
                    let children = children.into_iter().map(|child| work_off(station, child, stop));
                    futures::future::join_all(children).await.into_iter().collect::<Result<()>>()?;
                }
            }
        }
    }
    .boxed()
}

/// The run under a new fence; `None` where it has ended already.
async fn claim(station: &Station, id: RunId) -> Result<Option<(Run, Lease)>> {
    let store = station.store();
    let gone = || Error::not_found(format!("run {id} does not exist"));
    let run = store.run(id).await?.ok_or_else(gone)?;
    let dead = run.lease.as_ref().filter(|lease| is_dead(lease)).map(|lease| lease.fence);
    let asked_at = Instant::now();
    match store.claim(id, &owner(station)?, millis(LEASE), dead, station.now()).await? {
        Claim::Claimed { fence, .. } => Ok(Some((run, Lease::new(id, fence, asked_at)))),
        Claim::Final(_) => Ok(None),
        Claim::NotFound => Err(gone()),
        Claim::Held(lease) => {
            Err(Error::new(Kind::Busy, format!("run {id} is being worked on by {}", lease.owner.worker))
                .with_hint(format!("follow it with `stn runs inspect {id}`")))
        }
    }
}

/// Whether the process that holds `lease` ran on this host and is gone: it was killed, so nobody needs to wait for
/// the lease to lapse.
pub(crate) fn is_dead(lease: &LeaseInfo) -> bool {
    let owner = &lease.owner;
    boot_id().is_some_and(|boot| boot == owner.host) && process_start(owner.pid) != Some(owner.pid_start)
}

fn owner(station: &Station) -> Result<Owner> {
    let pid = std::process::id();
    let start =
        process_start(pid).ok_or_else(|| Error::internal("reading our own entry in /proc", "not there"))?;
    let host = boot_id().ok_or_else(|| Error::internal("reading the boot id", "not there"))?;
    Ok(Owner { worker: station.config().worker.clone(), host, pid, pid_start: start })
}

/// One boot of one host: process ids mean nothing beyond it.
fn boot_id() -> Option<String> {
    Some(std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned())
}

/// When process `pid` started, in clock ticks since boot (proc(5), field 22); `None` where there is none, or where it
/// has ended and only waits to be collected.
fn process_start(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, also parentheses.
    let mut fields = stat.get(stat.rfind(')')? + 2..)?.split(' ');
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

//! Claims a run, drives it, and lets go of it; sub-agents are driven in between, side by side.
//!
//! The terminal's `agent run` is a worker whose queue holds one run; its sub-agents' runs are rows like any other, so
//! a kill in the middle leaves a tree of runs that `resume` works off through the same lines.

use crate::drive::{Left, drive};
use crate::journal::is_hiccup;
use crate::lease::{Before, LEASE, Lease, millis};
use crate::prepare::RunRequest;
use crate::signals::Signals;
use crate::{Clock, Station, at_once};
use futures::future::{BoxFuture, FutureExt as _};
use station_core::run::{DriverProcess, Entry, Event, Status, WaitKind, WaitsOn};
use station_core::{Concurrency, Error, Fence, Kind, Result, RunId, Trace};
use station_mcp::Process;
use station_store::{Claim, LeaseInfo, Owner, Run, Wakes};
use std::sync::OnceLock;
use std::time::Duration;
use tracing::Instrument as _;

/// How often a run that another worker has is looked at, beside the wake-ups.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long children of a Station that is gone may take to end. Killing takes milliseconds; one that cannot be killed
/// now (waiting for a disk) keeps its run from being taken up.
const CHILDREN_END_MAX: Duration = Duration::from_secs(5);
const CHILDREN_LOOK_EVERY: Duration = Duration::from_millis(10);

/// What to do where another living worker has the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Say so: a person asked for this run.
    Refuse,
    /// Leave it to that one: it was just put in the queue, and that one was faster.
    Leave,
    /// Wait until it has ended: it is a part of ours.
    Wait,
}

/// How far a run was worked off.
#[must_use = "one that was taken by another worker has not ended"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worked {
    /// It ended, or it was let go of because this process is about to end.
    Off,
    /// It, or a run that it waits for, is parked for something that is no run.
    Parked,
    /// Another living worker took it up while it waited here for its turn.
    Taken,
}

/// Whether a claim keeps to the limits of what may be driven at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limits {
    Hold,
    /// It is only to be ended.
    Lifted,
}

/// Works off `run` and the runs of its sub-agents until it has ended, or waits for something that is no run.
///
/// # Errors
/// The store's; `Busy` where another living worker has the run. What happened so far is kept.
pub(crate) fn work_off<'a>(
    station: &'a Station,
    id: RunId,
    signals: &'a Signals,
    held: Held,
) -> BoxFuture<'a, Result<Worked>> {
    async move {
        let mut held = held;
        let mut kept = None;
        loop {
            // Before it is asked, so that room that is made meanwhile is heard.
            let mut wakes = station.store().wakes();
            let limits = if signals.cancelled_by().is_some() { Limits::Lifted } else { Limits::Hold };
            let (run, lease) = match claim(station, id, limits).await? {
                Ours::Claimed(claimed) => *claimed,
                Ours::Ended => return Ok(Worked::Off),
                // In the queue as before: this process is about to end.
                Ours::Full(_) if signals.is_draining() => return Ok(Worked::Off),
                Ours::Full(words) => {
                    if kept.as_ref() != Some(&words) {
                        station.tell_hands(id, format!("run {id} waits: {words}"));
                        kept = Some(words);
                    }
                    woken(signals, &mut wakes).await;
                    continue;
                }
                Ours::Held(_) if held == Held::Leave || (held == Held::Refuse && kept.is_some()) => {
                    return Ok(Worked::Taken);
                }
                Ours::Held(lease) if held == Held::Refuse => {
                    return Err(Error::new(
                        Kind::Busy,
                        format!("run {id} is being worked on by {}", lease.owner.worker),
                    )
                    .with_hint(format!("follow it with `stn runs inspect {id}`")));
                }
                Ours::Held(_) => {
                    // Whether it was woken or has waited, it looks again.
                    drop(tokio::time::timeout(LOOK_EVERY, wakes.next()).await);
                    continue;
                }
            };
            // From here on it is ours; a worker that takes it while it waits for its sub-agents works for us.
            held = Held::Wait;
            match drive_claimed(station, &run, &lease, signals).await? {
                Left::Ended | Left::Released => return Ok(Worked::Off),
                // Something may have been decided while it parked: then it is in the queue again.
                Left::Parked if is_queued(station, id).await? => {}
                Left::Parked => return Ok(Worked::Parked),
                Left::Crowded => {
                    // Room that is made before this is seen when it looks by itself.
                    woken(signals, &mut station.store().wakes()).await;
                }
                Left::Waiting(children) => {
                    // Every child to its end, also beside one that fails: a dropped one would look killed.
                    let children =
                        children.into_iter().map(|child| work_off(station, child, signals, Held::Wait));
                    let worked = futures::future::join_all(children).await;
                    if worked.into_iter().collect::<Result<Vec<Worked>>>()?.contains(&Worked::Parked) {
                        return Ok(Worked::Parked);
                    }
                    kept = None;
                }
            }
        }
    }
    .boxed()
}

/// Waits until there may be room, or the run or this process is to end; it is looked again in any case.
async fn woken(signals: &Signals, wakes: &mut Wakes) {
    tokio::select! {
        () = signals.stopped() => {}
        _ = tokio::time::timeout(LOOK_EVERY, wakes.next()) => {}
    }
}

async fn is_queued(station: &Station, id: RunId) -> Result<bool> {
    Ok(station.store().run(id).await?.is_some_and(|run| run.status == Status::Queued))
}

/// Drives a claimed run until it ends, parks, or its lease is lost.
///
/// # Errors
/// The store's, and the loss of the lease.
pub(crate) async fn drive_claimed(
    station: &Station,
    run: &Run,
    lease: &Lease,
    signals: &Signals,
) -> Result<Left> {
    let (agent, environment) = (&run.agent_name, &run.environment_name);
    // What this drive of it does is told under a place of its own in the trace.
    // A request that cannot be read is refused where the run is driven, and let go of as everything else.
    let above = RunRequest::of(run).ok().and_then(|request| request.trace);
    let trace = above.map(|trace| trace.at(Clock::effect_id().0));
    let (trace_id, span_id) = (trace.map(|trace| trace.id()), trace.map(|trace| trace.span_id()));
    let parent_id = above.map(|trace| trace.span_id());
    let span = tracing::info_span!("run", run = %run.id, agent, environment, trace_id, span_id, parent_id);
    drive_to_rest(station, (run, trace), lease, signals).instrument(span).await
}

async fn drive_to_rest(
    station: &Station,
    (run, trace): (&Run, Option<Trace>),
    lease: &Lease,
    signals: &Signals,
) -> Result<Left> {
    let _driven = station.driving().enter(run.id, signals);
    station.pool().take_up_run(run.id);
    let left = tokio::select! {
        // First, so that a run whose end is committed has ended, whatever a renewal says that raced it.
        biased;
        left = drive(station, (run, trace), lease, signals) => left,
        lost = lease.keep(station, signals) => Err(lost),
    };
    match &left {
        // Sub-agents are joined soon.
        Ok(Left::Waiting(_)) => {}
        // A run that waits for a person may do so for weeks, or be answered at once.
        Ok(Left::Parked) => station.pool().leave_run(run.id),
        Ok(Left::Ended | Left::Crowded | Left::Released) | Err(_) => station.pool().end_run(run.id).await,
    }
    if let Err(error) = &left {
        let_go(station, run.id, lease, error).await;
    }
    if matches!(left, Ok(Left::Ended))
        && let Err(error) = station.discover_changed(run.environment).await
    {
        tracing::warn!(run = %run.id, %error, "changed tools were not listed anew");
    }
    left
}

/// Gives a run back that could not be driven on. Where the store was away, this driver too slow, or what it wanted to commit out of date
/// (a standing yes was revoked in the last moment), the next who claims it tries again; anything else would only happen again, and waits
/// for a person.
pub(crate) async fn let_go(station: &Station, run: RunId, lease: &Lease, error: &Error) {
    let is_late = lease.check().is_err();
    let is_passing = is_late || is_hiccup(error) || error.kind() == Kind::Conflict;
    let on = (!is_passing).then(|| WaitsOn::new(WaitKind::Fault, error));
    let gone = station.store().let_go(run, lease.fence(), on.as_ref(), station.now()).await;
    if let Err(error) = gone {
        tracing::debug!(%run, %error, "its lease was not given back; it lapses");
    }
}

/// What became of a claim by id.
pub(crate) enum Ours {
    Claimed(Box<(Run, Lease)>),
    Ended,
    Held(LeaseInfo),
    /// A limit keeps it, in words.
    Full(String),
}

/// Claims one run under a new fence. One that somebody asked to end is kept by no limit.
pub(crate) async fn claim(station: &Station, id: RunId, limits: Limits) -> Result<Ours> {
    let store = station.store();
    let gone = || Error::not_found(format!("run {id} does not exist"));
    let mut run = store.run(id).await?.ok_or_else(gone)?;
    let dead = run.lease.as_ref().filter(|lease| is_dead(lease));
    let before = match dead {
        Some(lease) => {
            outlive_children(&lease.owner).await?;
            Before::Gone(lease.fence)
        }
        None => Before::Unsure,
    };
    let dead = dead.map(|lease| lease.fence);
    let asked_at = station.since_boot();
    let at_once = match limits {
        Limits::Hold if run.cancel_requested_by.is_none() => station.at_once(),
        Limits::Hold | Limits::Lifted => &Concurrency::UNLIMITED,
    };
    let now = station.now();
    match store.claim_within(at_once, id, (&owner(station)?, millis(LEASE), dead), now).await? {
        Claim::Claimed { fence, .. } => {
            // As the claim wrote it, after the row was read.
            run.started_at.get_or_insert(now);
            Ok(Ours::Claimed(Box::new((run, Lease::new(station, id, fence, asked_at, before)))))
        }
        Claim::Final(_) => Ok(Ours::Ended),
        Claim::NotFound => Err(gone()),
        Claim::Held(lease) => Ok(Ours::Held(lease)),
        Claim::Full(bound, most) => Ok(Ours::Full(at_once::in_words(&bound, most))),
    }
}

/// Whether the process that holds `lease` ran on this host, among processes that we can see, and is gone: it was
/// killed, so nobody needs to wait for the lease to lapse.
pub(crate) fn is_dead(lease: &LeaseInfo) -> bool {
    is_gone(&lease.owner)
}

/// Whether a process of this host, among those that we can see, is gone. Of what is not known it is not said.
pub(crate) fn is_gone(owner: &Owner) -> bool {
    owner.pid != 0 && host() == Some(owner.host.as_str()) && process_of(owner).is_gone()
}

fn process_of(owner: &Owner) -> Process {
    Process { pid: owner.pid, start: owner.pid_start }
}

/// Waits until nothing is left of the children of a Station that is gone: their shims see its end and kill them, which
/// takes milliseconds. A call that it sent is then at work nowhere any more.
///
/// # Errors
/// `Busy` where they do not end; the run stays as it is.
async fn outlive_children(owner: &Owner) -> Result<()> {
    let waited = std::time::Instant::now();
    loop {
        let shims = process_of(owner)
            .shims()
            .map_err(|cause| Error::internal("looking for children of a Station that is gone", cause))?;
        if shims.is_empty() {
            return Ok(());
        }
        if waited.elapsed() > CHILDREN_END_MAX {
            return Err(Error::new(
                Kind::Busy,
                format!("tool servers of {}, which is gone, are still ending", owner.worker),
            )
            .with_hint("try again; `ps` shows them by `__shim`"));
        }
        tokio::time::sleep(CHILDREN_LOOK_EVERY).await;
    }
}

/// Whether the process that drove a run last, by its journal, ran on this host and is gone with all of its children: then
/// what it sent is at work nowhere any more. Asked of the journal, because the row names who drives now.
pub(crate) async fn outlived(journal: &[Entry]) -> bool {
    let last = journal.iter().rev().find_map(|entry| match &entry.event {
        Event::Adopted { process, worker, .. } => Some((process.as_ref()?, worker)),
        _ => None,
    });
    let Some((process, worker)) = last.filter(|(process, _)| host() == Some(process.host.as_str())) else {
        return false;
    };
    let owner = Owner {
        worker: worker.clone(),
        host: process.host.clone(),
        pid: process.pid,
        pid_start: process.pid_start,
    };
    process_of(&owner).is_gone() && outlive_children(&owner).await.is_ok()
}

/// The fence of who drove a run last: what is out was sent under it. Who claimed the run after that may have died without a word.
pub(crate) fn last_driver(journal: &[Entry]) -> Option<Fence> {
    journal.iter().rev().find_map(|entry| match &entry.event {
        Event::Adopted { fence, .. } => Some(*fence),
        _ => None,
    })
}

/// This process, as a journal names it.
pub(crate) fn own_process(station: &Station) -> Result<DriverProcess> {
    let Owner { host, pid, pid_start, .. } = owner(station)?;
    Ok(DriverProcess { host, pid, pid_start })
}

pub(crate) fn owner(station: &Station) -> Result<Owner> {
    let own = own().ok_or_else(|| Error::internal("reading our own entry in /proc", "not there"))?;
    let host = host().ok_or_else(|| Error::internal("reading the boot id", "not there"))?;
    Ok(Owner {
        worker: station.config().worker.clone(),
        host: host.to_owned(),
        pid: own.pid,
        pid_start: own.start,
    })
}

/// Asked once: neither changes while the process lives.
fn own() -> Option<Process> {
    static OWN: OnceLock<Option<Process>> = OnceLock::new();
    *OWN.get_or_init(Process::own)
}

/// One boot of one host, and one namespace of process ids in it: a process id means nothing beyond these. Two containers
/// of one host share the boot and not the processes.
fn host() -> Option<&'static str> {
    static HOST: OnceLock<Option<String>> = OnceLock::new();
    let read = || {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
        Some(format!("{} {}", boot.trim(), namespace.display()))
    };
    HOST.get_or_init(read).as_deref()
}

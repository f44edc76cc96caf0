//! Drives a run in front of a person: events while it runs, Ctrl-C, and how it ended.

use crate::error::{Code, Failure, Result};
use crate::follow::{Tell, follow_on};
use crate::narrate::{Detail, Narrator, duration, plural, tokens, wait};
use crate::out::Tone;
use crate::session::Session;
use crate::waits;
use station_core::budget::Amounts;
use station_core::run::{Event, Outcome, Status, WaitKind};
use station_core::{Error, Kind, RunId};
use station_engine::{From, Run, Station};
use station_server::wire;
use std::collections::HashMap;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How a run is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drive {
    /// Here, for the first time.
    New,
    /// Here, for the first time, after steps that another run took.
    Fork,
    /// Here, on from where it was interrupted, after something was added to its budget, or nothing.
    Resume(Amounts),
    /// By a worker that is there.
    Handed(From),
}

/// Where a run that is started, or gone on with, is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct Where {
    /// Drive the run here, also where a worker (`stn serve`) has this store open
    #[arg(long)]
    local: bool,
}

impl Where {
    /// The names of workers that a run can be handed to; none where it is to be driven here.
    ///
    /// # Errors
    /// The engine's.
    pub(crate) async fn workers(self, station: &Station) -> Result<Vec<String>> {
        Ok(if self.local { Vec::new() } else { station.find_workers().await? })
    }
}

/// Says to whom run `id` was handed.
pub(crate) fn tell_handed(
    session: &Session<'_>,
    station: &Station,
    id: RunId,
    workers: &[String],
    tell: Tell,
) {
    let named = workers.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
    let others = match workers.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let noun = if workers.len() == 1 { "worker" } else { "workers" };
    session.out.note(Tone::Quiet, &format!("Handed run {id} to {noun} {named}{others}."));
    if tell == Tell::Text && !station.follows_text() {
        session
            .out
            .hint("what models say is told when they have said it: it is not followed through PostgreSQL");
    }
}

/// Workers told by name: any of them may take the run up.
const NAMED_MAX: usize = 3;

/// Whether a person asked to stop while it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    No,
    Yes,
}

/// Drives run `id` to its end, tells it, prints its answer, and chooses the exit code.
///
/// # Errors
/// The engine's; `Interrupted` at the second Ctrl-C.
pub(crate) async fn attend(
    session: &Session<'_>,
    station: &Station,
    id: RunId,
    drive: Drive,
    tell: Tell,
) -> Result {
    let stop = CancellationToken::new();
    let work = async {
        match drive {
            Drive::New | Drive::Fork => station.work_off(id, stop.clone()).await,
            Drive::Resume(added) => station.resume_run_adding(&session.by, id, added, stop.clone()).await,
            Drive::Handed(from) => station.attend_run(&session.by, id, from, stop.clone()).await,
        }
    };
    if !matches!(drive, Drive::Handed(_)) {
        session.out.note(Tone::Quiet, &format!("Driving run {id} here."));
    }
    let doing = format!("run {id} is working");
    let told = told(session, station, id, drive).await?;
    let followed = follow_on(session.out, station, tell, &doing, told, work);
    let (run, stopped) = heeding_signals(session, &stop, followed).await?;
    let run = run.map_err(|error| with_way_on(error, id, drive))?;
    let code = report(session, station, &run).await?;
    Ok(if stopped == Stopped::Yes && code == Code::RunFailed { Code::Interrupted } else { code })
}

/// A run whose driving failed is kept as far as it came: the error says how to go on with it.
fn with_way_on(error: Error, id: RunId, drive: Drive) -> Error {
    let is_ours = matches!(error.kind(), Kind::Busy | Kind::Internal | Kind::Timeout | Kind::Upstream);
    match drive {
        Drive::New | Drive::Fork => error.with_hint(going_on(id)),
        // What is refused (it is no run, it has ended) would be refused again.
        Drive::Resume(_) if is_ours => error.with_hint(going_on(id)),
        Drive::Resume(_) => error,
        Drive::Handed(_) if is_ours => {
            error.with_hint(format!("the worker drives it on: see it with `stn runs follow {id}`"))
        }
        Drive::Handed(_) => error,
    }
}

fn going_on(id: RunId) -> String {
    format!("what happened until then is kept: go on with `stn runs resume {id}`")
}

/// What was told of a run that goes on: its turns and what was out are known.
pub(crate) async fn told(
    session: &Session<'_>,
    station: &Station,
    id: RunId,
    drive: Drive,
) -> Result<HashMap<RunId, Narrator>> {
    if matches!(drive, Drive::New | Drive::Handed(From::Beginning)) {
        return Ok(HashMap::new());
    }
    let mut narrator = Narrator::new(id, Detail::Brief);
    for entry in &station.show_run(&session.by, id).await?.journal {
        // Only its memory is wanted here, and how a fork begins.
        let lines = narrator.entry(entry);
        if drive == Drive::Fork && matches!(entry.event, Event::RunStarted(_)) {
            lines.iter().for_each(|line| session.out.note(line.tone, &line.text));
        }
    }
    Ok(HashMap::from([(id, narrator)]))
}

/// Does `work`; the first Ctrl-C cancels `stop`, the second ends at once.
pub(crate) async fn heeding_signals<T>(
    session: &Session<'_>,
    stop: &CancellationToken,
    work: impl Future<Output = T>,
) -> Result<(T, Stopped)> {
    let internal = |cause| station_core::Error::internal("listening for Ctrl-C", cause);
    let mut interrupts = signal(SignalKind::interrupt()).map_err(internal)?;
    let mut terminations = signal(SignalKind::terminate()).map_err(internal)?;
    tokio::pin!(work);
    let mut stopped = Stopped::No;
    loop {
        tokio::select! {
            done = &mut work => return Ok((done, stopped)),
            _ = interrupts.recv() => match stopped {
                Stopped::Yes => return Err(Failure::Interrupted),
                Stopped::No => {
                    stopped = Stopped::Yes;
                    stop.cancel();
                    session.out.note(Tone::Bad, "Stopping; what happened is kept. Ctrl-C again ends at once.");
                }
            },
            _ = terminations.recv() => stop.cancel(),
        }
    }
}

/// Prints how a run ended.
pub(crate) async fn report(session: &Session<'_>, station: &Station, run: &Run) -> Result {
    let out = session.out;
    let code = code(run.status);
    let failure = failure(session, station, run).await?;
    if out.is_json() {
        let budgets = station.run_budgets(&[run.id]).await?;
        let told = wire::Run::new(run, station.is_interrupted(run)).with_budget(budgets.get(&run.id));
        out.json(&wire::RunReport { run: told, error: failure })?;
        return Ok(code);
    }
    let summary = summary(run);
    match run.status {
        Status::Completed => {
            out.note(Tone::Good, &summary);
            out.answer(run.answer.as_deref().unwrap_or_default())?;
        }
        Status::Failed | Status::Cancelled | Status::TimedOut => {
            out.note(Tone::Quiet, &summary);
            failure.into_iter().for_each(|error| out.error(&wire::Error { error }, &[]));
        }
        Status::Queued | Status::Running | Status::Waiting => {
            let on = wait(run, station.config().clock.now()).unwrap_or_else(|| "a person".to_owned());
            out.note(Tone::Bad, &format!("run {} waits for {on}", run.id));
            for hint in waits::of_tree(session, station, run).await? {
                out.hint(&hint);
            }
            if !run.waits_on_kind().is_some_and(WaitKind::is_limit) {
                out.hint(&format!(
                    "go on with `stn runs resume {}`; a running `stn serve` does so by itself",
                    run.id
                ));
            }
        }
    }
    Ok(code)
}

/// What there is to say of a run that ended otherwise than with an answer.
async fn failure(session: &Session<'_>, station: &Station, run: &Run) -> Result<Option<wire::ErrorBody>> {
    if code(run.status) != Code::RunFailed {
        return Ok(None);
    }
    let why = run.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    let message = format!("run {} {}{why}", run.id, word(run.status));
    let mut hints = failure_hints(session, station, run.id).await?;
    hints.push(format!("see what happened with `stn runs inspect {}`", run.id));
    Ok(Some(wire::ErrorBody { kind: "run", message, hints, retry_after_s: None, request_id: None }))
}

/// What a run that failed said to try.
async fn failure_hints(session: &Session<'_>, station: &Station, id: RunId) -> Result<Vec<String>> {
    let details = station.show_run(&session.by, id).await?;
    Ok(match details.journal.last().map(|entry| &entry.event) {
        Some(Event::RunEnded { outcome: Outcome::Failed { hints, .. } }) => hints.clone(),
        _ => Vec::new(),
    })
}

/// `run 3 completed in 1.2 s: 2 steps, 1 tool call, 210 tokens in, 14 out`.
pub(crate) fn summary(run: &Run) -> String {
    let span = run.ended_at.zip(run.started_at).map(|(ended, started)| ended.ms_since(started));
    let span = span.map(|ms| format!(" in {}", duration(ms))).unwrap_or_default();
    let mut facts = vec![plural(run.steps, "step"), plural(run.tool_calls, "tool call")];
    facts.extend(tokens(&run.usage));
    format!("run {} {}{span} ({})", run.id, word(run.status), facts.join(", "))
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Completed => "completed",
        Status::Failed => "failed",
        Status::Cancelled => "was cancelled",
        Status::TimedOut => "took longer than it may",
        Status::Queued => "waits for a worker",
        Status::Running => "is running",
        Status::Waiting => "waits",
    }
}

fn code(status: Status) -> Code {
    match status {
        Status::Completed => Code::Done,
        Status::Failed | Status::Cancelled | Status::TimedOut => Code::RunFailed,
        Status::Queued | Status::Running | Status::Waiting => Code::Waiting,
    }
}

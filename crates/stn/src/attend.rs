//! Drives a run in front of a person: events while it runs, Ctrl-C, and how it ended.

use crate::at::At;
use crate::error::{Code, Failure, Result};
use crate::follow::{Source, Tell, follow_on};
use crate::narrate::{Detail, Line, Narrator, duration, plural, tokens, wait};
use crate::out::Tone;
use crate::remote::only_option;
use crate::session::Session;
use crate::waits;
use serde_json::json;
use station_core::budget::Amounts;
use station_core::run::{Entry, Event, Outcome, Status, WaitKind};
use station_core::{Error, Kind, RunId};
use station_engine::{Clock, From, Station};
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
    /// Refuses to drive a run here that is a server's.
    ///
    /// # Errors
    /// `Invalid`.
    pub(crate) fn check_there(self) -> Result<()> {
        match self.local {
            true => Err(only_option("--local", "a server drives its runs itself").into()),
            false => Ok(()),
        }
    }

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
    let followed = follow_on(session.out, Source::Station(station.watch()), tell, &doing, told, work);
    let (run, stopped) = heeding_signals(session, &stop, followed).await?;
    run.map_err(|error| with_way_on(error, id, drive))?;
    report_stopped(session, At::Here(station), id, stopped).await
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
    let details = station.show_run(&session.by, id).await?;
    // Only its memory is wanted here, and how a fork begins.
    Ok(narrators(id, &details.journal, |line| {
        if drive == Drive::Fork {
            session.out.note(line.tone, &line.text);
        }
    }))
}

/// What is known of run `id` after `entries`; how it began is `told`.
pub(crate) fn narrators(id: RunId, entries: &[Entry], told: impl Fn(&Line)) -> HashMap<RunId, Narrator> {
    let mut narrator = Narrator::new(id, Detail::Brief);
    for entry in entries {
        let lines = narrator.entry(entry);
        if matches!(entry.event, Event::RunStarted(_)) {
            lines.iter().for_each(&told);
        }
    }
    HashMap::from([(id, narrator)])
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

/// Does `work`, which a Ctrl-C ends at once.
///
/// # Errors
/// `Interrupted` at a Ctrl-C; `Internal` where none can be heard.
pub(crate) async fn until_interrupted<T>(work: impl Future<Output = T>) -> Result<T> {
    let cannot = |cause| Error::internal("listening for Ctrl-C", cause);
    let mut interrupts = signal(SignalKind::interrupt()).map_err(cannot)?;
    tokio::select! {
        done = work => Ok(done),
        _ = interrupts.recv() => Err(Failure::Interrupted),
    }
}

/// Says the id of run `run`, which is left in a queue, and by `hint` how it goes on.
///
/// # Errors
/// Where it cannot be printed.
pub(crate) fn tell_left(session: &Session<'_>, run: &wire::Run, hint: &str) -> Result {
    if session.out.is_json() {
        session.out.json(&json!({ "run": run }))?;
        return Ok(Code::Done);
    }
    session.out.answer(&run.id.to_string())?;
    session.out.hint(hint);
    Ok(Code::Done)
}

/// As [`report`]; a run that failed because somebody asked for its end was interrupted.
pub(crate) async fn report_stopped(session: &Session<'_>, at: At<'_>, id: RunId, stopped: Stopped) -> Result {
    let code = report(session, at, id).await?;
    Ok(if stopped == Stopped::Yes && code == Code::RunFailed { Code::Interrupted } else { code })
}

/// Prints how a run ended, or what it waits for.
pub(crate) async fn report(session: &Session<'_>, at: At<'_>, id: RunId) -> Result {
    let details = at.show_run(&session.by, id).await?;
    let (out, run) = (session.out, &details.run);
    let status = run.recorded();
    let code = code(status);
    let failure = failure(&details);
    if out.is_json() {
        out.json(&wire::RunReport { run: details.run, error: failure })?;
        return Ok(code);
    }
    let summary = summary(run);
    match status {
        Status::Completed => {
            out.note(Tone::Good, &summary);
            out.answer(run.answer.as_deref().unwrap_or_default())?;
        }
        Status::Failed | Status::Cancelled | Status::TimedOut => {
            out.note(Tone::Quiet, &summary);
            failure.into_iter().for_each(|error| out.error(&wire::Error { error }, &[]));
        }
        Status::Queued | Status::Running | Status::Waiting => {
            let on = wait(run, Clock::System.now()).unwrap_or_else(|| "a person".to_owned());
            out.note(Tone::Bad, &format!("run {id} waits for {on}"));
            for hint in waits::of_tree(session, at, &details).await? {
                out.hint(&hint);
            }
            let kind = run.waiting_kind.as_deref().and_then(WaitKind::from_word);
            if !kind.is_some_and(WaitKind::is_limit) {
                out.hint(&format!(
                    "go on with `stn runs resume {id}`; a running `stn serve` does so by itself"
                ));
            }
        }
    }
    Ok(code)
}

/// What there is to say of a run that ended otherwise than with an answer, and what it said to try.
fn failure(details: &wire::RunDetails) -> Option<wire::ErrorBody> {
    let run = &details.run;
    if code(run.recorded()) != Code::RunFailed {
        return None;
    }
    let why = run.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
    let message = format!("run {} {}{why}", run.id, word(run.recorded()));
    let mut hints = match details.journal.last().and_then(wire::Entry::read).map(|entry| entry.event) {
        Some(Event::RunEnded { outcome: Outcome::Failed { hints, .. } }) => hints,
        _ => Vec::new(),
    };
    hints.push(format!("see what happened with `stn runs inspect {}`", run.id));
    Some(wire::ErrorBody { kind: "run".into(), message, hints, retry_after_s: None, request_id: None })
}

/// `run 3 completed in 1.2 s: 2 steps, 1 tool call, 210 tokens in, 14 out`.
pub(crate) fn summary(run: &wire::Run) -> String {
    let span = run.duration_ms.map(|ms| format!(" in {}", duration(ms))).unwrap_or_default();
    let mut facts = vec![plural(run.steps, "step"), plural(run.tool_calls, "tool call")];
    facts.extend(tokens(&run.usage));
    format!("run {} {}{span} ({})", run.id, word(run.recorded()), facts.join(", "))
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

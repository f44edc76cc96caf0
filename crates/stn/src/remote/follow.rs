//! A run of a server in front of a person: followed as one that a worker of this machine drives.

use super::Server;
use super::events::{Events, Told};
use crate::at::At;
use crate::attend::{
    Stopped, heeding_signals, narrators, report, report_stopped, tell_left, until_interrupted,
};
use crate::cmd::agent::Handed;
use crate::error::Result;
use crate::follow::{Source, Tell, follow_on};
use crate::narrate::Narrator;
use crate::out::Tone;
use crate::session::Session;
use serde_json::{Value, json};
use station_core::{Error, Kind, RunId};
use station_engine::{Live, Seen};
use station_server::wire;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Events that wait to be told: whoever tells them is quick.
const UNTOLD_MAX: usize = 256;

/// Sees a run to its end, tells it, prints its answer, and chooses the exit code. Ctrl-C cancels the run.
///
/// # Errors
/// The server's; `Interrupted` at the second Ctrl-C.
pub(crate) async fn attend(
    session: &Session<'_>,
    server: &Server,
    run: &wire::Run,
    begun: Begun,
    tell: Tell,
) -> Result {
    let stopped = heard(session, server, run, ("working", tell), begun).await?;
    report_stopped(session, At::There(server), RunId(run.id), stopped).await
}

/// Hears on in a run that is known to have waited as `waiting`, to its end or to what it waits for then, without a report. Ctrl-C cancels
/// it.
///
/// # Errors
/// As [`attend`].
pub(crate) async fn to_its_end(
    session: &Session<'_>,
    server: &Server,
    waiting: &wire::RunDetails,
) -> Result<wire::RunDetails> {
    let run = &waiting.run;
    heard(session, server, run, ("carried out", Tell::Events), Begun::of(waiting)).await?;
    At::There(server).show_run(&session.by, RunId(run.id)).await
}

/// Hears a run until it ends or waits, and tells it. Ctrl-C cancels it.
async fn heard(
    session: &Session<'_>,
    server: &Server,
    run: &wire::Run,
    (doing, tell): (&str, Tell),
    begun: Begun,
) -> Result<Stopped> {
    let stop = CancellationToken::new();
    let work = listen(server, run, begun.after, Some(&stop));
    let followed = told(session, run, doing, begun, tell, work);
    let (done, stopped) = heeding_signals(session, &stop, followed).await?;
    done.map_err(|error| with_way_on(error, server, RunId(run.id)))?;
    Ok(stopped)
}

/// Follows a run from its first entry to its end. Ctrl-C ends the following, and not the run.
///
/// # Errors
/// The server's; `Interrupted` at a Ctrl-C.
pub(crate) async fn follow(session: &Session<'_>, server: &Server, id: RunId, tell: Tell) -> Result {
    let at = At::There(server);
    let run = at.show_run(&session.by, id).await?.run;
    let work = listen(server, &run, 0, None);
    let following = told(session, &run, "followed", Begun::default(), tell, work);
    until_interrupted(following).await??;
    report(session, at, id).await
}

/// Tells a run that was put in the queue of a server: follows it, or says its id.
///
/// # Errors
/// The server's.
pub(crate) async fn handed(
    session: &Session<'_>,
    server: &Server,
    run: &wire::Run,
    handed: Handed,
) -> Result {
    let (id, address) = (run.id, &server.address);
    if let Handed::Followed(tell) = handed {
        session.out.note(Tone::Quiet, &format!("Handed run {id} to {address}."));
        return attend(session, server, run, Begun::default(), tell).await;
    }
    tell_left(session, run, &format!("follow it with `stn runs follow {id} --server {address}`"))
}

/// From where a run is told: its first entry, unless more is known of it.
#[derive(Default)]
pub(crate) struct Begun {
    after: i64,
    /// What is known of it already.
    told: HashMap<RunId, Narrator>,
}

impl Begun {
    /// From now on. What is asked of the run afterwards is told.
    ///
    /// # Errors
    /// `NotFound`; the server's.
    pub(crate) async fn now(session: &Session<'_>, server: &Server, id: RunId) -> Result<Self> {
        Ok(Self::of(&At::There(server).show_run(&session.by, id).await?))
    }

    /// From what `details` know on.
    fn of(details: &wire::RunDetails) -> Self {
        let after = details.journal.last().map_or(0, |entry| entry.seq);
        Self { after, told: narrators(RunId(details.run.id), &details.entries(), |_| {}) }
    }
}

/// What is heard, on its way to whoever tells it, and the work of hearing it.
struct Heard<W> {
    live: mpsc::Receiver<Arc<Live>>,
    work: W,
}

/// Tells what is heard of `run` while it is heard.
async fn told<W: Future<Output = Result<(), Error>>>(
    session: &Session<'_>,
    run: &wire::Run,
    doing: &str,
    begun: Begun,
    tell: Tell,
    heard: Heard<W>,
) -> Result<(), Error> {
    let doing = format!("run {} is {doing}", run.id);
    let source = Source::Server(heard.live);
    follow_on(session.out, source, tell, &doing, begun.told, heard.work).await
}

/// Listens to `run` until it is over or parked. Where `stop` is cancelled, the run is.
fn listen(
    server: &Server,
    run: &wire::Run,
    after: i64,
    stop: Option<&CancellationToken>,
) -> Heard<impl Future<Output = Result<(), Error>>> {
    let (outlet, live) = mpsc::channel(UNTOLD_MAX);
    let work = async move {
        let id = RunId(run.id);
        let mut events = Events::of(server, id, after)?;
        let mut asked_to_end = stop.is_none();
        loop {
            let stopped = async {
                match stop {
                    Some(stop) => stop.cancelled().await,
                    None => std::future::pending().await,
                }
            };
            let told = tokio::select! {
                told = events.next() => told?,
                () = stopped, if !asked_to_end => {
                    asked_to_end = true;
                    cancel(server, id).await?;
                    continue;
                }
            };
            let seen = match told {
                Told::End | Told::Parked => return Ok(()),
                Told::Text(text) => Seen::Text(text),
                Told::Away(words) => Seen::Hands(words),
                Told::Entry(entry) => match entry.read() {
                    Some(entry) => Seen::Journal(Box::new(entry)),
                    None => {
                        Seen::Hands("something happened that this version of `stn` does not know".to_owned())
                    }
                },
            };
            let live = Live { run: id, depth: 0, agent: run.agent.clone(), seen };
            // Nobody hears it only where nobody waits for this any more.
            drop(outlet.send(Arc::new(live)).await);
        }
    };
    Heard { live, work }
}

/// Asks for the end of a run; one that has ended meanwhile is as good.
async fn cancel(server: &Server, id: RunId) -> Result<(), Error> {
    match server.ask::<Value>("cancel_run", json!({ "run": id.0 })).await {
        Err(error) if error.kind() != Kind::Conflict => Err(error),
        _ => Ok(()),
    }
}

/// A run is driven on, whoever follows it.
fn with_way_on(error: Error, server: &Server, id: RunId) -> Error {
    match error.kind() {
        Kind::Upstream | Kind::Timeout | Kind::Busy => error.with_hint(format!(
            "it is driven on there: see it with `stn runs follow {id} --server {}`",
            server.address
        )),
        _ => error,
    }
}

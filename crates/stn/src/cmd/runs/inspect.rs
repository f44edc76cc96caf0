//! `stn runs inspect`

use crate::attend::summary;
use crate::error::{Code, Result};
use crate::narrate::{Detail, Line, Narrator, cut, cut_lines, duration, moment, wait};
use crate::out::{Tone, shown};
use crate::session::Session;
use crate::waits;
use station_core::budget::Measure;
use station_core::run::{Event, Status};
use station_core::{Micros, RunId};
use station_engine::Clock;
use station_server::wire;

/// Lines of the task, and of an answer, that are shown without `--full`.
const LINES: usize = 12;

/// Show what happened in a run, step by step
///
/// Each line begins with the time since the run's start. Long texts are cut; `--full` shows them whole.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id
    run: RunId,
    /// Show arguments, results and texts whole
    #[arg(long)]
    full: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let details = at.show_run(&session.by, self.run).await?;
                if session.out.is_json() {
                    session.out.json(&details)?;
                    return Ok(Code::Done);
                }
                let detail = if self.full { Detail::Full } else { Detail::Some };
                session.out.lines(&lines(&details, detail, Clock::System.now()))?;
                for hint in hints(&details) {
                    session.out.hint(&hint);
                }
                Ok(Code::Done)
            })
            .await
    }
}

fn lines(details: &wire::RunDetails, detail: Detail, now: Micros) -> Vec<(Tone, String)> {
    let run = &details.run;
    let mut lines = header(run, detail, now);
    lines.push((Tone::Plain, String::new()));
    let mut narrator = Narrator::new(RunId(run.id), detail);
    let journal = details.entries();
    let start = journal.first().map(|entry| entry.at);
    // How it ended stands below the timeline.
    for entry in journal.iter().filter(|entry| !matches!(entry.event, Event::RunEnded { .. })) {
        let offset = duration(start.map_or(0, |start| entry.at.ms_since(start)));
        for (at, line) in narrator.entry(entry).into_iter().enumerate() {
            lines.push(timed(if at == 0 { &offset } else { "" }, &line));
        }
    }
    for what in narrator.still_out() {
        let end = if run.is_interrupted() { "was out when Station went away" } else { "is out" };
        lines.push((Tone::Bad, format!("{:>10}  {what} {end}", "")));
    }
    lines.push((Tone::Plain, String::new()));
    lines.extend(ending(run, detail));
    lines.extend(run.budget.iter().flat_map(spent));
    lines.extend(
        details
            .children
            .iter()
            .map(|child| (Tone::Plain, format!("  sub-agent `{}`: {}", child.agent, summary(child)))),
    );
    lines
}

fn header(run: &wire::Run, detail: Detail, now: Micros) -> Vec<(Tone, String)> {
    let status = &run.status;
    let tone = match run.recorded() {
        Status::Completed => Tone::Good,
        Status::Queued | Status::Running | Status::Waiting if !run.is_interrupted() => Tone::Plain,
        _ => Tone::Bad,
    };
    let mut lines =
        vec![(tone, format!("Run {} of `{}` in `{}`: {status}", run.id, run.agent, run.environment))];
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push((Tone::Plain, format!("  {name:<8} {value}")));
        }
    };
    let task = if detail == Detail::Full { shown(&run.task) } else { cut(&run.task, 200) };
    row("task", task.replace('\n', "\n           "));
    row("model", run.model.clone().unwrap_or_default());
    row("created", format!("{} UTC", moment(&run.created_at)));
    row(
        "fork of",
        run.forked_from.map(|from| format!("run {}, step {}", from.run_id, from.step)).unwrap_or_default(),
    );
    row("parent", run.parent_id.map(|parent| format!("run {parent}")).unwrap_or_default());
    row("waits on", wait(run, now).filter(|_| !run.is_interrupted()).unwrap_or_default());
    lines
}

fn ending(run: &wire::Run, detail: Detail) -> Vec<(Tone, String)> {
    let mut lines = Vec::new();
    let tone = if run.recorded() == Status::Completed { Tone::Good } else { Tone::Bad };
    let text = if run.is_interrupted() { format!("run {} was interrupted", run.id) } else { summary(run) };
    lines.push((tone, text));
    if let Some(error) = &run.error {
        lines.push((Tone::Bad, format!("  {}", shown(error))));
    }
    let most = if detail == Detail::Full { usize::MAX } else { LINES };
    let answer =
        run.answer.as_deref().map(|answer| cut_lines(&shown(answer), most, usize::MAX)).unwrap_or_default();
    lines.extend(answer.into_iter().map(|line| (Tone::Plain, format!("  {line}").trim_end().to_owned())));
    lines
}

/// What a run has spent of its own limits, measure by measure.
fn spent(budget: &wire::Spent) -> Vec<(Tone, String)> {
    let of_measure = |measure: Measure| {
        let measured = budget.of(measure);
        let cap = measured.limit?;
        let reserved = measured.reserved.unwrap_or(0);
        let reserved =
            if reserved == 0 { String::new() } else { format!(", {} reserved", measure.show(reserved)) };
        let spent = measure.show(measured.spent.unwrap_or(0));
        Some((Tone::Plain, format!("  budget: {spent} of {}{reserved}", measure.show(cap))))
    };
    Measure::ALL.into_iter().filter_map(of_measure).collect()
}

fn timed(offset: &str, line: &Line) -> (Tone, String) {
    let text = format!("{offset:>10}  {}{}", "  ".repeat(line.depth), shown(&line.text));
    (line.tone, text.trim_end().to_owned())
}

fn hints(details: &wire::RunDetails) -> Vec<String> {
    let run = &details.run;
    let mut hints = Vec::new();
    hints.extend(waits::of_run(details));
    if !hints.is_empty() {
        return hints;
    }
    let status = run.recorded();
    if run.is_interrupted() || matches!(status, Status::Queued | Status::Waiting) {
        let root = run.parent_id.filter(|_| !status.is_final()).unwrap_or(run.id);
        hints.push(format!("drive it on with `stn runs resume {root}`"));
    }
    if let Some(child) = details.children.first() {
        hints.push(format!("look at a sub-agent's run with `stn runs inspect {}`", child.id));
    }
    hints
}

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
use station_engine::{Run, RunBudget, RunDetails};
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
            .with(async |station| {
                let details = station.show_run(&session.by, self.run).await?;
                if session.out.is_json() {
                    session.out.json(&wire::RunDetails::new(&details, |run| station.is_interrupted(run)))?;
                    return Ok(Code::Done);
                }
                let detail = if self.full { Detail::Full } else { Detail::Some };
                let now = station.config().clock.now();
                session.out.lines(&lines(&details, detail, now))?;
                for hint in hints(&details) {
                    session.out.hint(&hint);
                }
                Ok(Code::Done)
            })
            .await
    }
}

fn lines(details: &RunDetails, detail: Detail, now: Micros) -> Vec<(Tone, String)> {
    let run = &details.run;
    let mut lines = header(run, details.interrupted, detail, now);
    lines.push((Tone::Plain, String::new()));
    let mut narrator = Narrator::new(run.id, detail);
    let start = details.journal.first().map_or(run.created_at, |entry| entry.at);
    // How it ended stands below the timeline.
    for entry in details.journal.iter().filter(|entry| !matches!(entry.event, Event::RunEnded { .. })) {
        let offset = duration(entry.at.ms_since(start));
        for (at, line) in narrator.entry(entry).into_iter().enumerate() {
            lines.push(timed(if at == 0 { &offset } else { "" }, &line));
        }
    }
    for what in narrator.still_out() {
        let end = if details.interrupted { "was out when Station went away" } else { "is out" };
        lines.push((Tone::Bad, format!("{:>10}  {what} {end}", "")));
    }
    lines.push((Tone::Plain, String::new()));
    lines.extend(ending(run, details.interrupted, detail));
    lines.extend(details.budgets.get(&run.id).into_iter().flat_map(spent));
    lines.extend(
        details
            .children
            .iter()
            .map(|child| (Tone::Plain, format!("  sub-agent `{}`: {}", child.agent_name, summary(child)))),
    );
    lines
}

fn header(run: &Run, interrupted: bool, detail: Detail, now: Micros) -> Vec<(Tone, String)> {
    let status = if interrupted { "interrupted" } else { run.status.as_str() };
    let tone = match run.status {
        Status::Completed => Tone::Good,
        Status::Queued | Status::Running | Status::Waiting if !interrupted => Tone::Plain,
        _ => Tone::Bad,
    };
    let mut lines = vec![(
        tone,
        format!("Run {} of `{}` in `{}`: {status}", run.id, run.agent_name, run.environment_name),
    )];
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push((Tone::Plain, format!("  {name:<8} {value}")));
        }
    };
    let task = if detail == Detail::Full { shown(&run.task) } else { cut(&run.task, 200) };
    row("task", task.replace('\n', "\n           "));
    row("model", run.model.clone().unwrap_or_default());
    row("created", format!("{} UTC", moment(run.created_at)));
    row(
        "fork of",
        run.forked_from.map(|from| format!("run {}, step {}", from.run, from.step)).unwrap_or_default(),
    );
    row("parent", run.parent.map(|parent| format!("run {parent}")).unwrap_or_default());
    row("waits on", wait(run, now).filter(|_| !interrupted).unwrap_or_default());
    lines
}

fn ending(run: &Run, interrupted: bool, detail: Detail) -> Vec<(Tone, String)> {
    let mut lines = Vec::new();
    let tone = if run.status == Status::Completed { Tone::Good } else { Tone::Bad };
    let text = if interrupted { format!("run {} was interrupted", run.id) } else { summary(run) };
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
fn spent(budget: &RunBudget) -> Vec<(Tone, String)> {
    let of_measure = |measure: Measure| {
        let standing = &budget.standing;
        let cap = budget.caps.get(measure)?.saturating_add(standing.added.get(measure));
        let reserved = standing.reserved.get(measure);
        let reserved =
            if reserved == 0 { String::new() } else { format!(", {} reserved", measure.show(reserved)) };
        let spent = measure.show(standing.spent.get(measure));
        Some((Tone::Plain, format!("  budget: {spent} of {}{reserved}", measure.show(cap))))
    };
    Measure::ALL.into_iter().filter_map(of_measure).collect()
}

fn timed(offset: &str, line: &Line) -> (Tone, String) {
    let text = format!("{offset:>10}  {}{}", "  ".repeat(line.depth), shown(&line.text));
    (line.tone, text.trim_end().to_owned())
}

fn hints(details: &RunDetails) -> Vec<String> {
    let run = &details.run;
    let mut hints = Vec::new();
    hints.extend(waits::of_run(details));
    if !hints.is_empty() {
        return hints;
    }
    if details.interrupted || matches!(run.status, Status::Queued | Status::Waiting) {
        let root = run.parent.filter(|_| !run.status.is_final()).unwrap_or(run.id);
        hints.push(format!("drive it on with `stn runs resume {root}`"));
    }
    if let Some(child) = details.children.first() {
        hints.push(format!("look at a sub-agent's run with `stn runs inspect {}`", child.id));
    }
    hints
}

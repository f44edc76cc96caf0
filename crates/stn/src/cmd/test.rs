//! `stn test`

use crate::error::{Code, Result};
use crate::narrate::plural;
use crate::out::Tone;
use crate::session::Session;
use station_core::case::{self, Case, Side, Verdict};
use station_core::{Error, file::Problem};
use station_engine::Station;
use station_server::wire;
use std::path::{Path, PathBuf};

/// The end of a case's file name.
const ENDING: &str = ".case.json";

/// Folders below the named one that are looked into: more is a loop, or no place for cases.
const DEPTH_MAX: usize = 8;

/// Replay recorded cases against the agents as they are now
///
/// The model's answers and the tools' results come from the record (`stn runs record`), everything else is today's: the
/// agent's file, its grants, rules, limits and schema. A case passes where the same calls happen in the same order and the
/// run ends alike; otherwise the difference is shown. Nothing is sent anywhere; neither keys nor a database are needed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A case, or a folder to look for `*.case.json` in; `tests` of each environment's folder if left out
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Fail too where only the prompt, the settings or the tools offered have changed
    #[arg(long)]
    strict: bool,
}

/// One case and what came of it.
struct Tried {
    path: PathBuf,
    case: Option<Case>,
    /// The comparison, or why there is none.
    result: Result<Verdict, Error>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let paths = self.cases(session)?;
        if paths.is_empty() {
            let place = self.path.as_deref().unwrap_or(Path::new("environments/*/tests"));
            return Err(Error::not_found(format!("there are no cases in {}", place.display()))
                .with_hint(
                    "record one with `stn runs record RUN -o environments/default/tests/NAME.case.json`",
                )
                .into());
        }
        let mut all = Vec::new();
        for path in paths {
            let tried = try_case(session, path).await?;
            if !session.out.is_json() {
                self.tell(session, &tried)?;
            }
            all.push(tried);
        }
        let failed = all.iter().filter(|tried| !self.passes(tried)).count();
        if session.out.is_json() {
            let rows: Vec<wire::TriedCase> = all.iter().map(|tried| self.row(tried)).collect();
            session.out.json(&wire::list("cases", &rows))?;
        } else {
            let text =
                format!("{}: {} passed, {failed} failed", plural(all.len(), "case"), all.len() - failed);
            session.out.note(if failed == 0 { Tone::Good } else { Tone::Bad }, &text);
        }
        Ok(if failed == 0 { Code::Done } else { Code::Failed })
    }

    fn passes(&self, tried: &Tried) -> bool {
        let passes = |verdict: &Verdict| verdict.passed && (!self.strict || verdict.notes.is_empty());
        tried.result.as_ref().is_ok_and(passes)
    }

    fn tell(&self, session: &Session<'_>, tried: &Tried) -> Result<()> {
        let passes = self.passes(tried);
        let (tone, word) = if passes { (Tone::Good, "passed") } else { (Tone::Bad, "failed") };
        let steps = tried.case.as_ref().map(|case| format!(" ({})", plural(case.steps.len(), "step")));
        let mut lines = vec![(tone, format!("{word} {}{}", tried.path.display(), steps.unwrap_or_default()))];
        match &tried.result {
            Err(error) => lines.push((Tone::Bad, format!("    {error}"))),
            Ok(verdict) => {
                let shown = verdict.lines.iter().filter(|_| !verdict.passed);
                lines.extend(shown.map(|line| match line.side {
                    Side::Both => (Tone::Quiet, format!("      {}", line.text)),
                    Side::Recorded => (Tone::Bad, format!("    - {}", line.text)),
                    Side::Replayed => (Tone::Good, format!("    + {}", line.text)),
                }));
                lines.extend(verdict.notes.iter().map(|note| (Tone::Plain, format!("    note: {note}"))));
            }
        }
        session.out.lines(&lines)
    }

    fn row(&self, tried: &Tried) -> wire::TriedCase {
        let path = tried.path.display().to_string();
        wire::TriedCase::new(path, tried.case.as_ref(), self.passes(tried), tried.result.as_ref())
    }

    /// The files of the cases, sorted.
    fn cases(&self, session: &Session<'_>) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        match &self.path {
            Some(path) if path.is_file() => found.push(path.clone()),
            Some(path) => look(path, DEPTH_MAX, &mut found).map_err(|cause| {
                Error::not_found(format!("{} cannot be read: {}", path.display(), cause.kind()))
                    .with_cause(cause)
            })?,
            None => {
                let workspace = session.settings.workspace();
                for name in workspace.environment_names().unwrap_or_default() {
                    // An environment without cases is an ordinary one.
                    look(&workspace.environment_folder(&name).join("tests"), DEPTH_MAX, &mut found)
                        .unwrap_or_default();
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Cases in `folder` and below it; links are not followed.
fn look(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && depth > 0 {
            look(&entry.path(), depth - 1, found)?;
        } else if entry.file_name().to_string_lossy().ends_with(ENDING) {
            found.push(entry.path());
        }
    }
    Ok(())
}

async fn try_case(session: &Session<'_>, path: PathBuf) -> Result<Tried> {
    let text = std::fs::read_to_string(&path);
    let text = text.map_err(|cause| Error::invalid(format!("it cannot be read: {}", cause.kind())));
    let read =
        |text: String| case::read(&text, &path.display().to_string()).map_err(|problem| refused(&problem));
    let case = match text.and_then(read) {
        Ok(case) => case,
        Err(error) => return Ok(Tried { path, case: None, result: Err(error) }),
    };
    // Its store is gone when this ends.
    let (_folder, config) = session.stand_in()?;
    let result = Station::replay(config, &case).await;
    Ok(Tried { path, case: Some(case), result })
}

fn refused(problem: &Problem) -> Error {
    problem.hint.iter().fold(Error::invalid(problem.sentence.clone()), Error::with_hint)
}

//! `stn config edit`

use crate::config::{Environment, Settings};
use crate::error::{Code, Result};
use crate::out::{Out, Tone};
use crate::problems::excerpt;
use crate::question::question;
use crate::session::{Session, make_folder};
use serde_json::json;
use station_core::file::config::keys::{Key, Written};
use station_core::file::{Problem, Severity, config};
use station_core::{Caller, Error};
use station_engine::OWN_SECRETS;
use station_engine::settings::{self, replace, text};
use station_mcp::edit;
use std::io::{IsTerminal as _, stderr, stdin};
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};

/// Edit config.yaml in your editor
///
/// Opens a copy in `$VISUAL`, or `$EDITOR`, and takes it over when the editor ends and nothing is wrong with it: otherwise it says what,
/// with line and column, and asks whether to edit again. So config.yaml is never half written, and never one that no command reads;
/// one that is broken is mended this way too. Its mode stays. `stn --config FILE config edit` edits another.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    /// Before there is a session: what is to be edited may be what keeps it from being there.
    pub(crate) async fn run(self, out: &Out, flag: Option<&Path>, environment: Environment) -> Result {
        let settings = Settings::at(flag, environment)?;
        let session = Session::bare(out, settings, Caller::local());
        let editor = editor(&session.settings)?;
        make_folder(&session.settings.folder)?;
        let file = &session.settings.file;
        let before = text(file)?;
        let mut copy = Copy::of(file, &before)?;
        loop {
            let ended = copy.edit(&editor).await;
            let edited = text(&copy.path)?;
            if ended.is_err() && edited != before {
                copy.keep(out);
            }
            ended?;
            if edited == before {
                return unchanged(&session);
            }
            let faults = faults(file, &edited);
            if faults.is_empty() {
                replace(file, &before, &edited).inspect_err(|_| copy.keep(out))?;
                return told(&session, &before, &edited);
            }
            for fault in &faults {
                tell(out, &copy.path, fault);
            }
            if !is_yes(&question(&session, "Edit it again? [Y/n]").await.inspect_err(|_| copy.keep(out))?) {
                copy.keep(out);
                let sentence = format!("{} stays as it was", file.display());
                return Err(Error::invalid(sentence).into());
            }
        }
    }
}

/// What a person edits with.
///
/// # Errors
/// `Invalid` where there is no terminal, or nobody says which.
fn editor(settings: &Settings) -> Result<String> {
    let otherwise = "`stn settings set NAME VALUE` changes one key, without an editor";
    if !stdin().is_terminal() || !stderr().is_terminal() {
        return Err(Error::invalid("there is no terminal to edit in").with_hint(otherwise).into());
    }
    match settings.environment.first(&["VISUAL", "EDITOR"]) {
        Some((_, editor)) => Ok(editor.to_owned()),
        None => Err(Error::invalid("neither VISUAL nor EDITOR says what to edit with")
            .with_hint("e.g. `EDITOR=nano stn config edit`")
            .with_hint(otherwise)
            .into()),
    }
}

/// What a person works on: beside the file, since it may hold secrets, and under a name by which editors know its kind.
struct Copy {
    path: PathBuf,
    is_kept: bool,
}

impl Copy {
    fn of(file: &Path, text: &str) -> Result<Self> {
        let path = file.with_file_name(format!(".edited-{}.yaml", std::process::id()));
        settings::write(&path, text)?;
        Ok(Self { path, is_kept: false })
    }

    /// Waits for the editor.
    async fn edit(&self, editor: &str) -> Result<()> {
        // Ctrl-C at the terminal is the editor's to understand; from here on it ends us no more.
        let _ctrl_c = signal(SignalKind::interrupt()).map_err(|cause| Error::internal("waiting", cause))?;
        let ended = edit(editor, &self.path, &OWN_SECRETS).await;
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Error::invalid(format!(
                "the editor `{editor}` failed ({status}), so nothing was changed"
            ))
            .with_hint("VISUAL or EDITOR says what to edit with")
            .into()),
            Err(cause) => Err(Error::internal("starting the editor", cause).into()),
        }
    }

    /// What was typed is nobody's to throw away.
    fn keep(&mut self, out: &Out) {
        self.is_kept = true;
        out.note(Tone::Plain, &format!("What you wrote is in {}.", self.path.display()));
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if !self.is_kept {
            // It was made by us, and an editor may have moved it.
            drop(std::fs::remove_file(&self.path));
        }
    }
}

/// What is wrong with `text`, as if it stood in `file`.
fn faults(file: &Path, text: &str) -> Vec<Problem> {
    let path = file.display().to_string();
    let (_, mut problems) = config::read(text, &path);
    problems.retain(|problem| problem.severity == Severity::Error);
    if problems.is_empty() { config::misfits(text, &path) } else { problems }
}

/// Tells a fault of `file`, with the line that it has in `copy`.
fn tell(out: &Out, copy: &Path, fault: &Problem) {
    out.note(Tone::Bad, &fault.to_string());
    for line in fault.at.and_then(|at| excerpt(copy, at)).into_iter().flatten() {
        out.note(Tone::Quiet, &line);
    }
    if let Some(hint) = &fault.hint {
        out.hint(hint);
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.to_ascii_lowercase().as_str(), "" | "y" | "yes")
}

fn unchanged(session: &Session<'_>) -> Result {
    let path = &session.settings.file;
    if session.out.is_json() {
        session.out.json(&json!({ "config": { "path": path, "changed": [] } }))?;
    } else {
        session.out.note(Tone::Plain, &format!("{} stays as it was: nothing was changed.", path.display()));
    }
    Ok(Code::Done)
}

/// Says what is different now, and when it holds.
fn told(session: &Session<'_>, before: &str, after: &str) -> Result {
    let (out, path) = (session.out, &session.settings.file);
    let (before, after) = (Written::read(before), Written::read(after));
    let keys = before.differing(&after);
    if out.is_json() {
        let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
        out.json(&json!({ "config": { "path": path, "changed": names } }))?;
        return Ok(Code::Done);
    }
    out.note(Tone::Good, &format!("Changed {}.", path.display()));
    for key in &keys {
        out.note(Tone::Plain, &format!("  {}: {}", key.name, difference(key, &before, &after)?));
    }
    let (reread, rest): (Vec<&Key>, Vec<&Key>) = keys.iter().partition(|key| key.is_reread());
    for (keys, when) in [(rest, "when it is started again"), (reread, "at SIGHUP")] {
        let names: Vec<String> = keys.iter().map(|key| format!("`{}`", key.name)).collect();
        if !names.is_empty() {
            out.hint(&format!("a worker (`stn serve`) that runs takes up {} {when}", names.join(", ")));
        }
    }
    Ok(Code::Done)
}

/// What two texts say of a key.
fn difference(key: &Key, before: &Written, after: &Written) -> Result<String> {
    let shown = |written: &Written| match written.has(key.name)? {
        true if key.is_secret() => Ok("set".to_owned()),
        true => written.value(key.name).map(Option::unwrap_or_default),
        false => Ok("not set".to_owned()),
    };
    let (before, after) = (shown(before)?, shown(after)?);
    Ok(if before == after { "set to another value".to_owned() } else { format!("{before} → {after}") })
}

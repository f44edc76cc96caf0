//! The only printing.
//!
//! stdout carries what one might pipe: the answer, a table, JSON. stderr carries all else: progress, warnings, hints,
//! errors. With `--json` an error is an answer too: whoever reads JSON finds one document on stdout however the command
//! ended. Whoever read stdout may have gone: that is no error, and the command ends as it would have; a closed stderr is nobody's business. Text of
//! models and tools may hold anything: on a terminal its control characters are shown, never obeyed.

use crate::error::Result;
use crate::table::lay_out;
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use station_core::Error;
use station_server::wire;
use std::io::{self, IsTerminal as _, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();
const GOOD: Style = AnsiColor::Green.on_default();
const QUIET: Style = Style::new().dimmed();

/// Often enough to look alive, seldom enough to cost nothing.
const SPIN_EVERY: Duration = Duration::from_millis(120);

/// The target of log lines that are always told: what the command itself says.
pub(crate) const TOLD: &str = "stn::told";

/// Columns where the terminal does not tell, or tells what cannot be.
const WIDTH: u16 = 100;

/// Fewer columns than this are no terminal: some say 0.
const NARROW: u16 = 20;

/// How a line is meant; without colour the words must be enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Plain,
    Quiet,
    Good,
    Bad,
}

/// Whether people or programs read stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    People,
    Json,
}

/// Both streams of this process.
pub(crate) struct Out {
    form: Form,
    quiet: bool,
    /// Whether what is told on stderr are lines of the log.
    in_log: AtomicBool,
    live: Mutex<Live>,
}

#[derive(Default)]
struct Live {
    spinner: Option<ProgressBar>,
    /// stderr stands in the middle of a line of streamed text.
    mid_line: bool,
    /// Something is on stdout.
    answered: bool,
    /// Whoever read stdout has gone.
    closed: bool,
}

impl Out {
    pub(crate) fn new(form: Form, quiet: bool) -> Self {
        Self { form, quiet, in_log: AtomicBool::new(false), live: Mutex::default() }
    }

    /// Tells by the log from now on what was told in lines on stderr: whoever reads a log as JSON reads nothing else.
    pub(crate) fn tell_in_log(&self) {
        self.in_log.store(true, Ordering::Relaxed);
    }

    fn is_in_log(&self) -> bool {
        self.in_log.load(Ordering::Relaxed)
    }

    /// Whether `--json` was given.
    pub(crate) fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// Prints the answer, with one line end behind it.
    pub(crate) fn answer(&self, text: &str) -> Result<()> {
        let text = if io::stdout().is_terminal() { shown(text) } else { text.to_owned() };
        let end = if text.ends_with('\n') { "" } else { "\n" };
        self.to_stdout(&format!("{text}{end}"))
    }

    /// Prints the text of a file as it is, with no line end added.
    pub(crate) fn verbatim(&self, text: &str) -> Result<()> {
        self.to_stdout(text)
    }

    /// Prints lines for people, as they are.
    pub(crate) fn lines(&self, lines: &[(Tone, String)]) -> Result<()> {
        let text: String = lines.iter().map(|(tone, line)| painted(*tone, line) + "\n").collect();
        self.to_stdout(&text)
    }

    /// Prints `value` as JSON.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<()> {
        let text =
            serde_json::to_string_pretty(value).map_err(|cause| Error::internal("writing JSON", cause))?;
        self.to_stdout(&(text + "\n"))
    }

    /// Prints a table; a table without rows is nothing.
    pub(crate) fn table<const N: usize>(&self, header: [&str; N], rows: Vec<[String; N]>) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        self.to_stdout(&table(header, rows))
    }

    /// A line on stderr about what happens; `--quiet` leaves it out.
    pub(crate) fn note(&self, tone: Tone, text: &str) {
        if self.quiet {
            return;
        }
        if self.is_in_log() {
            tracing::info!(target: TOLD, "{text}");
            return;
        }
        self.to_stderr(&format!("{}\n", painted(tone, &shown(text))));
    }

    /// Something that can be done about something.
    pub(crate) fn warning(&self, text: &str) {
        if self.is_in_log() {
            tracing::warn!(target: TOLD, "{text}");
            return;
        }
        self.to_stderr(&format!("{WARNING}warning:{WARNING:#} {}\n", shown(text)));
    }

    /// What to try or type next.
    pub(crate) fn hint(&self, text: &str) {
        if self.quiet || self.is_json() {
            return;
        }
        if self.is_in_log() {
            tracing::info!(target: TOLD, "{text}");
            return;
        }
        self.to_stderr(&format!("{HINT}hint:{HINT:#} {}\n", shown(text)));
    }

    /// A failure, with the lines that show its place and with its hints: as text on stderr, or as the JSON of the API on
    /// stdout. Where a document stands there already, or nothing can be written there, JSON goes to stderr too.
    pub(crate) fn error(&self, told: &wire::Error, excerpt: &[String]) {
        if self.is_json() {
            if self.lock().answered || self.json(told).is_err() || self.is_closed() {
                // The one failure of serializing is a map key that is not text, and there is none.
                self.to_stderr(&(serde_json::to_string(told).unwrap_or_default() + "\n"));
            }
            return;
        }
        if self.is_in_log() {
            let wire::ErrorBody { kind, message, hints, .. } = &told.error;
            tracing::error!(target: TOLD, kind = &**kind, ?hints, "{message}");
            return;
        }
        let mut text = format!("{ERROR}error:{ERROR:#} {}\n", shown(&told.error.message));
        for line in excerpt {
            text += &format!("{QUIET}{}{QUIET:#}\n", shown(line));
        }
        let again = told.error.retry_after_s.map(|seconds| format!("try again in {seconds} s"));
        for hint in told.error.hints.iter().chain(&again) {
            text += &format!("{HINT}hint:{HINT:#} {}\n", shown(hint));
        }
        self.to_stderr(&text);
    }

    /// A question on stderr, without a line end.
    pub(crate) fn ask(&self, question: &str) {
        self.to_stderr(&format!("{question} "));
    }

    /// Its line end, where the answer brought none.
    pub(crate) fn unanswered(&self) {
        self.to_stderr("\n");
    }

    /// A piece of a model's text as it arrives.
    pub(crate) fn piece(&self, text: &str) {
        let mut live = self.lock();
        clear(&mut live);
        write_stderr(&shown(text));
        live.mid_line = !text.ends_with('\n');
    }

    /// Whether a spinner would be seen.
    pub(crate) fn can_spin(&self) -> bool {
        !self.quiet && !self.is_json() && io::stderr().is_terminal()
    }

    /// Shows that something takes its time, until the next line is printed.
    pub(crate) fn spin(&self, text: &str) {
        let mut live = self.lock();
        if live.mid_line {
            return;
        }
        clear(&mut live);
        let spinner = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            spinner.set_style(style);
        }
        spinner.set_message(shown(text));
        spinner.enable_steady_tick(SPIN_EVERY);
        live.spinner = Some(spinner);
    }

    /// Takes the spinner away.
    pub(crate) fn rest(&self) {
        clear(&mut self.lock());
    }

    /// Whether whoever read stdout has gone: what has nothing to do but to write may end.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Both streams for a protocol, which then has stdout to itself: an error goes to stderr whatever its form.
    pub(crate) fn protocol(&self) -> (tokio::io::Stdin, tokio::io::Stdout) {
        self.lock().answered = true;
        (tokio::io::stdin(), tokio::io::stdout())
    }

    fn to_stdout(&self, text: &str) -> Result<()> {
        self.end_line();
        let mut stream = anstream::stdout();
        self.lock().answered |= !text.is_empty();
        let written = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
        self.lock().closed |= written.as_ref().is_err_and(is_closed);
        written_or_closed(written)
    }

    fn to_stderr(&self, text: &str) {
        self.end_line();
        write_stderr(text);
    }

    fn end_line(&self) {
        let mut live = self.lock();
        clear(&mut live);
        if std::mem::take(&mut live.mid_line) {
            write_stderr("\n");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prints what clap has to say: help and version are answers, the rest is a usage error.
pub(crate) fn usage(error: &clap::Error, form: Form) -> Result<()> {
    let text = error.render().ansi().to_string();
    if error.use_stderr() {
        let out = Out::new(form, false);
        if out.is_json() {
            let plain = error.render().to_string();
            let message = plain.trim_start_matches("error: ").trim_end().to_owned();
            let body = wire::ErrorBody {
                kind: "usage".into(),
                message,
                hints: Vec::new(),
                retry_after_s: None,
                request_id: None,
            };
            out.error(&wire::Error { error: body }, &[]);
        } else {
            write_stderr(&text);
        }
        return Ok(());
    }
    let mut stream = anstream::stdout();
    written_or_closed(stream.write_all(text.as_bytes()).and_then(|()| stream.flush()))
}

/// Where the log goes.
pub(crate) fn log_stream() -> impl Write {
    anstream::stderr()
}

fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    // Most cells are shown as they are, and there may be thousands.
    let in_one_line = |cell: String| match cell.contains(char::is_control) {
        true => shown(&cell).replace(['\n', '\t'], " "),
        false => cell,
    };
    let rows: Vec<[String; N]> = rows.into_iter().map(|row| row.map(in_one_line)).collect();
    lay_out(header, &rows, width()).into_iter().map(|line| line + "\n").collect()
}

/// Columns of the terminal on stdout; `None` where that is none: piped rows stay on one line each.
fn width() -> Option<usize> {
    let stdout = io::stdout();
    let told = terminal_size::terminal_size_of(&stdout).map(|(width, _)| width.0);
    let width = told.filter(|width| *width >= NARROW).unwrap_or(WIDTH);
    stdout.is_terminal().then(|| usize::from(width))
}

fn painted(tone: Tone, text: &str) -> String {
    let style = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Quiet => QUIET,
        Tone::Good => GOOD,
        Tone::Bad => ERROR,
    };
    format!("{style}{text}{style:#}")
}

/// `text` with its control characters made visible, so that it can neither move the cursor nor change a title.
pub(crate) fn shown(text: &str) -> String {
    let visible = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    text.replace("\r\n", "\n").chars().map(visible).collect()
}

/// `text` as [`shown`], in one line: a file's name may have line ends in it.
pub(crate) fn on_one_line(text: &str) -> String {
    shown(text).replace(['\n', '\t'], "\u{fffd}")
}

fn clear(live: &mut Live) {
    if let Some(spinner) = live.spinner.take() {
        spinner.finish_and_clear();
    }
}

/// Nothing can be said about a stderr that cannot be written.
fn write_stderr(text: &str) {
    anstream::stderr().write_all(text.as_bytes()).unwrap_or_default();
}

fn is_closed(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::BrokenPipe
}

/// A failed write is one of the command's, unless nobody reads any more.
fn written_or_closed(written: io::Result<()>) -> Result<()> {
    let Err(cause) = written else { return Ok(()) };
    if is_closed(&cause) {
        return Ok(());
    }
    let sentence = format!("the output cannot be written: {}", cause.kind());
    Err(Error::invalid(sentence)
        .with_hint("what the command did is done; only its output is lost")
        .with_cause(cause)
        .into())
}

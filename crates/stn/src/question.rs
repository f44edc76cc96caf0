//! Asking a person.
//!
//! **Invariant:** a Ctrl-C is an answer: it ends the command, also where signals were listened to before.

use crate::error::{Failure, Result};
use crate::out::Tone;
use crate::session::Session;
use nix::errno::Errno;
use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use station_core::{Error, Secret};
use std::io::{BufRead as _, IsTerminal as _, Read as _, Stdin, stdin};
use tokio::signal::unix::{SignalKind, signal};

/// Longest line that is typed in, in bytes: an address with a code in it has some kilobytes.
const LINE_BYTES_MAX: u64 = 16 * 1024;

/// How often standard input is looked at while something else is waited for.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);

/// Asks `text` on stderr and reads one line of standard input; an end of input is an empty answer.
///
/// # Errors
/// `Interrupted` at a Ctrl-C; where standard input cannot be read.
pub(crate) async fn question(session: &Session<'_>, text: &str) -> Result<String> {
    let cannot = |cause| Error::internal("listening for Ctrl-C", cause);
    let mut interrupts = signal(SignalKind::interrupt()).map_err(cannot)?;
    session.out.ask(text);
    let line = tokio::select! {
        _ = interrupts.recv() => Err(Failure::Interrupted),
        line = line() => Ok(line?),
    };
    // Only Enter moves the cursor away from the question.
    if !line.as_ref().is_ok_and(|line| line.ends_with('\n')) {
        session.out.unanswered();
    }
    Ok(line?.trim().to_owned())
}

/// As [`question`], and what is typed is not seen.
///
/// # Errors
/// As [`question`].
pub(crate) async fn secret(session: &Session<'_>, text: &str) -> Result<Secret> {
    let _hidden = Hidden::new();
    question(session, text).await.map(Secret::new)
}

/// Longest secret that is read from a pipe: keys and certificates have a few kilobytes.
const SECRET_BYTES_MAX: u64 = 1 << 20;

/// A secret: asked for on a terminal, where it is not seen; all of standard input otherwise, where one line end behind it does not
/// count. `what` it is begins with a capital; `hint` says how else it is given.
///
/// # Errors
/// As [`question`]; `Invalid` where there is none, or it cannot be read.
pub(crate) async fn given_secret(session: &Session<'_>, what: &str, hint: &str) -> Result<Secret> {
    if stdin().is_terminal() {
        return secret(session, &format!("{what} (it is not shown):")).await;
    }
    let what = within_a_sentence(what);
    let mut value = String::new();
    let mut input = stdin().take(SECRET_BYTES_MAX + 1);
    input.read_to_string(&mut value).map_err(|cause| {
        Error::invalid(format!("{what} cannot be read: {}", cause.kind())).with_cause(cause)
    })?;
    if u64::try_from(value.len()).is_ok_and(|length| length > SECRET_BYTES_MAX) {
        return Err(Error::invalid(format!("{what} is longer than 1 MiB")).into());
    }
    let value = value.strip_suffix('\n').unwrap_or(&value);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.is_empty() {
        return Err(Error::invalid(format!("{what} was not given")).with_hint(hint).into());
    }
    Ok(Secret::new(value))
}

/// The same words without the capital that they begin with; `API` keeps its own.
fn within_a_sentence(words: &str) -> String {
    let mut letters = words.chars();
    match letters.next() {
        Some(first) if !letters.as_str().starts_with(char::is_uppercase) => {
            format!("{}{}", first.to_lowercase(), letters.as_str())
        }
        _ => words.to_owned(),
    }
}

/// A terminal that shows nothing of what is typed until this is dropped, but for the end of the line.
struct Hidden(Option<(Stdin, Termios)>);

impl Hidden {
    /// Where the terminal cannot be told, what is typed is seen.
    fn new() -> Self {
        let hide = || {
            let stdin = stdin();
            let before = tcgetattr(&stdin)?;
            let mut now = before.clone();
            now.local_flags.remove(LocalFlags::ECHO);
            now.local_flags.insert(LocalFlags::ECHONL);
            tcsetattr(&stdin, SetArg::TCSANOW, &now)?;
            nix::Result::Ok((stdin, before))
        };
        Self(hide().ok())
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        if let Some((stdin, before)) = &self.0 {
            // A terminal that is gone meanwhile shows nothing anyway.
            tcsetattr(stdin, SetArg::TCSANOW, before).unwrap_or_default();
        }
    }
}

/// Reads one line of standard input without holding up whatever is waited for beside it.
///
/// # Errors
/// Where standard input cannot be read.
pub(crate) async fn typed_meanwhile() -> Result<String> {
    Ok(line().await?.trim().to_owned())
}

/// One line with its end; an end of input has none.
async fn line() -> Result<String> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd as _;
    let cannot = |cause| Error::internal("reading your answer", cause);
    loop {
        let stdin = stdin();
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::ZERO) {
            // A signal is heard elsewhere.
            Ok(0) | Err(Errno::EINTR) => {}
            Ok(_) => break,
            Err(errno) => return Err(cannot(errno.into()).into()),
        }
        tokio::time::sleep(LOOK).await;
    }
    let mut line = String::new();
    let mut stdin = std::io::BufReader::new(stdin().take(LINE_BYTES_MAX));
    stdin.read_line(&mut line).map_err(cannot)?;
    Ok(line)
}

/// The answer that was given on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Args)]
pub(crate) struct Yes {
    /// Do not ask: the answer is yes
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// Tells what will happen and asks whether it is to; `--yes` is the answer, and is not asked again.
///
/// # Errors
/// `Invalid` where nobody can be asked; `Conflict` where the answer is no, `Interrupted` where it is a Ctrl-C. Then nothing has happened.
pub(crate) async fn confirm(
    session: &Session<'_>,
    what: &[String],
    question_text: &str,
    yes: Yes,
) -> Result<()> {
    for line in what {
        session.out.note(Tone::Plain, line);
    }
    if yes.yes {
        return Ok(());
    }
    if !stdin().is_terminal() {
        return Err(Error::invalid(format!("nobody can be asked: {question_text}"))
            .with_hint("say yes with `--yes`")
            .into());
    }
    match question(session, &format!("{question_text} [y/N]")).await?.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::conflict("you said no: nothing was changed").into()),
    }
}

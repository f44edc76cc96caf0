//! Asking a person.

use crate::error::Result;
use crate::out::Tone;
use crate::session::Session;
use station_core::Error;
use std::io::{BufRead as _, IsTerminal as _, Read as _};

/// Longest answer to a question, in bytes; a name is far shorter.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Longest address that is typed in, in bytes.
const ADDRESS_BYTES_MAX: u64 = 16 * 1024;

/// Asks `text` on stderr and reads one line of standard input; an end of input is an empty answer.
///
/// # Errors
/// Where standard input cannot be read.
pub(crate) fn question(session: &Session<'_>, text: &str) -> Result<String> {
    session.out.ask(text);
    let mut line = String::new();
    let mut stdin = std::io::BufReader::new(std::io::stdin().take(ANSWER_BYTES_MAX));
    stdin.read_line(&mut line).map_err(|cause| Error::internal("reading your answer", cause))?;
    Ok(line.trim().to_owned())
}

/// How often standard input is looked at while something else is waited for.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);

/// Reads one line of standard input without holding up whatever is waited for beside it.
///
/// # Errors
/// Where standard input cannot be read.
pub(crate) async fn typed_meanwhile() -> Result<String> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd as _;
    let cannot = |cause| Error::internal("reading your answer", cause);
    loop {
        let stdin = std::io::stdin();
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::ZERO).map_err(|errno| cannot(std::io::Error::from(errno)))?;
        if ready > 0 {
            break;
        }
        tokio::time::sleep(LOOK).await;
    }
    let mut line = String::new();
    let mut stdin = std::io::BufReader::new(std::io::stdin().take(ADDRESS_BYTES_MAX));
    stdin.read_line(&mut line).map_err(cannot)?;
    Ok(line.trim().to_owned())
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
/// `Invalid` where nobody can be asked; `Conflict` where the answer is no. Then nothing has happened.
pub(crate) fn confirm(session: &Session<'_>, what: &[String], question_text: &str, yes: Yes) -> Result<()> {
    for line in what {
        session.out.note(Tone::Plain, line);
    }
    if yes.yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Error::invalid(format!("nobody can be asked: {question_text}"))
            .with_hint("say yes with `--yes`")
            .into());
    }
    match question(session, &format!("{question_text} [y/N]"))?.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Error::conflict("you said no: nothing was changed").into()),
    }
}

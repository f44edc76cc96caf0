//! Asking a person.

use crate::error::Result;
use crate::session::Session;
use station_core::Error;
use std::io::{BufRead as _, Read as _};

/// Longest answer to a question, in bytes; a name is far shorter.
const ANSWER_BYTES_MAX: u64 = 4096;

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

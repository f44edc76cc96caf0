//! A key that a person gives: by standard input or a file, never by an argument.

use crate::error::{Code, Result, tell};
use crate::out::Out;
use station_core::{Error, Secret};
use station_engine::Key;
use std::io::{IsTerminal as _, Read as _};
use std::path::Path;

/// Bytes read at most: a key is 64 digits, and whoever sends more sends something else.
const BYTES_MAX: u64 = 4096;

/// Refuses a key that was typed as an argument, without repeating it.
pub(super) fn refuse_typed(out: &Out, command: &str) -> Code {
    let sentence = "a key is not given on the command line, where other users and the shell's history see it";
    let error = Error::invalid(sentence)
        .with_hint(how(command))
        .with_hint("if what you typed is a key in use, take it out of the shell's history");
    tell(out, &error.into());
    Code::Usage
}

/// Reads a key from `file`, or else from standard input.
///
/// # Errors
/// Where nothing can be read there, or it is no key.
pub(super) fn read(file: Option<&Path>, command: &str) -> Result<Key> {
    let mut text = String::new();
    let (read, place) = match file {
        Some(path) => {
            let read =
                std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
            (read, path.display().to_string())
        }
        None if std::io::stdin().is_terminal() => {
            return Err(Error::invalid("the key is read from standard input, and that is a terminal")
                .with_hint(how(command))
                .into());
        }
        None => (std::io::stdin().take(BYTES_MAX).read_to_string(&mut text), "standard input".to_owned()),
    };
    let text = Secret::new(text);
    match read {
        Ok(_) => Ok(Key::from_hex(text.expose())?),
        Err(cause) => Err(Error::invalid(format!("the key cannot be read from {place}: {}", cause.kind()))
            .with_cause(cause)
            .into()),
    }
}

fn how(command: &str) -> String {
    format!("`{command} < FILE`, or `{command} --from-file FILE`")
}

//! `stn key set`

use crate::error::{Code, Result, tell};
use crate::out::Tone;
use crate::session::{Session, make_folder};
use serde_json::json;
use station_core::{Error, Secret};
use station_engine::Key;
use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;

/// Bytes read at most: a key is 64 digits, and whoever sends more sends something else.
const BYTES_MAX: u64 = 4096;

/// Keep a key that you have in the key file
///
/// The key, 64 hex digits, is read from standard input or from a file, never from the command line. A key that does
/// not open the database that is there is refused.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Read the key from this file
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// A key typed here is refused, and not repeated.
    #[arg(hide = true, num_args = 0.., allow_hyphen_values = true)]
    typed: Vec<std::ffi::OsString>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        if !self.typed.is_empty() {
            let sentence =
                "a key is not given on the command line, where other users and the shell's history see it";
            let error = Error::invalid(sentence)
                .with_hint("`stn key set < FILE`, or `stn key set --from-file FILE`")
                .with_hint("if what you typed is a key in use, take it out of the shell's history");
            tell(session.out, &error.into());
            return Ok(Code::Usage);
        }
        let key = Key::from_hex(self.read()?.expose())?;
        let (location, _) = session.settings.location()?;
        let keys = session.settings.keys();
        make_folder(&session.settings.folder)?;
        keys.set(&key, &location).await?;
        let place = keys.find()?.map(|(_, place)| place.to_string()).unwrap_or_default();
        if session.out.is_json() {
            session.out.json(&json!({ "key": { "id": key.id(), "place": place } }))?;
            return Ok(Code::Done);
        }
        session.out.lines(&[(Tone::Good, format!("Key {} is in use: {place}", key.id()))])?;
        if session.settings.config.encryption_key.is_some() {
            session.out.hint("the key file wins: take `encryption_key` out of config.yaml now");
        }
        Ok(Code::Done)
    }

    fn read(&self) -> Result<Secret> {
        let mut text = String::new();
        let (read, place) = match &self.from_file {
            Some(path) => {
                let read =
                    std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text));
                (read, path.display().to_string())
            }
            None if std::io::stdin().is_terminal() => {
                return Err(Error::invalid("the key is read from standard input, and that is a terminal")
                    .with_hint("`stn key set < FILE`, or `stn key set --from-file FILE`")
                    .into());
            }
            None => (std::io::stdin().take(BYTES_MAX).read_to_string(&mut text), "standard input".to_owned()),
        };
        match read {
            Ok(_) => Ok(Secret::new(text)),
            Err(cause) => {
                Err(Error::invalid(format!("the key cannot be read from {place}: {}", cause.kind()))
                    .with_cause(cause)
                    .into())
            }
        }
    }
}

//! API keys of servers, as `stn login` keeps them: a file for each server, which its owner alone may read.
//!
//! They are the user's and no Station's: they lie beside the user's other settings, also where `--config` names a workspace that others share.

use super::{Address, Target};
use crate::config::Environment;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use station_core::{Error, Result, Secret};
use station_engine::settings;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// What may not stand in the name of a file.
const NOT_IN_NAMES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.');

/// Largest file of a login: a key has some seventy characters.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where keys are kept.
#[derive(Debug)]
pub(crate) struct Logins(PathBuf);

/// A key that is kept.
#[derive(Deserialize, Serialize)]
pub(crate) struct Login {
    /// The address it is for.
    pub(crate) server: String,
    key: String,
    /// Whose it is, as the server said when it was kept.
    pub(crate) user: String,
    /// The row of the key where `stn login` made it: `stn logout` revokes it.
    pub(crate) made: Option<i64>,
    /// Whether it may go there without TLS.
    pub(crate) plain_http: bool,
}

impl Login {
    /// The `key` of `user` for `target`; `made` is its row where it was made for this.
    pub(crate) fn new(target: &Target, key: &Secret, user: &str, made: Option<i64>) -> Self {
        Self {
            server: target.address.to_string(),
            key: key.expose().to_owned(),
            user: user.to_owned(),
            made,
            plain_http: target.plain_http,
        }
    }

    pub(crate) fn key(&self) -> Secret {
        Secret::new(&*self.key)
    }
}

impl Logins {
    /// Those of the user whose environment this is.
    ///
    /// # Errors
    /// `Invalid` where there is no home folder.
    pub(crate) fn of(environment: &Environment) -> Result<Self> {
        let (base, _) = environment.config_home().ok_or_else(|| {
            Error::invalid("there is no home folder to keep keys of servers in")
                .with_hint("set HOME, or give the key in STN_SERVER_KEY")
        })?;
        Ok(Self(base.join("stn/logins")))
    }

    /// Where they lie.
    pub(crate) fn into_folder(self) -> PathBuf {
        self.0
    }

    /// The one for `address`.
    ///
    /// # Errors
    /// `Invalid` where its file cannot be read.
    pub(crate) fn find(&self, address: &Address) -> Result<Option<Login>> {
        read(&self.file(address))
    }

    /// All of them, in the order of their addresses.
    ///
    /// # Errors
    /// As [`Logins::find`].
    pub(crate) fn all(&self) -> Result<Vec<Login>> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(unreadable(&self.0, cause)),
        };
        let mut logins = Vec::new();
        for entry in entries {
            let path = entry.map_err(|cause| unreadable(&self.0, cause))?.path();
            if path.extension().is_some_and(|ending| ending == "json") {
                logins.extend(read(&path)?);
            }
        }
        logins.sort_by(|one, other| one.server.cmp(&other.server));
        Ok(logins)
    }

    /// Keeps `login` in place of what was kept for its server. Where it is.
    ///
    /// # Errors
    /// `Invalid` where it cannot be written.
    pub(crate) fn keep(&self, address: &Address, login: &Login) -> Result<PathBuf> {
        let path = self.file(address);
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0);
        made.map_err(|cause| {
            Error::invalid(format!("the folder {} cannot be made: {}", self.0.display(), cause.kind()))
                .with_cause(cause)
        })?;
        let text =
            serde_json::to_string_pretty(login).map_err(|cause| Error::internal("writing a login", cause))?;
        settings::write(&path, &(text + "\n"))?;
        Ok(path)
    }

    /// Forgets the one for `address`.
    ///
    /// # Errors
    /// `Invalid` where its file cannot be removed.
    pub(crate) fn forget(&self, address: &Address) -> Result<()> {
        let path = self.file(address);
        match fs::remove_file(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                let sentence = format!("{} cannot be removed: {}", path.display(), cause.kind());
                Err(Error::invalid(sentence).with_cause(cause))
            }
            _ => Ok(()),
        }
    }

    fn file(&self, address: &Address) -> PathBuf {
        let address = address.to_string();
        self.0.join(format!("{}.json", utf8_percent_encode(&address, NOT_IN_NAMES)))
    }
}

fn read(path: &Path) -> Result<Option<Login>> {
    use io::Read as _;
    let mut text = String::new();
    let read = fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
    match read {
        Ok(_) => {}
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(unreadable(path, cause)),
    }
    // What is wrong with it may be a key: only where is told.
    let login = serde_json::from_str(&text).map_err(|error| {
        let (path, line) = (path.display(), error.line());
        Error::invalid(format!("{path} is no login, from line {line} on"))
            .with_hint("remove it, and `stn login` again")
    })?;
    Ok(Some(login))
}

fn unreadable(path: &Path, cause: io::Error) -> Error {
    Error::invalid(format!("{} cannot be read: {}", path.display(), cause.kind())).with_cause(cause)
}

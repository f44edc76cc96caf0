//! The master key: where it is found, how it is made, and that it is never made twice.
//!
//! The key file in the configuration folder wins, then the environment, then config.yaml. **Invariant:** a new key is
//! never made where a database of ours exists: it would open nothing and look like data loss.

use crate::{FolderLock, Readers, Replace, write_file};
use station_core::{Error, Result, Secret};
use station_store::{
    FileState, Key, KeyRing, LeaseClock, Location, Options, Store, inspect, is_go_database, is_there,
    of_another_program,
};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The places in which a key can be configured.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The configuration folder.
    pub folder: PathBuf,
    /// `STATION_ENCRYPTION_KEY` or `STN_ENCRYPTION_KEY`: the variable's name and value.
    pub environment: Option<(String, Secret)>,
    /// `encryption_key` of config.yaml.
    pub config: Option<Secret>,
    /// `STATION_ENCRYPTION_KEY_NEXT`: the variable's name and value.
    pub next: Option<(String, Secret)>,
}

/// Where a key was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    /// The key file.
    File(PathBuf),
    /// A variable of the environment.
    Environment(String),
    /// `encryption_key` in config.yaml.
    Config,
}

/// What is known of the key.
#[derive(Clone, Debug)]
pub struct KeyStatus {
    /// Where it is; `None` where none is configured.
    pub place: Option<KeyPlace>,
    /// Its id, which may be shown.
    pub id: Option<String>,
    /// Whether it opens the store: `None` where there is no key or no store yet.
    pub opens: Option<std::result::Result<(), String>>,
    /// There is a database and no key for it: none is made then.
    pub locked_out: bool,
    /// The id of the next key and where it is, while the key is rotated.
    pub next: Option<(String, KeyPlace)>,
}

impl Keys {
    /// The configured key, and where it was found.
    ///
    /// # Errors
    /// `Invalid` where a key is configured and is not 64 hex digits, or its file cannot be read.
    pub fn find(&self) -> Result<Option<(Key, KeyPlace)>> {
        let path = self.path();
        if let Some(key) = in_file(&path)? {
            return Ok(Some((key, KeyPlace::File(path))));
        }
        if let Some((name, value)) = &self.environment {
            let key = Key::from_hex(value.expose()).map_err(|error| in_place(&error, name))?;
            return Ok(Some((key, KeyPlace::Environment(name.clone()))));
        }
        let Some(value) = &self.config else { return Ok(None) };
        let key = Key::from_hex(value.expose())
            .map_err(|error| in_place(&error, "encryption_key in config.yaml"))?;
        Ok(Some((key, KeyPlace::Config)))
    }

    /// The next key and where it is, while the key is rotated; the file beside the key file, then the environment.
    ///
    /// # Errors
    /// As [`Keys::find`].
    pub fn find_next(&self) -> Result<Option<(Key, KeyPlace)>> {
        let path = self.next_path();
        if let Some(key) = in_file(&path)? {
            return Ok(Some((key, KeyPlace::File(path))));
        }
        let Some((name, value)) = &self.next else { return Ok(None) };
        let key = Key::from_hex(value.expose()).map_err(|error| in_place(&error, name))?;
        Ok(Some((key, KeyPlace::Environment(name.clone()))))
    }

    /// `key` with what may be needed beside it: the next key, and the files in which others may put one.
    ///
    /// # Errors
    /// As [`Keys::find`].
    pub fn ring(&self, key: Key) -> Result<KeyRing> {
        let ring = KeyRing::new(key).with_files(vec![self.path(), self.next_path()]);
        Ok(match self.find_next()? {
            Some((next, _)) => ring.with(next),
            None => ring,
        })
    }

    /// The configured key; where there is none and no database either, a new one, kept in the key file. A rotation that
    /// was cut off is ended before, where that can be done.
    ///
    /// # Errors
    /// As [`Keys::find`]; `Conflict` where a database exists and no key does.
    pub async fn find_or_make(&self, location: &Location) -> Result<(KeyRing, KeyPlace, bool)> {
        self.settle(location).await?;
        if let Some((key, place)) = self.find()? {
            return Ok((self.ring(key)?, place, false));
        }
        let _lock = FolderLock::wait(&self.folder);
        // Another process may have made it while this one waited.
        if let Some((key, place)) = self.find()? {
            return Ok((self.ring(key)?, place, false));
        }
        let key = self.make(location).await?;
        Ok((self.ring(key)?, KeyPlace::File(self.path()), true))
    }

    /// Makes a new key and keeps it in the key file (0600).
    ///
    /// # Errors
    /// `Conflict` where a key or a database of ours exists.
    pub async fn generate(&self, location: &Location) -> Result<Key> {
        if let Some((_, place)) = self.find()? {
            return Err(Error::conflict(format!("there is a key already: {place}"))
                .with_hint("a second key would open nothing; `stn key status` shows the first"));
        }
        self.make(location).await
    }

    /// Keeps `key` in the key file, if it opens the database that is there.
    ///
    /// # Errors
    /// `Conflict` where it does not, or where another key opens it already.
    pub async fn set(&self, key: &Key, location: &Location) -> Result<()> {
        if let Some((found, place)) = self.find()? {
            // In the environment or in config.yaml it is not kept yet.
            if found.id() == key.id() && matches!(place, KeyPlace::File(_)) {
                return Ok(());
            }
            if found.id() != key.id()
                && is_there(location).await?
                && try_open(found.into(), location).await.is_ok()
            {
                return Err(Error::conflict(format!(
                    "the key in use ({place}) opens the database, this one is another"
                )));
            }
        }
        if is_there(location).await? {
            try_open(key.clone().into(), location).await?;
        }
        self.write(&self.path(), key, Replace::Allowed)
    }

    /// What is known of the key, without showing it.
    ///
    /// # Errors
    /// As [`Keys::find`].
    pub async fn status(&self, location: &Location) -> Result<KeyStatus> {
        let Some((key, place)) = self.find()? else {
            // A database that cannot be asked is not one that is missing.
            let is_there = is_there(location).await.unwrap_or(true);
            return Ok(KeyStatus { place: None, id: None, opens: None, locked_out: is_there, next: None });
        };
        let next = self.find_next()?.map(|(next, place)| (next.id(), place));
        let opens = if is_there(location).await? {
            let ring = self.ring(key.clone())?;
            Some(try_open(ring, location).await.map_err(|error| error.sentence().to_owned()))
        } else {
            None
        };
        Ok(KeyStatus { place: Some(place), id: Some(key.id()), opens, locked_out: false, next })
    }

    /// The key file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.join("station.key")
    }

    /// The file of the next key, while the key is rotated.
    #[must_use]
    pub fn next_path(&self) -> PathBuf {
        self.folder.join("station.key.next")
    }

    async fn make(&self, location: &Location) -> Result<Key> {
        if let Location::Sqlite(path) = location
            && inspect(path)? == FileState::Plain
            && !is_go_database(path)
        {
            return Err(of_another_program(path));
        }
        if is_there(location).await? {
            let what = match location {
                Location::Sqlite(path) => path.display().to_string(),
                Location::Postgres(_) => "the database in PostgreSQL".to_owned(),
            };
            return Err(Error::conflict(format!("{what} exists, and no key is configured to open it"))
                .with_hint(format!(
                    "put its key into {} with `stn key set`, or into STATION_ENCRYPTION_KEY",
                    self.path().display()
                ))
                .with_hint("a new key would not open it, so none was made"));
        }
        let key = Key::generate()?;
        self.write(&self.path(), &key, Replace::Refused)?;
        Ok(key)
    }

    /// Keeps `key` in a file (0600) that is on the disk, as its name is, when this returns.
    pub(crate) fn write(&self, path: &Path, key: &Key, replace: Replace) -> Result<()> {
        let text = format!("{}\n", key.to_hex().expose());
        let written =
            fs::create_dir_all(&self.folder).and_then(|()| write_file(path, &text, Readers::Owner, replace));
        written.map_err(|error| {
            Error::invalid(format!("the key file {} cannot be written: {}", path.display(), error.kind()))
                .with_cause(error)
        })
    }
}

impl std::fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::Config => f.write_str("encryption_key in config.yaml"),
        }
    }
}

impl KeyPlace {
    /// What to mend about this place, if anything.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File(path) => {
                let mode = fs::metadata(path).ok()?.permissions().mode() & 0o777;
                (mode & 0o077 != 0)
                    .then(|| format!("others can read {} (mode {mode:o}): `chmod 600` it", path.display()))
            }
            Self::Environment(_) => None,
            Self::Config => {
                Some("the key is in config.yaml, which people commit: move it with `stn key set`, then take that line out".to_owned())
            }
        }
    }
}

async fn try_open(keys: KeyRing, location: &Location) -> Result<()> {
    open(keys, location).await?.close().await;
    Ok(())
}

/// The store alone, without an engine around it.
pub(crate) async fn open(keys: KeyRing, location: &Location) -> Result<Store> {
    Store::open(Options { location: location.clone(), keys, lease_clock: LeaseClock::System }).await
}

/// The key in a file; `None` where there is no such file.
fn in_file(path: &Path) -> Result<Option<Key>> {
    match fs::read_to_string(path) {
        Ok(text) => {
            Key::from_hex(&text).map(Some).map_err(|error| in_place(&error, &path.display().to_string()))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let sentence = format!("the key file {} cannot be read: {}", path.display(), error.kind());
            Err(Error::invalid(sentence).with_cause(error))
        }
    }
}

fn in_place(error: &Error, place: &str) -> Error {
    Error::invalid(format!("the key in {place} cannot be used: {}", error.sentence()))
        .with_hint("a key is 64 hex digits; `stn key generate` makes one where there is no database yet")
}

/// Renames the Go program's database out of the way of ours, never deleting it. That of any other program is left where
/// it is; opening it says so.
///
/// # Errors
/// Where a file is there that cannot be read, or cannot be renamed.
pub fn set_aside_go_database(path: &Path) -> Result<Option<PathBuf>> {
    let is_go = || Ok::<_, Error>(inspect(path)? == FileState::Plain && is_go_database(path));
    if !is_go()? {
        return Ok(None);
    }
    let _lock = path.parent().map(FolderLock::wait);
    // Another process may have renamed it while this one waited, and what is there now is ours.
    if !is_go()? {
        return Ok(None);
    }
    let mut aside = path.with_file_name("station.go.db");
    for n in 1.. {
        if !aside.exists() {
            break;
        }
        aside = path.with_file_name(format!("station.go.{n}.db"));
    }
    fs::rename(path, &aside).map_err(|error| {
        Error::invalid(format!(
            "{} cannot be renamed to {}: {}",
            path.display(),
            aside.display(),
            error.kind()
        ))
        .with_cause(error)
    })?;
    for ending in ["-wal", "-shm"] {
        let side = PathBuf::from(format!("{}{ending}", path.display()));
        if side.exists() {
            let target = PathBuf::from(format!("{}{ending}", aside.display()));
            fs::rename(&side, &target)
                .map_err(|error| Error::internal("setting the old database's WAL aside", error))?;
        }
    }
    Ok(Some(aside))
}

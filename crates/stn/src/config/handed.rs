//! What `stn stdio` is handed by the Station that starts it for a run: the settings of that one, over a descriptor.
//!
//! A tool server gets little of the environment, and arguments can be read by everybody; so the place of the store, its key,
//! and what else was set go over a pipe that only the child can read.

use super::{Environment, Settings};
use serde::{Deserialize, Serialize};
use station_core::{Error, Result, Secret};
use station_engine::{Handed, Key, Location, OwnServer, Passthrough};
use station_mcp::HANDED_FD;
use station_mcp::shim::take_pipe;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;

/// The settings of one Station for another.
#[derive(Serialize, Deserialize)]
struct Told {
    /// Its config.yaml.
    config: PathBuf,
    /// Its environment, with the place of the store and the key.
    environment: BTreeMap<String, String>,
    /// Names that templates may ask for; `None`: all.
    passthrough: Option<Vec<String>>,
}

impl Settings {
    /// How Station's own server is started, for the store at `location`.
    pub(crate) fn own_server(&self, location: &Location, key: &Key, passthrough: &Passthrough) -> OwnServer {
        let mut environment: BTreeMap<String, String> = self
            .environment
            .all()
            .into_iter()
            .map(|(name, value)| (name, value.expose().to_owned()))
            .collect();
        let place = match location {
            Location::Sqlite(path) => path.display().to_string(),
            Location::Postgres(url) => url.expose().to_owned(),
        };
        environment.insert("STATION_DATABASE".to_owned(), place);
        environment.insert("STATION_ENCRYPTION_KEY".to_owned(), key.to_hex().expose().to_owned());
        let passthrough = match passthrough {
            Passthrough::All => None,
            Passthrough::Only(names) => Some(names.iter().cloned().collect()),
        };
        let told = Told { config: self.file.clone(), environment, passthrough };
        OwnServer {
            program: super::engine::OURSELVES.to_owned(),
            args: vec!["stdio".to_owned(), "--handed".to_owned()],
            settings: Secret::new(serde_json::to_string(&told).expect("strings serialize")),
        }
    }

    /// What this process was handed, and the settings in it.
    ///
    /// # Errors
    /// `Invalid` where nothing was, or not by a Station of this version.
    pub(crate) fn handed() -> Result<(Self, Handed, Passthrough)> {
        let refused = |why: &str| {
            Error::invalid(format!("`--handed` is how Station starts its own server for a run: {why}"))
                .with_hint("for a client, `stn stdio` alone is right")
        };
        let mut pipe = take_pipe(HANDED_FD).map_err(|_| refused("nothing was handed over"))?;
        let mut text = String::new();
        pipe.read_to_string(&mut text).map_err(|_| refused("what was handed over cannot be read"))?;
        let handed: Handed = serde_json::from_str(&text).map_err(|_| refused("it was something else"))?;
        let told: Told =
            serde_json::from_str(&handed.settings).map_err(|_| refused("it was something else"))?;
        let passthrough = match told.passthrough {
            None => Passthrough::All,
            Some(names) => Passthrough::Only(names.into_iter().collect()),
        };
        let settings = Self::load(Some(&told.config), Environment::from(told.environment))?;
        Ok((settings, handed, passthrough))
    }
}

//! Configuration and key.

use super::Check;
use crate::config::{Environment, Settings};
use crate::log;
use crate::session::is_ours;
use station_engine::Location;
use std::path::Path;

/// The settings, as far as they can be known, and what there is to say about config.yaml.
pub(super) fn settings(flag: Option<&Path>, environment: Environment) -> (Option<Settings>, Vec<Check>) {
    const NAME: &str = "configuration";
    match Settings::load(flag, environment.clone()) {
        Ok(settings) => {
            let file = settings.file.display();
            let check = if !settings.file.exists() {
                Check::note(NAME, format!("there is no {file}: defaults hold"), "make it with `stn init`")
            } else if settings.config.unknown.is_empty() {
                Check::ok(NAME, file.to_string())
            } else {
                let unknown = settings.config.unknown.join(", ");
                Check::note(
                    NAME,
                    format!("{file} has keys that Station does not know: {unknown}"),
                    "docs/reference/config.md has those that it knows",
                )
            };
            let mut checks = vec![check];
            if let Err(error) = log::check(&settings) {
                checks.push(Check::failed("log", &error, "no other command works until it is mended"));
            }
            (Some(settings), checks)
        }
        Err(error) => {
            let check = Check::failed(
                NAME,
                &error,
                "mend that line; the checks below are made as if the file said nothing",
            );
            (Settings::at(flag, environment).ok(), vec![check])
        }
    }
}

pub(super) fn key(settings: &Settings) -> Check {
    const NAME: &str = "key";
    let has_database = matches!(settings.location(), Ok((Location::Sqlite(path), _)) if is_ours(&path));
    match settings.keys().find() {
        Err(error) => Check::failed(NAME, &error, "give back the key that made the database"),
        Ok(Some((key, place))) => match place.hint() {
            Some(hint) => Check::note(NAME, format!("id {}, {place}", key.id()), hint),
            None => Check::ok(NAME, format!("id {}, {place}", key.id())),
        },
        Ok(None) if has_database => Check::bad(
            NAME,
            "a database is there and no key: nobody can open it",
            "put the key back with `stn key set`, or set STATION_ENCRYPTION_KEY",
        ),
        Ok(None) => Check::note(NAME, "there is none yet", "the first command that needs one makes it"),
    }
}

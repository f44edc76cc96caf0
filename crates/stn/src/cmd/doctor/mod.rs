//! `stn doctor`
//!
//! **Invariant:** it changes nothing and makes nothing, and it works when everything else is broken: each check stands
//! alone, and what one needs from another that failed is passed over with a word. To add one: a function that gives back
//! [`Check`]s, and a line in [`Args::run`].

mod check;
mod machine;
mod models;
mod setup;
mod store;

pub(crate) use check::Check;

use crate::config::Environment;
use crate::error::{Code, Result};
use crate::follow::alive;
use crate::out::Out;
use check::{State, show};
use std::path::Path;

/// Look whether everything that Station needs is there, and say what to do where it is not
///
/// Looks at configuration, key, database, files, model providers, tool servers, the programs that most servers are
/// started with, the sandbox, and the worker. Changes nothing. Exits 1 where something keeps Station from working.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(&self, out: &Out, config: Option<&Path>, environment: Environment) -> Result {
        let (settings, mut checks) = setup::settings(config, environment);
        if let Some(settings) = &settings {
            checks.push(setup::key(settings));
            // A database that does not answer, or a folder on a network, takes its time.
            checks.extend(
                alive(out, "looking at the database and what is in it", store::checks(out, settings)).await,
            );
            checks.extend(machine::programs(&settings.environment));
        }
        checks.push(machine::sandbox());
        show(out, &checks)?;
        Ok(if checks.iter().any(|check| check.state == State::Bad) { Code::Failed } else { Code::Done })
    }
}

//! Values for variables of server files, for one command.

use crate::cmd::agent::variable;
use crate::error::Result;
use crate::follow::{Tell, follow};
use crate::remote::only_option;
use crate::session::Session;
use station_core::{EnvironmentName, Secret};
use station_engine::{ServerRef, Station};
use std::collections::BTreeMap;

/// What is given on the command line.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Given {
    /// Set a variable of the server's file for this command; may be given several times
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    variables: Vec<(String, Secret)>,
}

impl Given {
    /// Refuses values that would have to be sent to a server.
    ///
    /// # Errors
    /// `Invalid`.
    pub(super) fn check_there(&self) -> Result<()> {
        match self.variables.is_empty() {
            true => Ok(()),
            false => Err(only_option("--var", "a server has its own, see `stn variables set`").into()),
        }
    }

    /// The values by name; of one that is given twice, the last.
    pub(super) fn values(&self) -> BTreeMap<String, Secret> {
        self.variables.iter().cloned().collect()
    }

    /// The values; of names that nothing asks for, `server` or all in `environment`, is warned.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment or server.
    pub(super) async fn checked(
        &self,
        session: &Session<'_>,
        station: &Station,
        environment: &EnvironmentName,
        server: Option<&ServerRef>,
    ) -> Result<BTreeMap<String, Secret>> {
        let values = self.values();
        for sentence in station.unasked_variables(&session.by, environment, server, &values).await? {
            session.out.warning(&sentence);
        }
        Ok(values)
    }

    /// Lists servers that could not be listed without these values, and warns of names that nothing asks for: of `server`, or of
    /// all in `environment`. Without values nothing is done.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment or server.
    pub(super) async fn bring(
        &self,
        session: &Session<'_>,
        station: &Station,
        environment: &EnvironmentName,
        server: Option<&ServerRef>,
    ) -> Result<()> {
        if self.variables.is_empty() {
            return Ok(());
        }
        let values = self.checked(session, station, environment, server).await?;
        let doing = format!("asking the servers of `{environment}` for their tools");
        let asked = station.refresh_catalog_given(&session.by, environment, server, &values);
        let found = follow(session.out, station, Tell::Runs, &doing, asked).await?;
        for why in found.servers.into_iter().filter_map(|found| found.result.err()) {
            session.out.warning(&why);
        }
        Ok(())
    }
}

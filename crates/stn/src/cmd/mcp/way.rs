//! The way to the server that a command is about: one of an environment, or one at an address for this command alone.

use super::at::At;
use super::given::Given;
use crate::at::named;
use crate::error::Result;
use crate::named::environment_ref;
use crate::remote::{Server, only_option};
use crate::session::Session;
use station_engine::{EnvironmentRef, ServerRef, Station};

/// Where the server is, and what it is given.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Way {
    /// The environment of a name [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    #[command(flatten)]
    pub(super) given: Given,
    #[command(flatten)]
    at: At,
}

impl Way {
    /// Whether the server stands in no file, so that none is named.
    pub(super) fn is_by_address(&self) -> bool {
        self.at.url.is_some()
    }

    /// Refuses what would have to be sent to another Station.
    ///
    /// # Errors
    /// `Invalid`.
    fn check_there(&self) -> Result<()> {
        match self.is_by_address() {
            true => Err(only_option("--url", "that address is reached from here").into()),
            false => self.given.check_there(),
        }
    }

    /// The environment of the server, as another Station is told of it.
    pub(super) fn named(&self) -> Option<String> {
        named(self.env.as_ref())
    }

    /// Does `here` with the server, that at the address or else that of the name `name`, or `there` at another Station.
    ///
    /// # Errors
    /// `NotFound`; `Upstream` where a server at an address cannot be asked; `Invalid` where what would have to be sent to another Station
    /// stays here; those of `here` and `there`.
    pub(super) async fn at<T>(
        &self,
        session: &Session<'_>,
        name: &str,
        here: impl AsyncFnOnce(&Station, ServerRef) -> Result<T>,
        there: impl AsyncFnOnce(&Server) -> Result<T>,
    ) -> Result<T> {
        match &session.server {
            None => self.with(session, name, here).await,
            Some(target) => {
                self.check_there()?;
                session.there(target, there).await
            }
        }
    }

    async fn with<T>(
        &self,
        session: &Session<'_>,
        name: &str,
        work: impl AsyncFnOnce(&Station, ServerRef) -> Result<T>,
    ) -> Result<T> {
        if let Some(url) = &self.at.url {
            return self.at.with(session, (url, &self.given), work).await;
        }
        session
            .with(async |station| {
                let (server, environment) = session.server(station, name, self.env.as_ref()).await?;
                self.given.bring(session, station, &environment, Some(&server)).await?;
                // Boxed: too deep for the compiler otherwise.
                Box::pin(work(station, server)).await
            })
            .await
    }
}

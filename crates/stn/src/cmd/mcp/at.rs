//! A server that stands in no file: reached at its address for one command, from a store that is gone afterwards.

use super::given::Given;
use crate::error::Result;
use crate::session::{Session, close};
use serde_json::{Map, Value, json};
use station_core::{EnvironmentName, Error};
use station_engine::{Config, ServerRef, Station, SyncOptions, Workspace};
use std::fs;

/// The name that it has for so long.
const NAME: &str = "url";

/// Where a server is that stands in no file.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct At {
    /// The address of a remote server that stands in no file; then SERVER is left out
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// A header for that server; `{{ .NAME }}` in it is the variable NAME of the environment. May be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = super::call::pair, requires = "url")]
    headers: Vec<(String, String)>,
}

impl At {
    /// Does `work` with the server at `url`, which is asked first what it offers, with what is `given` for its variables.
    ///
    /// # Errors
    /// `Upstream` where it cannot be asked; those of `work`.
    pub(super) async fn with<T>(
        &self,
        session: &Session<'_>,
        (url, given): (&str, &Given),
        work: impl AsyncFnOnce(&Station, ServerRef) -> Result<T>,
    ) -> Result<T> {
        crate::session::install_tls();
        let (stand_in, config) = session.stand_in()?;
        let folder = stand_in.path().to_owned();
        let environment = EnvironmentName::default();
        let workspace = Workspace::new(folder.clone(), folder, None, false);
        let files = workspace.environment_folder(&environment).join("mcp-servers");
        let headers: Map<String, Value> =
            self.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let file = json!({ "mcpServers": { NAME: { "url": url, "headers": headers } } });
        fs::create_dir_all(&files)
            .and_then(|()| fs::write(files.join("url.json"), file.to_string()))
            .map_err(|cause| Error::internal("writing a file of a temporary folder", cause))?;
        let station = Station::open(Config { workspace, ..config }).await?;
        let done = async {
            let options = SyncOptions { dry_run: false, discover: false };
            let report = station.sync(&session.by, &environment, options).await?;
            session.tell_errors(&report.plan.problems);
            let server = ServerRef::Name { name: NAME.to_owned(), environment: environment.clone() };
            let values = given.checked(session, &station, &environment, Some(&server)).await?;
            let found =
                station.refresh_catalog_given(&session.by, &environment, Some(&server), &values).await?;
            if let Some(why) = found.servers.into_iter().find_map(|found| found.result.err()) {
                return Err(Error::upstream(why).into());
            }
            // Boxed, here and below: too deep for the compiler otherwise.
            Box::pin(work(&station, server)).await
        };
        let done = Box::pin(done).await;
        close(station, done).await
    }
}

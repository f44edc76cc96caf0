//! Environments: list, create, find.

use crate::Station;
use station_core::{Caller, Environment, EnvironmentName, Error, Origin, Result};
use std::path::PathBuf;

/// An environment that was made.
#[derive(Clone, Debug)]
pub struct NewEnvironment {
    /// Its row.
    pub environment: Environment,
    /// Its folder; `None` where files are read-only and it lives in the store alone.
    pub folder: Option<PathBuf>,
}

impl Station {
    /// Environments by name, those that have a folder and were never synced left out.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_environments(&self, _by: &Caller) -> Result<Vec<Environment>> {
        self.store().environments().await
    }

    /// Makes an environment: its folder, then its row.
    ///
    /// # Errors
    /// `Conflict` where it exists; `Invalid` where the folder cannot be written.
    pub async fn create_environment(
        &self,
        _by: &Caller,
        name: &EnvironmentName,
        description: &str,
    ) -> Result<NewEnvironment> {
        if self.store().environment(name.as_str()).await?.is_some() {
            return Err(Error::conflict(format!("environment `{name}` exists already")));
        }
        let workspace = &self.config().workspace;
        let (folder, origin, id) = if workspace.is_read_only() {
            (None, Origin::Store, String::new())
        } else {
            (Some(workspace.create_environment(name)?), Origin::File, workspace.ensure_id()?)
        };
        self.store().create_environment(name, description, origin, &id, self.now()).await?;
        Ok(NewEnvironment { environment: self.find_environment(name).await?, folder })
    }

    /// The environment of that name.
    ///
    /// # Errors
    /// `NotFound`, with the names there are.
    pub(crate) async fn find_environment(&self, name: &EnvironmentName) -> Result<Environment> {
        if let Some(environment) = self.store().environment(name.as_str()).await? {
            return Ok(environment);
        }
        let names: Vec<String> =
            self.store().environments().await?.iter().map(|it| format!("`{}`", it.name)).collect();
        let error = Error::not_found(format!("environment `{name}` does not exist"));
        if self.config().workspace.environment_folder(name).is_dir() {
            return Err(error.with_hint(format!("its folder is there: apply it with `stn sync {name}`")));
        }
        let there = if names.is_empty() {
            "there are none yet".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        Err(error.with_hint(format!("{there}; make one with `stn env create {name}`")))
    }
}

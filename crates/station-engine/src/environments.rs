//! Environments: list, show, create, describe, delete, find.

use crate::Station;
use crate::change::Thing;
use station_core::file::edit::{Field, set_key};
use station_core::{
    Action, Caller, Environment, EnvironmentId, EnvironmentName, Error, Origin, Realm, Result, is_number,
    near,
};
use station_store::RunFilter;
use std::fmt;
use std::path::PathBuf;

/// An environment as named by a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvironmentRef {
    /// By id.
    Id(EnvironmentId),
    /// By name.
    Name(EnvironmentName),
}

impl EnvironmentRef {
    /// Reads what a person typed: digits are an id, anything else a name.
    ///
    /// # Errors
    /// `Invalid` where it can be neither.
    pub fn parse(text: &str) -> Result<Self> {
        match text.parse() {
            Ok(id) if is_number(text) => Ok(Self::Id(EnvironmentId(id))),
            _ => EnvironmentName::parse(text).map(Self::Name),
        }
    }
}

/// As it was typed.
impl fmt::Display for EnvironmentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => f.write_str(name.as_str()),
        }
    }
}

impl Default for EnvironmentRef {
    fn default() -> Self {
        Self::Name(EnvironmentName::default())
    }
}

/// An environment with what is in it.
#[derive(Clone, Debug)]
pub struct EnvironmentDetails {
    /// Its row.
    pub environment: Environment,
    /// Names of its agents.
    pub agents: Vec<String>,
    /// Names of its servers.
    pub servers: Vec<String>,
    /// Names of its variables.
    pub variables: Vec<String>,
    /// Its folder, where there is one here.
    pub folder: Option<PathBuf>,
    /// Files in that folder, relative to the workspace.
    pub files: Vec<String>,
    /// Its runs.
    pub runs: u64,
}

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
    pub async fn list_environments(&self, by: &Caller) -> Result<Vec<Environment>> {
        by.may(Action::ReadEnvironments)?;
        Ok(seen(by, self.store().environments().await?))
    }

    /// Those with an agent in them, by name.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_environments_with_agents(&self, by: &Caller) -> Result<Vec<Environment>> {
        by.may(Action::ReadEnvironments)?;
        Ok(seen(by, self.store().environments_with_agents().await?))
    }

    /// Makes an environment: its folder, then its row.
    ///
    /// # Errors
    /// `Conflict` where it exists; `Invalid` where the folder cannot be written.
    pub async fn create_environment(
        &self,
        by: &Caller,
        name: &EnvironmentName,
        description: &str,
    ) -> Result<NewEnvironment> {
        by.may(Action::ManageEnvironments)?;
        if let Some(found) = self.store().environment(name.as_str()).await? {
            if self.has_lost_folder(&found).await? {
                return Err(self.lost_folder(name));
            }
            return Err(Error::conflict(format!("environment `{name}` exists already")));
        }
        // Before there is a folder.
        if description.contains('\0') {
            return Err(Error::invalid("a description cannot hold a NUL character (U+0000)"));
        }
        let workspace = &self.config().workspace;
        let (folder, origin, id) = if workspace.takes_files(name) {
            (Some(workspace.create_environment(name)?), Origin::File, workspace.ensure_id()?)
        } else {
            (None, Origin::Store, String::new())
        };
        self.store().create_environment(name, description, (origin, &id), by.actor(), self.now()).await?;
        if folder.is_some() && !description.is_empty() {
            self.describe_in_file(by, name, description).await?;
        }
        Ok(NewEnvironment { environment: self.find_environment(by, name).await?, folder })
    }

    /// One environment with what is in it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn show_environment(&self, by: &Caller, of: &EnvironmentRef) -> Result<EnvironmentDetails> {
        by.may(Action::ReadEnvironments)?;
        let environment = self.environment(by, of).await?;
        let name = Some(&environment.name);
        let agents = self.list_agents(by, name).await?;
        let servers = self.store().servers(Some(environment.id)).await?;
        let variables = self.store().variables(environment.id).await?;
        let filter = RunFilter { environment: Some(environment.id), ..RunFilter::default() };
        let folder = self.config().workspace.environment_folder(&environment.name);
        let tells_variables = by.may(Action::ReadVariables).is_ok();
        Ok(EnvironmentDetails {
            agents: agents.into_iter().map(|agent| agent.name.to_string()).collect(),
            servers: servers.into_iter().map(|server| server.name).collect(),
            variables: variables.into_keys().filter(|_| tells_variables).collect(),
            files: self.config().workspace.files_of(&environment.name)?,
            folder: (tells_variables && folder.is_dir()).then_some(folder),
            runs: self.store().count_runs(&filter).await?,
            environment,
        })
    }

    /// The environment that is meant.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn environment(&self, by: &Caller, of: &EnvironmentRef) -> Result<Environment> {
        by.may(Action::ReadEnvironments)?;
        self.find_environment(by, &self.environment_name(by, of).await?).await
    }

    /// The name of the environment that is meant. What was named by its name need not exist: it may be about to.
    ///
    /// # Errors
    /// `NotFound` for a number that no environment has.
    pub async fn environment_name(&self, by: &Caller, of: &EnvironmentRef) -> Result<EnvironmentName> {
        by.may(Action::ReadEnvironments)?;
        let id = match of {
            EnvironmentRef::Name(name) => return Ok(name.clone()),
            EnvironmentRef::Id(id) => *id,
        };
        let found = self.store().environment_by_id(id).await?.filter(|it| by.sees(it.id));
        found.map(|row| row.name).ok_or_else(|| {
            Error::not_found(format!("environment {id} does not exist"))
                .with_hint("`stn env list` shows them")
        })
    }

    /// Describes an environment in one line: in its environment.yml, or in the store where it has no files.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where its files are managed elsewhere.
    pub async fn update_environment(
        &self,
        by: &Caller,
        of: &EnvironmentRef,
        description: &str,
    ) -> Result<EnvironmentDetails> {
        by.may(Action::ManageEnvironments)?;
        let environment = self.show_environment(by, of).await?.environment;
        match environment.origin {
            Origin::File => self.describe_in_file(by, &environment.name, description).await?,
            Origin::Store => {
                self.store()
                    .describe_environment(environment.id, description, by.actor(), self.now())
                    .await?;
            }
        }
        self.show_environment(by, of).await
    }

    async fn describe_in_file(&self, by: &Caller, name: &EnvironmentName, description: &str) -> Result<()> {
        let describe = |text: Option<&str>| {
            Ok(Some(set_key(text.unwrap_or_default(), &["description"], &Field::Text(description))?))
        };
        self.change_file(by, name, Thing::Rules, describe).await.map(drop)
    }

    /// What deleting an environment would do.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for the default one, where runs have not ended, or where its files are managed elsewhere.
    pub async fn plan_environment_deletion(
        &self,
        by: &Caller,
        of: &EnvironmentRef,
    ) -> Result<EnvironmentDetails> {
        by.may(Action::ReadEnvironments)?;
        let mut details = self.show_environment(by, of).await?;
        if details.folder.as_ref().is_some_and(|folder| folder.is_symlink()) {
            // Only the link would go: what it leads to is kept elsewhere.
            details.files.clear();
        }
        let Environment { id, name, origin, .. } = &details.environment;
        if *name == EnvironmentName::default() {
            let sentence = format!("environment `{name}` cannot be deleted: it is meant where none is named");
            return Err(Error::conflict(sentence).with_hint(
                "delete what is in it: `stn agent delete`, `stn mcp delete`, `stn variables unset`",
            ));
        }
        let filter = RunFilter { environment: Some(*id), open: true, ..RunFilter::default() };
        self.refuse_open(&format!("environment `{name}`"), self.store().count_runs(&filter).await?)?;
        if *origin == Origin::File {
            self.refuse_managed(name)?;
        }
        let stored = self.store().stored(name, &self.config().workspace.ensure_id()?).await?;
        if *origin == Origin::File && stored.foreign {
            let sentence = format!("environment `{name}` belongs to another workspace");
            return Err(Error::conflict(sentence).with_hint("delete it from that workspace"));
        }
        Ok(details)
    }

    /// Deletes an environment: its folder with every file in it, its agents, servers and variables. Its row and its runs
    /// stay; an environment of the same name has the same id again.
    ///
    /// # Errors
    /// As [`Station::plan_environment_deletion`].
    pub async fn delete_environment(&self, by: &Caller, of: &EnvironmentRef) -> Result<EnvironmentDetails> {
        by.may(Action::ManageEnvironments)?;
        let gone = self.plan_environment_deletion(by, of).await?;
        if gone.folder.is_some() && gone.environment.origin == Origin::File {
            self.config().workspace.remove_environment(&gone.environment.name)?;
        }
        self.store().remove_environment(gone.environment.id, by.actor(), self.now()).await?;
        Ok(gone)
    }

    /// The environment of that name.
    ///
    /// # Errors
    /// `NotFound`, with the names there are.
    pub(crate) async fn find_environment(&self, by: &Caller, name: &EnvironmentName) -> Result<Environment> {
        if let Some(environment) = self.store().environment(name.as_str()).await?
            && by.sees(environment.id)
        {
            return Ok(environment);
        }
        let all = seen(by, self.store().environments().await?);
        let names: Vec<String> = all.iter().map(|it| format!("`{}`", it.name)).collect();
        let error = Error::not_found(format!("environment `{name}` does not exist"));
        if by.realm == Realm::All && self.config().workspace.environment_folder(name).is_dir() {
            return Err(error.with_hint(format!("its folder is there: apply it with `stn sync {name}`")));
        }
        if let Some(hint) = near::hint(name.as_str(), all.iter().map(|it| it.name.as_str())) {
            return Err(error.with_hint(hint));
        }
        let there = if names.is_empty() {
            "there are none yet".to_owned()
        } else {
            format!("there are {}", names.join(", "))
        };
        Err(error.with_hint(format!("{there}; make one with `stn env create {name}`")))
    }
}

/// Those that exist for this caller.
fn seen(by: &Caller, environments: Vec<Environment>) -> Vec<Environment> {
    environments.into_iter().filter(|environment| by.sees(environment.id)).collect()
}

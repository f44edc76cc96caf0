//! Files into the store: read, plan, apply in one transaction, then discover the servers that changed.
//!
//! A dry run prints the plan that an apply would commit: both come from the same lines. The implicit apply before an
//! `agent run` differs in one thing: it removes nothing.

use crate::catalog::{Discovery, written};
use crate::variables::Values;
use crate::workspace::FolderRead;
use crate::{ServerRef, Station};
use station_core::file::Problem;
use station_core::sync::{self, Change, Plan, Removals, changed_servers};
use station_core::{
    Action, Actor, Agent, Caller, Environment, EnvironmentName, Error, Kind, Origin, Result, Secret, Server,
    ToolId, ToolNames,
};
use std::collections::BTreeMap;

/// How a sync is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncOptions {
    /// Only say what would change.
    pub dry_run: bool,
    /// Connect to servers that are new or have changed.
    pub discover: bool,
}

/// What a sync of one environment did, or would do.
#[derive(Clone, Debug)]
pub struct SyncReport {
    /// The environment.
    pub environment: EnvironmentName,
    /// What changed, and what there is to say about the files.
    pub plan: Plan,
    /// Whether the plan was applied.
    pub applied: bool,
    /// Where each variable that a server asks for comes from; `None` where nothing has it. Never the value.
    pub variables: Vec<(String, Option<&'static str>)>,
    /// Servers that were connected to.
    pub discovery: Discovery,
}

impl Station {
    /// Brings the store in line with the files of one environment.
    ///
    /// # Errors
    /// `NotFound` where the folder is missing: that is never a removal. Broken files are in the plan's problems.
    pub async fn sync(
        &self,
        by: &Caller,
        name: &EnvironmentName,
        options: SyncOptions,
    ) -> Result<SyncReport> {
        by.may(Action::Sync)?;
        let id =
            if options.dry_run { self.known_workspace_id() } else { self.config().workspace.ensure_id()? };
        // Before reading: what changes meanwhile must not be taken as seen.
        let fingerprint = self.config().workspace.fingerprint(name)?;
        let folder = match self.config().workspace.read(name, id) {
            Err(error)
                if error.kind() == Kind::NotFound && self.lost_environments().await?.contains(name) =>
            {
                return Err(self.lost_folder(name));
            }
            read => read?,
        };
        let planned = self.plan(&folder, Removals::Apply).await?;
        let mut report = SyncReport {
            environment: name.clone(),
            plan: planned.plan,
            applied: false,
            variables: planned.variables,
            discovery: Discovery::default(),
        };
        if options.dry_run {
            return Ok(report);
        }
        let environment = self.apply_changes(by.actor(), name, &folder, &report.plan.changes).await?;
        self.remember(&environment, &report.plan, fingerprint).await?;
        report.applied = true;
        if options.discover {
            let changed = planned.changed;
            let wants = |server: &Server| {
                changed.contains(&server.name) || server.discovered_at.is_none() || server.problem.is_some()
            };
            report.discovery = self.discover(&environment, &wants).await?;
        }
        Ok(report)
    }

    /// Names of the environments whose folders are in the workspace, at least one.
    ///
    /// # Errors
    /// `NotFound` where there is none, `Conflict` where all that there were are gone.
    pub async fn environments_to_sync(&self) -> Result<Vec<EnvironmentName>> {
        let names = self.config().workspace.environment_names()?;
        if !names.is_empty() {
            return Ok(names);
        }
        Err(match self.lost_environments().await?.first() {
            Some(lost) => self.lost_folder(lost),
            None => Error::not_found("there is no environment folder to sync")
                .with_hint("make one with `stn init` or `stn env create NAME`"),
        })
    }

    /// Environments of this workspace that the store has and whose folders are gone: an error, never a removal.
    ///
    /// # Errors
    /// The store's.
    pub async fn lost_environments(&self) -> Result<Vec<EnvironmentName>> {
        let mut lost = Vec::new();
        for environment in self.store().environments().await? {
            if self.has_lost_folder(&environment).await? {
                lost.push(environment.name);
            }
        }
        Ok(lost)
    }

    /// What there is to say of one of them.
    #[must_use]
    pub fn lost_folder(&self, name: &EnvironmentName) -> Error {
        let folder = self.config().workspace.environment_folder(name);
        let folder = folder.display();
        Error::conflict(format!("environment `{name}` has lost its folder {folder}")).with_hint(format!(
            "what is stored of it stays: bring the folder back. An empty one in its place (`mkdir -p {folder}`) counts as it is: \
             `stn sync` removes what it no longer holds"
        ))
    }

    pub(crate) async fn has_lost_folder(&self, environment: &Environment) -> Result<bool> {
        if environment.origin != Origin::File
            || self.config().workspace.environment_folder(&environment.name).is_dir()
        {
            return Ok(false);
        }
        Ok(!self.store().is_foreign(environment.id, &self.known_workspace_id()).await?)
    }

    /// Applies what has changed in the files of an environment before something of it is used. Removes nothing, connects
    /// to nothing; an environment without a folder is left as the store has it.
    ///
    /// # Errors
    /// The store's; broken files are given back and change nothing.
    pub async fn apply_changed_files(&self, name: &EnvironmentName) -> Result<Vec<Problem>> {
        let Some(plan) = self.apply_files(name).await? else { return Ok(Vec::new()) };
        Ok(plan.problems)
    }

    /// Discovers servers that were never listed, or long ago. What fails is told to watchers.
    ///
    /// # Errors
    /// The store's.
    pub async fn refresh_catalog(&self, name: &EnvironmentName) -> Result<Discovery> {
        match self.store().environment(name.as_str()).await? {
            Some(environment) => self.discover_stale(&environment, &|_| true, &BTreeMap::new()).await,
            None => Ok(Discovery::default()),
        }
    }

    /// As [`Station::refresh_catalog`], before `agent` runs: only servers that it, or an agent below it, has use for, so
    /// that no run waits for a server that it would not call, and with the values that are `given` with the run. What
    /// fails is told in the run's warnings, too.
    ///
    /// # Errors
    /// The store's.
    pub async fn refresh_catalog_of(
        &self,
        by: &Caller,
        agent: &Agent,
        given: &BTreeMap<String, Secret>,
    ) -> Result<Discovery> {
        by.may(Action::RunAgents)?;
        // What is listed is everybody's, so it is listed with nobody's values but an administrator's.
        let nothing = BTreeMap::new();
        let given = if by.may(Action::SetVariables).is_ok() { given } else { &nothing };
        let Some(environment) = self.store().environment_by_id(agent.environment).await? else {
            return Ok(Discovery::default());
        };
        let servers = self.servers_of(agent).await?;
        self.discover_stale(&environment, &|server| servers.contains(&server.id), given).await
    }

    /// As [`Station::refresh_catalog`], for somebody who gives values for variables: only `server`, where one is named.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment or server.
    pub async fn refresh_catalog_given(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
        server: Option<&ServerRef>,
        given: &BTreeMap<String, Secret>,
    ) -> Result<Discovery> {
        by.may(Action::CallTools)?;
        let environment = self.find_environment(by, environment).await?;
        self.refuse_given(by, environment.id, given).await?;
        let only = match server {
            Some(server) => Some(self.find_server(by, server).await?.server.id),
            None => None,
        };
        let is_meant = |server: &Server| only.is_none_or(|only| only == server.id);
        self.discover_stale(&environment, &is_meant, given).await
    }

    async fn apply_files(&self, name: &EnvironmentName) -> Result<Option<Plan>> {
        let Some(fingerprint) = self.config().workspace.fingerprint(name)? else {
            let environment = self.store().environment(name.as_str()).await?;
            if let Some(environment) = environment
                && self.has_lost_folder(&environment).await?
            {
                let folder = self.config().workspace.environment_folder(name);
                let sentence = format!("environment `{name}` has lost its folder {}", folder.display());
                return Err(Error::not_found(sentence).with_hint(
                    "what is stored of it stays: bring the folder back, or run with `--no-sync`",
                ));
            }
            return Ok(None);
        };
        if let Some(environment) = self.store().environment(name.as_str()).await?
            && self.store().files_seen(environment.id).await?.as_deref() == Some(&fingerprint)
        {
            return Ok(None);
        }
        let folder = self.config().workspace.read(name, self.config().workspace.ensure_id()?)?;
        let planned = self.plan(&folder, Removals::Keep).await?;
        let environment = self.apply_changes(nobody(), name, &folder, &planned.plan.changes).await?;
        self.remember(&environment, &planned.plan, Some(fingerprint)).await?;
        Ok(Some(planned.plan))
    }

    /// Applies the files of an environment and connects to nothing. Writes nothing into the workspace.
    pub(crate) async fn apply_unlisted(&self, name: &EnvironmentName) -> Result<Vec<Problem>> {
        let folder = self.config().workspace.read(name, self.known_workspace_id())?;
        let planned = self.plan(&folder, Removals::Keep).await?;
        self.apply_changes(nobody(), name, &folder, &planned.plan.changes).await?;
        Ok(planned.plan.problems)
    }

    pub(crate) async fn plan(&self, folder: &FolderRead, removals: Removals) -> Result<Planned> {
        let files = &folder.files;
        let stored = self.store().stored(&files.environment, &files.workspace_id).await?;
        let (mut catalog, mut undiscovered) = (ToolNames::default(), true);
        let mut previous: BTreeMap<String, BTreeMap<String, ToolId>> = BTreeMap::new();
        if let Some(environment) = stored.environment {
            catalog = self.store().tool_names(environment).await?;
            let servers = self.store().servers(Some(environment)).await?;
            undiscovered = servers.iter().any(|server| server.discovered_at.is_none());
            let agents = self.store().grants_by_agent(environment).await?;
            previous = agents.into_iter().map(|(name, grants)| (name, written(&grants).1)).collect();
        }
        // Of an environment of others, this workspace's file is not applied: what holds is what is stored.
        let read = files
            .variables
            .as_ref()
            .filter(|_| !stored.foreign)
            .and_then(|text| station_core::file::variables::read(text.body.expose(), &text.path).0);
        let values =
            Values::new(self.config(), BTreeMap::new(), read.unwrap_or_else(|| stored.variables.clone()));
        let value_of = |name: &str| values.get(name).map(|value| value.expose().to_owned());
        let known = if undiscovered { sync::Discovery::Partial } else { sync::Discovery::Complete };
        let mut plan = sync::plan(files, &stored, &catalog, &previous, known, removals, &value_of);
        plan.spare(&folder.unreadable, &stored);
        plan.problems.extend(folder.problems.iter().cloned());
        let changed = changed_servers(&plan, &stored);
        let variables =
            asked_for(&plan).into_iter().map(|name| (name.clone(), values.place(&name))).collect();
        Ok(Planned { plan, changed, variables })
    }

    /// Applies changes of a plan, all of them or none, by `actor`.
    pub(crate) async fn apply_changes(
        &self,
        actor: Actor,
        name: &EnvironmentName,
        folder: &FolderRead,
        changes: &[Change],
    ) -> Result<Environment> {
        if !changes.is_empty() {
            self.store().apply(name, &folder.files.workspace_id, changes, actor, self.now()).await?;
        }
        self.find_environment(&Caller::local(), name).await
    }

    /// Keeps the fingerprint of files that were applied without a problem; a broken file is read again each time.
    async fn remember(
        &self,
        environment: &Environment,
        plan: &Plan,
        fingerprint: Option<String>,
    ) -> Result<()> {
        let whole = plan.problems.iter().all(|it| it.severity != station_core::file::Severity::Error);
        match fingerprint.filter(|_| whole) {
            Some(fingerprint) => self.store().see_files(environment.id, &fingerprint).await,
            None => Ok(()),
        }
    }

    fn known_workspace_id(&self) -> String {
        self.config().workspace.known_id()
    }
}

/// Who applies files that were changed beside Station, before something of them is used: who wrote them is not known.
pub(crate) fn nobody() -> Actor {
    Caller::nobody().actor()
}

pub(crate) struct Planned {
    pub(crate) plan: Plan,
    changed: std::collections::BTreeSet<String>,
    variables: Vec<(String, Option<&'static str>)>,
}

fn asked_for(plan: &Plan) -> Vec<String> {
    let mut names = std::collections::BTreeSet::new();
    for change in &plan.changes {
        if let Change::PutConfig { servers, .. } = change {
            names.extend(servers.iter().flat_map(|server| server.variables.iter().cloned()));
        }
    }
    names.into_iter().collect()
}

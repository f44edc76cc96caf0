//! Where a variable's value comes from: the first place that has it wins.
//!
//! `--var`, then the process environment, of whoever queued the run and then of who drives it (only the names a template asks for, and never Station's own secrets), then
//! `variables.yml`; defaults are the file's own and are applied by `core::file::servers`. Nothing here shows a value.

use crate::change::Thing;
use crate::prepare::read_prompt;
use crate::{Config, Passthrough, Run, ServerRef, Station};
use station_core::file::edit::{Field, set_key, unset_key};
use station_core::file::prompt::Prompt;
use station_core::file::servers::{self, Unresolved};
use station_core::file::variables::{self, is_name};
use station_core::{
    Action, Caller, Environment, EnvironmentId, EnvironmentName, Error, Origin, Result, RunId, Secret,
    Server, ServerId, near,
};
use std::collections::{BTreeMap, BTreeSet};

/// Names of Station's own secrets: `--var` and `variables.yml` may define these, the process environment may not.
pub const OWN: [&str; 8] = [
    "STATION_ENCRYPTION_KEY",
    "STATION_ENCRYPTION_KEY_NEXT",
    "STN_ENCRYPTION_KEY",
    "STATION_DATABASE",
    "DATABASE_URL",
    "STN_AI_API_KEY",
    "STN_ADMIN_KEY",
    "STN_SERVER_KEY",
];

/// The place of a value that the environment's file sets.
const VARIABLES_YML: &str = "variables.yml";

/// The place of a value that stands in that file, and that no sync has applied.
pub const NOT_APPLIED: &str = "variables.yml, not applied yet";

/// Values that came with a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Brought {
    /// Given with `--var`: before every other place, and for the prompt too.
    pub(crate) given: BTreeMap<String, Secret>,
    /// Of the environment of whoever queued the run, for servers alone.
    pub(crate) carried: BTreeMap<String, Secret>,
}

impl Brought {
    /// What came with `run`.
    pub(crate) async fn with(station: &Station, run: RunId) -> Result<Self> {
        let store = station.store();
        let (given, carried) = (store.run_variables(run).await?, store.carried_variables(run).await?);
        Ok(Self { given, carried })
    }
}

/// The values a template may ask for.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    explicit: BTreeMap<String, Secret>,
    carried: BTreeMap<String, Secret>,
    process: BTreeMap<String, Secret>,
    passthrough: Passthrough,
    stored: BTreeMap<String, Secret>,
}

impl Values {
    /// The values of one environment, with a run's own before them.
    pub(crate) async fn read(
        station: &Station,
        environment: EnvironmentId,
        explicit: BTreeMap<String, Secret>,
    ) -> Result<Self> {
        let stored = station.store().variables(environment).await?;
        Ok(Self::new(station.config(), explicit, stored))
    }

    pub(crate) fn new(
        config: &Config,
        explicit: BTreeMap<String, Secret>,
        stored: BTreeMap<String, Secret>,
    ) -> Self {
        let (process, passthrough) = (config.process.clone(), config.passthrough.clone());
        Self { explicit, carried: BTreeMap::new(), process, passthrough, stored }
    }

    /// Whether values are given before all others.
    pub(crate) fn has_explicit(&self) -> bool {
        !self.explicit.is_empty()
    }

    /// With values that are given before all others.
    pub(crate) fn with_explicit(self, explicit: BTreeMap<String, Secret>) -> Self {
        Self { explicit, ..self }
    }

    /// With what was carried along from the environment of whoever queued the run: it stands for the process's own.
    pub(crate) fn with_carried(self, carried: BTreeMap<String, Secret>) -> Self {
        Self { carried, ..self }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Secret> {
        self.explicit.get(name).or_else(|| self.of_process(name)).or_else(|| self.stored.get(name)).cloned()
    }

    /// The place a value comes from, in words; `None` where it has none.
    pub(crate) fn place(&self, name: &str) -> Option<&'static str> {
        if self.explicit.contains_key(name) {
            Some("--var")
        } else if self.of_process(name).is_some() {
            Some("process environment")
        } else if self.stored.contains_key(name) {
            Some(VARIABLES_YML)
        } else {
            None
        }
    }

    /// Names that were set for Station by somebody: those of the process's environment are too many to be meant.
    fn named(&self) -> impl Iterator<Item = &str> {
        self.explicit.keys().chain(self.stored.keys()).map(String::as_str)
    }

    /// Whether a name is set in the process environment and does not get through to templates.
    fn is_kept_back(&self, name: &str) -> bool {
        self.process.contains_key(name) && self.of_process(name).is_none()
    }

    /// Why a server cannot be started, in one sentence: every missing name with its place.
    pub(crate) fn explain(&self, server: &str, unresolved: &Unresolved) -> String {
        match unresolved {
            Unresolved::Missing(missing) => {
                let names: Vec<String> = missing
                    .iter()
                    .map(|it| {
                        let place = format!("{}:{}:{}", it.path, it.at.line, it.at.column);
                        let note = if self.is_kept_back(&it.variable) {
                            ", set in the process environment but not passed through".to_owned()
                        } else {
                            let hint = near::hint(&it.variable, self.named());
                            hint.map(|hint| format!(", {hint}")).unwrap_or_default()
                        };
                        format!("`{}` ({place}{note})", it.variable)
                    })
                    .collect();
                format!("server `{server}` cannot start: no value for {}", names.join(", "))
            }
            Unresolved::Broken(problems) => {
                let sentences: Vec<String> = problems.iter().map(ToString::to_string).collect();
                format!("server `{server}` cannot start: {}", sentences.join("; "))
            }
        }
    }

    /// The value of the process environment, the caller's before the worker's own.
    pub(crate) fn of_process(&self, name: &str) -> Option<&Secret> {
        let open = match &self.passthrough {
            Passthrough::All => true,
            Passthrough::Only(names) => names.contains(name),
        };
        let own = || self.process.get(name).filter(|_| open && !OWN.contains(&name));
        self.carried.get(name).or_else(own)
    }
}

/// A variable of an environment, without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where its value comes from, for a command at this terminal; `None` where nothing sets it.
    pub from: Option<&'static str>,
    /// Whether variables.yml, or the store, sets it.
    pub stored: bool,
    /// Servers that ask for it.
    pub asked_by: Vec<String>,
}

impl Station {
    /// The variables of an environment: those that are set, and those that its servers ask for. Values are not told.
    ///
    /// # Errors
    /// `NotFound` where the environment does not exist.
    pub async fn list_variables(&self, by: &Caller, name: &EnvironmentName) -> Result<Vec<Variable>> {
        by.may(Action::ReadVariables)?;
        let environment = self.find_environment(by, name).await?;
        let values = Values::read(self, environment.id, BTreeMap::new()).await?;
        let pending = self.pending_variables(&environment, &values).await?;
        let mut asked: BTreeMap<String, Vec<String>> =
            values.stored.keys().chain(&pending).map(|name| (name.clone(), Vec::new())).collect();
        for server in self.store().servers(Some(environment.id)).await? {
            for AskedFor { name, .. } in self.asked_by(&server, &values).await? {
                asked.entry(name).or_default().push(server.name.clone());
            }
        }
        let place = |name: &str| match (values.place(name), environment.origin) {
            (Some(VARIABLES_YML), Origin::Store) => Some("store"),
            (Some(VARIABLES_YML) | None, _) if pending.contains(name) => Some(NOT_APPLIED),
            (place, _) => place,
        };
        let row = |(name, asked_by): (String, Vec<String>)| Variable {
            from: place(&name),
            stored: values.stored.contains_key(&name),
            name,
            asked_by,
        };
        Ok(asked.into_iter().map(row).collect())
    }

    /// Names that variables.yml sets, and that are not stored as it says.
    async fn pending_variables(
        &self,
        environment: &Environment,
        values: &Values,
    ) -> Result<BTreeSet<String>> {
        let workspace = &self.config().workspace;
        let is_here = workspace.environment_folder(&environment.name).is_dir();
        if environment.origin != Origin::File
            || !is_here
            || self.store().is_foreign(environment.id, &workspace.known_id()).await?
        {
            return Ok(BTreeSet::new());
        }
        let read = self.written_variables(&environment.name)?;
        let is_new = |name: &str, value: &Secret| {
            values.stored.get(name).is_none_or(|stored| stored.expose() != value.expose())
        };
        Ok(read.into_iter().filter(|(name, value)| is_new(name, value)).map(|(name, _)| name).collect())
    }

    /// What variables.yml of an environment says; nothing where it cannot be read.
    fn written_variables(&self, name: &EnvironmentName) -> Result<BTreeMap<String, Secret>> {
        let workspace = &self.config().workspace;
        let text = workspace.read(name, workspace.known_id())?.files.variables;
        Ok(text.and_then(|text| variables::read(text.body.expose(), &text.path).0).unwrap_or_default())
    }

    /// Whether a variable of an environment is `value`, in variables.yml or, where that does not say, as it is stored; `None` where it is
    /// not set.
    ///
    /// # Errors
    /// `NotFound` where the environment does not exist.
    pub async fn is_variable(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
        name: &str,
        value: &Secret,
    ) -> Result<Option<bool>> {
        by.may(Action::SetVariables)?;
        let found = self.find_environment(by, environment).await?;
        let is_here = self.config().workspace.environment_folder(environment).is_dir();
        let written = match found.origin == Origin::File && is_here {
            true => self.written_variables(environment)?.remove(name),
            false => None,
        };
        let set = match written {
            Some(value) => Some(value),
            None => self.store().variables(found.id).await?.remove(name),
        };
        Ok(set.map(|set| set == *value))
    }

    /// Sets a variable of an environment: in its variables.yml, or in the store where it has no files.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a name that no template can ask for; `Conflict` where files are managed elsewhere.
    pub async fn set_variable(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
        name: &str,
        value: &Secret,
    ) -> Result<()> {
        by.may(Action::SetVariables)?;
        if !is_name(name) {
            return Err(Error::invalid(format!("`{name}` cannot be the name of a variable"))
                .with_hint("use letters, digits and `_`, not beginning with a digit"));
        }
        let found = self.find_environment(by, environment).await?;
        if found.origin == Origin::Store {
            return self.store().put_variable(found.id, name, Some(value), by.actor(), self.now()).await;
        }
        let set = |text: Option<&str>| {
            Ok(Some(set_key(text.unwrap_or_default(), &[name], &Field::Text(value.expose()))?))
        };
        self.change_file(by, environment, Thing::Variables, set).await.map(drop)
    }

    /// Takes a variable out of an environment.
    ///
    /// # Errors
    /// As [`Station::set_variable`]; `NotFound` where it is not set.
    pub async fn unset_variable(&self, by: &Caller, environment: &EnvironmentName, name: &str) -> Result<()> {
        by.may(Action::SetVariables)?;
        let found = self.find_environment(by, environment).await?;
        let known = self.store().variables(found.id).await?;
        let missing = || {
            let sentence = format!("variable `{name}` is not set in environment `{environment}`");
            let hint = near::hint(name, known.keys().map(String::as_str));
            Error::not_found(sentence)
                .with_hint(hint.unwrap_or_else(|| "`stn variables list` shows them".to_owned()))
        };
        if found.origin == Origin::Store {
            if !known.contains_key(name) {
                return Err(missing());
            }
            return self.store().put_variable(found.id, name, None, by.actor(), self.now()).await;
        }
        let unset = |text: Option<&str>| {
            let text = text.ok_or_else(missing)?;
            let edited = unset_key(text, &[name])?;
            if edited == text && !known.contains_key(name) { Err(missing().into()) } else { Ok(Some(edited)) }
        };
        self.change_file(by, environment, Thing::Variables, unset).await.map(drop)
    }

    /// The variables that a server's entry asks for, a default counted as a value.
    pub(crate) async fn asked_by(&self, server: &Server, values: &Values) -> Result<Vec<AskedFor>> {
        let config = self.store().config_source(server.id).await?;
        let shown = |name: &str| values.get(name).map(|value| value.expose().to_owned());
        let (file, _) = servers::read(config.source.expose(), &config.path, &shown);
        let entry = file.into_iter().flat_map(|file| file.entries).find(|entry| entry.name == server.name);
        let value_of = |name: &str| values.get(name);
        let resolved = servers::resolve(config.source.expose(), &config.path, &server.name, &value_of);
        let missing: BTreeMap<String, bool> = match resolved {
            Err(Unresolved::Missing(missing)) => {
                missing.into_iter().map(|it| (it.variable, it.is_secret)).collect()
            }
            _ => BTreeMap::new(),
        };
        let asked: BTreeSet<String> =
            entry.into_iter().flat_map(|entry| entry.uses).map(|used| used.variable).collect();
        Ok(asked.into_iter().map(|name| AskedFor { lacks: missing.get(&name).copied(), name }).collect())
    }

    /// Servers of an environment that lack a value without `given`, and get one by it.
    pub(crate) async fn enabled_by(
        &self,
        environment: EnvironmentId,
        given: &BTreeMap<String, Secret>,
    ) -> Result<BTreeSet<ServerId>> {
        let mut enabled = BTreeSet::new();
        if given.is_empty() {
            return Ok(enabled);
        }
        let without = Values::read(self, environment, BTreeMap::new()).await?;
        for server in self.store().servers(Some(environment)).await? {
            let unset = self.unset_variables(&server, &without).await?;
            enabled.extend(unset.iter().any(|name| given.contains_key(name)).then_some(server.id));
        }
        Ok(enabled)
    }

    /// What to say about names given with a run that nothing asks for: neither its agent's prompt, nor that of an agent
    /// below it, nor a server of its environment. One sentence each.
    pub(crate) async fn unasked(&self, run: &Run, given: &BTreeMap<String, Secret>) -> Result<Vec<String>> {
        // Sub-agents are given what their parents were, and need not ask for it.
        if given.is_empty() || run.depth > 0 {
            return Ok(Vec::new());
        }
        let values = Values::read(self, run.environment, given.clone()).await?;
        let servers = self.store().servers(Some(run.environment)).await?;
        let mut asked = self.asked_by_all(&servers, &values).await?;
        let mut prompts = Vec::new();
        for id in self.family(run.agent).await? {
            let Some(agent) = self.store().agent(id).await? else { continue };
            // A broken one says so itself, where it is to run.
            prompts.extend(read_prompt(self, &agent).await.ok());
        }
        asked.extend(prompts.iter().flat_map(Prompt::variables));
        let is_asked = |name: &str| asked.contains(name) || prompts.iter().any(|it| it.may_ask_for(name));
        Ok(unasked(given, &asked, is_asked))
    }

    /// What to say about names that are given for a command of its own, and that no server of the environment asks for, or not
    /// the one that is named. One sentence each.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment or server.
    pub async fn unasked_variables(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
        server: Option<&ServerRef>,
        given: &BTreeMap<String, Secret>,
    ) -> Result<Vec<String>> {
        by.may(Action::ReadVariables)?;
        let environment = self.find_environment(by, environment).await?;
        let servers = match server {
            Some(server) => vec![self.find_server(by, server).await?.server],
            None => self.store().servers(Some(environment.id)).await?,
        };
        let values = Values::read(self, environment.id, given.clone()).await?;
        let asked = self.asked_by_all(&servers, &values).await?;
        Ok(unasked(given, &asked, |name| asked.contains(name)))
    }

    /// The variables that servers ask for.
    async fn asked_by_all(&self, servers: &[Server], values: &Values) -> Result<BTreeSet<String>> {
        let mut asked = BTreeSet::new();
        for server in servers {
            asked.extend(self.asked_by(server, values).await?.into_iter().map(|it| it.name));
        }
        Ok(asked)
    }

    /// The variables that a server needs and that have no value.
    pub(crate) async fn unset_variables(&self, server: &Server, values: &Values) -> Result<Vec<String>> {
        let asked = self.asked_by(server, values).await?;
        Ok(asked.into_iter().filter(|it| it.lacks.is_some()).map(|it| it.name).collect())
    }
}

/// A variable that a server asks for.
pub(crate) struct AskedFor {
    pub(crate) name: String,
    /// Where it has no value: whether that is not to be asked of anybody.
    pub(crate) lacks: Option<bool>,
}

/// A sentence for each name that was given and `is_asked` for by nothing; `asked` are those that may be meant.
fn unasked(
    given: &BTreeMap<String, Secret>,
    asked: &BTreeSet<String>,
    is_asked: impl Fn(&str) -> bool,
) -> Vec<String> {
    let sentence = |name: &String| {
        let meant = near::hint(name, asked.iter().map(String::as_str));
        let meant = meant.map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("the variable `{name}` was given, and nothing asks for it{meant}")
    };
    given.keys().filter(|name| !is_asked(name)).map(sentence).collect()
}

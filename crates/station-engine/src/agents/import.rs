//! Takes in an agent's definition from elsewhere, and says what it lacks here.

use super::{AgentDetails, AgentRef};
use crate::Station;
use crate::change::Thing;
use crate::variables::Values;
use station_core::file::edit::rename_agent;
use station_core::file::exported;
use station_core::file::{Problem, Severity, prompt};
use station_core::{Action, AgentName, Caller, Environment, EnvironmentName, Error, Origin, Result, grant};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// An agent to be taken in.
#[derive(Clone, Debug)]
pub struct AgentImport {
    /// The text of a `.prompt` file, or the JSON of an older export.
    pub text: String,
    /// Where that stands, for people; `None` for a text without a file.
    pub path: Option<PathBuf>,
    /// The environment it comes to.
    pub environment: EnvironmentName,
    /// Its name there, instead of its own.
    pub rename: Option<AgentName>,
    /// What is to be done with an agent of that name that is there.
    pub on_conflict: OnConflict,
}

/// What an import does where an agent of its name exists with another definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// It ends with `Conflict`.
    Refuse,
    /// It takes that agent's place: the id stays, and so do its runs.
    Replace,
}

/// What came of an import.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The agent.
    pub agent: AgentDetails,
    /// What it lacks here.
    pub missing: Missing,
    /// Notes and warnings about its file.
    pub problems: Vec<Problem>,
}

/// What an agent names that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missing {
    /// Grants that no tool stands behind.
    pub tools: Vec<String>,
    /// Servers that grants or an older export name.
    pub servers: Vec<String>,
    /// Agents that it may call.
    pub agents: Vec<String>,
    /// Variables without a value that its servers ask for.
    pub variables: Vec<String>,
}

impl Station {
    /// Takes in an agent: the text of a `.prompt` file byte for byte, or what an older JSON export says.
    ///
    /// # Errors
    /// `Invalid` where the definition is refused; `Conflict` where an agent of that name exists.
    pub async fn import_agent(&self, by: &Caller, import: AgentImport) -> Result<Imported> {
        by.may(Action::EditAgents)?;
        let environment = self.find_environment(by, &import.environment).await?;
        let (text, own, servers) = definition(&import)?;
        let name = match &import.rename {
            Some(name) => name.clone(),
            None => AgentName::parse(&own).map_err(|error| error.with_hint("name it with --rename"))?,
        };
        let text = match &import.rename {
            Some(name) => rename_agent(&text, name.as_str())?,
            None => text,
        };
        self.refuse_conflict(&environment, &name, &text, import.on_conflict).await?;
        let problems = if self.config().workspace.takes_files(&environment.name) {
            let thing = Thing::Agent(name.as_str());
            self.change_file(by, &environment.name, thing, |_| Ok(Some(text.clone()))).await?.problems
        } else {
            self.refuse_file_row(&environment, &name).await?;
            self.put_in_store(by, &environment, &name, text).await?
        };
        let named = AgentRef::Name { name: name.to_string(), environment: Some(environment.name.clone()) };
        let agent = self.show_agent(by, &named).await?;
        let missing = self.missing(&environment, &agent, servers).await?;
        Ok(Imported { agent, missing, problems })
    }

    /// Where files are read-only, what one of them defines is not made a row of the store by the way.
    async fn refuse_file_row(&self, environment: &Environment, name: &AgentName) -> Result<()> {
        let stored = self.store().agents_named(name.as_str(), Some(environment.id)).await?;
        match stored.iter().any(|agent| agent.origin == Origin::File) {
            true => self.refuse_managed(&environment.name),
            false => Ok(()),
        }
    }

    async fn refuse_conflict(
        &self,
        environment: &Environment,
        name: &AgentName,
        text: &str,
        on_conflict: OnConflict,
    ) -> Result<()> {
        if on_conflict == OnConflict::Replace {
            return Ok(());
        }
        let stored = self.store().agents_named(name.as_str(), Some(environment.id)).await?.pop();
        let same = match &stored {
            Some(agent) => self.store().agent_source(agent.id).await? == text,
            None => true,
        };
        let thing = Thing::Agent(name.as_str());
        let file = if self.config().workspace.takes_files(&environment.name) {
            self.file_of(&environment.name, thing)?
        } else {
            None
        };
        if same && file.is_none_or(|file| file.body.expose() == text) {
            return Ok(());
        }
        let sentence = format!("agent `{name}` exists already in environment `{}`", environment.name);
        Err(Error::conflict(sentence).with_hint("replace it with --yes, or name the new one with --rename"))
    }

    async fn missing(
        &self,
        environment: &Environment,
        agent: &AgentDetails,
        named: Vec<String>,
    ) -> Result<Missing> {
        let servers = self.store().servers(Some(environment.id)).await?;
        let is_there = |name: &str| servers.iter().any(|server| server.name == name);
        let mut missing = Missing::default();
        let mut lacking: BTreeSet<String> = named.into_iter().filter(|name| !is_there(name)).collect();
        let mut behind = BTreeSet::new();
        for (written, tool) in &agent.tools {
            match tool {
                Some(tool) => drop(behind.insert(tool.server)),
                None => {
                    missing.tools.push(written.clone());
                    lacking
                        .extend(grant::server_of(written).filter(|name| !is_there(name)).map(str::to_owned));
                }
            }
        }
        missing.servers = lacking.into_iter().collect();
        for called in &agent.prompt.agents {
            if self.store().agents_named(called, Some(environment.id)).await?.is_empty() {
                missing.agents.push(called.clone());
            }
        }
        let values = Values::read(self, environment.id, BTreeMap::new()).await?;
        let mut variables = BTreeSet::new();
        for server in servers.iter().filter(|server| behind.contains(&server.id)) {
            variables.extend(self.unset_variables(server, &values).await?);
        }
        missing.variables = variables.into_iter().collect();
        Ok(missing)
    }
}

/// The text of a `.prompt` file, the name it says, and the servers that an older export names.
fn definition(import: &AgentImport) -> Result<(String, String, Vec<String>)> {
    let text = &import.text;
    // No `.prompt` file begins so: its first line is `---`.
    if text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']) {
        let read = exported::read(text).map_err(|problem| refused_in(import, problem))?;
        return Ok((read.text, read.name, read.servers));
    }
    let (prompt, problems) = prompt::read(text, "");
    let broken = problems.iter().find(|problem| problem.severity == Severity::Error);
    let prompt = match (prompt, broken) {
        (Some(prompt), _) => prompt,
        (None, Some(problem)) => return Err(refused_in(import, problem.clone())),
        (None, None) => return Err(Error::invalid("the definition is broken")),
    };
    let file = import.path.as_ref().and_then(|path| path.file_name()?.to_str()?.strip_suffix(".prompt"));
    let own = file.map(str::to_owned).or(prompt.name);
    let nameless = || Error::invalid("neither the file nor its name says the agent's name");
    Ok((text.clone(), own.ok_or_else(|| nameless().with_hint("name it with --rename"))?, Vec::new()))
}

/// A problem of the text that was to be taken in, with its place.
fn refused_in(import: &AgentImport, problem: Problem) -> Error {
    match &import.path {
        Some(path) => Problem { path: path.display().to_string(), ..problem }.refusal_in(path.clone()),
        None => problem.into(),
    }
}

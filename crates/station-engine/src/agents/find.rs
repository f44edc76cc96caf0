//! Finds agents, lists them, shows one.

use crate::Station;
use crate::prepare::read_prompt;
use crate::workspace::Workspace;
use station_core::file::prompt::Prompt;
use station_core::{
    Action, Agent, AgentId, Caller, Environment, EnvironmentName, Error, Origin, Result, Tool, is_number,
    near,
};
use std::path::PathBuf;

/// An agent as named by a person: a number is global, a name belongs to an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AgentRef {
    /// By id.
    Id(AgentId),
    /// By name; without an environment, `default` is meant.
    Name {
        /// The name.
        name: String,
        /// The environment named beside it.
        environment: Option<EnvironmentName>,
    },
}

impl AgentRef {
    /// Reads what a person typed: digits are an id, anything else a name.
    #[must_use]
    pub fn parse(text: &str, environment: Option<EnvironmentName>) -> Self {
        match text.parse() {
            Ok(id) if is_number(text) => Self::Id(AgentId(id)),
            _ => Self::Name { name: text.to_owned(), environment },
        }
    }
}

/// An agent with everything its definition says.
#[derive(Clone, Debug)]
pub struct AgentDetails {
    /// Its row.
    pub agent: Agent,
    /// Its environment.
    pub environment: Environment,
    /// Its definition, read.
    pub prompt: Prompt,
    /// Its grants: as written, and the server and tool each means now.
    pub tools: Vec<(String, Option<Tool>)>,
    /// Its file; `None` for an agent of the store.
    pub path: Option<PathBuf>,
}

impl AgentDetails {
    /// Whether a server stands behind the grant that is written so.
    #[must_use]
    pub fn has_tool(&self, grant: &str) -> bool {
        self.tools.iter().any(|(written, tool)| written == grant && tool.is_some())
    }
}

impl Station {
    /// Agents by environment and name.
    ///
    /// # Errors
    /// `NotFound` where the environment does not exist.
    pub async fn list_agents(
        &self,
        by: &Caller,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<Agent>> {
        by.may(Action::ReadAgents)?;
        let environment = match environment {
            Some(name) => Some(self.find_environment(by, name).await?.id),
            None => None,
        };
        let agents = self.store().agents(environment).await?;
        Ok(agents.into_iter().filter(|agent| by.sees(agent.environment)).collect())
    }

    /// One agent with its definition and grants.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` where its definition is broken.
    pub async fn show_agent(&self, by: &Caller, agent: &AgentRef) -> Result<AgentDetails> {
        by.may(Action::ReadAgents)?;
        let agent = self.find_agent(by, agent).await?;
        let environment = self.environment_of(&agent).await?;
        let prompt = read_prompt(self, &agent).await?;
        let tools = self.store().granted(agent.id).await?;
        let path = (agent.origin == Origin::File).then(|| {
            self.config()
                .workspace
                .environment_folder(&environment.name)
                .join(Workspace::agent_path(&agent.name))
        });
        Ok(AgentDetails { agent, environment, prompt, tools, path })
    }

    /// Which of `names` no agent of an environment has, each with the one that is likely meant.
    ///
    /// # Errors
    /// `NotFound` where the environment does not exist.
    pub async fn missing_agents(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
        names: &[String],
    ) -> Result<Vec<(String, Option<String>)>> {
        by.may(Action::ReadAgents)?;
        let agents = self.list_agents(by, Some(environment)).await?;
        let there = || agents.iter().map(|agent| agent.name.as_str());
        let missing = names.iter().filter(|name| there().all(|other| other != name.as_str()));
        Ok(missing.map(|name| (name.clone(), near::hint(name, there()))).collect())
    }

    /// An agent and those below it, each once.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn family(&self, agent: AgentId) -> Result<Vec<AgentId>> {
        let mut family = vec![agent];
        let mut at = 0;
        while let Some(member) = family.get(at).copied() {
            at += 1;
            for below in self.store().sub_agents(member).await?.into_iter().filter_map(|below| below.agent) {
                if !family.contains(&below) {
                    family.push(below);
                }
            }
        }
        Ok(family)
    }

    /// The environment of the agent with this number.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn environment_of_agent(&self, by: &Caller, id: AgentId) -> Result<EnvironmentName> {
        by.may(Action::ReadAgents)?;
        let agent = self.find_agent(by, &AgentRef::Id(id)).await?;
        Ok(self.environment_of(&agent).await?.name)
    }

    /// The agent a person means.
    ///
    /// # Errors
    /// `NotFound`, with the environments that have one of that name.
    pub(crate) async fn find_agent(&self, by: &Caller, agent: &AgentRef) -> Result<Agent> {
        match agent {
            AgentRef::Id(id) => {
                let found = self.store().agent(*id).await?.filter(|agent| by.sees(agent.environment));
                found.ok_or_else(|| {
                    Error::not_found(format!("agent {id} does not exist"))
                        .with_hint("`stn agent list` shows them")
                })
            }
            AgentRef::Name { name, environment } => {
                let meant = environment.clone().unwrap_or_default();
                if let Some(environment) = self.store().environment(meant.as_str()).await?
                    && by.sees(environment.id)
                    && let Some(found) = self.store().agents_named(name, Some(environment.id)).await?.pop()
                {
                    return Ok(found);
                }
                // Where the environment is not there, that is what is wrong.
                if let Some(named) = environment
                    && let Err(error) = self.find_environment(by, named).await
                {
                    let elsewhere = self.agents_elsewhere(by, name).await?;
                    return Err(elsewhere.into_iter().fold(error, Error::with_hint));
                }
                Err(self.no_agent(by, name, &meant).await?)
            }
        }
    }

    pub(crate) async fn environment_of(&self, agent: &Agent) -> Result<Environment> {
        let environment = self.store().environment_by_id(agent.environment).await?;
        environment
            .ok_or_else(|| Error::not_found(format!("the environment of agent `{}` is gone", agent.name)))
    }

    async fn no_agent(&self, by: &Caller, name: &str, meant: &EnvironmentName) -> Result<Error> {
        let error = Error::not_found(format!("agent `{name}` does not exist in environment `{meant}`"));
        if let Some(elsewhere) = self.agents_elsewhere(by, name).await? {
            return Ok(error.with_hint(elsewhere));
        }
        let environment = self.store().environment(meant.as_str()).await?.filter(|it| by.sees(it.id));
        let agents = match environment {
            Some(it) => self.store().agents(Some(it.id)).await?,
            None => Vec::new(),
        };
        let hint = near::hint(name, agents.iter().map(|it| it.name.as_str()));
        Ok(error.with_hint(hint.unwrap_or_else(|| "`stn agent list` shows them".to_owned())))
    }

    /// Where there are agents of a name, for a hint; `None` where there are none.
    async fn agents_elsewhere(&self, by: &Caller, name: &str) -> Result<Option<String>> {
        let mut elsewhere = Vec::new();
        for agent in self.store().agents_named(name, None).await? {
            if by.sees(agent.environment) {
                elsewhere.push(format!("`--env {}`", self.environment_of(&agent).await?.name));
            }
        }
        Ok((!elsewhere.is_empty()).then(|| format!("there is one elsewhere: {}", elsewhere.join(", "))))
    }
}

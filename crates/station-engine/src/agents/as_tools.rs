//! An environment's agents as tools: for clients that see an agent as one more thing that can be called.

use crate::{Station, prepare};
use serde_json::Value;
use station_core::{Action, Agent, Caller, EnvironmentId, EnvironmentName, Result, agent_tool};

/// An agent as a tool.
#[derive(Clone, Debug)]
pub struct AgentTool {
    /// What it is called: `agent_…`.
    pub name: String,
    /// The agent.
    pub agent: Agent,
    /// JSON Schema of its input variables, as its file declares it.
    pub declared: Option<Value>,
    /// JSON Schema of what a call takes: the same, and the task.
    pub input_schema: Value,
    /// JSON Schema that its answer fits, where it is one of an object.
    pub output_schema: Option<Value>,
}

impl Station {
    /// Whether the gateway to an environment offers its agents too: `agents_as_tools` in its `environment.yml`.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment, `Invalid` where its rules cannot be read.
    pub async fn offers_agents(&self, by: &Caller, environment: &EnvironmentName) -> Result<bool> {
        by.may(Action::ReadAgents)?;
        self.surface(by, environment).await?.offers_agents(self).await
    }

    /// The agents of an environment that may be run, as tools, by name. One whose definition is broken is left out, and the log
    /// says why.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment.
    pub async fn list_agent_tools(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
    ) -> Result<Vec<AgentTool>> {
        by.may(Action::ReadAgents)?;
        let environment = self.find_environment(by, environment).await?.id;
        let mut sources = self.store().agent_sources(environment).await?;
        let named = self.named_agents(environment).await?;
        let tool = |(name, agent): (String, Agent)| {
            let source = sources.remove(&agent.id).unwrap_or_default();
            AgentTool::read(name, agent, &source)
        };
        Ok(named.into_iter().filter_map(tool).collect())
    }

    /// The agent of an environment that is the tool `name`; the names there are where none is.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment.
    pub async fn find_agent_tool(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
        name: &str,
    ) -> Result<Result<AgentTool, Vec<String>>> {
        by.may(Action::ReadAgents)?;
        let environment = self.find_environment(by, environment).await?.id;
        let mut named = self.named_agents(environment).await?;
        if let Some(at) = named.iter().position(|(known, _)| known == name) {
            let (known, agent) = named.swap_remove(at);
            let source = self.store().agent_source(agent.id).await?;
            if let Some(tool) = AgentTool::read(known, agent, &source) {
                return Ok(Ok(tool));
            }
        }
        Ok(Err(named.into_iter().map(|(name, _)| name).collect()))
    }

    /// Agents that may be run, with what each is called as a tool.
    async fn named_agents(&self, environment: EnvironmentId) -> Result<Vec<(String, Agent)>> {
        let agents = self.store().agents(Some(environment)).await?;
        // Also of those that may not be run: what they are called is nobody else's meanwhile.
        let names = agent_tool::names(&agents);
        Ok(names.into_iter().zip(agents).filter(|(_, agent)| agent.enabled).collect())
    }
}

impl AgentTool {
    /// `agent` as the tool `name`, by the text of its definition; nothing where that is broken, and the log says why.
    fn read(name: String, agent: Agent, source: &str) -> Option<Self> {
        let prompt = prepare::parse_prompt(&agent, source)
            .inspect_err(|problem| {
                tracing::warn!(agent = %agent.name, %problem, "an agent is not offered as a tool");
            })
            .ok()?;
        let input_schema = agent_tool::input_schema(prompt.input_schema.as_ref());
        let output_schema = prompt.output_schema.filter(|schema| schema["type"] == "object");
        Some(Self { name, agent, declared: prompt.input_schema, input_schema, output_schema })
    }
}

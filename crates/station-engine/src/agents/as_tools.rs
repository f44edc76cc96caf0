//! An environment's agents as tools: for clients that see an agent as one more thing that can be called.

use crate::rights::rules_of;
use crate::{Station, prepare};
use serde_json::Value;
use station_core::{Agent, Caller, EnvironmentName, Result, agent_tool};

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
    pub async fn offers_agents(&self, _by: &Caller, environment: &EnvironmentName) -> Result<bool> {
        let environment = self.find_environment(environment).await?;
        Ok(rules_of(self, environment.id).await?.agents_as_tools)
    }

    /// The agents of an environment that may be run, as tools, by name. One whose definition is broken is left out, and the log
    /// says why.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment.
    pub async fn list_agent_tools(
        &self,
        _by: &Caller,
        environment: &EnvironmentName,
    ) -> Result<Vec<AgentTool>> {
        let environment = self.find_environment(environment).await?;
        // Also those that may not be run: what they are called is nobody else's meanwhile.
        let agents = self.store().agents(Some(environment.id)).await?;
        let names = agent_tool::names(&agents);
        let mut sources = self.store().agent_sources(environment.id).await?;
        let mut tools = Vec::new();
        for (name, agent) in names.into_iter().zip(agents).filter(|(_, agent)| agent.enabled) {
            let source = sources.remove(&agent.id).unwrap_or_default();
            let prompt = match prepare::parse_prompt(&agent, &source) {
                Ok(prompt) => prompt,
                Err(error) => {
                    tracing::warn!(agent = %agent.name, %error, "an agent is not offered as a tool");
                    continue;
                }
            };
            let input_schema = agent_tool::input_schema(prompt.input_schema.as_ref());
            let is_object = |schema: &Value| schema["type"] == "object";
            let output_schema = prompt.output_schema.filter(is_object);
            tools.push(AgentTool { name, agent, declared: prompt.input_schema, input_schema, output_schema });
        }
        Ok(tools)
    }
}

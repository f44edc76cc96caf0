//! Agents.

use super::{Problem, Word};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use station_core::{Environment, RunId};

/// An agent as a list shows it.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Agent {
    /// Its row.
    pub id: i64,
    /// Its name, unique in its environment.
    pub name: String,
    /// One line.
    pub description: String,
    /// The name of its environment.
    pub environment: String,
    /// The row of its environment.
    pub environment_id: i64,
    /// The first model as written; `null` where the configured one is meant.
    pub model: Option<String>,
    /// Tags, in file order.
    pub tags: Vec<String>,
    /// `file` or `store`.
    pub origin: Word,
    /// Whether it may be run.
    pub enabled: bool,
    /// When its row was made.
    pub created_at: String,
    /// When its definition last changed.
    pub updated_at: String,
}

/// An agent with what its definition says.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct AgentDetails {
    /// The agent.
    pub agent: Agent,
    /// Models as written, in the order in which they are tried.
    pub models: Vec<String>,
    /// Its limit of steps as written; `null` where it is computed for each run.
    pub max_steps: Option<i64>,
    /// The longest time of one run; `null` where the configured one holds.
    pub timeout_ms: Option<u64>,
    /// Its grants.
    pub tools: Vec<Grant>,
    /// Names of the agents it may call.
    pub agents: Vec<String>,
    /// JSON Schema of its variables.
    pub input_schema: Option<Value>,
    /// JSON Schema its answer must fit.
    pub output_schema: Option<Value>,
    /// When it is to run by itself.
    pub schedule: Option<Schedule>,
    /// The text of its prompt as written.
    pub prompt: String,
    /// Its file.
    pub path: Option<String>,
}

/// A grant: as written, and what it means now.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Grant {
    /// As written.
    pub written: String,
    /// The server of the tool it means; `null` where nothing offers it now.
    pub server: Option<String>,
    /// The tool it means.
    pub tool: Option<String>,
}

/// When an agent is to run by itself.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Schedule {
    /// Five or six fields.
    pub cron: String,
    /// Whether it is on.
    pub enabled: bool,
}

/// An agent that was made.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct CreatedAgent {
    /// The agent.
    #[serde(flatten)]
    pub details: AgentDetails,
    /// Its tools, and why it has each.
    pub reasons: Vec<ReasonedTool>,
}

/// What came of having an agent planned.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct PlannedAgent {
    /// The plan; `null` where there is none.
    pub plan: Option<AgentPlan>,
    /// Why there is none.
    pub because: Option<String>,
}

/// An agent as it would be made, or the change that would be made to one.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct AgentPlan {
    /// The architect's run, which waits with it.
    pub run_id: i64,
    /// The approval that carries it out.
    pub approval_id: i64,
    /// `create_agent` or `update_agent`, of the management tools.
    pub verb: String,
    /// What that would be called with.
    pub arguments: Map<String, Value>,
    /// The lines of the agent's file that would change, with `-` and `+` before them; `null` for a new agent.
    pub difference: Option<String>,
    /// The model that planned.
    pub model: String,
}

impl AgentPlan {
    pub(crate) fn new(plan: station_engine::AgentPlan, difference: Option<String>, model: String) -> Self {
        let station_engine::AgentPlan { run, approval, verb, arguments } = plan;
        Self { run_id: run.0, approval_id: approval, verb, arguments, difference, model }
    }

    /// As the engine has it.
    #[must_use]
    pub fn read(&self) -> station_engine::AgentPlan {
        station_engine::AgentPlan {
            run: RunId(self.run_id),
            approval: self.approval_id,
            verb: self.verb.clone(),
            arguments: self.arguments.clone(),
        }
    }
}

/// A tool chosen for a new agent, and why.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ReasonedTool {
    /// The grant as written.
    pub tool: String,
    /// Whether a server offers it, as far as is known.
    pub offered: bool,
    /// Why it was chosen.
    pub reason: String,
}

impl Agent {
    /// `agent`, which lives in the environment named `environment`.
    #[must_use]
    pub fn new(agent: &station_core::Agent, environment: &str) -> Self {
        Self {
            id: agent.id.0,
            name: agent.name.to_string(),
            description: agent.description.clone(),
            environment: environment.to_owned(),
            environment_id: agent.environment.0,
            model: agent.model.clone(),
            tags: agent.tags.clone(),
            origin: agent.origin.as_str().into(),
            enabled: agent.enabled,
            created_at: agent.created_at.to_string(),
            updated_at: agent.updated_at.to_string(),
        }
    }

    /// `agents` with the names of their environments, which are among `environments`.
    #[must_use]
    pub fn all(agents: &[station_core::Agent], environments: &[Environment]) -> Vec<Self> {
        let name_of = |agent: &station_core::Agent| {
            let found = environments.iter().find(|environment| environment.id == agent.environment);
            found.map(|environment| environment.name.to_string()).unwrap_or_default()
        };
        agents.iter().map(|agent| Self::new(agent, &name_of(agent))).collect()
    }
}

impl From<&station_engine::AgentDetails> for AgentDetails {
    fn from(details: &station_engine::AgentDetails) -> Self {
        let prompt = &details.prompt;
        let grant = |(written, tool): &(String, Option<station_core::Tool>)| Grant {
            written: written.clone(),
            server: tool.as_ref().map(|tool| tool.server_name.clone()),
            tool: tool.as_ref().map(|tool| tool.name.clone()),
        };
        Self {
            agent: Agent::new(&details.agent, details.environment.name.as_str()),
            models: prompt.models.clone(),
            max_steps: prompt.max_steps,
            timeout_ms: prompt.timeout_s.map(|s| s.saturating_mul(1_000)),
            tools: details.tools.iter().map(grant).collect(),
            agents: prompt.agents.clone(),
            input_schema: prompt.input_schema.clone(),
            output_schema: prompt.output_schema.clone(),
            schedule: prompt
                .schedule
                .as_ref()
                .map(|schedule| Schedule { cron: schedule.cron.clone(), enabled: schedule.enabled }),
            prompt: prompt.body.clone(),
            path: details.path.as_ref().map(|path| path.display().to_string()),
        }
    }
}

impl From<&station_engine::ReasonedTool> for ReasonedTool {
    fn from(chosen: &station_engine::ReasonedTool) -> Self {
        Self { tool: chosen.tool.clone(), offered: chosen.offered, reason: chosen.reason.clone() }
    }
}

/// An agent's definition.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct AgentDefinition {
    /// The agent.
    pub agent: Agent,
    /// The text of its file, byte for byte.
    pub source: String,
    /// Its file, relative to the workspace; `null` where it lives in the store alone.
    pub path: Option<String>,
}

/// An agent that is a file.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ExportedAgent {
    /// The agent.
    pub agent: Agent,
    /// Its file, relative to the workspace.
    pub path: Option<String>,
    /// Whether that was made now.
    pub made: bool,
}

impl From<&station_engine::Exported> for AgentDefinition {
    fn from(exported: &station_engine::Exported) -> Self {
        let station_engine::Exported { agent, environment, source, file, .. } = exported;
        Self {
            agent: Agent::new(agent, environment.name.as_str()),
            source: source.clone(),
            path: file.clone(),
        }
    }
}

impl From<&station_engine::Exported> for ExportedAgent {
    fn from(exported: &station_engine::Exported) -> Self {
        let station_engine::Exported { agent, environment, file, made, .. } = exported;
        Self { agent: Agent::new(agent, environment.name.as_str()), path: file.clone(), made: *made }
    }
}

/// An agent that was taken in.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ImportedAgent {
    /// The agent.
    pub agent: Agent,
    /// Its file.
    pub path: Option<String>,
    /// What it names that is not there.
    pub missing: Missing,
    /// Notes and warnings about its definition.
    pub problems: Vec<Problem>,
}

impl From<&station_engine::Imported> for ImportedAgent {
    fn from(imported: &station_engine::Imported) -> Self {
        let details = &imported.agent;
        Self {
            agent: Agent::new(&details.agent, details.environment.name.as_str()),
            path: details.path.as_ref().map(|path| path.display().to_string()),
            missing: Missing::from(&imported.missing),
            problems: imported.problems.iter().map(Problem::from).collect(),
        }
    }
}

/// What an imported agent names that is not there.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Missing {
    /// Grants that no tool stands behind.
    pub tools: Vec<String>,
    /// Servers.
    pub servers: Vec<String>,
    /// Agents that it may call.
    pub agents: Vec<String>,
    /// Variables without a value that its servers ask for.
    pub variables: Vec<String>,
}

impl From<&station_engine::Missing> for Missing {
    fn from(missing: &station_engine::Missing) -> Self {
        let station_engine::Missing { tools, servers, agents, variables } = missing.clone();
        Self { tools, servers, agents, variables }
    }
}

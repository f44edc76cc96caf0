//! Proposes an agent for a request in words, and changes nothing: the architect's plan, which is then dropped, or where no
//! model can plan, the choice that `create_agent` would make.

use super::create::{choose, prompt_of};
use super::{NewAgent, ReasonedTool};
use crate::{AgentPlan, Planning, Station};
use station_core::run::{StepLimit, step_limit};
use station_core::{Action, AgentName, Caller, Environment, EnvironmentName, Result, Tool, ToolName};
use tokio_util::sync::CancellationToken;

/// Words of a request that become an agent's name: enough to tell it from others.
const NAME_WORDS_MAX: usize = 4;

/// Words that name no agent.
const NAMELESS: &[&str] = &[
    "a", "agent", "an", "and", "can", "create", "for", "help", "i", "in", "make", "me", "my", "need", "of",
    "on", "our", "please", "some", "that", "the", "to", "want", "which", "who", "with", "would",
];

/// What is wanted of an agent that does not exist yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentWish {
    /// What it is to do, in the words of whoever wants it.
    pub request: String,
    /// What it works in, e.g. `devops`: enters the choice of tools.
    pub domain: Option<String>,
    /// Where it is to live.
    pub environment: EnvironmentName,
}

/// An agent as it could be made.
#[derive(Clone, Debug)]
pub struct AgentSuggestion {
    /// What `create_agent` takes.
    pub agent: NewAgent,
    /// Its instructions.
    pub prompt: String,
    /// The tools that fit, with the reason for each, best first.
    pub tools: Vec<(ReasonedTool, Tool)>,
    /// How many model turns a run of it would have, and why.
    pub steps: StepLimit,
    /// Who proposes it.
    pub planner: Planner,
}

/// Who proposes an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planner {
    /// The architect, with this model.
    Model(String),
    /// The ranking of tools, because, in words, no model could.
    Ranking {
        /// Why.
        because: String,
    },
}

impl Station {
    /// Proposes an agent: name, prompt, and tools of its environment, each with its reason. A run of the architect plans it
    /// where a model can, and `stop` ends that; its plan is dropped.
    ///
    /// # Errors
    /// `NotFound` where the environment does not exist.
    pub async fn suggest_agent_config(
        &self,
        by: &Caller,
        wish: AgentWish,
        stop: CancellationToken,
    ) -> Result<AgentSuggestion> {
        by.may(Action::EditAgents)?;
        let environment = self.find_environment(by, &wish.environment).await?;
        let because = match self.planner(None) {
            Ok(model) => match self.planned_suggestion(by, &wish, &environment, &model, stop).await? {
                Ok(suggestion) => return Ok(suggestion),
                Err(why) => why,
            },
            Err(why) => why,
        };
        self.ranked_suggestion(wish, environment, because).await
    }

    async fn planned_suggestion(
        &self,
        by: &Caller,
        wish: &AgentWish,
        environment: &Environment,
        model: &str,
        stop: CancellationToken,
    ) -> Result<Result<AgentSuggestion, String>> {
        let planning = Planning::Wish {
            request: wish.request.clone(),
            domain: wish.domain.clone(),
            environment: environment.name.clone(),
        };
        let run = self.start_planning(by, &planning, model).await?;
        let plan = match self.plan_agent(by, run.id, &planning, stop).await? {
            Ok(plan) => plan,
            Err(why) => return Ok(Err(why)),
        };
        self.drop_plan(by, &plan).await?;
        let catalog = self.store().catalog(environment.id).await?;
        let name = plan.text("name").map_or_else(|| name_of(&wish.request), AgentName::parse);
        let name = match name {
            Ok(name) => name,
            Err(error) => return Ok(Err(error.sentence().to_owned())),
        };
        Ok(Ok(suggestion(&plan, name, wish, environment, &catalog, model)))
    }

    async fn ranked_suggestion(
        &self,
        wish: AgentWish,
        environment: Environment,
        because: String,
    ) -> Result<AgentSuggestion> {
        let catalog = self.store().catalog(environment.id).await?;
        let mut agent = NewAgent {
            name: name_of(&wish.request)?,
            description: first_sentence(&wish.request),
            environment: environment.name,
            // The whole request is what is ranked against; the prompt is made from it below.
            prompt: Some(wish.request.clone()),
            domain: wish.domain,
            model: None,
            max_steps: None,
            tools: None,
            agents: Vec::new(),
            schedule: None,
            input_schema: None,
            output_schema: None,
        };
        let tools = choose(&agent, &catalog);
        agent.prompt = None;
        let prompt = prompt_of(&agent);
        agent.tools = Some(tools.iter().map(|(reasoned, _)| reasoned.tool.clone()).collect());
        let tools: Vec<(ReasonedTool, Tool)> =
            tools.into_iter().map(|(reasoned, tool)| (reasoned, tool.clone())).collect();
        let steps = step_limit(None, &wish.request, tools.len(), 0);
        Ok(AgentSuggestion { agent, prompt, tools, steps, planner: Planner::Ranking { because } })
    }
}

/// A plan as a suggestion. Tools that nothing offers are left out.
fn suggestion(
    plan: &AgentPlan,
    name: AgentName,
    wish: &AgentWish,
    environment: &Environment,
    catalog: &[Tool],
    model: &str,
) -> AgentSuggestion {
    let offered = |written: &str| {
        catalog.iter().find(|tool| ToolName::from(*tool).qualified() == written || tool.name == written)
    };
    let tools: Vec<(ReasonedTool, Tool)> = plan
        .tools()
        .unwrap_or_default()
        .into_iter()
        .filter_map(|planned| {
            let tool = offered(&planned.name)?.clone();
            let reason = planned.reason.unwrap_or_else(|| format!("of server `{}`", tool.server_name));
            Some((ReasonedTool { tool: planned.name, offered: true, reason }, tool))
        })
        .collect();
    let agent = NewAgent {
        name,
        description: plan.text("description").map_or_else(|| first_sentence(&wish.request), str::to_owned),
        environment: environment.name.clone(),
        prompt: plan.text("prompt").map(str::to_owned),
        domain: wish.domain.clone(),
        model: plan.text("model").map(str::to_owned),
        max_steps: plan.max_steps(),
        tools: Some(tools.iter().map(|(reasoned, _)| reasoned.tool.clone()).collect()),
        agents: plan.texts("agents").unwrap_or_default(),
        schedule: plan.text("schedule").map(str::to_owned),
        input_schema: plan.arguments.get("input_schema").filter(|it| it.is_object()).cloned(),
        output_schema: plan.arguments.get("output_schema").filter(|it| it.is_object()).cloned(),
    };
    let steps = step_limit(agent.max_steps, &wish.request, tools.len(), agent.agents.len());
    AgentSuggestion {
        prompt: prompt_of(&agent),
        agent,
        tools,
        steps,
        planner: Planner::Model(model.to_owned()),
    }
}

/// The first telling words of a request, as a name.
fn name_of(request: &str) -> Result<AgentName> {
    let words = request.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    let telling = words.filter(|word| !word.is_empty() && !NAMELESS.contains(&word.as_str()));
    let name = telling.take(NAME_WORDS_MAX).collect::<Vec<_>>().join("-");
    AgentName::parse(if name.chars().any(char::is_alphabetic) { &name } else { "new-agent" })
}

fn first_sentence(request: &str) -> String {
    let line = request.trim().lines().next().unwrap_or_default();
    line.split_once(". ").map_or(line, |(first, _)| first).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_agent() {
        let check = |request: &str, name: &str| {
            assert_eq!(name_of(request).unwrap().as_str(), name, "{request}");
        };
        check("Create an agent that watches our error logs", "watches-error-logs");
        check("I need some help", "new-agent");
        check("42", "new-agent");
        check("Prüfe die Kosten von AWS jeden Morgen", "prüfe-die-kosten-von");
    }
}

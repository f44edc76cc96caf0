//! Proposes an agent for a request in words, and changes nothing: the choice that `create_agent` would make.

use super::create::{choose, prompt_of};
use super::{NewAgent, ReasonedTool};
use crate::Station;
use station_core::run::{StepLimit, step_limit};
use station_core::{AgentName, Caller, EnvironmentName, Result, Tool};

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
}

impl Station {
    /// Proposes an agent: name, prompt, and the tools that the ranking finds in its environment, each with its reason.
    ///
    /// # Errors
    /// `NotFound` where the environment does not exist.
    pub async fn suggest_agent_config(&self, _by: &Caller, wish: AgentWish) -> Result<AgentSuggestion> {
        let environment = self.find_environment(&wish.environment).await?;
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
        };
        let tools = choose(&agent, &catalog);
        agent.prompt = None;
        let prompt = prompt_of(&agent);
        agent.tools = Some(tools.iter().map(|(reasoned, _)| reasoned.tool.clone()).collect());
        let tools: Vec<(ReasonedTool, Tool)> =
            tools.into_iter().map(|(reasoned, tool)| (reasoned, tool.clone())).collect();
        let steps = step_limit(None, &wish.request, tools.len(), 0);
        Ok(AgentSuggestion { agent, prompt, tools, steps })
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

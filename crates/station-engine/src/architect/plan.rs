//! A plan of the architect: the call that waits, read.

use serde_json::{Map, Value};
use station_core::file::edit::{AgentEdit, Names};
use station_core::run::{Entry, Event};
use station_core::{AgentId, Error, Result, RunId};
use station_store::Approval;

/// An agent as it would be made, or the change that would be made to one.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentPlan {
    /// The architect's run, which waits with it.
    pub run: RunId,
    /// The question whether its call may be sent.
    pub approval: i64,
    /// `create_agent` or `update_agent`.
    pub verb: String,
    /// What that is called with, as in the table of management tools.
    pub arguments: Map<String, Value>,
}

/// A tool that a plan grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedTool {
    /// As it is granted: `server__tool`.
    pub name: String,
    /// Why, in the architect's words, where it says.
    pub reason: Option<String>,
}

impl AgentPlan {
    pub(super) fn read(approval: &Approval) -> Result<Self> {
        let arguments = serde_json::from_str(&approval.arguments)
            .map_err(|cause| Error::internal("reading a plan", cause))?;
        let run = approval.run().ok_or_else(|| Error::internal("reading a plan", "no run made it"))?;
        Ok(Self { run, approval: approval.id, verb: approval.tool.clone(), arguments })
    }

    /// The agent that the architect's run made or changed, by its journal; `None` where it did neither.
    #[must_use]
    pub fn made(journal: &[Entry]) -> Option<AgentId> {
        let made = journal.iter().rev().find_map(|entry| match &entry.event {
            Event::Returned { structured: Some(result), is_error: false, .. } => {
                result["agent"]["id"].as_i64()
            }
            _ => None,
        });
        made.map(AgentId)
    }

    /// A field's text, where the plan says one that is not empty.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<&str> {
        self.arguments.get(field).and_then(Value::as_str).filter(|text| !text.trim().is_empty())
    }

    /// A field's texts; `None` where the plan says nothing of it.
    #[must_use]
    pub fn texts(&self, field: &str) -> Option<Vec<String>> {
        let items = self.arguments.get(field)?.as_array()?;
        Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// Its tools, each with its reason; `None` where the plan leaves them to the ranking, or as they are.
    #[must_use]
    pub fn tools(&self) -> Option<Vec<PlannedTool>> {
        let reasons = self.arguments.get("tool_reasons");
        let reason = |name: &str| Some(reasons?.get(name)?.as_str()?.to_owned());
        let tools = self.texts("tool_names")?;
        Some(tools.into_iter().map(|name| PlannedTool { reason: reason(&name), name }).collect())
    }

    /// What an `update_agent` would change that no line of the agent's file says, or that moves the file: its name, and whether it may
    /// be run.
    pub fn beside_the_lines(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        ["name", "enabled"].into_iter().filter_map(|field| Some((field, self.arguments.get(field)?)))
    }

    /// The change that it would make to the lines of the file.
    pub(super) fn edit(&self) -> AgentEdit {
        let be = |field: &str| Names { be: self.texts(field), ..Names::default() };
        let text = |field: &str| self.text(field).map(str::to_owned);
        AgentEdit {
            description: text("description"),
            prompt: text("prompt"),
            model: text("model"),
            max_steps: self.max_steps(),
            tools: be("tool_names"),
            agents: be("agents"),
            schedule: text("schedule"),
            ..AgentEdit::default()
        }
    }

    /// How many model turns a run would have, where the plan says.
    #[must_use]
    pub fn max_steps(&self) -> Option<i64> {
        self.arguments.get("max_steps").and_then(Value::as_i64)
    }
}

//! Makes an agent, with tools chosen by ranking where none are named.

use super::{AgentDetails, AgentRef};
use crate::Station;
use crate::change::Thing;
use serde_json::Value;
use station_core::file::edit::{self, AgentEdit, Names};
use station_core::rank::{Document, rank};
use station_core::{
    Action, AgentName, Caller, EnvironmentName, Error, Result, Tool, ToolName, ToolNames, grant,
};
use std::collections::BTreeMap;

/// Tools that `create_agent` chooses at most: more only make a model slower to choose right.
const CHOSEN_MAX: usize = 8;

/// A tool is chosen if it scores at least this share of the best one.
const SCORE_SHARE: f64 = 0.35;

/// An agent to be made.
#[derive(Clone, Debug)]
pub struct NewAgent {
    /// Its name.
    pub name: AgentName,
    /// One line.
    pub description: String,
    /// Its environment.
    pub environment: EnvironmentName,
    /// Its instructions; made from the description where `None`.
    pub prompt: Option<String>,
    /// What it works in, e.g. `devops`: enters the ranking and is kept as a tag.
    pub domain: Option<String>,
    /// The model; the configured one where `None`.
    pub model: Option<String>,
    /// Its limit of steps; computed for each run where `None`.
    pub max_steps: Option<i64>,
    /// Its tools; chosen by ranking where `None`.
    pub tools: Option<Vec<String>>,
    /// Other agents it may call.
    pub agents: Vec<String>,
    /// When it is to run, as cron; kept in its file.
    pub schedule: Option<String>,
    /// JSON Schema of its input.
    pub input_schema: Option<Value>,
    /// JSON Schema of its answer.
    pub output_schema: Option<Value>,
}

/// What of it can be wrong, as fields of its file.
fn fields(new: &NewAgent) -> AgentEdit {
    let exactly = |names: &[String]| Names { be: Some(names.to_vec()), ..Names::default() };
    AgentEdit {
        model: new.model.clone(),
        tools: exactly(new.tools.as_deref().unwrap_or_default()),
        agents: exactly(&new.agents),
        schedule: new.schedule.clone(),
        ..AgentEdit::default()
    }
}

/// A tool of a new agent, with the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonedTool {
    /// The grant as written.
    pub tool: String,
    /// Whether a server offers it, as far as is known; the agent works without one that nothing offers.
    pub offered: bool,
    /// Why it was chosen, in words.
    pub reason: String,
}

impl Station {
    /// Makes an agent: writes its file and applies it, or makes a row of the store where files are read-only.
    ///
    /// # Errors
    /// `Conflict` where it exists; `NotFound` where the environment does not.
    pub async fn create_agent(
        &self,
        by: &Caller,
        new: NewAgent,
    ) -> Result<(AgentDetails, Vec<ReasonedTool>)> {
        by.may(Action::EditAgents)?;
        fields(&new).check()?;
        let environment = self.find_environment(by, &new.environment).await?;
        if !self.store().agents_named(new.name.as_str(), Some(environment.id)).await?.is_empty() {
            return Err(Error::conflict(format!(
                "agent `{}` exists already in environment `{}`",
                new.name, environment.name
            ))
            .with_hint("choose another name, or edit its file"));
        }
        let catalog = self.store().catalog(environment.id).await?;
        let reasons = match &new.tools {
            Some(tools) => named(tools, &catalog.iter().map(ToolName::from).collect()),
            None => choose(&new, &catalog).into_iter().map(|(reasoned, _)| reasoned).collect(),
        };
        let source = source(&new, &reasons);
        if self.config().workspace.takes_files(&environment.name) {
            let exists = || Error::conflict(format!("agent `{}` has a file already", new.name));
            self.change_file(by, &environment.name, Thing::Agent(new.name.as_str()), |before| match before {
                Some(_) => {
                    Err(exists().with_hint(format!("apply it with `stn sync {}`", new.environment)).into())
                }
                None => Ok(Some(source.clone())),
            })
            .await?;
        } else {
            self.put_in_store(by, &environment, &new.name, source).await?;
        }
        let named = AgentRef::Name { name: new.name.to_string(), environment: Some(environment.name) };
        Ok((self.show_agent(by, &named).await?, reasons))
    }

    /// Whether every one of these grants is known to be offered in `environment`: then no server needs to be asked.
    ///
    /// # Errors
    /// `NotFound` where the environment does not exist.
    pub async fn are_offered(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
        tools: &[String],
    ) -> Result<bool> {
        by.may(Action::ReadServers)?;
        let environment = self.find_environment(by, environment).await?;
        let catalog = self.store().tool_names(environment.id).await?;
        Ok(tools.iter().all(|tool| is_offered(tool, &catalog)))
    }
}

fn named(tools: &[String], catalog: &ToolNames) -> Vec<ReasonedTool> {
    let reasoned = |tool: &String| {
        let (offered, reason) = match (is_offered(tool, catalog), grant::nearest(tool, catalog)) {
            (true, _) => (true, "named".to_owned()),
            (false, Some(meant)) => {
                (false, format!("named, but nothing offers it now: did you mean `{meant}`?"))
            }
            (false, None) => (false, "named, but nothing offers it now".to_owned()),
        };
        ReasonedTool { tool: tool.clone(), offered, reason }
    };
    tools.iter().map(reasoned).collect()
}

fn is_offered(written: &str, catalog: &ToolNames) -> bool {
    let links = grant::link(&[written.to_owned()], catalog, &BTreeMap::new());
    links.iter().any(|link| link.tool.is_some())
}

/// Chooses tools by ranking name, description and domain against the catalog.
pub(super) fn choose<'t>(new: &NewAgent, catalog: &'t [Tool]) -> Vec<(ReasonedTool, &'t Tool)> {
    let domain = new.domain.as_deref().unwrap_or_default();
    let query =
        format!("{} {} {domain} {}", new.name, new.description, new.prompt.as_deref().unwrap_or_default());
    let documents: Vec<Document<'_>> = catalog
        .iter()
        .map(|tool| Document {
            name: &tool.name,
            description: &tool.description,
            parameters: tool.input_schema["properties"]
                .as_object()
                .map(|it| it.keys().cloned().collect())
                .unwrap_or_default(),
        })
        .collect();
    let ranked = rank(&query, &documents);
    let best = ranked.first().map_or(0.0, |first| first.score);
    let chosen =
        ranked.into_iter().take(CHOSEN_MAX).filter(|it| it.score > 0.0 && it.score >= best * SCORE_SHARE);
    chosen
        .map(|it| {
            let tool = &catalog[it.index];
            let unique = catalog.iter().filter(|other| other.name == tool.name).count() == 1;
            let written = if unique {
                format!("__{}", tool.name)
            } else {
                format!("{}__{}", tool.server_name, tool.name)
            };
            let by_domain = new
                .domain
                .as_deref()
                .map(|domain| format!(" (domain `{domain}` was counted in)"))
                .unwrap_or_default();
            let reason =
                format!("of server `{}`: matches {}{by_domain}", tool.server_name, it.matched.join(", "));
            (ReasonedTool { tool: written, offered: true, reason }, tool)
        })
        .collect()
}

fn source(new: &NewAgent, reasons: &[ReasonedTool]) -> String {
    let tools: Vec<String> = reasons.iter().map(|it| it.tool.clone()).collect();
    let tags: Vec<String> = new.domain.iter().cloned().collect();
    let prompt = prompt_of(new);
    let text = edit::new_agent(
        new.name.as_str(),
        &new.description,
        &tags,
        new.model.as_deref(),
        new.max_steps,
        &tools,
        &new.agents,
        &prompt,
    );
    let cron =
        new.schedule.as_ref().map(|cron| format!("schedule:\n  cron: {}\n", Value::from(cron.as_str())));
    let schema = |key: &str, schema: &Option<Value>| {
        schema.as_ref().map(|it| format!("{key}:\n  schema: {}\n", edit::json_as_yaml(it)))
    };
    let more = [cron, schema("input", &new.input_schema), schema("output", &new.output_schema)];
    // The front matter's strings are quoted, so the first such line is the one that closes it.
    text.replacen("\n---\n", &format!("\n{}---\n", more.into_iter().flatten().collect::<String>()), 1)
}

/// The instructions of a new agent; made from its description where none are given.
pub(super) fn prompt_of(new: &NewAgent) -> String {
    new.prompt.clone().unwrap_or_else(|| {
        let domain =
            new.domain.as_deref().map(|domain| format!(" Your domain is {domain}.")).unwrap_or_default();
        format!(
            "You are {}.{domain} {}\n\nUse your tools to find out what you need to know, and do not guess. \
             Answer in a few sentences, and say what you looked at.",
            new.name,
            new.description.trim_end_matches('.').to_owned() + "."
        )
    })
}

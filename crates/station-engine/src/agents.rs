//! Agents: find, list, show, create.

use crate::Station;
use crate::prepare::read_prompt;
use crate::sync::Source;
use crate::workspace::Workspace;
use station_core::file::edit;
use station_core::file::prompt::Prompt;
use station_core::rank::{Document, rank};
use station_core::sync::{AgentRow, Grant};
use station_core::{
    Agent, AgentId, AgentName, Caller, Environment, EnvironmentName, Error, Origin, Result, Tool, grant,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Tools that `create_agent` chooses at most: more only make a model slower to choose right.
const CHOSEN_MAX: usize = 8;

/// A tool is chosen if it scores at least this share of the best one.
const SCORE_SHARE: f64 = 0.35;

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
            Ok(id) if text.chars().all(|c| c.is_ascii_digit()) => Self::Id(AgentId(id)),
            _ => Self::Name { name: text.to_owned(), environment },
        }
    }
}

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
}

/// A tool of a new agent, with the reason for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReasonedTool {
    /// The grant as written.
    pub tool: String,
    /// Why it was chosen, in words.
    pub reason: String,
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

impl Station {
    /// Agents by environment and name.
    ///
    /// # Errors
    /// `NotFound` where the environment does not exist.
    pub async fn list_agents(
        &self,
        _by: &Caller,
        environment: Option<&EnvironmentName>,
    ) -> Result<Vec<Agent>> {
        let environment = match environment {
            Some(name) => Some(self.find_environment(name).await?.id),
            None => None,
        };
        self.store().agents(environment).await
    }

    /// One agent with its definition and grants.
    ///
    /// # Errors
    /// `NotFound`, `Invalid` where its definition is broken.
    pub async fn show_agent(&self, _by: &Caller, agent: &AgentRef) -> Result<AgentDetails> {
        let agent = self.find_agent(agent).await?;
        let environment = self.environment_of(&agent).await?;
        let prompt = read_prompt(self, &agent).await?;
        let catalog = self.store().catalog(agent.environment).await?;
        let grants = self.store().grants(agent.id).await?;
        let tools = grants
            .into_iter()
            .map(|it| {
                let tool = catalog.iter().find(|tool| Some(tool.id) == it.tool).cloned();
                (it.written, tool)
            })
            .collect();
        let path = (agent.origin == Origin::File).then(|| {
            self.config()
                .workspace
                .environment_folder(&environment.name)
                .join(Workspace::agent_path(&agent.name))
        });
        Ok(AgentDetails { agent, environment, prompt, tools, path })
    }

    /// Makes an agent: writes its file and applies it, or makes a row of the store where files are read-only.
    ///
    /// # Errors
    /// `Conflict` where it exists; `NotFound` where the environment does not.
    pub async fn create_agent(
        &self,
        by: &Caller,
        new: NewAgent,
    ) -> Result<(AgentDetails, Vec<ReasonedTool>)> {
        let environment = self.find_environment(&new.environment).await?;
        if !self.store().agents_named(new.name.as_str(), Some(environment.id)).await?.is_empty() {
            return Err(Error::conflict(format!(
                "agent `{}` exists already in environment `{}`",
                new.name, environment.name
            ))
            .with_hint("choose another name, or edit its file"));
        }
        let catalog = self.store().catalog(environment.id).await?;
        let reasons = match &new.tools {
            Some(tools) => named(tools),
            None => choose(&new, &catalog),
        };
        let source = source(&new, &reasons);
        if self.config().workspace.is_read_only() {
            let row = row_of(&new, source, &reasons, &catalog);
            self.store().put_agent(environment.id, &row, Origin::Store, "", self.now()).await?;
        } else {
            let path = Workspace::agent_path(&new.name);
            self.config().workspace.write_new(&environment.name, &path, &source)?;
            self.apply_files(&environment.name, Source::Always).await?;
        }
        let named = AgentRef::Name { name: new.name.to_string(), environment: Some(environment.name) };
        Ok((self.show_agent(by, &named).await?, reasons))
    }

    /// The agent a person means.
    ///
    /// # Errors
    /// `NotFound`, with the environments that have one of that name.
    pub(crate) async fn find_agent(&self, agent: &AgentRef) -> Result<Agent> {
        match agent {
            AgentRef::Id(id) => {
                let found = self.store().agent(*id).await?;
                found.ok_or_else(|| {
                    Error::not_found(format!("agent {id} does not exist"))
                        .with_hint("`stn agent list` shows them")
                })
            }
            AgentRef::Name { name, environment } => {
                let meant = environment.clone().unwrap_or_default();
                if let Some(environment) = self.store().environment(meant.as_str()).await?
                    && let Some(found) = self.store().agents_named(name, Some(environment.id)).await?.pop()
                {
                    return Ok(found);
                }
                Err(self.no_agent(name, &meant).await?)
            }
        }
    }

    pub(crate) async fn environment_of(&self, agent: &Agent) -> Result<Environment> {
        let environment = self.store().environment_by_id(agent.environment).await?;
        environment
            .ok_or_else(|| Error::not_found(format!("the environment of agent `{}` is gone", agent.name)))
    }

    async fn no_agent(&self, name: &str, meant: &EnvironmentName) -> Result<Error> {
        let error = Error::not_found(format!("agent `{name}` does not exist in environment `{meant}`"));
        let mut elsewhere = Vec::new();
        for agent in self.store().agents_named(name, None).await? {
            elsewhere.push(format!("`--env {}`", self.environment_of(&agent).await?.name));
        }
        if !elsewhere.is_empty() {
            return Ok(error.with_hint(format!("there is one elsewhere: {}", elsewhere.join(", "))));
        }
        let environment = self.store().environment(meant.as_str()).await?;
        let names: BTreeMap<String, ()> = match environment {
            Some(it) => {
                self.store().agents(Some(it.id)).await?.iter().map(|it| (it.name.to_string(), ())).collect()
            }
            None => BTreeMap::new(),
        };
        let near = names.keys().find(|other| other.eq_ignore_ascii_case(name) || distance(other, name) <= 2);
        Ok(match near {
            Some(near) => error.with_hint(format!("did you mean `{near}`?")),
            None => error.with_hint("`stn agent list` shows them"),
        })
    }
}

/// Edit distance (Levenshtein), for "did you mean".
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn named(tools: &[String]) -> Vec<ReasonedTool> {
    tools.iter().map(|tool| ReasonedTool { tool: tool.clone(), reason: "named".to_owned() }).collect()
}

/// Chooses tools by ranking name, description and domain against the catalog.
fn choose(new: &NewAgent, catalog: &[Tool]) -> Vec<ReasonedTool> {
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
            ReasonedTool { tool: written, reason }
        })
        .collect()
}

fn source(new: &NewAgent, reasons: &[ReasonedTool]) -> String {
    let tools: Vec<String> = reasons.iter().map(|it| it.tool.clone()).collect();
    let tags: Vec<String> = new.domain.iter().cloned().collect();
    let prompt = new.prompt.clone().unwrap_or_else(|| {
        let domain =
            new.domain.as_deref().map(|domain| format!(" Your domain is {domain}.")).unwrap_or_default();
        format!(
            "You are {}.{domain} {}\n\nUse your tools to find out what you need to know, and do not guess. \
             Answer in a few sentences, and say what you looked at.",
            new.name,
            new.description.trim_end_matches('.').to_owned() + "."
        )
    });
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
    match &new.schedule {
        None => text,
        // The front matter's strings are quoted, so the first such line is the one that closes it.
        Some(cron) => text.replacen(
            "\n---\n",
            &format!("\nschedule:\n  cron: {}\n---\n", serde_json::Value::from(cron.as_str())),
            1,
        ),
    }
}

fn row_of(new: &NewAgent, source: String, reasons: &[ReasonedTool], catalog: &[Tool]) -> AgentRow {
    let written: Vec<String> = reasons.iter().map(|it| it.tool.clone()).collect();
    let links = grant::link(&written, catalog, &BTreeMap::new());
    AgentRow {
        name: new.name.clone(),
        description: new.description.clone(),
        model: new.model.clone(),
        tags: new.domain.iter().cloned().collect(),
        source,
        path: None,
        tools: links.into_iter().map(|link| Grant { written: link.written, tool: link.tool }).collect(),
        agents: new.agents.clone(),
        existed: false,
    }
}

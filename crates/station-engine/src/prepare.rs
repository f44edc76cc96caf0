//! Settles a run's inputs: what it will be told, which tools it has, which models it may ask, how far it may go.
//!
//! All of it is kept with the run by hash, so that an edit during the run changes later runs and not this one, and
//! so that a resumed run is the same run.

use crate::Station;
use crate::lease::millis;
use crate::reading::{Coordinated, Reading};
use crate::rights::Rights;
use crate::spend;
use crate::variables::Brought;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use station_core::budget::{self, Ancestor, Caps, Limit, Measure};
use station_core::file::prompt::{self, Prompt};
use station_core::file::render::{self, Rendered};
use station_core::file::{Problem, Severity};
use station_core::run::{
    Context, Entry, GrantedTool, INTERRUPTIONS_MAX, Inputs, Machine, ModelChoice, Prepared, Target, reader,
    step_limit,
};
use station_core::{
    Agent, AgentId, BlobHash, Error, Kind, Micros, Origin, Result, Scope, Secret, ToolSpec, Trace, tool,
};
use station_llm::Choices;
use station_store::Run;
use std::collections::{BTreeMap, BTreeSet};

/// Longest line of a prompt that is shown with what is wrong in it; a longer one is text, not a template.
const LINE_BYTES_MAX: usize = 160;

/// What was asked for with a run beside its task; kept in its row as JSON, so fields are only added.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunRequest {
    /// Instead of the agent's models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
    /// Instead of the agent's limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_steps: Option<i64>,
    /// Time the run may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout_ms: Option<u64>,
    /// The end of the parent's time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deadline: Option<Micros>,
    /// What it may spend.
    #[serde(default, skip_serializing_if = "Caps::is_empty")]
    pub(crate) caps: Caps,
    /// The limits of the runs above it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) limits: Vec<Limit>,
    /// The runs above it, up to the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) above: Vec<Ancestor>,
    /// What it may do through Station's own server, of what its user may: less than all where an API key started it.
    #[serde(default = "Scope::all", skip_serializing_if = "is_all")]
    pub(crate) scopes: BTreeSet<Scope>,
    /// What asked for it; `None` in rows of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trace: Option<Trace>,
}

fn is_all(scopes: &BTreeSet<Scope>) -> bool {
    *scopes == Scope::all()
}

impl Default for RunRequest {
    fn default() -> Self {
        Self {
            model: None,
            max_steps: None,
            timeout_ms: None,
            deadline: None,
            caps: Caps::default(),
            limits: Vec::new(),
            above: Vec::new(),
            scopes: Scope::all(),
            trace: None,
        }
    }
}

impl RunRequest {
    pub(crate) fn of(run: &Run) -> Result<Self> {
        serde_json::from_str(&run.request)
            .map_err(|cause| Error::internal(format!("reading the request of run {}", run.id), cause))
    }

    pub(crate) fn to_json(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|cause| Error::internal("writing a run's request", cause))
    }
}

/// A run ready to start.
pub(crate) struct Start {
    pub(crate) prepared: Prepared,
    pub(crate) inputs: Inputs,
    pub(crate) blobs: Vec<(BlobHash, Vec<u8>)>,
}

/// Refuses a run whose user was removed, or may run nothing in its environment any more.
fn refuse_withdrawn(run: &Run, rights: &Rights) -> Result<()> {
    if rights.role.is_some() {
        return Ok(());
    }
    let sentence = format!("whoever started run {} may run nothing in this environment any more", run.id);
    Err(Error::new(Kind::Forbidden, sentence).with_hint("start it anew as somebody who may"))
}

/// Settles the inputs of a run that has not started.
///
/// # Errors
/// What a person must mend before this agent can run: its file, its models, its variables.
pub(crate) async fn prepare(station: &Station, run: &Run, brought: &Brought) -> Result<Start> {
    let request = RunRequest::of(run)?;
    let reading = Reading::now(station, run.agent, run.user, brought).await?;
    let Reading { agent, prompt, rights, .. } = &*reading;
    refuse_withdrawn(run, rights)?;
    let written = request.model.clone().map_or_else(|| prompt.models.clone(), |model| vec![model]);
    let mut choices = station.models().choices(&written)?;
    let limits = limits(station, run, reading.as_ref(), &request);
    leave_out_unpriced(station, run, (&limits, &request.above), &mut choices).await?;
    let mut warnings: Vec<String> = choices
        .skipped
        .iter()
        .map(|(model, reason)| format!("model `{model}` is left out: {reason}"))
        .collect();

    let sub_agents = sub_agents(&reading.sub_agents, &mut warnings);
    warnings
        .extend(rights.unlinked.iter().map(|written| format!("nothing offers the granted tool `{written}`")));
    warnings.extend(rights.unpinned.iter().cloned().chain(rights.broken()).chain(rights.unverifiable()));
    warnings.extend(station.unasked(run, &brought.given).await?);
    let mut tools = offer(rights, &sub_agents, &choices.usable);
    if tools.is_empty() && !rights.tools.is_empty() {
        refuse_broken(agent, rights)?;
    }

    let (rendered, said) = rendered(prompt, &run.task, &brought.given)
        .map_err(|problem| unfilled(agent, &run.environment_name, prompt, problem))?;
    warnings.extend(said);
    let n_agents = tools.iter().filter(|tool| matches!(tool.target, Target::Agent { .. })).count();
    let steps =
        step_limit(request.max_steps.or(prompt.max_steps), &run.task, tools.len() - n_agents, n_agents);
    // Whatever can be called can answer at length.
    if !tools.is_empty() {
        tools.push(reader(&tools));
    }
    let prepared = Prepared {
        system: rendered.system,
        tools,
        settings: prompt.settings.clone(),
        output_schema: prompt.output_schema.clone(),
    };
    let kept = Kept::of(&prepared)?;
    let inputs = Inputs {
        agent: agent.name.to_string(),
        environment: run.environment_name.clone(),
        system: kept.system.0.clone(),
        tools: kept.tools.0.clone(),
        settings: kept.settings.0.clone(),
        output_schema: kept.schema.as_ref().map(|blob| blob.0.clone()),
        opening: rendered.turns,
        models: choices.usable,
        steps,
        deadline: deadline(station, prompt, &request),
        warnings,
        unknown: prompt.unknown,
        interruptions_max: INTERRUPTIONS_MAX,
        depth: run.depth,
        context: kept_in_sight(station, rights),
        forked_from: None,
        limits,
        above: request.above,
    };
    Ok(Start { prepared, inputs, blobs: kept.into_blobs() })
}

/// Refuses an agent none of whose tools can be used, where that is because of servers that cannot be reached as they are configured.
fn refuse_broken(agent: &Agent, rights: &Rights) -> Result<()> {
    match rights.broken() {
        reasons if reasons.is_empty() => Ok(()),
        reasons => Err(Error::invalid(format!(
            "no tool of agent `{}` can be used: {}",
            agent.name,
            reasons.join("; ")
        ))),
    }
}

/// The prompt filled for one run, and what there is to say about it.
///
/// # Errors
/// A problem with its place in the prompt.
pub(crate) fn rendered(
    prompt: &Prompt,
    task: &str,
    variables: &BTreeMap<String, Secret>,
) -> Result<(Rendered, Vec<String>), Problem> {
    let rendered = render::render(prompt, task, &context(prompt, variables))?;
    let unset = rendered.unset.iter().map(|name| format!("the prompt asks for `{name}`, which is not set"));
    let warnings = rendered.misfits.iter().cloned().chain(unset).collect();
    Ok((rendered, warnings))
}

fn unfilled(agent: &Agent, environment: &str, prompt: &Prompt, problem: Problem) -> Error {
    let number = problem.at.and_then(|at| at.line.checked_sub(prompt.body_line + 1));
    let line = number.and_then(|number| prompt.body.lines().nth(number));
    in_file(agent, environment, problem, line, |it| format!("the prompt of agent `{}`: {it}", agent.name))
}

/// What a run ends with, as `said`, for a problem of the file of `agent`: with its path, and first the line that it stands in, for
/// who reads of it in a run has no file before them. What has no file keeps the path that it would have.
fn in_file(
    agent: &Agent,
    environment: &str,
    problem: Problem,
    line: Option<&str>,
    said: impl Fn(&Problem) -> String,
) -> Error {
    let path = match agent.origin {
        Origin::File => format!("environments/{environment}/{}", problem.path),
        Origin::Store => problem.path.clone(),
    };
    let short = line.map(str::trim).filter(|line| line.len() <= LINE_BYTES_MAX);
    let shown = problem.at.zip(short).map(|(at, line)| format!("line {} is `{line}`", at.line));
    let hints = shown.into_iter().chain(problem.hint.clone());
    let error = Error::invalid(said(&Problem { path, ..problem }));
    hints.fold(error, Error::with_hint)
}

/// How much of a conversation a model is sent.
fn kept_in_sight(station: &Station, rights: &Rights) -> Context {
    Context { result_bytes_max: Some(station.config().result_bytes_max), servers: rights.result_limits() }
}

/// What a run may spend by files and by its request, and those above it may.
fn limits(station: &Station, run: &Run, reading: &Reading, request: &RunRequest) -> Vec<Limit> {
    let files = (reading.prompt.limits, reading.rights.limits);
    let own = spend::own_limits(station, run, files, request.caps);
    request.limits.iter().cloned().chain(own).collect()
}

/// Under a limit of money a model without a price cannot be asked: nobody could say when to stop.
///
/// # Errors
/// Where none is left.
async fn leave_out_unpriced(
    station: &Station,
    run: &Run,
    (limits, above): (&[Limit], &[Ancestor]),
    choices: &mut Choices,
) -> Result<()> {
    let by_hand = station.limits_by_hand().await?;
    let all: Vec<Limit> = limits.iter().chain(by_hand.iter()).cloned().collect();
    let line: Vec<Ancestor> =
        std::iter::once(Ancestor { run: run.id, agent: run.agent }).chain(above.iter().copied()).collect();
    let claims = budget::claims(&all, &line, run.environment, station.now());
    if !budget::is_limited_in(&claims, Measure::Usd) {
        return Ok(());
    }
    let prices = &station.config().prices;
    let mut first = None;
    choices.usable.retain(|choice| match prices.missing(&choice.model) {
        None => true,
        Some(sentence) => {
            choices.skipped.push((choice.model.to_string(), sentence.clone()));
            first.get_or_insert(sentence);
            false
        }
    });
    match first {
        Some(sentence) if choices.usable.is_empty() => Err(Error::invalid(format!(
            "{sentence}, and this run has a limit of money"
        ))
        .with_hint(
            "add it: `prices: {<model>: {input: …, output: …, date: …, source: …}}`, per million tokens",
        )
        .with_hint("`stn budget list` shows the limits, `stn budget prices` the table")),
        _ => Ok(()),
    }
}

/// The bodies of a run that has started.
pub(crate) async fn restore(station: &Station, inputs: &Inputs) -> Result<Prepared> {
    let store = station.store();
    let system = store.blob(&inputs.system).await?;
    let output_schema = match &inputs.output_schema {
        Some(hash) => Some(read_blob(station, hash).await?),
        None => None,
    };
    Ok(Prepared {
        system: String::from_utf8(system)
            .map_err(|cause| Error::internal("reading a stored prompt", cause))?,
        tools: read_blob(station, &inputs.tools).await?,
        settings: read_blob(station, &inputs.settings).await?,
        output_schema,
    })
}

/// The model that a run of `agent` will ask first, as far as can be known here and now: for limits alone, so what is
/// wrong with the agent or its models is told when the run is prepared.
pub(crate) async fn first_model(station: &Station, agent: &Agent, asked: Option<&str>) -> Option<String> {
    let first = |written: &[String]| {
        let choices = station.models().choices(written).ok()?;
        choices.usable.first().map(|choice| choice.model.to_string())
    };
    let named = asked.or(agent.model.as_deref()).map(str::to_owned);
    match first(named.as_slice()) {
        // The row has the first name alone; where it cannot be used, the file says which is next.
        None if asked.is_none() && named.is_some() => first(&read_prompt(station, agent).await.ok()?.models),
        found => found,
    }
}

/// A run as far as `journal` tells of it; `None` where it was never prepared.
///
/// # Errors
/// The store's, where the bodies of its inputs cannot be read.
pub(crate) async fn refold(station: &Station, journal: &[Entry]) -> Result<Option<Machine>> {
    let Some(inputs) = Inputs::of(journal) else { return Ok(None) };
    let mut machine = Machine::new(restore(station, inputs).await?);
    journal.iter().for_each(|entry| machine.fold(&entry.event));
    Ok(Some(machine))
}

/// The agent's definition, read.
pub(crate) async fn read_prompt(station: &Station, agent: &Agent) -> Result<Prompt> {
    let source = station.store().agent_source(agent.id).await?;
    let problem = match parse_prompt(agent, &source) {
        Ok(prompt) => return Ok(prompt),
        Err(problem) => problem,
    };
    let environment = station.store().environment_by_id(agent.environment).await?;
    let environment = environment.map_or_else(String::new, |environment| environment.name.to_string());
    let line = problem.at.and_then(|at| source.lines().nth(at.line.saturating_sub(1)));
    let said = |it: &Problem| format!("the definition of agent `{}` is broken: {it}", agent.name);
    Err(in_file(agent, &environment, problem, line, said))
}

/// The definition of an agent, whose text is `source`.
///
/// # Errors
/// Why it is refused.
pub(crate) fn parse_prompt(agent: &Agent, source: &str) -> Result<Prompt, Problem> {
    let (prompt, problems) = prompt::read(source, &format!("agents/{}.prompt", agent.name));
    prompt.ok_or_else(|| {
        let mut errors = problems.into_iter().filter(|problem| problem.severity == Severity::Error);
        errors.next().expect("what is refused is refused for a reason")
    })
}

struct SubAgent {
    id: AgentId,
    name: String,
    tool_name: String,
    description: String,
}

fn sub_agents(coordinated: &[Coordinated], warnings: &mut Vec<String>) -> Vec<SubAgent> {
    let mut found = Vec::new();
    for Coordinated { written, agent } in coordinated {
        match agent {
            Some(other) => found.push(SubAgent {
                id: other.id,
                name: other.name.to_string(),
                tool_name: other.name.tool_name(),
                description: other.description.clone(),
            }),
            None => warnings.push(format!("there is no agent `{written}` to call in this environment")),
        }
    }
    found
}

/// The ordered tools a model is offered: allowed tools whose server can be reached, then sub-agents.
fn offer(rights: &Rights, sub_agents: &[SubAgent], models: &[ModelChoice]) -> Vec<GrantedTool> {
    let usable: Vec<_> = rights
        .tools
        .iter()
        .filter(|it| it.verdict.allowed.is_ok() && rights.reach(it.tool.server).is_ok())
        .collect();
    let mut pairs: Vec<(&str, &str)> =
        usable.iter().map(|it| (it.tool.server_name.as_str(), it.tool.name.as_str())).collect();
    pairs.extend(sub_agents.iter().map(|agent| ("", agent.tool_name.as_str())));
    let names = tool::wire_names(&pairs);
    let offline_only = models.iter().all(|choice| choice.model.provider == "offline");
    let tools = usable.iter().zip(&names).map(|(it, name)| GrantedTool {
        spec: ToolSpec {
            name: name.clone(),
            description: it.tool.description.clone(),
            input_schema: it.tool.input_schema.clone(),
        },
        target: Target::Tool {
            server: it.tool.server,
            server_name: it.tool.server_name.clone(),
            tool: it.tool.name.clone(),
            read_only: it.verdict.read_only,
            idempotent: it.verdict.idempotent,
        },
        offline: it.verdict.read_only || (offline_only && !it.written.contains('*')),
    });
    let agents = sub_agents.iter().zip(&names[usable.len()..]).map(|(agent, name)| GrantedTool {
        spec: ToolSpec {
            name: name.clone(),
            description: format!("Agent `{}`: {}", agent.name, agent.description),
            input_schema: json!({
                "type": "object",
                "properties": {"task": {"type": "string", "description": "What the agent is to do, with all it needs to know"}},
                "required": ["task"],
            }),
        },
        target: Target::Agent { agent: agent.id, name: agent.name.clone() },
        offline: true,
    });
    tools.chain(agents).collect()
}

/// Values for the prompt's own variables: defaults of its file, then what was given with the run. The environment's
/// variables are for servers and never reach a prompt.
fn context(prompt: &Prompt, variables: &BTreeMap<String, Secret>) -> BTreeMap<String, Value> {
    let mut context: BTreeMap<String, Value> = prompt.input_defaults.clone().into_iter().collect();
    context.extend(variables.iter().map(|(name, value)| (name.clone(), Value::from(value.expose()))));
    context
}

fn deadline(station: &Station, prompt: &Prompt, request: &RunRequest) -> Micros {
    let own_ms = request
        .timeout_ms
        .or(prompt.timeout_s.map(|s| s.saturating_mul(1_000)))
        .unwrap_or_else(|| millis(station.config().run_timeout));
    let own = station.now().plus_ms(own_ms);
    request.deadline.map_or(own, |parents| parents.min(own))
}

type Blob = (BlobHash, Vec<u8>);

/// The bodies of a run's inputs, by hash.
pub(crate) struct Kept {
    system: Blob,
    tools: Blob,
    settings: Blob,
    schema: Option<Blob>,
}

impl Kept {
    pub(crate) fn of(prepared: &Prepared) -> Result<Self> {
        Ok(Self {
            system: blob(prepared.system.clone().into_bytes()),
            tools: blob(to_json(&prepared.tools)?),
            settings: blob(to_json(&prepared.settings)?),
            schema: prepared.output_schema.as_ref().map(to_json).transpose()?.map(blob),
        })
    }

    /// Writes the hashes into `inputs`.
    pub(crate) fn name(&self, inputs: &mut Inputs) {
        inputs.system = self.system.0.clone();
        inputs.tools = self.tools.0.clone();
        inputs.settings = self.settings.0.clone();
        inputs.output_schema = self.schema.as_ref().map(|blob| blob.0.clone());
    }

    pub(crate) fn into_blobs(self) -> Vec<Blob> {
        [Some(self.system), Some(self.tools), Some(self.settings), self.schema]
            .into_iter()
            .flatten()
            .collect()
    }
}

fn blob(body: Vec<u8>) -> Blob {
    (BlobHash::of(&body), body)
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|cause| Error::internal("writing a run's inputs", cause))
}

async fn read_blob<T: for<'de> Deserialize<'de>>(station: &Station, hash: &BlobHash) -> Result<T> {
    let body = station.store().blob(hash).await?;
    serde_json::from_slice(&body).map_err(|cause| Error::internal("reading a run's stored inputs", cause))
}

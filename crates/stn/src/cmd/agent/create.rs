//! `stn agent create`

use super::plan::{Planned, plan, plan_there};
use crate::at::{At, named};
use crate::error::{Code, Result};
use crate::follow::{Tell, follow};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::question::Yes;
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
use station_core::{AgentName, EnvironmentName};
use station_engine::{AgentPlan, AgentRef, EnvironmentRef, NewAgent, Planning, ReasonedTool, Station};
use station_server::wire;

/// Make an agent
///
/// Without `--tool`, the architect plans it: a built-in agent that asks the configured model, looks at what the
/// environment's servers offer, and proposes a prompt, tools with a reason each, and how far a run may go. The plan is shown,
/// and carried out on your yes; what you say here stays as you say it. Where no model can plan, or with `--ranked`, tools are
/// chosen by ranking what is offered against the name, the description, the domain and the prompt.
///
/// A named tool that no server offers is granted all the same, and said to be missing. The agent is a file: edit it as you
/// like.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name; not all digits
    name: String,
    /// What it is for, in one line
    description: String,
    /// What it works in, e.g. devops: enters the choice of tools and is kept as a tag
    #[arg(long)]
    domain: Option<String>,
    /// Its environment [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    /// Its model, e.g. openai/gpt-4o-mini or offline; the configured one if left out
    #[arg(long)]
    model: Option<String>,
    /// Most model turns of one run, 1 to 25; computed for each run if left out
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=25))]
    max_steps: Option<i64>,
    /// Grant this tool, e.g. __read_text_file or server__tool; may be given several times
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<String>,
    /// Let it call this agent; may be given several times
    #[arg(long = "agent", value_name = "NAME")]
    agents: Vec<String>,
    /// Its instructions; made from the description if left out
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// When it is to run by itself, as cron with five or six fields; kept in its file, nothing fires it in this release
    #[arg(long, value_name = "CRON")]
    schedule: Option<String>,
    /// Choose tools by ranking: ask no model
    #[arg(long)]
    ranked: bool,
    #[command(flatten)]
    yes: Yes,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let name = AgentName::parse(&self.name)?;
        let (ranked, yes) = (self.ranked, self.yes);
        session
            .at(async |at| {
                let station = match at {
                    At::Here(station) => station,
                    At::There(server) => return self.create_there(session, server).await,
                };
                let environment = session.environment(station, self.env.as_ref()).await?;
                create(session, station, self.new_agent(name, environment), ranked, yes).await
            })
            .await
    }

    async fn create_there(self, session: &Session<'_>, server: &Server) -> Result {
        let chosen = self.tools.is_empty();
        let mut given = json!({
            "name": self.name,
            "description": self.description,
            "environment": named(self.env.as_ref()),
            "prompt": self.prompt,
            "domain": self.domain,
            "model": self.model,
            "max_steps": self.max_steps,
            "agents": (!self.agents.is_empty()).then_some(self.agents),
            "schedule": self.schedule,
        });
        if chosen && !self.ranked {
            match plan_there(session, server, given.clone(), self.yes).await? {
                Planned::Done(agent, plan) => {
                    let details: wire::AgentDetails =
                        server.ask("show_agent", json!({ "agent": agent.0 })).await?;
                    let offered =
                        |name: &str| details.tools.iter().any(|it| it.written == name && it.tool.is_some());
                    let reasons: Vec<_> =
                        reasons_of(&plan, offered).iter().map(wire::ReasonedTool::from).collect();
                    return tell(session, &details, &reasons, true);
                }
                Planned::Waits => return Ok(Code::Waiting),
                Planned::None(why) => tell_ranked(session, &why),
            }
        }
        given["tools"] = json!((!chosen).then_some(self.tools));
        let wire::CreatedAgent { details, reasons } = server.ask("create_agent", given).await?;
        tell(session, &details, &reasons, chosen)
    }

    fn new_agent(self, name: AgentName, environment: EnvironmentName) -> NewAgent {
        NewAgent {
            name,
            description: self.description,
            environment,
            prompt: self.prompt,
            domain: self.domain,
            model: self.model,
            max_steps: self.max_steps,
            tools: if self.tools.is_empty() { None } else { Some(self.tools) },
            agents: self.agents,
            schedule: self.schedule,
            input_schema: None,
            output_schema: None,
        }
    }
}

/// In a home that nobody has set up, `default` is made: the first command that somebody types may be this one.
async fn make_default(session: &Session<'_>, station: &Station, name: &EnvironmentName) -> Result<()> {
    let is_first = station.list_environments(&session.by).await?.is_empty();
    let has_folder = session.settings.workspace().environment_folder(name).is_dir();
    if !is_first || has_folder || *name != EnvironmentName::default() {
        return Ok(());
    }
    let made = station.create_environment(&session.by, name, "").await?;
    let folder = made.folder.map(|folder| format!(": {}", folder.display())).unwrap_or_default();
    session.out.note(Tone::Plain, &format!("Made environment `{name}`{folder}"));
    Ok(())
}

async fn create(session: &Session<'_>, station: &Station, new: NewAgent, ranked: bool, yes: Yes) -> Result {
    let environment = new.environment.clone();
    make_default(session, station, &environment).await?;
    know(session, station, &new).await?;
    let missing = station.missing_agents(&session.by, &environment, &new.agents).await?;
    let chosen = new.tools.is_none();
    let planned =
        if ranked || new.tools.is_some() { None } else { Some(planned(session, station, &new, yes).await?) };
    let (details, reasons) = match planned {
        Some(Planned::Done(agent, plan)) => {
            let details = station.show_agent(&session.by, &AgentRef::Id(agent)).await?;
            let reasons = reasons_of(&plan, |name| details.has_tool(name));
            (details, reasons)
        }
        Some(Planned::Waits) => return Ok(Code::Waiting),
        None | Some(Planned::None(_)) => station.create_agent(&session.by, new).await?,
    };
    for (agent, hint) in missing {
        let name = &details.agent.name;
        session.out.warning(&format!(
            "there is no agent `{agent}` in environment `{environment}`: `{name}` works without it"
        ));
        session.out.hint(&hint.unwrap_or_else(|| "`stn agent list` shows them".to_owned()));
    }
    let reasons: Vec<wire::ReasonedTool> = reasons.iter().map(wire::ReasonedTool::from).collect();
    tell(session, &wire::AgentDetails::from(&details), &reasons, chosen)
}

/// Asks the architect; why it does not plan is told.
async fn planned(session: &Session<'_>, station: &Station, new: &NewAgent, yes: Yes) -> Result<Planned> {
    let planned = match station.planner(new.model.as_deref()) {
        Ok(model) => plan(session, station, &Planning::New(Box::new(new.clone())), &model, yes).await?,
        Err(why) => Planned::None(why),
    };
    if let Planned::None(why) = &planned {
        tell_ranked(session, why);
    }
    Ok(planned)
}

fn tell_ranked(session: &Session<'_>, why: &str) {
    session.out.note(Tone::Plain, &format!("Tools are chosen by ranking: {why}."));
}

/// The tools of a plan that was carried out, and what stands behind each.
fn reasons_of(plan: &AgentPlan, offered: impl Fn(&str) -> bool) -> Vec<ReasonedTool> {
    let planned = plan.tools().unwrap_or_default();
    planned
        .into_iter()
        .map(|it| ReasonedTool {
            offered: offered(&it.name),
            reason: it.reason.unwrap_or_else(|| "planned".to_owned()),
            tool: it.name,
        })
        .collect()
}

/// Brings what is known of the environment up to date.
async fn know(session: &Session<'_>, station: &Station, new: &NewAgent) -> Result<()> {
    let environment = new.environment.clone();
    let doing = format!("asking the servers of `{environment}` for their tools");
    // The choice is only as good as what is known of the servers.
    let work = async {
        let problems = station.apply_changed_files(&environment).await?;
        let known = match &new.tools {
            Some(tools) => station.are_offered(&session.by, &environment, tools).await?,
            None => false,
        };
        if !known {
            station.refresh_catalog(&environment).await?;
        }
        Ok::<_, station_core::Error>(problems)
    };
    let problems = follow(session.out, station, Tell::Events, &doing, work).await?;
    session.tell_errors(&problems);
    Ok(())
}

fn tell(
    session: &Session<'_>,
    details: &wire::AgentDetails,
    reasons: &[wire::ReasonedTool],
    ranked: bool,
) -> Result {
    let environment = &details.agent.environment;
    if session.out.is_json() {
        session.out.json(&json!({ "agent": details.agent, "path": details.path, "tools": reasons }))?;
        return Ok(Code::Done);
    }
    session.out.lines(&lines(details, reasons, ranked))?;
    if reasons.is_empty() && ranked {
        session.out.hint("grant tools by name with `--tool`; `stn mcp tools` shows what there is");
    }
    if let Some(lacking) = reasons.iter().find(|it| !it.offered) {
        session.out.hint(&format!(
            "it works without `{0}`; `stn mcp tools --env {environment}` shows what there is, and \
             `stn agent update {1} --remove-tool {0}` takes it out",
            lacking.tool, details.agent.id
        ));
    }
    session.out.hint(&format!("run it with `stn agent run {} \"your task\"`", details.agent.id));
    Ok(Code::Done)
}

fn lines(details: &wire::AgentDetails, reasons: &[wire::ReasonedTool], ranked: bool) -> Vec<(Tone, String)> {
    let agent = &details.agent;
    let head = format!("Created agent {} `{}` in environment `{}`.", agent.id, agent.name, agent.environment);
    let mut lines = vec![(Tone::Good, head)];
    match &details.path {
        Some(path) => lines.push((Tone::Plain, format!("  file   {path}"))),
        None => {
            lines.push((Tone::Plain, "  file   none: files are read-only, it lives in the store".to_owned()));
        }
    }
    if reasons.is_empty() {
        let why = if ranked { "none: no tool known here fits its name and description" } else { "none" };
        lines.push((Tone::Plain, format!("  tools  {why}")));
    }
    for (at, chosen) in reasons.iter().enumerate() {
        let label = if at == 0 { "tools" } else { "" };
        let tone = if chosen.offered { Tone::Plain } else { Tone::Bad };
        lines.push((tone, format!("  {label:<6} {} ({})", chosen.tool, chosen.reason)));
    }
    lines
}

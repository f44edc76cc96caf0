//! `stn agent update`

use super::plan::{Planned, plan, plan_there};
use crate::at::{At, named};
use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::problems;
use crate::question::Yes;
use crate::remote::Server;
use crate::session::Session;
use serde_json::{Value, json};
use station_core::file::Problem;
use station_core::file::edit::{AgentEdit, Names, Unset};
use station_core::{AgentName, Error};
use station_engine::{AgentDetails, AgentRef, EnvironmentRef, Planning, Station};
use station_server::wire;

/// Change fields of an agent
///
/// Only what is named changes; the rest of the agent's file stays byte for byte: comments, order, keys that Station does
/// not know. With `--name` its file is renamed, and it keeps its number with its runs, approvals and limits.
///
/// With a change in words, the architect plans it: a built-in agent that asks the configured model, and shows which lines of
/// the file it would change. They are changed on your yes.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id or name
    agent: String,
    /// What is to change, in words
    #[arg(value_name = "CHANGE")]
    change: Option<String>,
    /// The environment of a name; an id needs none
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    /// Another name
    #[arg(long)]
    name: Option<String>,
    /// What it is for, in one line
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Its instructions: plain text takes the place of the system turn, and the turns behind it stay; a text with `{{role}}`, `{{history}}` or `{{userInput}}` is the whole body
    #[arg(long, value_name = "TEXT")]
    prompt: Option<String>,
    /// Its model, e.g. openai/gpt-4o-mini
    #[arg(long)]
    model: Option<String>,
    /// Most model turns of one run, 1 to 25
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(1..=25))]
    max_steps: Option<i64>,
    /// Grant exactly these tools; may be given several times
    #[arg(long = "tool", value_name = "TOOL")]
    tools: Vec<String>,
    /// Grant this tool too; may be given several times
    #[arg(long, value_name = "TOOL")]
    add_tool: Vec<String>,
    /// Take this grant away, as it is written in the file; may be given several times
    #[arg(long, value_name = "TOOL")]
    remove_tool: Vec<String>,
    /// Let it call exactly these agents; may be given several times
    #[arg(long = "agent", value_name = "NAME")]
    agents: Vec<String>,
    /// Let it call this agent too; may be given several times
    #[arg(long, value_name = "NAME")]
    add_agent: Vec<String>,
    /// Do not let it call this agent; may be given several times
    #[arg(long, value_name = "NAME")]
    remove_agent: Vec<String>,
    /// Give it exactly these tags; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// When it is to run by itself, as cron with five or six fields; kept in its file, nothing fires it in this release
    #[arg(long, value_name = "CRON")]
    schedule: Option<String>,
    /// Take this field out: model, max_steps, tools, agents, tags or schedule; may be given several times
    #[arg(long, value_name = "FIELD", value_parser = Unset::from_word)]
    unset: Vec<Unset>,
    #[command(flatten)]
    yes: Yes,
}

impl Args {
    pub(crate) async fn run(mut self, session: &Session<'_>) -> Result {
        let (agent, env, yes) = (self.agent.clone(), self.env.clone(), self.yes);
        let words = self.change.take();
        let name = self.name.take().map(|name| AgentName::parse(&name)).transpose()?;
        let edit = self.edit();
        if let Some(words) = words {
            if !edit.is_empty() || name.is_some() {
                return Err(Error::invalid("a change in words goes with no other change")
                    .with_hint("say all of it in words, or all of it by options")
                    .into());
            }
            return session
                .at(async |at| {
                    let station = match at {
                        At::Here(station) => station,
                        At::There(server) => {
                            let given = json!({ "agent": agent, "environment": named(env.as_ref()), "change": words });
                            return in_words_there(session, server, given, yes).await;
                        }
                    };
                    let (agent, environment) = session.agent(station, &agent, env.as_ref()).await?;
                    let problems = station.apply_changed_files(&environment).await?;
                    session.tell_errors(&problems);
                    in_words(session, station, agent, words, yes).await
                })
                .await;
        }
        if edit.is_empty() && name.is_none() {
            return Err(Error::invalid("nothing is named that is to change")
                .with_hint("e.g. `--model NAME` or `--add-tool TOOL`; `stn agent update --help` shows all")
                .into());
        }
        session
            .at(async |at| {
                let station = match at {
                    At::Here(station) => station,
                    At::There(server) => {
                        let given = given(&agent, env.as_ref(), &edit, name.as_ref());
                        let wire::AgentDetails { agent, path, .. } =
                            server.ask("update_agent", given).await?;
                        return tell(session, &agent, path.as_deref());
                    }
                };
                let (agent, _) = session.agent(station, &agent, env.as_ref()).await?;
                let mut now = station.show_agent(&session.by, &agent).await?;
                // By its number from here on: its name is about to be another.
                let agent = AgentRef::Id(now.agent.id);
                if !edit.is_empty() {
                    let updated = station.update_agent(&session.by, &agent, &edit).await?;
                    tell_problems(session, &updated.problems);
                    now = updated.agent;
                }
                if let Some(name) = &name {
                    now = rename(session, station, &agent, name).await?;
                }
                tell_here(session, &now)
            })
            .await
    }

    fn edit(self) -> AgentEdit {
        let exactly = |names: Vec<String>| Some(names).filter(|names| !names.is_empty());
        AgentEdit {
            description: self.description,
            prompt: self.prompt,
            model: self.model,
            max_steps: self.max_steps,
            tools: Names { be: exactly(self.tools), add: self.add_tool, remove: self.remove_tool },
            agents: Names { be: exactly(self.agents), add: self.add_agent, remove: self.remove_agent },
            tags: Names { be: exactly(self.tags), ..Names::default() },
            schedule: self.schedule,
            unset: self.unset,
        }
    }
}

/// The change as a server is told of it.
fn given(agent: &str, env: Option<&EnvironmentRef>, edit: &AgentEdit, name: Option<&AgentName>) -> Value {
    let some = |names: &[String]| (!names.is_empty()).then(|| names.to_vec());
    let unset =
        Unset::ALL.iter().filter(|(_, field)| edit.unset.contains(field)).map(|(word, _)| (*word).to_owned());
    json!({
        "agent": agent,
        "environment": named(env),
        "name": name.map(AgentName::as_str),
        "description": edit.description,
        "prompt": edit.prompt,
        "model": edit.model,
        "max_steps": edit.max_steps,
        "tools": edit.tools.be,
        "add_tools": some(&edit.tools.add),
        "remove_tools": some(&edit.tools.remove),
        "agents": edit.agents.be,
        "add_agents": some(&edit.agents.add),
        "remove_agents": some(&edit.agents.remove),
        "tags": edit.tags.be,
        "schedule": edit.schedule,
        "unset": some(&unset.collect::<Vec<_>>()),
    })
}

/// Gives the agent another name, and says who calls it by the old one.
async fn rename(
    session: &Session<'_>,
    station: &Station,
    agent: &AgentRef,
    name: &AgentName,
) -> Result<AgentDetails> {
    let renamed = station.rename_agent(&session.by, agent, name).await?;
    tell_problems(session, &renamed.problems);
    let was = &renamed.was;
    for caller in renamed.called_by.iter().filter(|_| was != name) {
        session.out.warning(&format!("agent `{caller}` still names it `{was}`, and works without it"));
        session.out.hint(&format!(
            "`stn agent update \"{caller}\" --remove-agent \"{was}\" --add-agent \"{name}\"` names it anew"
        ));
    }
    Ok(renamed.agent)
}

fn tell_problems(session: &Session<'_>, found: &[Problem]) {
    found.iter().for_each(|problem| problems::tell(session.out, &session.settings.root(), problem));
}

/// Has the architect plan a change, and makes it on a yes.
async fn in_words(
    session: &Session<'_>,
    station: &Station,
    agent: AgentRef,
    words: String,
    yes: Yes,
) -> Result {
    let model = station.planner(None).map_err(|why| {
        Error::invalid(format!("a change in words needs a model: {why}")).with_hint(
            "`stn model list` shows what can be set up; options need none: `stn agent update --help`",
        )
    })?;
    match plan(session, station, &Planning::Change { agent, words }, &model, yes).await? {
        Planned::Done(agent, _) => {
            tell_here(session, &station.show_agent(&session.by, &AgentRef::Id(agent)).await?)
        }
        Planned::Waits => Ok(Code::Waiting),
        Planned::None(why) => Err(without_plan(&why).into()),
    }
}

/// As [`in_words`], at a server.
async fn in_words_there(session: &Session<'_>, server: &Server, given: Value, yes: Yes) -> Result {
    match plan_there(session, server, given, yes).await? {
        Planned::Done(agent, _) => {
            let shown: wire::AgentDetails = server.ask("show_agent", json!({ "agent": agent.0 })).await?;
            tell(session, &shown.agent, shown.path.as_deref())
        }
        Planned::Waits => Ok(Code::Waiting),
        Planned::None(why) => Err(without_plan(&why).into()),
    }
}

fn without_plan(why: &str) -> Error {
    Error::invalid(format!("there is no plan: {why}"))
        .with_hint("nothing was changed; options change it without a model: `stn agent update --help`")
}

fn tell_here(session: &Session<'_>, details: &AgentDetails) -> Result {
    let path = details.path.as_ref().map(|path| path.display().to_string());
    tell(session, &wire::Agent::new(&details.agent, details.environment.name.as_str()), path.as_deref())
}

fn tell(session: &Session<'_>, agent: &wire::Agent, path: Option<&str>) -> Result {
    if session.out.is_json() {
        session.out.json(&json!({ "agent": agent, "path": path }))?;
    } else {
        let wire::Agent { id, name, environment, .. } = agent;
        let text = format!("Changed agent {id} `{name}` of environment `{environment}`.");
        session.out.lines(&[(Tone::Good, text)])?;
    }
    Ok(Code::Done)
}

//! `stn agent show`

use crate::at::{At, named};
use crate::error::{Code, Failure, Result};
use crate::named::environment_ref;
use crate::out::{Tone, shown};
use crate::problems;
use crate::session::Session;
use serde_json::json;
use station_core::file::{Problem, Severity};
use station_core::sync::Change;
use station_core::{EnvironmentName, Error, Kind};
use station_engine::{EnvironmentRef, Station, SyncOptions};
use station_server::wire;

/// Show one agent: its model, its tools, its prompt
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id or name
    agent: String,
    /// The environment of a name; an id needs none
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
}

/// What the agent's file has to say beside what is stored of it.
#[derive(Default)]
struct FileState {
    problems: Vec<Problem>,
    /// It differs from what is stored.
    changed: bool,
}

impl FileState {
    fn is_broken(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let details = match at {
                    At::Here(station) => self.look(session, station).await?,
                    // Whoever serves applies files that have changed by itself.
                    At::There(server) => {
                        let given = json!({ "agent": self.agent, "environment": named(self.env.as_ref()) });
                        server.ask("show_agent", given).await?
                    }
                };
                if session.out.is_json() {
                    session.out.json(&details)?;
                } else {
                    session.out.lines(&lines(&details))?;
                }
                Ok(Code::Done)
            })
            .await
    }

    /// The agent as it is stored, once it is told what its file says besides.
    async fn look(&self, session: &Session<'_>, station: &Station) -> Result<wire::AgentDetails> {
        let (agent, environment) = session.agent(station, &self.agent, self.env.as_ref()).await?;
        let found = station.show_agent(&session.by, &agent).await;
        let name = match &found {
            Ok(details) => details.agent.name.to_string(),
            Err(_) => self.agent.clone(),
        };
        let file = file_state(session, station, &environment, &name).await?;
        for problem in &file.problems {
            problems::tell(session.out, &session.settings.root(), problem);
        }
        let details = found.map_err(|error| refused(error, &file, &name, &environment))?;
        if file.is_broken() {
            session
                .out
                .hint(&format!("this is what is stored: mend the file, then `stn sync {environment}`"));
        }
        if file.changed {
            session.out.hint(&format!("its file has changed since: `stn sync {environment}` applies it"));
        }
        Ok(wire::AgentDetails::from(&details))
    }
}

/// Plans the environment's files as a dry run, and picks what is about this agent. No folder is nothing to say.
async fn file_state(
    session: &Session<'_>,
    station: &Station,
    environment: &EnvironmentName,
    name: &str,
) -> Result<FileState> {
    let options = SyncOptions { dry_run: true, discover: false };
    let report = match station.sync(&session.by, environment, options).await {
        Ok(report) => report,
        Err(error) if error.kind() == Kind::NotFound => return Ok(FileState::default()),
        Err(error) => return Err(error.into()),
    };
    let file = format!("environments/{environment}/agents/{name}.prompt");
    let changed = report
        .plan
        .changes
        .iter()
        .any(|change| matches!(change, Change::PutAgent(row) if row.name.as_str() == name));
    let problems = report.plan.problems.into_iter().filter(|problem| problem.path == file).collect();
    Ok(FileState { problems, changed })
}

/// An agent that has only a file is either broken or not applied yet: then that is what there is to say.
fn refused(error: Error, file: &FileState, name: &str, environment: &EnvironmentName) -> Failure {
    match error.kind() {
        Kind::NotFound if file.is_broken() => {
            let sentence =
                format!("agent `{name}` does not exist in environment `{environment}`: its file is refused");
            Error::not_found(sentence)
                .with_hint(format!("mend the file, then `stn sync {environment}`"))
                .into()
        }
        Kind::NotFound if file.changed => {
            let sentence =
                format!("agent `{name}` has a file in environment `{environment}` that was not applied yet");
            Error::not_found(sentence).with_hint(format!("apply it with `stn sync {environment}`")).into()
        }
        _ => error.into(),
    }
}

fn lines(details: &wire::AgentDetails) -> Vec<(Tone, String)> {
    let agent = &details.agent;
    let mut lines = vec![(
        Tone::Plain,
        format!("Agent {} `{}` in environment `{}`", agent.id, agent.name, agent.environment),
    )];
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push((Tone::Plain, format!("  {name:<12} {value}")));
        }
    };
    row("description", agent.description.clone());
    row(
        "model",
        if details.models.is_empty() {
            "the configured one".to_owned()
        } else {
            details.models.join(", then ")
        },
    );
    row(
        "steps",
        details.max_steps.map_or_else(|| "computed for each run".to_owned(), |n| format!("at most {n}")),
    );
    row("time limit", details.timeout_ms.map(|ms| format!("{} s", ms / 1_000)).unwrap_or_default());
    row("tags", agent.tags.join(", "));
    row("agents", details.agents.join(", "));
    row(
        "schedule",
        details
            .schedule
            .as_ref()
            .map(|it| format!("{} (nothing fires it in this release)", it.cron))
            .unwrap_or_default(),
    );
    row("enabled", if agent.enabled { String::new() } else { "no".to_owned() });
    row("file", details.path.clone().unwrap_or_else(|| "none: it lives in the store".to_owned()));
    row("updated", agent.updated_at.clone());
    lines.push((Tone::Plain, "  tools".to_owned()));
    for grant in &details.tools {
        lines.push(match (&grant.server, &grant.tool) {
            (Some(server), Some(tool)) => (Tone::Plain, format!("    {} = {server}/{tool}", grant.written)),
            _ => (Tone::Bad, format!("    {} (nothing offers it now)", grant.written)),
        });
    }
    if details.tools.is_empty() {
        lines.push((Tone::Quiet, "    none".to_owned()));
    }
    lines.push((Tone::Plain, "  prompt".to_owned()));
    lines.extend(
        details
            .prompt
            .trim()
            .lines()
            .map(|line| (Tone::Quiet, format!("    {}", shown(line)).trim_end().to_owned())),
    );
    lines
}

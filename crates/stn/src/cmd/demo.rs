//! `stn demo`

use crate::cmd::agent::run_agent;
use crate::error::{Code, Result};
use crate::follow::{Tell, follow};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::session::Session;
use station_core::{EnvironmentName, Error};
use station_engine::{AgentRef, EnvironmentRef, NewRun, RunFilter, Station, SyncOptions};

/// What the demo's coordinator is asked.
const TASK: &str = "Let file_lister list the files, and log_reader find the errors in app.log";

/// See agents at work on sample files, without a key or an account
///
/// Makes an environment with a real MCP server (the filesystem server from npm, started by npx) and three agents, one
/// of which coordinates the others, and runs it with the built-in offline model. Files that exist stay as they are.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The environment, by id or name
    #[arg(long, value_name = "ENV", default_value = "demo", value_parser = environment_ref)]
    env: EnvironmentRef,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with_bare(async |station| {
                let environment = station.environment_name(&session.by, &self.env).await?;
                demo(session, station, &environment).await
            })
            .await
    }
}

async fn demo(session: &Session<'_>, station: &Station, environment: &EnvironmentName) -> Result {
    let out = session.out;
    let server = station.create_demo(&session.by, environment)?;
    let folder = station.config().workspace.environment_folder(environment);
    out.note(Tone::Plain, &format!("The demo's environment is `{environment}`: {}", folder.display()));
    out.note(Tone::Plain, &format!("Its server may read {}", server.samples.display()));
    let options = SyncOptions { dry_run: false, discover: true };
    let doing = "starting the filesystem server; the first time npx fetches it";
    let report = follow(out, station, Tell::Events, doing, async {
        let report = station.sync(&session.by, environment, options).await?;
        // A second demo finds nothing changed: then the server is asked only if it was not for a long time.
        if report.discovery.servers.is_empty() {
            station.refresh_catalog(environment).await?;
        }
        Ok::<_, Error>(report)
    })
    .await?;
    session.tell_errors(&report.plan.problems);
    if let Some(why) = failure(session, station, environment).await? {
        return Err(Error::upstream(format!("the demo's server cannot be used: {why}"))
            .with_hint("it needs Node (`npx`) and, the first time, a way to the npm registry")
            .with_hint("run `stn demo` again then; what was made stays")
            .into());
    }
    let agent = AgentRef::Name { name: "coordinator".to_owned(), environment: Some(environment.clone()) };
    out.note(Tone::Plain, &format!("\nNow `coordinator` is asked: {TASK}"));
    let new = NewRun { task: TASK.to_owned(), ..NewRun::default() };
    let code = run_agent(session, station, &agent, new, Tell::Events).await?;
    if code == Code::Done {
        next(session, station, environment).await?;
    }
    Ok(code)
}

/// Why the demo's server has no tools, if so.
async fn failure(
    session: &Session<'_>,
    station: &Station,
    environment: &EnvironmentName,
) -> Result<Option<String>> {
    let servers = station.list_servers(&session.by, Some(environment)).await?;
    let without = servers.into_iter().find(|server| server.tools.is_empty());
    Ok(without.map(|it| it.server.problem.unwrap_or_else(|| format!("`{}` offers no tool", it.server.name))))
}

/// What to type next.
async fn next(session: &Session<'_>, station: &Station, environment: &EnvironmentName) -> Result<()> {
    let runs = station.list_runs(&session.by, &RunFilter::default(), 20).await?;
    let last = runs.iter().find(|run| run.parent.is_none()).map(|run| run.id.to_string()).unwrap_or_default();
    session.out.note(Tone::Plain, "\nWhat to type next:");
    for line in [
        format!("stn runs inspect {last}"),
        format!("stn agent list --env {environment}"),
        format!("stn agent run log_reader \"Which errors are in deploy.log?\" --env {environment}"),
        format!("stn mcp tools --env {environment}"),
        "stn init --provider openai --model gpt-4o-mini".to_owned(),
    ] {
        session.out.note(Tone::Plain, &format!("  {line}"));
    }
    Ok(())
}

//! `stn mcp lock`

use crate::error::{Code, Result};
use crate::follow::{Tell, follow};
use crate::named::environment_ref;
use crate::out::{Tone, shown};
use crate::question::{Yes, confirm};
use crate::session::Session;
use station_core::lock::{Difference, What};
use station_core::{EnvironmentName, plural};
use station_engine::{EnvironmentRef, Station, ToolLock};
use station_server::wire;

/// Pin the definitions of an environment's tools
///
/// Shows what servers offer now that is not as `mcp.lock` in the environment's folder has it, asks, and writes the file. An
/// environment that lives in the store alone has its lock there.
/// From the first time on, a tool that is new, renamed or changed since is held back: no agent sees or calls it until it is
/// pinned as it is. Commit the file with the rest of the environment.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these servers, by name; the pins of others stay
    servers: Vec<String>,
    /// The environment [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    /// Only show what is different, and exit 1 where something is
    #[arg(long, conflicts_with = "yes")]
    check: bool,
    #[command(flatten)]
    yes: Yes,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                let environment = session.environment(station, self.env.as_ref()).await?;
                self.lock(session, station, &environment).await
            })
            .await
    }

    async fn lock(&self, session: &Session<'_>, station: &Station, environment: &EnvironmentName) -> Result {
        let problems = station.apply_changed_files(environment).await?;
        session.tell_errors(&problems);
        let doing = format!("asking the servers of `{environment}` for their tools");
        follow(session.out, station, Tell::Runs, &doing, station.refresh_catalog(environment)).await?;
        let plan = station.plan_lock(&session.by, environment, &self.servers).await?;
        for server in &plan.unlisted {
            session
                .out
                .warning(&format!("server `{server}` could not be asked: its tools are taken as known last"));
        }
        if plan.is_locked && plan.differences.is_empty() {
            return told(session, &plan, false, &format!("Every tool is as {} pins it.", place(&plan)));
        }
        if self.check {
            let differ = plural(plan.differences.len(), "tool");
            let text = match plan.is_locked {
                true => format!("Not as {} pins it: {differ}.", place(&plan)),
                false => {
                    let lock = plan.path.as_deref().unwrap_or("lock in the store");
                    format!("There is no {lock}: nothing is pinned, and nothing held back.")
                }
            };
            if !session.out.is_json() {
                let lines: Vec<_> = lines(&plan).into_iter().map(|line| (Tone::Plain, line)).collect();
                session.out.lines(&lines)?;
            }
            told(session, &plan, false, &text)?;
            return Ok(if plan.is_locked { Code::Failed } else { Code::Done });
        }
        let question = format!("pin {} in {}?", plural(plan.pinned, "tool"), place(&plan));
        confirm(session, &lines(&plan), &question, self.yes).await?;
        let done = station.lock_tools(&session.by, environment, &self.servers, &plan.differences).await?;
        told(session, &done, true, &format!("Pinned {} in {}.", plural(done.pinned, "tool"), place(&done)))
    }
}

/// Where the pins stand.
fn place(lock: &ToolLock) -> &str {
    lock.path.as_deref().unwrap_or("the store")
}

fn told(session: &Session<'_>, lock: &ToolLock, written: bool, text: &str) -> Result {
    if session.out.is_json() {
        session.out.json(&wire::ToolLock::new(lock, written))?;
    } else {
        session.out.lines(&[(Tone::Good, text.to_owned())])?;
    }
    Ok(Code::Done)
}

/// What is different; before the first lock, which servers have how many tools.
fn lines(lock: &ToolLock) -> Vec<String> {
    if lock.is_locked {
        return lock.differences.iter().flat_map(difference).collect();
    }
    let mut servers: Vec<(&str, usize)> = Vec::new();
    for it in &lock.differences {
        match servers.last_mut() {
            Some((server, tools)) if *server == it.server => *tools += 1,
            _ => servers.push((&it.server, 1)),
        }
    }
    servers.iter().map(|(server, tools)| format!("  + {server}: {}", plural(*tools, "tool"))).collect()
}

fn difference(it: &Difference) -> Vec<String> {
    let name = shown(&format!("{}__{}", it.server, it.tool));
    match &it.what {
        What::New { looks_like: None } => vec![format!("  + {name}: new")],
        What::New { looks_like: Some(other) } => {
            vec![format!("  ! {name}: new, and looks like {}", shown(other))]
        }
        What::Renamed { from } => vec![format!("  > {name}: renamed from {}", shown(from))],
        What::Gone => vec![format!("  - {name}: no longer offered")],
        What::Changed { fields } => {
            let mut lines = vec![format!("  ~ {name}: changed")];
            for field in fields {
                lines.push(format!("      {}", field.field));
                lines.extend(field.diff().iter().map(|line| format!("        {}", shown(line))));
            }
            lines
        }
    }
}

//! `stn mcp lock`

use super::sync::discover_there;
use crate::at::{At, named_or_default};
use crate::error::{Code, Result};
use crate::follow::{Tell, follow};
use crate::named::environment_ref;
use crate::out::{Tone, shown};
use crate::question::{Yes, confirm};
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
use station_core::{Kind, lock, plural};
use station_engine::{EnvironmentRef, Station};
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
            .at(async |at| match at {
                At::Here(station) => self.lock_here(session, station).await,
                At::There(server) => self.lock_there(session, server).await,
            })
            .await
    }

    async fn lock_here(&self, session: &Session<'_>, station: &Station) -> Result {
        let environment = &session.environment(station, self.env.as_ref()).await?;
        let problems = station.apply_changed_files(environment).await?;
        session.tell_errors(&problems);
        let doing = format!("asking the servers of `{environment}` for their tools");
        follow(session.out, station, Tell::Runs, &doing, station.refresh_catalog(environment)).await?;
        let plan = station.plan_lock(&session.by, environment, &self.servers).await?;
        self.lock(session, wire::ToolLock::new(&plan, false), async |_| {
            let done = station.lock_tools(&session.by, environment, &self.servers, &plan.differences).await?;
            Ok(wire::ToolLock::new(&done, true))
        })
        .await
    }

    async fn lock_there(&self, session: &Session<'_>, server: &Server) -> Result {
        let environment = named_or_default(self.env.as_ref());
        let given = json!({ "environment": environment, "servers": self.servers });
        let mut plan: wire::ToolLock = server.ask("plan_lock", given.clone()).await?;
        if !plan.unlisted.is_empty() {
            for name in &plan.unlisted {
                match discover_there(session, server, name, &environment).await {
                    // Who may not have it asked may look at what is known of it all the same.
                    Err(error) if error.kind() != Kind::Forbidden => return Err(error.into()),
                    _ => {}
                }
            }
            plan = server.ask("plan_lock", given.clone()).await?;
        }
        self.lock(session, plan, async |plan| {
            let mut given = given;
            given["shown"] = plan.shown.as_str().into();
            Ok(server.ask("lock_tools", given).await?)
        })
        .await
    }

    /// Shows what `plan` says, asks, and has it pinned.
    async fn lock(
        &self,
        session: &Session<'_>,
        plan: wire::ToolLock,
        pin: impl AsyncFnOnce(&wire::ToolLock) -> Result<wire::ToolLock>,
    ) -> Result {
        for server in &plan.unlisted {
            session
                .out
                .warning(&format!("server `{server}` could not be asked: its tools are taken as known last"));
        }
        if plan.is_locked && plan.differences.is_empty() {
            return told(session, &plan, &format!("Every tool is as {} pins it.", place(&plan)));
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
            told(session, &plan, &text)?;
            return Ok(if plan.is_locked { Code::Failed } else { Code::Done });
        }
        let question = format!("pin {} in {}?", plural(plan.pinned, "tool"), place(&plan));
        confirm(session, &lines(&plan), &question, self.yes).await?;
        let done = pin(&plan).await?;
        told(session, &done, &format!("Pinned {} in {}.", plural(done.pinned, "tool"), place(&done)))
    }
}

/// Where the pins stand.
fn place(lock: &wire::ToolLock) -> &str {
    lock.path.as_deref().unwrap_or("the store")
}

fn told(session: &Session<'_>, lock: &wire::ToolLock, text: &str) -> Result {
    if session.out.is_json() {
        session.out.json(lock)?;
    } else {
        session.out.lines(&[(Tone::Good, text.to_owned())])?;
    }
    Ok(Code::Done)
}

/// What is different; before the first lock, which servers have how many tools.
fn lines(lock: &wire::ToolLock) -> Vec<String> {
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

fn difference(it: &wire::ToolDifference) -> Vec<String> {
    let name = shown(&format!("{}__{}", it.server, it.tool));
    match (&*it.what, &it.looks_like, &it.renamed_from) {
        ("new", Some(other), _) => vec![format!("  ! {name}: new, and looks like {}", shown(other))],
        ("new", None, _) => vec![format!("  + {name}: new")],
        ("renamed", _, Some(from)) => vec![format!("  > {name}: renamed from {}", shown(from))],
        ("gone", ..) => vec![format!("  - {name}: no longer offered")],
        (what, ..) => {
            let mut lines = vec![format!("  ~ {name}: {}", shown(what))];
            for field in &it.fields {
                lines.push(format!("      {}", shown(&field.field)));
                let diff = lock::diff(&field.before, &field.after);
                lines.extend(diff.iter().map(|line| format!("        {}", shown(line))));
            }
            lines
        }
    }
}

//! `stn env delete`

use crate::at::At;
use crate::cmd::deleted;
use crate::error::Result;
use crate::question::{Yes, confirm};
use crate::session::Session;
use serde_json::json;
use station_core::{Origin, plural};
use station_engine::EnvironmentRef;
use station_server::wire;
use std::path::Path;

/// Delete an environment: its folder with every file in it, its agents, servers and variables
///
/// Its runs are kept. `default` stays, because it is meant where none is named; an environment with runs that have not
/// ended stays too.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its id or name
    environment: String,
    #[command(flatten)]
    yes: Yes,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let of = EnvironmentRef::parse(&self.environment)?;
        session
            .at(async |at| {
                let gone = match at {
                    At::Here(station) => {
                        let plan = station.plan_environment_deletion(&session.by, &of).await?;
                        let linked =
                            plan.folder.as_deref().and_then(|folder| std::fs::read_link(folder).ok());
                        self.confirm(session, &wire::EnvironmentDetails::from(&plan), linked.as_deref())
                            .await?;
                        wire::Deletion::from(&station.delete_environment(&session.by, &of).await?)
                    }
                    At::There(server) => {
                        let given = json!({ "environment": of.to_string() });
                        let plan: wire::EnvironmentDetails =
                            server.ask("show_environment", given.clone()).await?;
                        self.confirm(session, &plan, None).await?;
                        server.ask("delete_environment", given).await?
                    }
                };
                deleted(session, &gone)
            })
            .await
    }

    async fn confirm(
        &self,
        session: &Session<'_>,
        plan: &wire::EnvironmentDetails,
        linked: Option<&Path>,
    ) -> Result<()> {
        let name = &plan.environment.name;
        confirm(session, &told(plan, linked), &format!("delete environment `{name}`?"), self.yes).await
    }
}

/// Files named by name in the list of what will go; the rest are counted.
const FILES_NAMED_MAX: usize = 20;

/// What would go; `linked` is where its folder leads to where that is a link.
fn told(plan: &wire::EnvironmentDetails, linked: Option<&Path>) -> Vec<String> {
    let mut lines = vec![format!("Environment `{}` would go with", plan.environment.name)];
    let mut row = |noun: &str, names: &[String]| {
        if !names.is_empty() {
            lines.push(format!("  {}: {}", plural(names.len(), noun), names.join(", ")));
        }
    };
    row("agent", &plan.agents);
    row("server", &plan.servers);
    row("variable", &plan.variables);
    if let Some(folder) = plan.folder.as_ref().filter(|_| plan.environment.origin == Origin::File.as_str()) {
        lines.push(match linked {
            Some(target) => format!("  the link {folder}; the files in {} would stay", target.display()),
            None => format!("  the folder {folder} with {}", plural(plan.files.len(), "file")),
        });
        lines.extend(plan.files.iter().take(FILES_NAMED_MAX).map(|file| format!("    {file}")));
        if let Some(more) = plan.files.len().checked_sub(FILES_NAMED_MAX).filter(|more| *more > 0) {
            lines.push(format!("    and {more} more"));
        }
    }
    lines.push(format!("  {} would be kept.", plural(plan.runs_count, "run")));
    lines
}

//! `stn env delete`

use crate::cmd::deleted;
use crate::error::Result;
use crate::question::{Yes, confirm};
use crate::session::Session;
use station_core::{Origin, plural};
use station_engine::{EnvironmentDetails, EnvironmentRef};
use station_server::wire;

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
            .with(async |station| {
                let plan = station.plan_environment_deletion(&session.by, &of).await?;
                let name = &plan.environment.name;
                confirm(session, &told(&plan), &format!("delete environment `{name}`?"), self.yes).await?;
                let gone = station.delete_environment(&session.by, &of).await?;
                deleted(session, &wire::Deletion::from(&gone))
            })
            .await
    }
}

/// Files named by name in the list of what will go; the rest are counted.
const FILES_NAMED_MAX: usize = 20;

fn told(plan: &EnvironmentDetails) -> Vec<String> {
    let mut lines = vec![format!("Environment `{}` would go with", plan.environment.name)];
    let mut row = |noun: &str, names: &[String]| {
        if !names.is_empty() {
            lines.push(format!("  {}: {}", plural(names.len(), noun), names.join(", ")));
        }
    };
    row("agent", &plan.agents);
    row("server", &plan.servers);
    row("variable", &plan.variables);
    if let Some(folder) = plan.folder.as_ref().filter(|_| plan.environment.origin == Origin::File) {
        lines.push(match std::fs::read_link(folder) {
            Ok(target) => {
                format!("  the link {}; the files in {} would stay", folder.display(), target.display())
            }
            Err(_) => format!("  the folder {} with {}", folder.display(), plural(plan.files.len(), "file")),
        });
        lines.extend(plan.files.iter().take(FILES_NAMED_MAX).map(|file| format!("    {file}")));
        if let Some(more) = plan.files.len().checked_sub(FILES_NAMED_MAX).filter(|more| *more > 0) {
            lines.push(format!("    and {more} more"));
        }
    }
    lines.push(format!("  {} would be kept.", plural(plan.runs, "run")));
    lines
}

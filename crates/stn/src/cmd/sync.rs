//! `stn sync`

use crate::at::At;
use crate::cmd::mcp::answered;
use crate::error::{Code, Result};
use crate::follow::{Tell, alive, follow};
use crate::named::environment_ref;
use crate::narrate::plural;
use crate::out::{Tone, on_one_line};
use crate::problems;
use crate::remote::Server;
use crate::session::Session;
use serde_json::json;
use station_core::{EnvironmentName, Error, Kind, Origin};
use station_engine::{EnvironmentRef, Station, SyncOptions};
use station_server::wire;

/// Apply the files of an environment: agents, servers, variables
///
/// Prints what changes, applies it in one step, and asks new and changed servers for their tools. A broken file
/// refuses itself alone; what is stored of it stays. Exit code 4 says that a file was refused or a server failed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The environment, by id or name; all that have a folder if left out
    #[arg(value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    /// Only print what would change
    #[arg(long)]
    dry_run: bool,
    /// Do not connect to servers
    #[arg(long)]
    no_discover: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        if let Some(target) = &session.server {
            return session.there(target, async |server| self.sync_there(session, server).await).await;
        }
        let options = SyncOptions { dry_run: self.dry_run, discover: !self.no_discover };
        let work = async |station: &Station| self.sync(session, station, options).await;
        if self.dry_run { session.with_unchanged(work).await } else { session.with_bare(work).await }
    }

    async fn sync(&self, session: &Session<'_>, station: &Station, options: SyncOptions) -> Result {
        let names = match &self.env {
            Some(of) => vec![station.environment_name(&session.by, of).await?],
            None => {
                for problem in session.settings.workspace().passed_over()? {
                    problems::tell(session.out, &session.settings.root(), &problem);
                }
                station.environments_to_sync().await?
            }
        };
        let mut reports = Vec::new();
        let mut n_unread = 0;
        for name in &names {
            let doing = format!("syncing `{name}`");
            let report =
                follow(session.out, station, Tell::Runs, &doing, station.sync(&session.by, name, options))
                    .await;
            let report = match report.map_err(|error| known(error, session, name)) {
                // Its siblings are no worse for it.
                Err(error) if self.env.is_none() && error.kind() == Kind::Invalid => {
                    n_unread += 1;
                    session.tell_unread(name, &error);
                    continue;
                }
                report => report?,
            };
            let told = wire::SyncReport::from(&report);
            if !session.out.is_json() {
                print(session, &told, || {
                    let root = session.settings.root();
                    report
                        .plan
                        .problems
                        .iter()
                        .for_each(|problem| problems::tell(session.out, &root, problem));
                })?;
            }
            reports.push(told);
        }
        if session.out.is_json() {
            session.out.json(&wire::list("environments", &reports))?;
        }
        let lost = if self.env.is_none() { station.lost_environments().await? } else { Vec::new() };
        for name in &lost {
            let error = station.lost_folder(name);
            session.out.note(Tone::Bad, &format!("error: {error}"));
            error.hints().iter().for_each(|hint| session.out.hint(hint));
        }
        Ok(if lost.is_empty() && n_unread == 0 && reports.iter().all(is_whole) {
            Code::Done
        } else {
            Code::Partial
        })
    }
}

impl Args {
    /// The files of a server lie there, and are applied there.
    async fn sync_there(&self, session: &Session<'_>, server: &Server) -> Result {
        let names = match &self.env {
            Some(of) => vec![of.to_string()],
            None => {
                let all = At::There(server).list_environments(&session.by).await?;
                let of_files = all.into_iter().filter(|it| it.origin == Origin::File.as_str());
                of_files.map(|it| it.name).collect()
            }
        };
        let mut reports: Vec<wire::SyncReport> = Vec::new();
        for name in names {
            let given =
                json!({ "environment": name, "dry_run": self.dry_run, "discover": !self.no_discover });
            let doing = format!("{} syncs `{name}`", server.address);
            let report = alive(session.out, &doing, server.ask::<wire::SyncReport>("sync", given)).await?;
            if !session.out.is_json() {
                print(session, &report, || {
                    report.problems.iter().for_each(|problem| problems::tell_afar(session.out, problem));
                })?;
            }
            reports.push(report);
        }
        if session.out.is_json() {
            session.out.json(&wire::list("environments", &reports))?;
        }
        Ok(if reports.iter().all(is_whole) { Code::Done } else { Code::Partial })
    }
}

/// A mistyped environment is told apart from a lost folder.
fn known(error: Error, session: &Session<'_>, name: &EnvironmentName) -> Error {
    let Ok(names) = session.settings.workspace().environment_names() else { return error };
    if error.kind() != Kind::NotFound || names.is_empty() || names.contains(name) {
        return error;
    }
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    error.with_hint(format!("there are folders for {}", names.join(", ")))
}

fn is_whole(report: &wire::SyncReport) -> bool {
    report.problems.iter().all(|problem| problem.severity != "error")
        && report.discovery.servers.iter().all(|found| found.error.is_none())
}

/// Prints the report of one environment: the plan on stdout, what there is to say about it on stderr.
fn print(session: &Session<'_>, report: &wire::SyncReport, tell_problems: impl FnOnce()) -> Result<()> {
    let out = session.out;
    let mut lines: Vec<(Tone, String)> = vec![(Tone::Plain, head(report))];
    lines.extend(report.changes.iter().map(line));
    lines.extend(report.variables.iter().map(variable));
    out.lines(&lines)?;
    tell_problems();
    let found = report.discovery.servers.iter();
    let found: Vec<_> = found.map(|found| answered(found, &format!("  server {}", found.server))).collect();
    out.lines(&found)?;
    for warning in &report.discovery.warnings {
        out.warning(warning);
    }
    Ok(())
}

fn head(report: &wire::SyncReport) -> String {
    let (n, same) = (report.changes.len() as u64, report.unchanged as u64);
    let name = &report.environment;
    match (n, report.applied) {
        (0, _) => {
            format!("Environment `{name}`: nothing to change, {} up to date.", plural(same, "definition"))
        }
        (_, true) => format!("Environment `{name}`: {} applied, {same} unchanged.", plural(n, "change")),
        (_, false) => format!(
            "Environment `{name}`: {} to apply, {same} unchanged. This was a dry run.",
            plural(n, "change")
        ),
    }
}

fn line(change: &wire::Change) -> (Tone, String) {
    let sign = match &*change.action {
        "create" => '+',
        "remove" => '-',
        _ => '~',
    };
    let noun = change.noun.replace('_', " ");
    let mut text = format!("  {sign} {noun} {}", on_one_line(&change.name));
    if let Some(from) = &change.renamed_from {
        text += &format!(" (renamed from {from})");
    }
    if !change.servers.is_empty() {
        text += &format!(" ({})", change.servers.join(", "));
    }
    if !change.dropped_servers.is_empty() {
        text += &format!(" (removes {})", change.dropped_servers.join(", "));
    }
    (if change.action == "remove" { Tone::Bad } else { Tone::Plain }, text)
}

fn variable(variable: &wire::Variable) -> (Tone, String) {
    let name = &variable.name;
    match &variable.from {
        Some(place) => (Tone::Plain, format!("    {name} from {place}")),
        None => {
            (Tone::Plain, format!("    {name} has no value here; its file's default holds, if it has one"))
        }
    }
}

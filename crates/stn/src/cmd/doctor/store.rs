//! Database, and what is read through it: files, servers, the worker.

use super::Check;
use super::models::{self, Named};
use crate::config::Settings;
use crate::out::Out;
use crate::session::{Session, StandIn, install_tls, is_ours};
use station_core::file::{Problem, Severity};
use station_core::sync::{Change, Plan};
use station_core::{Caller, EnvironmentName, Error, Result, plural};
use station_engine::{Location, Station, SyncOptions};
use std::collections::BTreeSet;
use std::time::Duration;

/// Longest time for the database: one that does not answer is no database.
const OPEN_MAX: Duration = Duration::from_secs(15);

pub(super) async fn checks(out: &Out, settings: &Settings) -> Vec<Check> {
    let session = Session::bare(out, settings.clone(), Caller::local());
    let (store, mut checks) = open(&session).await;
    let real = store.is_some();
    let (station, _folder) = match store {
        Some(station) => (Some(station), None),
        // Files can be read without the database that is broken or not made yet.
        None => match stand_in(&session).await {
            Ok((station, folder)) => (Some(station), Some(folder)),
            Err(_) => (None, None),
        },
    };
    let Some(station) = station else {
        checks.push(models::configured(&settings.models()));
        return checks;
    };
    let mut named = Named::default();
    checks.extend(files(&session, &station, &mut named).await);
    if real {
        checks.extend(servers(&session, &station).await);
        checks.push(worker(&station).await);
    }
    checks.push(models::configured(&settings.models()));
    match named.checks(&station, &settings.models()).await {
        Ok(found) => checks.extend(found),
        Err(error) => checks.push(failed_reading("model", &error)),
    }
    station.close().await;
    checks
}

/// The database, where there is one that opens.
async fn open(session: &Session<'_>) -> (Option<Station>, Vec<Check>) {
    const NAME: &str = "database";
    let (location, from) = match session.settings.location() {
        Ok(found) => found,
        Err(error) => return (None, vec![Check::failed(NAME, &error, "mend `database_url`")]),
    };
    let shown = match &location {
        Location::Sqlite(path) => path.display().to_string(),
        Location::Postgres(_) => format!("PostgreSQL, by {}", from.as_str()),
    };
    if let Location::Sqlite(path) = &location {
        let folder = path.parent().unwrap_or(path);
        // The configuration folder is made by whatever needs it, and no other is.
        if !folder.is_dir() && folder != session.settings.folder {
            let sentence = format!("there is no folder {} for the database", folder.display());
            let hint = format!("make it, or name another place: {} says this one", from.as_str());
            return (None, vec![Check::bad(NAME, sentence, hint)]);
        }
        if !path.exists() {
            let hint = "the first command that needs one makes it";
            return (None, vec![Check::note(NAME, format!("there is no {shown} yet"), hint)]);
        }
        if !is_ours(path) {
            let hint = "the next command keeps it as station.go.db and makes a new one from your files";
            return (None, vec![Check::note(NAME, format!("{shown} is the Go program's"), hint)]);
        }
    }
    // The check of the key says why there is none.
    let keys = session.settings.keys();
    let ring = keys.find().and_then(|found| found.map(|(key, _)| keys.ring(key)).transpose());
    let Ok(Some(keys)) = ring else {
        let sentence = format!("{shown} cannot be opened without its key");
        return (None, vec![Check::bad(NAME, sentence, "see the key above")]);
    };
    install_tls();
    let opened = tokio::time::timeout(
        OPEN_MAX,
        Station::open(session.settings.engine(location, keys, session.passthrough.clone())),
    )
    .await;
    match opened {
        Ok(Ok(station)) => (Some(station), vec![Check::ok(NAME, shown)]),
        Ok(Err(error)) => (
            None,
            vec![Check::failed(NAME, &error, "run it again with STN_LOG_LEVEL=debug to see the cause")],
        ),
        Err(_) => {
            let sentence = format!("{shown} did not answer for {} s", OPEN_MAX.as_secs());
            (None, vec![Check::bad(NAME, sentence, "look whether it runs and can be reached")])
        }
    }
}

async fn stand_in(session: &Session<'_>) -> Result<(Station, StandIn), crate::error::Failure> {
    let (folder, config) = session.stand_in()?;
    Ok((Station::open(config).await?, folder))
}

async fn files(session: &Session<'_>, station: &Station, named: &mut Named) -> Vec<Check> {
    const NAME: &str = "files";
    let workspace = session.settings.workspace();
    let names = match workspace.environment_names() {
        Ok(names) if names.is_empty() => {
            let root = session.settings.root();
            let sentence = format!("there is no environment in {}", root.join("environments").display());
            return vec![Check::note(
                NAME,
                sentence,
                "make one with `stn init`, or name the folder with `workspace` in config.yaml",
            )];
        }
        Ok(names) => names,
        Err(error) => return vec![Check::failed(NAME, &error, "it should be a folder that you can read")],
    };
    let mut checks = Vec::new();
    for name in names {
        let options = SyncOptions { dry_run: true, discover: false };
        checks.push(match station.sync(&session.by, &name, options).await {
            Err(error) => Check::failed(NAME, &error, &format!("see `stn sync {name} --dry-run`")),
            Ok(report) => {
                named.plan(&name, &report.plan.changes);
                of_environment(&name, &report.plan)
            }
        });
    }
    checks
}

/// What there is to say about the files of one environment: the worst of it.
fn of_environment(name: &EnvironmentName, plan: &Plan) -> Check {
    const NAME: &str = "files";
    let hint = |problem: &Problem| {
        let hint = problem.hint.clone();
        hint.unwrap_or_else(|| format!("mend it; `stn sync {name} --dry-run` shows all"))
    };
    if let Some((_, problem)) = first(&plan.problems, Severity::Error) {
        let errors = plan.problems.iter().filter(|it| it.severity == Severity::Error);
        let files: BTreeSet<&str> = errors.map(|it| it.path.as_str()).collect();
        let sentence = format!("environment `{name}`: {} refused: {problem}", plural(files.len(), "file"));
        return Check::bad(NAME, sentence, hint(problem));
    }
    let definition = |change: &&Change| !matches!(change, Change::CreateEnvironment);
    let n_new = plan.changes.iter().filter(definition).count();
    let n = plural(plan.unchanged + n_new, "definition");
    if n_new > 0 {
        let sentence = format!("environment `{name}`: {n}, {n_new} of them not applied yet");
        return Check::note(NAME, sentence, format!("apply them with `stn sync {name}`"));
    }
    match first(&plan.problems, Severity::Warning) {
        Some((n_warnings, problem)) => {
            let warnings = plural(n_warnings, "warning");
            let sentence = format!("environment `{name}`: {n}, {warnings}: {problem}");
            Check::note(NAME, sentence, hint(problem))
        }
        None => Check::ok(NAME, format!("environment `{name}`: {n}")),
    }
}

fn first(problems: &[Problem], severity: Severity) -> Option<(usize, &Problem)> {
    let found: Vec<&Problem> = problems.iter().filter(|it| it.severity == severity).collect();
    Some((found.len(), *found.first()?))
}

async fn servers(session: &Session<'_>, station: &Station) -> Vec<Check> {
    const NAME: &str = "servers";
    let servers = match station.list_servers(&session.by, None).await {
        Ok(servers) => servers,
        Err(error) => return vec![failed_reading(NAME, &error)],
    };
    let mut checks = Vec::new();
    let (mut n_ok, mut n_new) = (0, 0);
    for found in &servers {
        let (name, environment) = (&found.server.name, &found.environment.name);
        match (&found.server.problem, found.server.discovered_at) {
            (Some(problem), _) => checks.push(Check::bad(
                NAME,
                format!("{environment}/{name} failed when it was asked last: {problem}"),
                format!("mend it, then `stn mcp sync {name} --env {environment}`"),
            )),
            (None, Some(_)) => n_ok += 1,
            (None, None) => n_new += 1,
        }
    }
    if n_new > 0 {
        checks.insert(
            0,
            Check::note(
                NAME,
                format!("{} never asked for tools", plural(n_new, "server")),
                "`stn sync` asks them",
            ),
        );
    }
    if servers.is_empty() {
        checks.push(Check::note(
            NAME,
            "none is known yet: agents have no tools",
            "`stn mcp add` makes one, `stn sync` applies those of files",
        ));
    }
    if n_ok > 0 {
        checks.insert(0, Check::ok(NAME, format!("{} answered when asked last", plural(n_ok, "server"))));
    }
    checks
}

async fn worker(station: &Station) -> Check {
    const NAME: &str = "worker";
    match station.find_workers().await {
        Ok(workers) if workers.is_empty() => {
            Check::ok(NAME, "none runs: `stn agent run` drives its runs itself, `stn serve` starts one")
        }
        Ok(workers) => {
            Check::ok(NAME, format!("{} reached: {}", plural(workers.len(), "worker"), workers.join(", ")))
        }
        Err(error) => failed_reading(NAME, &error),
    }
}

fn failed_reading(name: &'static str, error: &Error) -> Check {
    Check::failed(name, error, "run it again with STN_LOG_LEVEL=debug to see the cause")
}

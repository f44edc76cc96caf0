//! A user's home in a temporary folder, with a Station open on it.
//!
//! Dropping it proves that nothing is left over: every run has ended or waits, and no child is alive.

use station_core::budget::Measure;
use station_core::{Caller, EnvironmentName, RunId};
use station_engine::{
    AgentRef, Config, Key, Location, Models, NewRun, Run, RunDetails, Station, SyncOptions, SyncReport,
    Workspace,
};
use station_llm::Script;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Long enough for a busy machine, short enough to notice.
const PATIENCE: Duration = Duration::from_secs(30);

/// A home with its files.
pub(crate) struct Home {
    folder: tempfile::TempDir,
    key: Key,
}

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("the temporary folder can be written");
        Self { folder, key: Key::generate().expect("the system has random bytes") }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    pub(crate) fn write(&self, relative: &str, text: &str) -> &Self {
        let path = self.path(relative);
        std::fs::create_dir_all(path.parent().expect("a file lies in a folder"))
            .expect("a folder can be made");
        std::fs::write(path, text).expect("a file can be written");
        self
    }

    /// A server file `fake.json` with one fake server `fake`, given `args` and `env`.
    pub(crate) fn server(&self, environment: &str, name: &str, args: &[&str], env: &[(&str, &str)]) -> &Self {
        let env: BTreeMap<&str, &str> = env.iter().copied().collect();
        let log = self.log_path(environment, name).display().to_string();
        let args: Vec<&str> = ["--log", &log].iter().copied().chain(args.iter().copied()).collect();
        let entry = serde_json::json!({
            "mcpServers": {name: {"command": station_testkit::fake_server::binary(), "args": args, "env": env}}
        });
        self.write(&format!("environments/{environment}/mcp-servers/{name}.json"), &entry.to_string())
    }

    pub(crate) fn agent(&self, environment: &str, name: &str, front: &str) -> &Self {
        let text = format!("---\nmetadata:\n  name: {name}\n{front}\n---\nYou are {name}.\n");
        self.write(&format!("environments/{environment}/agents/{name}.prompt"), &text)
    }

    fn log_path(&self, environment: &str, name: &str) -> PathBuf {
        self.path(&format!("{environment}.{name}.log"))
    }

    /// What a fake server logged: one line per call.
    pub(crate) fn log(&self, environment: &str, name: &str) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.log_path(environment, name)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("the log is JSON")).collect()
    }

    pub(crate) fn config(&self) -> Config {
        let folder = self.folder.path().to_owned();
        let workspace = Workspace::new(folder.clone(), folder, None, false);
        let location = Location::Sqlite(self.path("station.db"));
        let shim = station_mcp::Shim {
            program: station_testkit::fake_server::shim(),
            args: vec!["__shim".to_owned()],
        };
        Config {
            run_timeout: PATIENCE,
            call_timeout: PATIENCE,
            connect_timeout: PATIENCE,
            socket_folders: vec![self.path("sockets")],
            worker: "test".to_owned(),
            ..Config::new(workspace, location, self.key.clone(), shim)
        }
    }

    pub(crate) async fn open(&self, script: Script) -> Open<'_> {
        self.open_with(self.config(), script).await
    }

    pub(crate) async fn open_with(&self, config: Config, script: Script) -> Open<'_> {
        self.open_models(config, Models::scripted(script)).await
    }

    pub(crate) async fn open_models(&self, config: Config, models: Models) -> Open<'_> {
        let station = Station::open_with(config, models).await.expect("the store opens in an empty folder");
        Open { station, home: self }
    }
}

/// A Station open on a home.
pub(crate) struct Open<'a> {
    pub(crate) station: Station,
    pub(crate) home: &'a Home,
}

impl Open<'_> {
    pub(crate) async fn sync(&self, environment: &str) -> SyncReport {
        let options = SyncOptions { dry_run: false, discover: true };
        let name = EnvironmentName::parse(environment).expect("a name");
        self.station.sync(&Caller::local(), &name, options).await.expect("the environment's folder is there")
    }

    /// What a run has spent of its budget, and what is reserved.
    pub(crate) async fn spent(&self, run: RunId, measure: Measure) -> (i64, i64) {
        let budgets = self.station.run_budgets(&[run]).await.expect("the store works");
        let standing = budgets.get(&run).expect("it has a limit").standing;
        (standing.spent.get(measure), standing.reserved.get(measure))
    }

    /// Syncs, runs `agent` of `default` to its end, and gives the run with its journal.
    pub(crate) async fn run(&self, agent: &str, task: &str) -> RunDetails {
        self.run_in("default", agent, NewRun { task: task.to_owned(), ..NewRun::default() }).await
    }

    pub(crate) async fn run_in(&self, environment: &str, agent: &str, new: NewRun) -> RunDetails {
        let run = self.start(environment, agent, new).await;
        self.work_off(run.id).await
    }

    pub(crate) async fn start(&self, environment: &str, agent: &str, new: NewRun) -> Run {
        let agent = AgentRef::parse(agent, Some(EnvironmentName::parse(environment).expect("a name")));
        self.station.start_run(&Caller::local(), &agent, new).await.expect("the agent is there")
    }

    pub(crate) async fn work_off(&self, run: RunId) -> RunDetails {
        self.station.work_off(run, CancellationToken::new()).await.expect("the store works");
        self.show(run).await
    }

    pub(crate) async fn show(&self, run: RunId) -> RunDetails {
        self.station.show_run(&Caller::local(), run).await.expect("the run is there")
    }

    /// Closes and checks that no child of this process is left that runs under the shim.
    pub(crate) async fn close(self) {
        self.station.close().await;
        let left = children_in(self.home.folder.path());
        assert!(left.is_empty(), "children were left behind: {left:?}");
    }
}

/// Command lines of processes that name `folder`: our fake servers do, by their log. Those that are reached over HTTP
/// are nobody's children.
fn children_in(folder: &Path) -> Vec<String> {
    let folder = folder.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("there is /proc").flatten();
    let lines = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("cmdline")).ok());
    lines
        .map(|line| line.replace('\0', " "))
        .filter(|line| line.contains(&folder) && !line.contains(" --http "))
        .collect()
}

/// Names of a journal's events, with what matters of each.
pub(crate) fn outline(details: &RunDetails) -> String {
    use station_core::run::{Effect, Event};
    let mut lines = String::new();
    for entry in &details.journal {
        let line = match &entry.event {
            Event::Adopted { fence, .. } => format!("adopted {fence}"),
            Event::RunStarted(inputs) => format!("run started, {} warnings", inputs.warnings.len()),
            Event::EffectStarted { effect, .. } => match effect {
                Effect::Ask { model, .. } => format!("ask {model}"),
                Effect::Call { server, tool, attempt, .. } => format!("call {server}/{tool} #{attempt}"),
                Effect::Verify { server, tool, .. } => format!("look {server}/{tool}"),
                Effect::Spawn { name, task, .. } => format!("spawn {name}: {task}"),
                Effect::Sample { server, tool, model, .. } => format!("sample {model} for {server}/{tool}"),
            },
            Event::EffectPlanned { server, tool, .. } => format!("planned {server}/{tool}"),
            Event::EffectApproved { by, .. } => format!("approved by {by}"),
            Event::EffectDenied { reason, .. } => format!("denied {reason:?}"),
            Event::ApprovalVoided { sentence, .. } => format!("void: {sentence}"),
            Event::EffectSettled { done, .. } => format!("settled {done}"),
            Event::Answered { answer, .. } => {
                format!("answered {:?}, {} calls", answer.text, answer.calls.len())
            }
            Event::AskFailed { failure, .. } => format!("ask failed {failure:?}"),
            Event::AskRetried { attempt, failure, .. } => format!("retry {attempt} after {failure:?}"),
            Event::Sampled { answer, .. } => format!("sampled {:?}", answer.text),
            Event::SampleFailed { failure, .. } => format!("sample failed {failure:?}"),
            Event::SampleRefused { sentence, .. } => format!("refused a model: {sentence}"),
            Event::ModelSwitched { to_model, .. } => format!("switched to {to_model}"),
            Event::Compacted(compaction) => format!("compacted, {:?}", compaction.reason),
            Event::Returned { text, is_error, .. } => {
                format!("returned {}{text:?}", if *is_error { "error " } else { "" })
            }
            Event::Refused { sentence, .. } => format!("refused: {sentence}"),
            Event::OutcomeUnknown { why, .. } => format!("unknown {why:?}"),
            Event::NotSent { sentence, .. } => format!("not sent: {sentence}"),
            Event::ChildEnded { status, text, .. } => format!("child {} {text:?}", status.as_str()),
            Event::BudgetReserved { .. } => "reserved".to_owned(),
            Event::BudgetSettled { lost, .. } => format!("settled{}", if *lost { ", lost" } else { "" }),
            Event::BudgetReached { sentence, .. } => format!("reached {sentence}"),
            Event::BudgetRaised { added, .. } => format!("raised by {}", added.shown()),
            Event::CancelRequested { .. } => "cancel requested".to_owned(),
            Event::DeadlinePassed => "deadline passed".to_owned(),
            Event::RunEnded { outcome } => format!("ended {}", outcome.status().as_str()),
        };
        lines.push_str(&line);
        lines.push('\n');
    }
    lines
}

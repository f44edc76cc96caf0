//! One file of an environment changed by a verb: planned first, then written, then applied.
//!
//! The plan is made of the folder as it would be, before anything is written, so a change that the plan refuses leaves
//! no broken file behind; and it is the plan of this one thing alone, so that a verb never applies what somebody else
//! is in the middle of writing. Between planning and writing the file must be as it was read; where another edit was quicker,
//! this one is made again of what that one left, so two edits at once are two edits.

use crate::Station;
use crate::sync::nobody;
use crate::workspace::{FolderRead, Replaced};
use station_core::file::{Problem, Severity};
use station_core::lock;
use station_core::sync::{Change, Plan, Removals, Text};
use station_core::{Caller, EnvironmentName, Error, Result, Secret};

/// What a file of an environment's folder defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thing<'a> {
    /// The agent of this name.
    Agent(&'a str),
    /// The server file of this name, without `.json`.
    Config(&'a str),
    /// `variables.yml`.
    Variables,
    /// `environment.yml`.
    Rules,
    /// `mcp.lock`.
    Lock,
}

/// Why an edit was not made.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The file as it is does not allow it.
    Problem(Problem),
    /// Something else is wrong.
    Error(Error),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// What came of a change.
pub(crate) struct Changed {
    /// The file, relative to the workspace.
    pub(crate) path: String,
    /// Notes and warnings about it.
    pub(crate) problems: Vec<Problem>,
}

/// How often an edit is made again where another was quicker. Each round one of those that wait is done, so this is how
/// many may write one file at once.
const ROUNDS_MAX: usize = 100;

/// A change before it is made.
struct Draft {
    folder: FolderRead,
    path: String,
    before: Option<String>,
    after: Option<String>,
    changes: Vec<Change>,
    problems: Vec<Problem>,
}

impl Station {
    /// The text of a file of an environment as it is now; `None` where there is none.
    ///
    /// # Errors
    /// `NotFound` where the folder is missing; `Invalid` where the file cannot be read.
    pub(crate) fn file_of(&self, environment: &EnvironmentName, thing: Thing<'_>) -> Result<Option<Text>> {
        let workspace = &self.config().workspace;
        let mut folder = workspace.read(environment, workspace.known_id())?;
        let path = thing.path(environment, &folder);
        if let Some(problem) = folder.problems.iter().find(|it| it.path == path && is_error(it)) {
            return Err(self.refused_in(&path, problem));
        }
        Ok(thing.take(&mut folder))
    }

    /// Writes what `edit` makes of a file, `None` for its removal, and applies that. `edit` may be asked more than once:
    /// each time of the file as it is then.
    ///
    /// # Errors
    /// Those of `edit`; `Conflict` where files are managed elsewhere; `Invalid` where what the file would say is
    /// refused, or it cannot be written. Then nothing has changed.
    pub(crate) async fn change_file(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
        thing: Thing<'_>,
        mut edit: impl FnMut(Option<&str>) -> Result<Option<String>, Refusal>,
    ) -> Result<Changed> {
        let workspace = &self.config().workspace;
        self.refuse_managed(environment)?;
        let mut shown = String::new();
        for _ in 0..ROUNDS_MAX {
            let draft = self.draft(environment, thing, &mut edit).await?;
            let (before, after) = (draft.before.as_deref(), draft.after.as_deref());
            if workspace.replace(&draft.path, before, after)? == Replaced::Moved {
                shown = draft.path;
                continue;
            }
            let applied = self.apply_changes(by.actor(), environment, &draft.folder, &draft.changes).await;
            if let Err(error) = applied {
                // What is in no store is in no file: others would find it there, and fail over it. Somebody's later edit stays.
                if let Err(left) = workspace.replace(&draft.path, after, before) {
                    tracing::error!(file = draft.path, error = %left, "a change that was refused could not be taken back");
                }
                return Err(error);
            }
            self.apply_later(environment, thing, &draft).await?;
            return Ok(Changed { path: draft.path, problems: draft.problems });
        }
        Err(workspace.never_still(&shown))
    }

    /// What `edit` makes of a file, and the plan of it. Nothing is written.
    async fn draft(
        &self,
        environment: &EnvironmentName,
        thing: Thing<'_>,
        edit: &mut impl FnMut(Option<&str>) -> Result<Option<String>, Refusal>,
    ) -> Result<Draft> {
        let workspace = &self.config().workspace;
        let mut folder = workspace.read(environment, workspace.ensure_id()?)?;
        let path = thing.path(environment, &folder);
        if let Some(problem) = folder.problems.iter().find(|it| it.path == path && is_error(it)) {
            return Err(self.refused_in(&path, problem));
        }
        let before = thing.take(&mut folder).map(|text| text.body.expose().to_owned());
        let after = edit(before.as_deref()).map_err(|refusal| match refusal {
            Refusal::Problem(problem) => self.refused_in(&path, &problem),
            Refusal::Error(error) => error,
        })?;
        if let Some(after) = &after {
            thing.put(&mut folder, Text { path: path.clone(), body: Secret::new(after.clone()) });
        }
        let Plan { changes, problems, .. } = self.plan(&folder, Removals::Apply).await?.plan;
        let problems: Vec<Problem> = problems.into_iter().filter(|it| it.path == path).collect();
        if let Some(problem) = problems.iter().find(|it| is_error(it)) {
            return Err(problem.clone().into());
        }
        // Two files that say the same are no reason for a verb over one of them to conclude anything about the other.
        let changes = changes.into_iter().flat_map(Change::apart);
        let changes = changes.filter(|change| thing.is_changed_by(change)).collect();
        Ok(Draft { folder, path, before, after, changes, problems })
    }

    /// Applies what the file says now, where somebody wrote it after us: they may have applied their text before we
    /// applied ours, and the store would be left with the older one.
    async fn apply_later(
        &self,
        environment: &EnvironmentName,
        thing: Thing<'_>,
        written: &Draft,
    ) -> Result<()> {
        let mut applied = written.after.clone();
        for _ in 0..ROUNDS_MAX {
            if self.config().workspace.is_as(&written.path, applied.as_deref()) {
                return Ok(());
            }
            // What is broken now was not broken by us: whoever wrote it is told, and so is the next sync.
            let mut as_it_is = |text: Option<&str>| Ok(text.map(str::to_owned));
            let Ok(draft) = self.draft(environment, thing, &mut as_it_is).await else { return Ok(()) };
            self.apply_changes(nobody(), environment, &draft.folder, &draft.changes).await?;
            applied = draft.after;
        }
        Ok(())
    }

    /// A problem of the file as it is on disk, with its place.
    fn refused_in(&self, path: &str, problem: &Problem) -> Error {
        let problem = Problem { path: path.to_owned(), ..problem.clone() };
        problem.refusal_in(self.config().workspace.path_of(path))
    }

    /// Refuses to change what files define where they are written elsewhere: by configuration, or because their folder
    /// cannot be written here.
    pub(crate) fn refuse_managed(&self, environment: &EnvironmentName) -> Result<()> {
        let workspace = &self.config().workspace;
        if workspace.takes_files(environment) {
            return Ok(());
        }
        let folder = workspace.environment_folder(environment);
        let why = if workspace.is_read_only() {
            "config.yaml says `files: readonly`"
        } else {
            "that folder cannot be written here"
        };
        let sentence = format!("environment `{environment}` is managed by files in {}", folder.display());
        Err(Error::conflict(sentence)
            .with_hint(format!("{why}: change the files where they are kept, then `stn sync`")))
    }
}

impl Thing<'_> {
    /// Where the file is, or would be, relative to the workspace.
    fn path(self, environment: &EnvironmentName, folder: &FolderRead) -> String {
        let within = |relative: &str| format!("environments/{environment}/{relative}");
        match self {
            Self::Agent(name) => within(&format!("agents/{name}.prompt")),
            Self::Config(name) => match folder.files.configs.get(name) {
                Some(text) => text.path.clone(),
                None => within(&format!("mcp-servers/{name}.json")),
            },
            Self::Variables => within("variables.yml"),
            Self::Rules => within("environment.yml"),
            Self::Lock => within(lock::FILE),
        }
    }

    fn take(self, folder: &mut FolderRead) -> Option<Text> {
        match self {
            Self::Agent(name) => folder.files.agents.remove(name),
            Self::Config(name) => folder.files.configs.remove(name),
            Self::Variables => folder.files.variables.take(),
            Self::Rules => folder.files.rules.take(),
            Self::Lock => folder.files.lock.take(),
        }
    }

    fn put(self, folder: &mut FolderRead, text: Text) {
        match self {
            Self::Agent(name) => drop(folder.files.agents.insert(name.to_owned(), text)),
            Self::Config(name) => drop(folder.files.configs.insert(name.to_owned(), text)),
            Self::Variables => folder.files.variables = Some(text),
            Self::Rules => folder.files.rules = Some(text),
            Self::Lock => folder.files.lock = Some(text),
        }
    }

    fn is_changed_by(self, change: &Change) -> bool {
        match (self, change) {
            (_, Change::CreateEnvironment) => true,
            (Self::Agent(name), Change::PutAgent(row)) => row.name.as_str() == name,
            (Self::Agent(name), Change::RemoveAgent { name: other, .. })
            | (
                Self::Config(name),
                Change::PutConfig { name: other, .. } | Change::RemoveConfig { name: other, .. },
            ) => other == name,
            (Self::Variables, Change::SetVariable { .. } | Change::RemoveVariable { .. })
            | (Self::Rules, Change::SetRules { .. })
            | (Self::Lock, Change::SetLock { .. }) => true,
            _ => false,
        }
    }
}

fn is_error(problem: &Problem) -> bool {
    problem.severity == Severity::Error
}

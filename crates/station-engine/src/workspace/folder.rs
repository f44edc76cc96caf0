//! Where files are, and one environment's folder read whole.

use super::write::{fresh_id, unwritable, write};
use crate::FolderLock;
use crate::Replace;
use station_core::file::passed::{self, Within};
use station_core::file::{Position, Problem, Severity, edit};
use station_core::lock;
use station_core::sync::{Files, Text};
use station_core::{AgentName, BlobHash, EnvironmentName, Error, Result, Secret, near};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Largest file that is read: definitions are text that people write.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where a user's files are.
#[derive(Clone, Debug)]
pub struct Workspace {
    folder: PathBuf,
    pub(super) root: PathBuf,
    id: Option<String>,
    read_only: bool,
}

/// An environment's folder, read.
pub(crate) struct FolderRead {
    pub(crate) files: Files,
    /// Files that could not be read, each with its reason.
    pub(crate) problems: Vec<Problem>,
    /// Names of those files without their ending: what the store has of them must stay.
    pub(crate) unreadable: BTreeSet<String>,
}

impl FolderRead {
    /// A folder of one server file that nobody wrote, of no workspace.
    pub(crate) fn of_server(environment: &EnvironmentName, name: &str, text: Text) -> Self {
        let files = Files {
            environment: environment.clone(),
            workspace_id: String::new(),
            variables: None,
            rules: None,
            lock: None,
            configs: BTreeMap::from([(name.to_owned(), text)]),
            agents: BTreeMap::new(),
        };
        Self { files, problems: Vec::new(), unreadable: BTreeSet::new() }
    }
}

impl Workspace {
    /// `folder` is the configuration folder (config.yaml, key, database); `root` holds `environments/`; `id` is
    /// `workspace_id` of config.yaml, where it has one.
    #[must_use]
    pub fn new(folder: PathBuf, root: PathBuf, id: Option<String>, read_only: bool) -> Self {
        Self { folder, root, id, read_only }
    }

    /// The configuration folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The folder of one environment.
    #[must_use]
    pub fn environment_folder(&self, name: &EnvironmentName) -> PathBuf {
        self.environments_folder().join(name.as_str())
    }

    /// Whether files may be written: `files: readonly` in config.yaml forbids it.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Names of the environments that have a folder, sorted; other entries are passed over.
    ///
    /// # Errors
    /// Where the folder cannot be read. A missing one holds none.
    pub fn environment_names(&self) -> Result<Vec<EnvironmentName>> {
        Ok(self.environment_folders()?.into_iter().filter_map(Result::ok).collect())
    }

    /// What there is to say of folders that would be environments if they had a name that can be one.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn passed_over(&self) -> Result<Vec<Problem>> {
        Ok(self.environment_folders()?.into_iter().filter_map(Result::err).collect())
    }

    fn environment_folders(&self) -> Result<Vec<Result<EnvironmentName, Problem>>> {
        let mut found = Vec::new();
        for entry in list(&self.environments_folder())?.into_iter().filter(|entry| entry.is_dir()) {
            let name = entry.file_name().map(std::ffi::OsStr::to_string_lossy).unwrap_or_default();
            let name = match entry.file_name().and_then(|name| name.to_str()) {
                Some(name) => EnvironmentName::parse(name),
                None => Err(Error::invalid(format!("`{name}` is not UTF-8"))),
            };
            found.push(name.map_err(|error| Problem {
                severity: Severity::Warning,
                path: entry.strip_prefix(&self.root).unwrap_or(&entry).display().to_string(),
                at: None,
                sentence: format!("this folder is passed over: {}", error.sentence()),
                hint: error.hints().first().cloned(),
            }));
        }
        Ok(found)
    }

    /// The workspace's id: from config.yaml, or made now and appended there, or derived where that file cannot be
    /// written.
    ///
    /// # Errors
    /// Where config.yaml exists and cannot be read.
    pub(crate) fn ensure_id(&self) -> Result<String> {
        if let Some(id) = &self.id {
            return Ok(id.clone());
        }
        let path = self.folder.join("config.yaml");
        let _lock = FolderLock::wait(&self.folder);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(unreadable(&path, error)),
        };
        if let Some(id) = text.lines().find_map(|line| line.strip_prefix("workspace_id:")) {
            return Ok(id.trim().trim_matches(['"', '\'']).to_owned());
        }
        if self.read_only {
            return Ok(self.derived_id());
        }
        // The derived id where it can be, so that it is the same whether the file can be written today or only tomorrow;
        // a machine without an id of its own, as many containers are, would share it with others and gets a random one.
        let id = if machine_id().is_empty() { fresh_id()? } else { self.derived_id() };
        match write(&path, &edit::append_key(&text, "workspace_id", &id), Replace::Allowed) {
            Ok(()) => Ok(id),
            Err(_) => Ok(self.derived_id()),
        }
    }

    /// The workspace's id without making one: what a dry run plans with.
    pub(crate) fn known_id(&self) -> String {
        self.id.clone().unwrap_or_else(|| self.derived_id())
    }

    /// Reads one environment's folder whole.
    ///
    /// # Errors
    /// `NotFound` where the folder is missing.
    pub(crate) fn read(&self, environment: &EnvironmentName, workspace_id: String) -> Result<FolderRead> {
        let folder = self.environment_folder(environment);
        if !folder.is_dir() {
            let sentence = format!("environment `{environment}` has no folder {}", folder.display());
            let there = self.environment_names().unwrap_or_default();
            let near = near::hint(environment.as_str(), there.iter().map(EnvironmentName::as_str));
            let hint = near.unwrap_or_else(|| format!("make it with `stn env create {environment}`"));
            return Err(Error::not_found(sentence).with_hint(hint));
        }
        let mut reader = Reader { root: &self.root, problems: Vec::new(), unreadable: BTreeSet::new() };
        let mut configs = BTreeMap::new();
        for path in list(&folder.join("mcp-servers"))?.into_iter().chain(list(&folder)?) {
            let is_config = reader.is_file(&path, ".json")
                && ends_with(&path, ".json")
                && !ends_with(&path, ".openapi.json");
            if let Some(name) = stem(&path, ".json").filter(|_| is_config) {
                match configs.entry(name) {
                    Entry::Occupied(_) => {
                        reader.problem(
                            &path,
                            "a file of this name is in `mcp-servers/` too, and that one counts",
                        );
                    }
                    Entry::Vacant(free) => {
                        if let Some(text) = reader.read(&path, free.key()) {
                            free.insert(text);
                        }
                    }
                }
            }
        }
        let mut agents = BTreeMap::new();
        reader.pass_over(&folder)?;
        for path in list(&folder.join("agents"))? {
            if let Some(name) = stem(&path, ".prompt").filter(|_| reader.is_file(&path, ".prompt")) {
                agents.extend(reader.read(&path, &name).map(|text| (name, text)));
            }
        }
        let optional = |reader: &mut Reader<'_>, name: &str| {
            let path = folder.join(name);
            if reader.is_file(&path, "") { reader.read(&path, name) } else { None }
        };
        let variables = optional(&mut reader, "variables.yml");
        let rules = optional(&mut reader, "environment.yml");
        let lock = optional(&mut reader, lock::FILE);
        let environment = environment.clone();
        let files = Files { environment, workspace_id, variables, rules, lock, configs, agents };
        Ok(FolderRead { files, problems: reader.problems, unreadable: reader.unreadable })
    }

    /// A fingerprint of everything in an environment's folder by path, size and modification time: equal fingerprints
    /// need no reading. `None` where the folder is missing.
    pub(crate) fn fingerprint(&self, environment: &EnvironmentName) -> Result<Option<String>> {
        use std::os::unix::fs::MetadataExt as _;
        let folder = self.environment_folder(environment);
        if !folder.is_dir() {
            return Ok(None);
        }
        // Before every run, of a thousand files: an entry knows its folder, so the kernel does not walk the path each time.
        let mut seen = Vec::new();
        for sub in ["", "mcp-servers", "agents"] {
            seen.extend_from_slice(sub.as_bytes());
            seen.push(b'/');
            for entry in entries(&folder.join(sub))? {
                let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
                let meta = if is_link { fs::metadata(entry.path()) } else { entry.metadata() };
                let Some(meta) = meta.ok().filter(fs::Metadata::is_file) else { continue };
                seen.extend_from_slice(entry.file_name().as_encoded_bytes());
                seen.push(0);
                for number in [meta.len().cast_signed(), meta.mtime(), meta.mtime_nsec()] {
                    seen.extend_from_slice(&number.to_le_bytes());
                }
            }
        }
        Ok(Some(BlobHash::of(&seen).to_string()))
    }

    /// Makes an environment's folder with its two subfolders and an empty `variables.yml`. What exists stays.
    pub(crate) fn create_environment(&self, environment: &EnvironmentName) -> Result<PathBuf> {
        let folder = self.environment_folder(environment);
        for sub in ["agents", "mcp-servers"] {
            let path = folder.join(sub);
            fs::create_dir_all(&path).map_err(|error| unwritable(&path, error))?;
        }
        let variables = folder.join("variables.yml");
        if !variables.exists() {
            let text = format!(
                "# Variables of `{environment}`: KEY: value. Server files ask for them as {{{{ .KEY }}}}.\n"
            );
            write(&variables, &text, Replace::Refused)?;
        }
        Ok(folder)
    }

    /// Writes a file of an environment that does not exist yet.
    ///
    /// # Errors
    /// `Conflict` where it exists.
    pub(crate) fn write_new(
        &self,
        environment: &EnvironmentName,
        relative: &str,
        text: &str,
    ) -> Result<PathBuf> {
        let path = self.environment_folder(environment).join(relative);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| unwritable(parent, error))?;
        }
        write(&path, text, Replace::Refused)?;
        Ok(path)
    }

    /// The path of an agent's file, relative to its environment's folder.
    pub(crate) fn agent_path(name: &AgentName) -> String {
        format!("agents/{name}.prompt")
    }

    pub(super) fn environments_folder(&self) -> PathBuf {
        self.root.join("environments")
    }

    fn derived_id(&self) -> String {
        let hash = BlobHash::of(format!("{}:{}", machine_id(), self.root.display()).as_bytes());
        hash.as_str()[..16].to_owned()
    }
}

struct Reader<'a> {
    root: &'a Path,
    problems: Vec<Problem>,
    unreadable: BTreeSet<String>,
}

impl Reader<'_> {
    fn read(&mut self, path: &Path, name: &str) -> Option<Text> {
        let shown = self.shown(path);
        let most = if name == lock::FILE { lock::FILE_BYTES_MAX } else { FILE_BYTES_MAX };
        let (at, sentence) = match read_text(path, most) {
            Ok(body) => return Some(Text { path: shown, body: Secret::new(body) }),
            Err((at, sentence)) => (at, sentence),
        };
        self.unreadable.insert(name.to_owned());
        self.problems.push(Problem { severity: Severity::Error, path: shown, at, sentence, hint: None });
        None
    }

    /// Whether a file is there. A link that leads nowhere, or anything that cannot be looked at, is a problem of that
    /// file and not its removal. `ending` is what its name in the store does without.
    fn is_file(&mut self, path: &Path, ending: &str) -> bool {
        match fs::metadata(path) {
            Ok(found) if found.is_file() => true,
            // A folder, a pipe or a device of that name is not a file that was deleted.
            Ok(_) => {
                if let Some(name) = stem(path, ending) {
                    self.unreadable.insert(name);
                    self.error(
                        path,
                        "this has the name of a definition, but it is no regular file".to_owned(),
                    );
                }
                false
            }
            Err(_) if fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound) => {
                false
            }
            Err(error) => {
                if let Some(name) = stem(path, ending) {
                    self.unreadable.insert(name);
                    self.error(path, format!("the file cannot be read: {}", error.kind()));
                }
                false
            }
        }
    }

    /// Names what lies in an environment's folder, looks like a definition, and is none by its name.
    fn pass_over(&mut self, folder: &Path) -> Result<()> {
        use Within::{Agents, Environment, Servers};
        let parts = [(Environment, folder.to_owned(), ".json"), (Agents, folder.join("agents"), ".prompt")];
        for (within, part, ending) in
            parts.into_iter().chain([(Servers, folder.join("mcp-servers"), ".json")])
        {
            if !part.is_dir() {
                continue;
            }
            for path in list(&part)?.iter().filter(|path| !ends_with(path, ending)) {
                match path.file_name().and_then(|name| name.to_str()) {
                    Some(name) => {
                        let shown = self.shown(path);
                        self.problems.extend(passed::over(within, name, path.is_dir(), &shown));
                    }
                    None => self.problem(path, "this is passed over: its name is not UTF-8"),
                }
            }
        }
        Ok(())
    }

    fn error(&mut self, path: &Path, sentence: String) {
        let path = self.shown(path);
        self.problems.push(Problem { severity: Severity::Error, path, at: None, sentence, hint: None });
    }

    fn problem(&mut self, path: &Path, sentence: &str) {
        let (path, sentence) = (self.shown(path), sentence.to_owned());
        self.problems.push(Problem { severity: Severity::Warning, path, at: None, sentence, hint: None });
    }

    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(self.root).unwrap_or(path).display().to_string()
    }
}

fn read_text(path: &Path, most: u64) -> Result<String, (Option<Position>, String)> {
    let size = fs::metadata(path).map(|meta| meta.len()).unwrap_or_default();
    if size > most {
        return Err((None, format!("the file is larger than {} KiB", most >> 10)));
    }
    let bytes = fs::read(path).map_err(|error| (None, format!("the file cannot be read: {error}")))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good =
            String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
        (Some(Position::of(&good, good.len())), "the file is not UTF-8 from here on".to_owned())
    })?;
    match text.find('\0') {
        Some(at) => Err((Some(Position::of(&text, at)), "the file holds a NUL character here".to_owned())),
        None => Ok(text),
    }
}

/// Entries of `folder`, sorted by name; none where it is missing. Hidden ones are passed over.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.iter().map(fs::DirEntry::path).collect())
}

/// The same, each with the folder that it was read from.
fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // A link that leads nowhere is not an empty folder.
        Err(error) if error.kind() == ErrorKind::NotFound && !folder.is_symlink() => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(folder, error)),
    };
    let mut shown = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(folder, error))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            shown.push(entry);
        }
    }
    shown.sort_by_cached_key(fs::DirEntry::file_name);
    Ok(shown)
}

fn ends_with(path: &Path, ending: &str) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.ends_with(ending))
}

fn stem(path: &Path, ending: &str) -> Option<String> {
    path.file_name()?.to_str()?.strip_suffix(ending).map(str::to_owned)
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::invalid(format!("{} cannot be read: {}", path.display(), error.kind())).with_cause(error)
}

/// The machine's own id; empty where it has none (machine-id(5)).
fn machine_id() -> String {
    fs::read_to_string("/etc/machine-id").map(|text| text.trim().to_owned()).unwrap_or_default()
}

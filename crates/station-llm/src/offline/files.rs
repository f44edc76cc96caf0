//! Work on files: find out where one may look, list, then read what the task is about.
//!
//! Any server whose tools list and read by path will do; the one of `stn demo` is the usual one. The tools are
//! recognised by their names and schemas, not by a list of servers.

use super::fill::{self, Source};
use super::named::has_extension;
use super::plan::{CALLS_MAX, Call, ranked};
use super::scene::{Finding, Scene};
use serde_json::Value;
use station_core::rank::{self, Document, stem, words};
use station_core::run::{GrantedTool, Target};
use std::collections::BTreeSet;

/// How many folders deep a file is looked for: where a log folder has one folder per service, its files are in the
/// second.
const DEPTH_MAX: usize = 2;

/// Stems of a task that asks for what is inside files.
const CONTENT: &[&str] = &[
    "caus",
    "content",
    "count",
    "critical",
    "error",
    "exception",
    "explain",
    "fail",
    "failur",
    "fatal",
    "happen",
    "insid",
    "lin",
    "often",
    "read",
    "say",
    "show",
    "summar",
    "summaris",
    "summariz",
    "summary",
    "warn",
    "wrong",
];
/// Stems of a task that is about files at all.
const ABOUT: &[&str] = &["directory", "dir", "fil", "folder", "list", "log", "siz", "tre"];
/// Endings of files that are no text.
const BINARY: &[&str] = &[
    "bin", "bz2", "db", "exe", "gif", "gz", "ico", "jar", "jpg", "jpeg", "mp3", "mp4", "pdf", "png", "so",
    "tar", "zip",
];

/// Stems of names for a folder.
const FOLDERS: &[&str] = &["directory", "dir", "folder"];
/// Stems of names for looking.
const SHOWS: &[&str] = &["brows", "content", "get", "read", "show", "view"];

/// What a tool is for, as far as its name and schema tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Roots,
    List,
    Read,
}

/// Something a listing named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) path: String,
    pub(super) is_folder: bool,
}

/// The next calls; nothing where the task is not about files or no tool reads or lists them.
pub(super) fn next<'a>(scene: &Scene<'a>) -> Option<Vec<Call<'a>>> {
    let desk = Desk::new(scene)?;
    let listing = || desk.list(&desk.unlisted());
    Some(if desk.needs_roots() {
        desk.ask_for_roots()
    } else if desk.wants_list() && !listing().is_empty() {
        listing()
    } else if desk.wants_read {
        desk.read()
    } else {
        Vec::new()
    })
}

/// Whether words with these stems are about files.
pub(super) fn are_about(stems: &BTreeSet<String>) -> bool {
    ABOUT.iter().chain(CONTENT).any(|word| stems.contains(*word))
}

/// Whether the tool `name` only says where one may look.
pub(super) fn is_roots(name: &str) -> bool {
    let parts = parts(name);
    let is = |part: &str| parts.iter().any(|known| known == part);
    is("root") || (is("allow") && is("directory"))
}

/// What a listing names, with whole paths; nothing where `finding` is no listing.
pub(super) fn listed(finding: &Finding<'_>) -> Vec<Listed> {
    if finding.is_error || !names_a_list(finding.name) || is_roots(finding.name) {
        return Vec::new();
    }
    let folder = path_of(finding).unwrap_or_default();
    match serde_json::from_str::<Value>(finding.text) {
        Ok(tree @ Value::Array(_)) => tree_of(&tree, folder),
        _ => finding.text.lines().filter_map(|line| line_of(line, folder)).collect(),
    }
}

/// The path a call was about.
pub(super) fn path_of<'f>(finding: &'f Finding<'_>) -> Option<&'f str> {
    let arguments = finding.arguments.as_object()?;
    arguments.iter().find(|(name, _)| fill::is_path(name)).and_then(|(_, value)| value.as_str())
}

struct Desk<'s, 'a> {
    scene: &'s Scene<'a>,
    roots_tool: Option<&'a GrantedTool>,
    lister: Option<&'a GrantedTool>,
    /// Best first.
    readers: Vec<&'a GrantedTool>,
    wants_read: bool,
    listed: Vec<Listed>,
    /// Absolute folders in which to look, or relative ones where roots are not known.
    bases: Vec<String>,
}

impl<'s, 'a> Desk<'s, 'a> {
    fn new(scene: &'s Scene<'a>) -> Option<Self> {
        let of = |role| -> Vec<&'a GrantedTool> {
            scene.tools.iter().copied().filter(|tool| role_of(tool) == Some(role)).collect()
        };
        let (listers, readers) = (of(Role::List), of(Role::Read));
        let says = |words: &[&str]| words.iter().any(|word| scene.stems.contains(*word));
        let names_files = !scene.named.paths.is_empty() || !scene.named.patterns.is_empty();
        let about_files = names_files || are_about(&scene.stems);
        if (listers.is_empty() && readers.is_empty()) || !about_files || (!names_files && another_fits(scene))
        {
            return None;
        }
        let names_file = scene.named.paths.iter().any(|path| has_extension(path));
        let mut desk = Self {
            scene,
            roots_tool: of(Role::Roots).first().copied(),
            lister: best(scene, &listers, "list directory"),
            wants_read: !readers.is_empty() && (says(CONTENT) || names_file),
            readers: by_fitness(scene, &readers, "read text file"),
            listed: scene.findings.iter().flat_map(listed).collect(),
            bases: Vec::new(),
        };
        desk.bases = desk.bases();
        Some(desk)
    }

    fn needs_roots(&self) -> bool {
        let asked = self.scene.findings.iter().any(|finding| is_roots(finding.name));
        let named = &self.scene.named.paths;
        self.roots_tool.is_some() && !asked && !named.iter().any(|path| path.starts_with('/'))
    }

    fn ask_for_roots(&self) -> Vec<Call<'a>> {
        let tool = self.roots_tool.into_iter();
        tool.map(|tool| Call { tool: &tool.spec.name, arguments: Value::Object(serde_json::Map::new()) })
            .collect()
    }

    /// Where to look: the folders the task names, below the roots if they are relative; else the roots.
    fn bases(&self) -> Vec<String> {
        let roots: Vec<String> = self
            .scene
            .findings
            .iter()
            .filter(|finding| is_roots(finding.name) && !finding.is_error)
            .flat_map(|finding| finding.text.lines())
            .map(|line| line.trim().trim_start_matches("- ").to_owned())
            .filter(|line| line.starts_with('/'))
            .collect();
        let folders = self.scene.named.paths.iter().filter(|path| !has_extension(path));
        let folders: Vec<String> = folders.flat_map(|folder| below(&roots, folder)).collect();
        match (folders.is_empty(), roots.is_empty()) {
            (false, _) => folders,
            (true, false) => roots,
            (true, true) => vec![String::from(".")],
        }
    }

    fn wants_list(&self) -> bool {
        let files = self.named_files();
        let all_known = !files.is_empty() && files.iter().all(|file| self.resolved(file).is_some());
        self.lister.is_some() && !(self.wants_read && all_known)
    }

    /// Folders still to be listed: first where to look, then those below, as long as what is looked for is missing.
    fn unlisted(&self) -> Vec<String> {
        let was_listed = |path: &String| {
            let same = |finding: &Finding<'_>| {
                names_a_list(finding.name) && path_of(finding).is_some_and(|listed| listed == path)
            };
            self.scene.findings.iter().any(same)
        };
        let fresh: Vec<String> = self.bases.iter().filter(|base| !was_listed(base)).cloned().collect();
        let found = if self.named_files().is_empty() { !self.fitting_files().is_empty() } else { false };
        if !fresh.is_empty() || !self.wants_read || found {
            return fresh;
        }
        let depth = |path: &str| {
            let base =
                self.bases.iter().find(|base| path.starts_with(base.as_str())).map_or("", String::as_str);
            path[base.len()..].matches('/').count()
        };
        let folders =
            self.listed.iter().filter(|listed| listed.is_folder && depth(&listed.path) <= DEPTH_MAX);
        let folders: Vec<String> = folders.map(|listed| listed.path.clone()).collect();
        let fitting = self.fitting(&folders);
        let folders = if fitting.is_empty() { folders } else { fitting };
        folders.into_iter().filter(|path| !was_listed(path)).collect()
    }

    fn list(&self, folders: &[String]) -> Vec<Call<'a>> {
        let folders = folders.iter().take(CALLS_MAX);
        let calls = folders.filter_map(|folder| self.call(self.lister?, std::slice::from_ref(folder)));
        calls.collect()
    }

    /// The calls that read what the task is about; what one tool could not read, the next one tries, once.
    fn read(&self) -> Vec<Call<'a>> {
        let named = self.named_files();
        let targets: Vec<String> = if named.is_empty() {
            let files = self.fitting_files();
            if files.is_empty() { self.text_files() } else { files }
        } else {
            // What was looked for and not seen is not there.
            let looked = !self.listed.is_empty();
            let guess = |file: &String| below(&self.bases, file).into_iter().next().filter(|_| !looked);
            named.iter().filter_map(|file| self.resolved(file).or_else(|| guess(file))).collect()
        };
        let mut calls = Vec::new();
        let mut open = Vec::new();
        for target in targets.into_iter().take(CALLS_MAX) {
            let tries: Vec<&Finding<'_>> = self
                .scene
                .findings
                .iter()
                .filter(|finding| !names_a_list(finding.name) && mentions(&finding.arguments, &target))
                .collect();
            match tries.as_slice() {
                [] => open.push(target),
                [failed] if failed.is_error => {
                    let another = self.readers.iter().find(|tool| tool.spec.name != failed.name);
                    calls.extend(another.and_then(|tool| self.call(tool, &[target])));
                }
                _ => {}
            }
        }
        let Some(reader) = self.readers.first() else { return calls };
        if takes_many(reader) {
            calls.extend((!open.is_empty()).then(|| self.call(reader, &open)).flatten());
        } else {
            calls.extend(open.iter().filter_map(|path| self.call(reader, std::slice::from_ref(path))));
        }
        calls
    }

    fn call(&self, tool: &'a GrantedTool, paths: &[String]) -> Option<Call<'a>> {
        let arguments = fill::arguments(&tool.spec.input_schema, &Source::new(self.scene, paths))?;
        Some(Call { tool: &tool.spec.name, arguments })
    }

    fn named_files(&self) -> Vec<String> {
        self.scene.named.paths.iter().filter(|path| has_extension(path)).cloned().collect()
    }

    /// The whole path of a file the task names: as listed, or as it stands if it is absolute.
    fn resolved(&self, file: &str) -> Option<String> {
        if file.starts_with('/') {
            return Some(file.to_owned());
        }
        let file = file.trim_start_matches("./");
        let is_it = |listed: &&Listed| {
            let whole = listed.path.strip_suffix(file);
            !listed.is_folder && whole.is_some_and(|before| before.is_empty() || before.ends_with('/'))
        };
        self.listed.iter().find(is_it).map(|listed| listed.path.clone())
    }

    fn text_files(&self) -> Vec<String> {
        let is_binary = |path: &str| {
            path.rsplit_once('.').is_some_and(|(_, end)| BINARY.contains(&end.to_lowercase().as_str()))
        };
        let files = self.listed.iter().filter(|listed| !listed.is_folder && !is_binary(&listed.path));
        files.map(|listed| listed.path.clone()).collect()
    }

    /// The listed files whose names fit the task's patterns or words.
    fn fitting_files(&self) -> Vec<String> {
        let files = self.text_files();
        let patterns = &self.scene.named.patterns;
        if patterns.is_empty() {
            return self.fitting(&files);
        }
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let fits = |path: &String| patterns.iter().any(|p| station_core::tool::matches(p, &name(path)));
        files.into_iter().filter(fits).collect()
    }

    fn fitting(&self, paths: &[String]) -> Vec<String> {
        let documents: Vec<Document<'_>> = paths
            .iter()
            .map(|path| Document {
                name: path.rsplit('/').next().unwrap_or_default(),
                description: "",
                parameters: Vec::new(),
            })
            .collect();
        rank::rank(&self.scene.query, &documents)
            .into_iter()
            .map(|ranked| paths[ranked.index].clone())
            .collect()
    }
}

fn role_of(tool: &GrantedTool) -> Option<Role> {
    if matches!(tool.target, Target::Agent { .. }) {
        return None;
    }
    let schema = &tool.spec.input_schema;
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let name = tool.spec.name.as_str();
    if is_roots(name) {
        return required.is_empty().then_some(Role::Roots);
    }
    let has_path = schema["properties"]
        .as_object()
        .is_some_and(|properties| properties.keys().any(|name| fill::is_path(name)));
    if !has_path || !required.iter().all(|name| fill::is_path(name)) {
        return None;
    }
    let parts = parts(name);
    let is = |known: &[&str]| parts.iter().any(|part| known.contains(&part.as_str()));
    if names_a_list(name) {
        Some(Role::List)
    } else if is(&["read", "cat", "view", "show", "get", "open"]) && !is(&["info", "media", "imag", "binary"])
    {
        Some(Role::Read)
    } else {
        None
    }
}

/// `list_…`, `…_tree`, or nothing but "show a directory": `create_directory` and `directory_size` list nothing.
fn names_a_list(name: &str) -> bool {
    let parts = parts(name);
    let is = |known: &[&str]| parts.iter().any(|part| known.contains(&part.as_str()));
    let only_shows =
        || parts.iter().all(|part| FOLDERS.contains(&part.as_str()) || SHOWS.contains(&part.as_str()));
    is(&["list", "ls", "tre"]) || (is(FOLDERS) && only_shows())
}

fn parts(name: &str) -> Vec<String> {
    words(name).iter().map(|word| stem(word)).collect()
}

fn takes_many(tool: &GrantedTool) -> bool {
    let properties = tool.spec.input_schema["properties"].as_object();
    properties.is_some_and(|properties| {
        properties.iter().any(|(name, property)| fill::is_path(name) && fill::kind(property) == "array")
    })
}

/// Whether a tool that has nothing to do with paths fits the task best.
fn another_fits(scene: &Scene<'_>) -> bool {
    ranked(&scene.tools, &scene.query).first().is_some_and(|(tool, _)| {
        let properties = tool.spec.input_schema["properties"].as_object();
        let has_path = properties.is_some_and(|properties| properties.keys().any(|name| fill::is_path(name)));
        !has_path && role_of(tool).is_none() && !matches!(tool.target, Target::Agent { .. })
    })
}

fn best<'a>(scene: &Scene<'_>, tools: &[&'a GrantedTool], usual: &str) -> Option<&'a GrantedTool> {
    by_fitness(scene, tools, usual).first().copied()
}

/// `tools` in the order in which they fit: the `usual` words and the task's own, tools for one path before those for
/// many. What is on its way out says so in its description.
fn by_fitness<'a>(scene: &Scene<'_>, tools: &[&'a GrantedTool], usual: &str) -> Vec<&'a GrantedTool> {
    let query = format!("{usual} {}", scene.query);
    let mut ordered: Vec<&'a GrantedTool> = ranked(tools, &query).into_iter().map(|(tool, _)| tool).collect();
    ordered.extend(tools.iter().filter(|tool| !ranked(&[**tool], &query).iter().any(|_| true)));
    ordered
        .sort_by_key(|tool| (takes_many(tool), tool.spec.description.to_lowercase().contains("deprecated")));
    ordered
}

fn below(bases: &[String], path: &str) -> Vec<String> {
    let path = path.trim_start_matches("./").trim_end_matches('/');
    if path.starts_with('/') || path.starts_with('~') || bases.is_empty() {
        return vec![path.to_owned()];
    }
    bases.iter().map(|base| join(base, path)).collect()
}

fn join(folder: &str, name: &str) -> String {
    match folder.trim_end_matches('/') {
        "" if folder.is_empty() => name.to_owned(),
        "." => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

fn mentions(arguments: &Value, path: &str) -> bool {
    match arguments {
        Value::String(text) => text == path,
        Value::Array(items) => items.iter().any(|item| mentions(item, path)),
        Value::Object(members) => members.values().any(|member| mentions(member, path)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// "[FILE] app.log   1.2 KB", "[DIR] old", "app.log", "old/".
fn line_of(line: &str, folder: &str) -> Option<Listed> {
    let line = line.trim();
    let (marked, is_folder, name) = match (line.strip_prefix("[FILE]"), line.strip_prefix("[DIR]")) {
        (Some(name), _) => (true, false, name.trim()),
        (_, Some(name)) => (true, true, name.trim()),
        _ => (false, line.ends_with('/'), line.trim_end_matches('/')),
    };
    // Sizes stand in a column of their own.
    let name = name.split("  ").next().unwrap_or(name).trim();
    if name.is_empty() || (!marked && name.contains([' ', ':'])) {
        return None;
    }
    let path = if name.starts_with('/') { name.to_owned() } else { join(folder, name) };
    Some(Listed { path, is_folder })
}

/// `[{"name": "old", "type": "directory", "children": […]}]`
fn tree_of(tree: &Value, folder: &str) -> Vec<Listed> {
    let mut listed = Vec::new();
    for entry in tree.as_array().into_iter().flatten() {
        let Some(name) = entry["name"].as_str() else { continue };
        let path = join(folder, name);
        listed.push(Listed { path: path.clone(), is_folder: entry["type"] == "directory" });
        listed.extend(tree_of(&entry["children"], &path));
    }
    listed
}

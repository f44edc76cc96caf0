//! Servers added to files and taken out of them, and asked anew.
//!
//! A server definition is code execution: adding one is an administrator's right, as soon as there are others.

use crate::Station;
use crate::catalog::Discovery;
use crate::change::Thing;
use crate::servers::ServerRef;
use crate::workspace::FolderRead;
use serde_json::{Value, json};
use station_core::file::edit::{put_server, remove_server};
use station_core::file::{Problem, Severity, servers};
use station_core::grant::Denied;
use station_core::sync::{Change, Removals, Text};
use station_core::{
    Action, Caller, Environment, EnvironmentName, Error, Kind, Origin, Result, Secret, Server, is_number,
};

/// A server to be added.
#[derive(Clone, Debug)]
pub struct NewServer {
    /// Its name.
    pub name: String,
    /// Its environment.
    pub environment: EnvironmentName,
    /// Its entry in `mcpServers`, as it is written.
    pub entry: Value,
    /// The file it is put into, without `.json`; one of its own name where `None`.
    pub file: Option<String>,
}

/// A server that was added.
#[derive(Clone, Debug)]
pub struct AddedServer {
    /// Its row.
    pub server: Server,
    /// Its file, relative to the workspace; `None` where it lives in the store alone.
    pub path: Option<String>,
    /// Notes and warnings about that file.
    pub problems: Vec<Problem>,
}

/// What goes with a server, and what stays.
#[derive(Clone, Debug)]
pub struct ServerDeletion {
    /// The server.
    pub server: Server,
    /// Its environment.
    pub environment: Environment,
    /// Where it is defined.
    pub defined: Defined,
    /// Other files that define a server of this name: the next sync takes one of those.
    pub also_in: Vec<String>,
    /// Number of its tools.
    pub tools: usize,
    /// Agents with a grant of one of its tools: the grants stay written, without a tool behind them.
    pub granted_to: Vec<String>,
}

/// Where a server is defined that would be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Defined {
    /// In the store alone.
    InStore,
    /// In this file, relative to the workspace, which has other servers and stays.
    Among(String),
    /// In this file, which defines nothing else and goes too.
    Alone(String),
}

impl Station {
    /// Adds a server: to a new file of its name, or behind the servers of another file. Where files are read-only it lives in the
    /// store alone.
    ///
    /// # Errors
    /// `Conflict` where a server or file of that name exists, or files are managed elsewhere; `Invalid` where the entry
    /// is refused. Then nothing has changed.
    pub async fn add_server(&self, by: &Caller, new: NewServer) -> Result<AddedServer> {
        by.may(Action::ManageServers)?;
        let environment = self.find_environment(by, &new.environment).await?;
        let name = &new.name;
        if is_number(name) {
            let sentence =
                format!("`{name}` cannot be the name of a server: digits alone would be read as an id");
            return Err(Error::invalid(sentence).with_hint("give it another name, with a letter in it"));
        }
        let servers = self.store().servers(Some(environment.id)).await?;
        if servers.iter().any(|server| server.name == *name) {
            let sentence = format!("server `{name}` exists already in environment `{}`", environment.name);
            return Err(Error::conflict(sentence).with_hint("choose another name, or edit its file"));
        }
        let config = new.file.as_deref().unwrap_or(name);
        check_file_name(config)?;
        let add = |text: Option<&str>| match (text, &new.file) {
            (None, None) => Ok(Some(fresh(name, &new.entry))),
            (None, Some(file)) => Err(Error::not_found(format!("there is no server file `{file}.json`"))
                .with_hint("leave `--file` out: the server gets a file of its own")
                .into()),
            (Some(text), _) => Ok(Some(put_server(text, name, &new.entry)?)),
        };
        let (path, problems) = if self.config().workspace.takes_files(&environment.name) || new.file.is_some()
        {
            let changed = self.change_file(by, &environment.name, Thing::Config(config), add).await?;
            (Some(changed.path), changed.problems)
        } else {
            (None, self.put_server_in_store(by, &environment.name, name, &new.entry).await?)
        };
        let named = ServerRef::Name { name: name.clone(), environment: environment.name };
        let server = self.find_server(by, &named).await?.server;
        Ok(AddedServer { server, path, problems })
    }

    /// Keeps a server as a file would define it, by the plan of every sync.
    async fn put_server_in_store(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
        name: &str,
        entry: &Value,
    ) -> Result<Vec<Problem>> {
        let (path, body) = (format!("mcp-servers/{name}.json"), Secret::new(fresh(name, entry)));
        let text = Text { path: path.clone(), body };
        let folder = FolderRead::of_server(environment, name, text);
        let plan = self.plan(&folder, Removals::Keep).await?.plan;
        let problems: Vec<Problem> = plan.problems.into_iter().filter(|it| it.path == path).collect();
        if let Some(problem) = problems.iter().find(|it| it.severity == Severity::Error) {
            return Err(problem.clone().into());
        }
        let is_it = |change: &Change| matches!(change, Change::PutConfig { name: put, .. } if put == name);
        let changes: Vec<Change> = plan.changes.into_iter().filter(is_it).collect();
        self.store().apply_without_files(environment, &changes, by.actor(), self.now()).await?;
        Ok(problems)
    }

    /// What deleting a server would do.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where its file is managed elsewhere.
    pub async fn plan_server_deletion(&self, by: &Caller, server: &ServerRef) -> Result<ServerDeletion> {
        by.may(Action::ReadServers)?;
        let view = self.show_server(by, server).await?;
        let (server, environment) = (view.details.server, view.details.environment);
        let files = self.store().server_files(Some(environment.id)).await?;
        let origin = files.iter().find(|file| file.name == server.config).map(|file| file.origin);
        let defined = match origin {
            Some(Origin::Store) => Defined::InStore,
            Some(Origin::File) | None => self.defined(&environment, &server)?,
        };
        let also_in = self.also_in(&environment.name, &server)?;
        Ok(ServerDeletion {
            defined,
            also_in,
            tools: view.details.tools.len(),
            granted_to: view.granted_to,
            server,
            environment,
        })
    }

    /// The file that defines a server.
    fn defined(&self, environment: &Environment, server: &Server) -> Result<Defined> {
        self.refuse_managed(&environment.name)?;
        let file = self.file_of(&environment.name, Thing::Config(&server.config))?;
        let file = file.ok_or_else(|| self.elsewhere("server", &server.name, environment))?;
        let (read, _) = servers::read(file.body.expose(), &file.path, &|_| None);
        let others = read.iter().flat_map(|read| &read.entries).filter(|entry| entry.name != server.name);
        let is_alone = read.is_some() && others.count() == 0;
        Ok(if is_alone { Defined::Alone(file.path) } else { Defined::Among(file.path) })
    }

    /// The other files of the environment that define a server of this name.
    fn also_in(&self, environment: &EnvironmentName, server: &Server) -> Result<Vec<String>> {
        let workspace = &self.config().workspace;
        if !workspace.environment_folder(environment).is_dir() {
            return Ok(Vec::new());
        }
        let files = workspace.read(environment, workspace.known_id())?.files.configs;
        let defines = |text: &Text| {
            let (read, _) = servers::read(text.body.expose(), &text.path, &|_| None);
            read.is_some_and(|read| read.entries.iter().any(|entry| entry.name == server.name))
        };
        let others = files.into_iter().filter(|(config, text)| *config != server.config && defines(text));
        Ok(others.map(|(_, text)| text.path).collect())
    }

    /// Deletes the server of exactly this name: takes its entry out of its file, and removes a file that defines
    /// nothing else. Its row stays as removed; a server of the same name has the same id again.
    ///
    /// # Errors
    /// As [`Station::plan_server_deletion`]; `Invalid` where the entry cannot be taken out alone.
    pub async fn delete_server(&self, by: &Caller, server: &ServerRef) -> Result<ServerDeletion> {
        by.may(Action::ManageServers)?;
        let gone = self.plan_server_deletion(by, server).await?;
        let name = &gone.server.name;
        if gone.defined == Defined::InStore {
            self.store().remove_server(gone.server.id, by.actor(), self.now()).await?;
            return Ok(gone);
        }
        let take_out = |text: Option<&str>| match (text, &gone.defined) {
            (Some(text), Defined::Among(_)) => Ok(Some(remove_server(text, name)?)),
            _ => Ok(None),
        };
        self.change_file(by, &gone.environment.name, Thing::Config(&gone.server.config), take_out).await?;
        Ok(gone)
    }

    /// Connects to one server and lists its tools anew.
    ///
    /// # Errors
    /// `NotFound`; the server's own failure is in its row.
    pub async fn discover_server(&self, by: &Caller, server: &ServerRef) -> Result<Discovery> {
        by.may(Action::CallTools)?;
        let found = self.find_server(by, server).await?;
        if self.closed_to(by, &found.environment.name).await?.contains(&found.server.id) {
            let sentence = format!("`{}` may not be asked: {}", found.server.name, Denied::Role.reason());
            return Err(Error::new(Kind::Forbidden, sentence));
        }
        self.discover(&found.environment, &|server| server.id == found.server.id).await
    }
}

fn fresh(name: &str, entry: &Value) -> String {
    let file = json!({ "mcpServers": { name: entry } });
    // A value of ours always serializes.
    serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
}

/// A server file's name stands in a path, and decides nothing else.
fn check_file_name(name: &str) -> Result<()> {
    let fits = !name.is_empty()
        && !name.starts_with('.')
        && !name.ends_with(".openapi")
        && !name.chars().any(|c| c == '/' || c == '\\' || c.is_control());
    if fits {
        return Ok(());
    }
    Err(Error::invalid(format!("`{name}` cannot be the name of a server file"))
        .with_hint("put the server into another file with `--file`"))
}

//! Where the architect lives: an environment of Station's own, that no file defines and no list shows.
//!
//! It is made of texts as any other is, by the same plan, so its grants, its rules and its runs are nothing special. Its
//! server is Station itself.

use crate::sync::nobody;
use crate::workspace::FolderRead;
use crate::{AgentRef, Station};
use station_core::sync::{Files, Removals, Text};
use station_core::{Agent, AgentName, Caller, EnvironmentName, Result, Secret};
use std::collections::{BTreeMap, BTreeSet};

/// What the architect is told and granted.
const PROMPT: &str = include_str!("architect.prompt");

/// Its name, and that of its file.
const NAME: &str = "architect";

/// The server that is Station.
const SERVER: &str = "station";

impl Station {
    /// The architect, as this version has it, with its server's tools listed.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn architect(&self) -> Result<Agent> {
        let name = EnvironmentName::built_in();
        let folder = folder(&name);
        let plan = self.plan(&folder, Removals::Apply).await?.plan;
        let environment = self.apply_changes(nobody(), &name, &folder, &plan.changes).await?;
        if plan.changes.is_empty() {
            self.refresh_catalog(&name).await?;
        } else {
            // Another version offers other tools.
            self.discover(&environment, &|_| true).await?;
        }
        let name = AgentName::parse(NAME)?.to_string();
        self.find_agent(&Caller::local(), &AgentRef::Name { name, environment: Some(environment.name) }).await
    }
}

/// Its folder, as if somebody had written it. The version stands in it, so that a new one is applied.
fn folder(environment: &EnvironmentName) -> FolderRead {
    let text = |path: &str, body: String| Text { path: path.to_owned(), body: Secret::new(body) };
    let prompt = PROMPT.replacen("---\n", &format!("---\n# Station {}\n", env!("CARGO_PKG_VERSION")), 1);
    let server = serde_json::json!({ "mcpServers": { SERVER: { "command": "stn", "args": ["stdio"] } } });
    FolderRead {
        files: Files {
            environment: environment.clone(),
            workspace_id: String::new(),
            variables: None,
            rules: None,
            lock: None,
            configs: BTreeMap::from([(SERVER.to_owned(), text("station.json", server.to_string()))]),
            agents: BTreeMap::from([(NAME.to_owned(), text("architect.prompt", prompt))]),
        },
        problems: Vec::new(),
        unreadable: BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use station_core::file::{prompt, servers};

    #[test]
    fn what_is_built_in_has_no_faults() {
        let folder = folder(&EnvironmentName::built_in());
        let (read, problems) = prompt::read(folder.files.agents[NAME].body.expose(), "architect.prompt");
        assert!(problems.is_empty(), "{problems:?}");
        let granted = read.expect("it can be read").tools;
        assert!(!granted.iter().any(|it| it.contains("call") || it.contains("delete") || it.contains('*')));
        let text = folder.files.configs[SERVER].body.expose();
        let (definition, _) = servers::resolve(text, "station.json", SERVER, &|_| None).expect("it resolves");
        assert!(definition.is_station());
    }
}

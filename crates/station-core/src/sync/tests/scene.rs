//! An environment to plan for: its files, its store, and what a plan for them says.

use crate::lock::Lock;
use crate::sync::*;
use crate::{AgentId, Annotations, EnvironmentId, EnvironmentName, Secret, ServerId, Tool, ToolId, ToolName};
use std::collections::BTreeMap;

pub(super) const TEMPLATE: &str = r#"{
  "name": "default",
  "mcpServers": {
    "filesystem": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem@2025.8.21", "{{ .ROOT_DIR }}"]
    },
    "memory": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-memory@2025.8.4"],
      "env": { "DATABASE_URL": "{{ .DATABASE_URL }}", "NOTE": "{{ .NOTE }}" }
    }
  },
  "metadata": { "category": "logs", "variables": { "NOTE": { "required": false, "default": "" } } }
}
"#;

pub(super) const VARIABLES: &str = "# Environment variables for default\nROOT_DIR: \"/home/user/samples\"\nDATABASE_URL: \"postgres://reader:pa\\\"ss@db.example.com/app\"\nNOTE: \"line one, \\\"quoted\\\"\"\n";

pub(super) const SPIKE: &str = "---\nmetadata:\n  name: \"Cost Spike Investigator\"\n  description: \"Finds what a cost went to\"\n  tags: [\"finops\", \"aws\"]\nmodel: gpt-4o-mini\nmax_steps: 8\ntools:\n  - \"__read_text_file\"   # short name\n  - \"__list_directory\"\n---\n{{role \"system\"}}\nYou investigate.\n{{role \"user\"}}\n{{userInput}}\n";

const COORDINATOR: &str = "---\nmetadata:\n  name: \"coordinator\"\n  description: \"Asks the others\"\nmodel: gpt-4o-mini\nagents: [\"triage\", \"Cost Spike Investigator\"]\ntools: []\n---\nYou coordinate.\n";

pub(super) const TRIAGE: &str = "---\n# comments stay\nmetadata:\n  name: \"triage\"\n  description: \"Reads one log file\"\nmodel: openai/gpt-4o\ntools: [\"read_text_file\", \"__does_not_exist\"]\n---\nRead the file that the task names and say what is wrong.\n";

/// An environment's files, its store and its catalog, and how the plan is asked for.
pub(super) struct Scene {
    pub(super) files: Files,
    pub(super) stored: Stored,
    pub(super) catalog: Vec<Tool>,
    pub(super) links: BTreeMap<String, BTreeMap<String, ToolId>>,
    pub(super) discovery: Discovery,
    pub(super) removals: Removals,
}

pub(super) fn text(path: &str, body: &str) -> Text {
    Text { path: path.to_owned(), body: Secret::new(body) }
}

pub(super) fn scene(files: &[(&str, &str)]) -> Scene {
    let mut read = Files {
        environment: EnvironmentName::parse("default").unwrap(),
        workspace_id: "w".to_owned(),
        variables: None,
        rules: None,
        lock: None,
        configs: BTreeMap::new(),
        agents: BTreeMap::new(),
    };
    for (path, body) in files {
        let file = path.rsplit('/').next().unwrap();
        let text = text(&format!("environments/default/{path}"), body);
        match *path {
            "variables.yml" => read.variables = Some(text),
            "environment.yml" => read.rules = Some(text),
            "mcp.lock" => read.lock = Some(text),
            _ if path.ends_with(".json") => {
                read.configs.insert(file.trim_end_matches(".json").to_owned(), text);
            }
            _ => drop(read.agents.insert(file.trim_end_matches(".prompt").to_owned(), text)),
        }
    }
    Scene {
        files: read,
        stored: Stored::default(),
        catalog: Vec::new(),
        links: BTreeMap::new(),
        discovery: Discovery::Partial,
        removals: Removals::Apply,
    }
}

pub(super) fn old_home() -> Scene {
    scene(&[
        ("template.json", TEMPLATE),
        ("variables.yml", VARIABLES),
        ("agents/Cost Spike Investigator.prompt", SPIKE),
        ("agents/coordinator.prompt", COORDINATOR),
        ("agents/triage.prompt", TRIAGE),
    ])
}

impl Scene {
    pub(super) fn plan(&self) -> Plan {
        let names = self.catalog.iter().map(ToolName::from).collect();
        plan(&self.files, &self.stored, &names, &self.links, self.discovery, self.removals, &|_| None)
    }

    /// What the store holds once the plan is applied, as the store would say it.
    pub(super) fn applied(mut self) -> Self {
        let plan = self.plan();
        let mut next_id = 100;
        self.stored.environment.get_or_insert(EnvironmentId(1));
        for change in plan.changes {
            next_id += 1;
            match change {
                Change::CreateEnvironment => {}
                Change::SetRules { source } => self.stored.rules = source,
                Change::SetLock { hash, .. } => self.stored.lock = hash,
                Change::SetVariable { name, value, .. } => drop(self.stored.variables.insert(name, value)),
                Change::RemoveVariable { name } => drop(self.stored.variables.remove(&name)),
                Change::PutConfig { name, source, servers, .. } => {
                    let servers = servers
                        .into_iter()
                        .map(|server| (server.name, (ServerId(next_id), server.definition_hash)))
                        .collect();
                    self.stored.configs.insert(name, StoredConfig { source, ours: true, servers });
                }
                Change::RemoveConfig { name, .. } => drop(self.stored.configs.remove(&name)),
                Change::PutAgent(row) => {
                    let agent = StoredAgent { id: AgentId(next_id), source: row.source, ours: true };
                    self.stored.agents.insert(row.name.as_str().to_owned(), agent);
                }
                Change::RenameAgent { id, from, row } => {
                    self.stored.agents.remove(&from);
                    let agent = StoredAgent { id, source: row.source, ours: true };
                    self.stored.agents.insert(row.name.as_str().to_owned(), agent);
                }
                Change::RemoveAgent { name, .. } => {
                    self.stored.agents.remove(&name);
                    self.stored.removed_agents.insert(name);
                }
            }
        }
        self
    }

    /// The same store with other files.
    pub(super) fn with_files(self, files: &[(&str, &str)]) -> Self {
        Self { files: scene(files).files, ..self }
    }

    pub(super) fn check(&self, changes: &[&str], problems: &[&str]) -> &Self {
        let plan = self.plan();
        assert_eq!(plan.changes.iter().map(shown).collect::<Vec<_>>(), changes);
        let told: Vec<String> = plan
            .problems
            .iter()
            .map(|problem| format!("{:?} {problem}", problem.severity).replace("environments/default/", ""))
            .collect();
        assert_eq!(told, problems);
        self
    }
}

pub(super) fn shown(change: &Change) -> String {
    match change {
        Change::CreateEnvironment => "create environment".to_owned(),
        Change::SetRules { source } => format!("rules {source:?}"),
        Change::SetLock { hash: None, .. } => "unlock".to_owned(),
        Change::SetLock { hash: Some(hash), pins } => {
            let is_read = if hash == Lock::UNREAD { " unread" } else { "" };
            format!("lock {}{is_read}", pins.len())
        }
        Change::SetVariable { name, existed, .. } => format!("set {name} {}", word(*existed)),
        Change::RemoveVariable { name } => format!("unset {name}"),
        Change::PutConfig { name, servers, existed, dropped, .. } => {
            let servers: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
            format!("config {name} {} [{}] -[{}]", word(*existed), servers.join(" "), dropped.join(" "))
        }
        Change::RemoveConfig { name, servers } => format!("remove config {name} -[{}]", servers.join(" ")),
        Change::PutAgent(row) => shown_agent(row),
        Change::RenameAgent { from, row, .. } => format!("{} from {from}", shown_agent(row)),
        Change::RemoveAgent { name, .. } => format!("remove agent {name}"),
    }
}

fn shown_agent(row: &AgentRow) -> String {
    let tools: Vec<String> = row
        .tools
        .iter()
        .map(|grant| format!("{}={}", grant.written, grant.tool.map_or(0, |tool| tool.0)))
        .collect();
    format!("agent {} {} [{}]", row.name, word(row.existed), tools.join(" "))
}

fn word(existed: bool) -> &'static str {
    if existed { "changed" } else { "new" }
}

pub(super) fn agent(tools: &str, agents: &str) -> String {
    format!("---\ndescription: d\ntools: [{tools}]\nagents: [{agents}]\n---\nDo it.\n")
}

pub(super) fn server(names: &[&str]) -> String {
    let servers: Vec<String> =
        names.iter().map(|name| format!("\"{name}\": {{\"command\": \"c\"}}")).collect();
    format!("{{\"mcpServers\": {{{}}}}}", servers.join(", "))
}

pub(super) fn tool(id: i64, server: &str, name: &str) -> Tool {
    Tool {
        id: ToolId(id),
        server: ServerId(id),
        server_name: server.to_owned(),
        name: name.to_owned(),
        title: String::new(),
        description: String::new(),
        input_schema: serde_json::json!({}),
        output_schema: None,
        annotations: Annotations::default(),
    }
}

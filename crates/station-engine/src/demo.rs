//! What `stn demo` and `stn init` write: a small environment that does real work without a key.
//!
//! The files are ordinary files of an ordinary environment: sync reads them, and people may edit them.

use crate::Station;
use crate::change::Thing;
use crate::workspace::Replaced;
use station_core::file::edit::{Field, set_key};
use station_core::file::{Severity, variables};
use station_core::{Action, Caller, EnvironmentName, Error, Result};
use std::path::{Path, PathBuf};

/// The filesystem server of the demo, at the version its agents were written for.
const FILESYSTEM: &str = "@modelcontextprotocol/server-filesystem@2026.8.31";

/// The variable that the demo's server asks for.
const SAMPLES: &str = "SAMPLES";

/// The server that the demo's agents use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoServer {
    /// The folder it may read.
    pub samples: PathBuf,
}

/// The demo's files, relative to the environment's folder: server, agents, sample logs.
#[must_use]
pub fn demo_files() -> Vec<(&'static str, String)> {
    let server = format!(
        r#"{{
  "name": "files",
  "description": "The sample folder of the demo",
  "mcpServers": {{
    "filesystem": {{
      "command": "npx",
      "args": ["-y", "{FILESYSTEM}", "{{{{ .{SAMPLES} }}}}"]
    }}
  }}
}}
"#
    );
    vec![
        ("mcp-servers/files.json", server),
        ("agents/log_reader.prompt", LOG_READER.to_owned()),
        ("agents/file_lister.prompt", FILE_LISTER.to_owned()),
        ("agents/coordinator.prompt", COORDINATOR.to_owned()),
        ("samples/app.log", APP_LOG.to_owned()),
        ("samples/deploy.log", DEPLOY_LOG.to_owned()),
        ("samples/notes.md", NOTES.to_owned()),
    ]
}

impl Station {
    /// Writes the demo's environment. Files that exist stay as they are; to its variables.yml the demo's own variable is
    /// added, where it has none of that name.
    ///
    /// # Errors
    /// Where its folder cannot be written, or its variables.yml cannot be understood.
    pub fn create_demo(&self, by: &Caller, name: &EnvironmentName) -> Result<DemoServer> {
        by.may(Action::ManageServers)?;
        let workspace = &self.config().workspace;
        self.refuse_managed(name)?;
        let folder = workspace.environment_folder(name);
        for (relative, text) in demo_files() {
            if !folder.join(relative).exists() {
                workspace.write_new(name, relative, &text)?;
            }
        }
        let samples = folder.join("samples");
        let before = self.file_of(name, Thing::Variables)?;
        let path = format!("environments/{name}/variables.yml");
        let before = before.as_ref().map(|text| text.body.expose());
        let after = with_samples(before.unwrap_or_default(), &samples, &path)?;
        match workspace.replace(&path, before, Some(&after))? {
            Replaced::Done => Ok(DemoServer { samples }),
            Replaced::Moved => Err(workspace.never_still(&path)),
        }
    }
}

/// `text` of a variables.yml with the folder that the demo's server may read.
fn with_samples(text: &str, samples: &Path, path: &str) -> Result<String> {
    let (variables, problems) = variables::read(text, path);
    let Some(variables) = variables else {
        return Err(problems
            .into_iter()
            .find(|it| it.severity == Severity::Error)
            .map_or_else(|| Error::invalid(format!("{path} cannot be understood")), Error::from));
    };
    if variables.contains_key(SAMPLES) {
        return Ok(text.to_owned());
    }
    let folder = samples.display().to_string();
    Ok(set_key(text, &[SAMPLES], &Field::Text(&folder))?)
}

const LOG_READER: &str = r#"---
metadata:
  name: "log_reader"
  description: "Reads one log file and says which errors are in it"
  tags: ["logs", "demo"]
model: offline
max_steps: 6
tools:
  - "__read_text_file"
  - "__list_directory"
  - "__list_allowed_directories"
---
{{role "system"}}
You read log files. Say which errors are in the file that the task names, and how often.
{{role "user"}}
{{userInput}}
"#;

const FILE_LISTER: &str = r#"---
metadata:
  name: "file_lister"
  description: "Lists the files of a folder"
  tags: ["files", "demo"]
model: offline
max_steps: 6
tools:
  - "__list_directory"
  - "__list_allowed_directories"
---
{{role "system"}}
You list files. Say which files are there.
{{role "user"}}
{{userInput}}
"#;

const COORDINATOR: &str = r#"---
metadata:
  name: "coordinator"
  description: "Asks the others what is there and what is wrong"
  tags: ["demo"]
model: offline
max_steps: 8
agents:
  - "file_lister"
  - "log_reader"
---
{{role "system"}}
You coordinate two agents: one lists files, one reads logs. Ask them, and put together what they say.
{{role "user"}}
{{userInput}}
"#;

const APP_LOG: &str = "\
2026-11-20T10:00:01Z INFO  checkout started version=4.2.0
2026-11-20T10:00:07Z ERROR checkout timeout after 30s upstream=payments
2026-11-20T10:00:08Z WARN  checkout retry 1 of 3
2026-11-20T10:00:38Z ERROR checkout timeout after 30s upstream=payments
2026-11-20T10:00:39Z WARN  checkout retry 2 of 3
2026-11-20T10:01:02Z INFO  checkout answered in 22.8s
2026-11-20T10:02:11Z ERROR database connection refused host=db-2
2026-11-20T10:02:12Z INFO  database connected host=db-1
2026-11-20T10:04:40Z ERROR checkout timeout after 30s upstream=payments
";

const DEPLOY_LOG: &str = "\
2026-11-20T09:58:00Z INFO  deploy 4.2.0 started by ci
2026-11-20T09:59:12Z INFO  migration 118 applied
2026-11-20T09:59:40Z WARN  health check slow 1.9s
2026-11-20T09:59:58Z INFO  deploy 4.2.0 finished
";

const NOTES: &str = "\
# On call

- payments is slow since the deploy of 4.2.0
- db-2 is being replaced this week
";

//! `stn mcp add`

use super::call::pair;
use super::sync::told;
use crate::at::{At, named_or_default};
use crate::error::{Code, Result};
use crate::follow::{Tell, alive, follow};
use crate::named::environment_ref;
use crate::out::{Tone, shown};
use crate::problems;
use crate::remote::{Server, only_option};
use crate::session::Session;
use serde_json::{Map, Value, json};
use station_core::{is_plain, plural};
use station_engine::{EnvironmentRef, NewServer, ServerRef, Station};
use station_server::wire;

/// Add an MCP server and ask it for its tools
///
/// Its definition is written into a file of its own in the environment's `mcp-servers/`, or with `--file` behind the
/// servers of another file, whose other lines stay byte for byte. Everything behind the name is the program and its
/// arguments: `stn mcp add github --env-var GITHUB_TOKEN='{{ .GITHUB_TOKEN }}' npx -- -y @modelcontextprotocol/server-github`.
/// Write secrets as `{{ .NAME }}` and set them with `stn variables set NAME`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name; not all digits
    name: String,
    /// The program that is started here
    #[arg(required_unless_present_any = ["url", "definition"], conflicts_with_all = ["url", "definition"])]
    command: Option<String>,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<String>,
    /// The URL of a server that runs elsewhere
    #[arg(long, conflicts_with = "definition")]
    url: Option<String>,
    /// Its whole entry in `mcpServers` as JSON
    #[arg(long, value_name = "JSON", value_parser = entry)]
    definition: Option<Map<String, Value>>,
    /// A variable of its process; may be given several times
    #[arg(long = "env-var", value_name = "NAME=VALUE", value_parser = pair, conflicts_with_all = ["url", "definition"])]
    variables: Vec<(String, String)>,
    /// A header of every request; may be given several times
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = pair, requires = "url", conflicts_with_all = ["command", "definition"])]
    headers: Vec<(String, String)>,
    /// Put it into this server file, named without `.json`, instead of one of its own
    #[arg(long, value_name = "NAME")]
    file: Option<String>,
    /// The environment [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    /// Do not start it: its tools are listed later
    #[arg(long)]
    no_discover: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let station = match at {
                    At::Here(station) => station,
                    At::There(server) => return self.add_there(session, server).await,
                };
                let file = self.file.as_deref();
                let new = NewServer {
                    name: self.name.clone(),
                    environment: session.environment(station, self.env.as_ref()).await?,
                    entry: self.entry(),
                    file: file.map(|file| file.strip_suffix(".json").unwrap_or(file).to_owned()),
                };
                self.add(session, station, new).await
            })
            .await
    }

    async fn add_there(&self, session: &Session<'_>, at: &Server) -> Result {
        if self.no_discover {
            return Err(only_option("--no-discover", "a server asks what was added for its tools").into());
        }
        let environment = named_or_default(self.env.as_ref());
        let given = json!({ "name": self.name, "definition": self.entry(), "environment": environment, "file": self.file });
        let doing = format!("asking server `{}` for its tools", self.name);
        let view = alive(session.out, &doing, at.ask::<wire::ServerView>("add_server", given)).await?;
        self.warn_of_secrets(session, &view.path, &view.server.environment);
        let problem = view.server.problem.as_deref();
        if session.out.is_json() {
            session.out.json(&view)?;
        } else {
            let listed = match problem {
                None => (Tone::Good, format!("{}: {}", self.name, plural(view.tools.len(), "tool"))),
                Some(why) => (Tone::Bad, format!("{}: failed: {}", self.name, shown(why))),
            };
            let text = added(view.server.id, &self.name, &view.server.environment);
            let place = format!("  file   {}", view.path);
            session.out.lines(&[(Tone::Good, text), (Tone::Plain, place), listed])?;
        }
        Ok(if problem.is_none() { Code::Done } else { Code::Partial })
    }

    async fn add(&self, session: &Session<'_>, station: &Station, new: NewServer) -> Result {
        let environment = new.environment.clone();
        let added = station.add_server(&session.by, new).await?;
        for problem in &added.problems {
            problems::tell(session.out, &session.settings.root(), problem);
        }
        if let Some(path) = &added.path {
            self.warn_of_secrets(session, path, environment.as_str());
        }
        let server = ServerRef::Id(added.server.id);
        if !session.out.is_json() {
            let text = self::added(added.server.id.0, &self.name, environment.as_str());
            let place = match &added.path {
                Some(path) => format!("  file   {path}"),
                None => "  file   none: it lives in the store, because files are read-only".to_owned(),
            };
            session.out.lines(&[(Tone::Good, text), (Tone::Plain, place)])?;
        }
        if self.no_discover {
            if session.out.is_json() {
                let view = station.show_server(&session.by, &server).await?;
                session.out.json(&wire::ServerView::from(&view))?;
            } else {
                session
                    .out
                    .hint(&format!("list its tools with `stn mcp sync {} --env {environment}`", self.name));
            }
            return Ok(Code::Done);
        }
        let doing = format!("asking server `{}` for its tools", self.name);
        let asked = station.discover_server(&session.by, &server);
        let discovery = follow(session.out, station, Tell::Runs, &doing, asked).await?;
        if session.out.is_json() {
            let view = station.show_server(&session.by, &server).await?;
            session.out.json(&wire::ServerView::from(&view))?;
        }
        told(session, &wire::Discovery::from(&discovery))
    }

    /// Says which values stand in the file as they are although they may be secrets.
    fn warn_of_secrets(&self, session: &Session<'_>, path: &str, environment: &str) {
        let entry = self.entry();
        let maps = ["env", "headers"].iter().filter_map(|key| entry[*key].as_object());
        for (name, value) in maps.flatten() {
            let Some(value) = value.as_str() else { continue };
            if value.is_empty() || value.contains("{{") || is_plain(name, value) {
                continue;
            }
            session.out.warning(&format!(
                "the value of `{name}` stands in {path}, for everybody who can read that file"
            ));
            let variable: String = name.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
            session.out.hint(&format!(
                "if it is a secret, write `{{{{ .{variable} }}}}` there and set it with `stn variables set {variable} --env {environment}`"
            ));
        }
    }

    fn entry(&self) -> Value {
        if let Some(definition) = &self.definition {
            return Value::Object(definition.clone());
        }
        let map = |pairs: &[(String, String)]| -> Value {
            pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<Map<_, _>>().into()
        };
        let mut entry = Map::new();
        if let Some(url) = &self.url {
            entry.insert("url".to_owned(), json!(url));
            if !self.headers.is_empty() {
                entry.insert("headers".to_owned(), map(&self.headers));
            }
            return entry.into();
        }
        entry.insert("command".to_owned(), json!(self.command));
        entry.insert("args".to_owned(), json!(self.args));
        if !self.variables.is_empty() {
            entry.insert("env".to_owned(), map(&self.variables));
        }
        entry.into()
    }
}

fn added(id: i64, name: &str, environment: &str) -> String {
    format!("Added server {id} `{name}` to environment `{environment}`.")
}

fn entry(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(entry)) => Ok(entry),
        Ok(_) => Err("write a JSON object like {\"command\": \"npx\"}".to_owned()),
        Err(error) => Err(format!("this is not JSON: {error}")),
    }
}

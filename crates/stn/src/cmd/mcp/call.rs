//! `stn mcp call`

use super::way::Way;
use crate::error::{Code, Result};
use crate::follow::{Tell, alive, follow};
use crate::out::Tone;
use crate::question::{Yes, confirm};
use crate::remote::{Server, only_option};
use crate::session::Session;
use serde_json::{Map, Value, json};
use station_core::tool::argument;
use station_core::{Error, Secret};
use station_engine::{Consent, ServerRef, Station, ToolCallEnd};
use station_server::wire;
use std::collections::BTreeMap;

/// Call a tool of a server, without an agent
///
/// Prints what it answers. The rules of server and environment hold as for agents; where one makes the call wait for a
/// person, you are asked. Each call is written into the audit (`stn audit list`). Exits 1 where the tool says that it
/// failed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's id or name; with `--url` there is none, and the tool comes first
    server: String,
    /// The tool's name at its server
    #[arg(required_unless_present = "url")]
    tool: Option<String>,
    /// Its arguments as a JSON object
    #[arg(value_name = "JSON", value_parser = object)]
    arguments: Option<Map<String, Value>>,
    /// One argument: text, or JSON where its schema asks for something else; may be given several times
    #[arg(long = "arg", value_name = "NAME=VALUE", value_parser = pair)]
    args: Vec<(String, String)>,
    #[command(flatten)]
    way: Way,
    #[command(flatten)]
    yes: Yes,
}

/// What is to be called.
struct Wanted {
    tool: String,
    /// As typed.
    arguments: Map<String, Value>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let wanted = self.wanted()?;
        let here = async |station: &Station, server| {
            Box::pin(self.carry_out(session, station, &server, &wanted)).await
        };
        let there = async |server: &Server| self.call_there(session, server, &wanted).await;
        self.way.at(session, &self.server, here, there).await
    }

    /// What was typed; with `--url` each word stands one place further to the front.
    fn wanted(&self) -> Result<Wanted> {
        let (tool, arguments) = match (self.way.is_by_address(), &self.tool, &self.arguments) {
            (false, Some(tool), arguments) => (tool, arguments.clone()),
            (true, typed, None) => {
                (&self.server, typed.as_deref().map(object).transpose().map_err(Error::invalid)?)
            }
            (true, _, Some(_)) => {
                let error = Error::invalid("with `--url` there is no server to name");
                return Err(error.with_hint("write the tool, then its arguments").into());
            }
            (false, None, _) => return Err(Error::invalid("no tool is named").into()),
        };
        Ok(Wanted { tool: tool.clone(), arguments: arguments.unwrap_or_default() })
    }

    /// Where a rule asks for a person, a server has the call wait for an approval.
    async fn call_there(&self, session: &Session<'_>, server: &Server, wanted: &Wanted) -> Result {
        if self.yes.yes {
            return Err(only_option(
                "--yes",
                "a call that a rule asks about waits for `stn approvals approve`",
            )
            .into());
        }
        let environment = self.way.named();
        let mut arguments = wanted.arguments.clone();
        if !self.args.is_empty() {
            let given = json!({ "server": self.server, "environment": environment });
            let view: wire::ServerView = server.ask("show_server", given).await?;
            let tool = view.tools.iter().find(|tool| tool.name == wanted.tool);
            // Without its schema everything is text; the server says that there is no such tool.
            let schema = tool.map(|tool| tool.input_schema.clone()).unwrap_or_default();
            for (name, text) in &self.args {
                arguments.insert(name.clone(), argument(&schema, name, text)?);
            }
        }
        let given = json!({
            "server": self.server, "tool": wanted.tool, "arguments": arguments, "environment": environment,
        });
        let doing = format!("calling `{}`", wanted.tool);
        told(session, &alive(session.out, &doing, server.ask("call_tool", given)).await?)
    }

    async fn carry_out(
        &self,
        session: &Session<'_>,
        station: &Station,
        server: &ServerRef,
        wanted: &Wanted,
    ) -> Result {
        let tool = &wanted.tool;
        let arguments = self.arguments(session, station, server, wanted).await?;
        let consent = if self.yes.yes { Consent::Given } else { Consent::Unasked };
        let given = self.way.given.values();
        let mut end = pass(session, station, (server, tool), arguments.clone(), (consent, &given)).await?;
        if let ToolCallEnd::Asks(basis) = &end {
            let rule = &basis.rule;
            let why = format!("The rule `{}` makes calls of `{tool}` wait for a person.", rule.pattern);
            let shown = Value::Object(arguments.clone()).to_string();
            let what = [why, format!("  {tool} {shown}")];
            confirm(session, &what, &format!("call `{tool}`?"), self.yes).await?;
            end = pass(session, station, (server, tool), arguments, (Consent::Given, &given)).await?;
        }
        match end {
            ToolCallEnd::Called(called) => told(session, &wire::CalledTool::from(&called)),
            ToolCallEnd::Asks(_) => Err(Error::conflict("the rules changed while you were asked").into()),
        }
    }

    /// The JSON, with single arguments put over it as the tool's schema reads them.
    async fn arguments(
        &self,
        session: &Session<'_>,
        station: &Station,
        server: &ServerRef,
        wanted: &Wanted,
    ) -> Result<Map<String, Value>> {
        let mut arguments = wanted.arguments.clone();
        if !self.args.is_empty() {
            let tool = station.show_tool(&session.by, server, &wanted.tool).await?;
            for (name, text) in &self.args {
                arguments.insert(name.clone(), argument(&tool.input_schema, name, text)?);
            }
        }
        Ok(arguments)
    }
}

async fn pass(
    session: &Session<'_>,
    station: &Station,
    (server, tool): (&ServerRef, &str),
    arguments: Map<String, Value>,
    with: (Consent, &BTreeMap<String, Secret>),
) -> Result<ToolCallEnd> {
    let doing = format!("calling `{tool}`");
    let call = station.call_tool(&session.by, server, tool, arguments, with);
    Ok(follow(session.out, station, Tell::Runs, &doing, call).await?)
}

fn told(session: &Session<'_>, called: &wire::CalledTool) -> Result {
    if session.out.is_json() {
        session.out.json(called)?;
    } else if called.is_error {
        session.out.note(Tone::Bad, &called.text);
    } else {
        session.out.answer(&called.text)?;
    }
    Ok(if called.is_error { Code::Failed } else { Code::Done })
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(_) => Err("write a JSON object like {\"path\": \"a.txt\"}".to_owned()),
        Err(error) => Err(format!("this is not JSON: {error}")),
    }
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

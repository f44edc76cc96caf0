//! `stn mcp call`

use crate::error::{Code, Result};
use crate::follow::{Tell, follow};
use crate::named::environment_ref;
use crate::out::Tone;
use crate::question::{Yes, confirm};
use crate::session::Session;
use serde_json::{Map, Value};
use station_core::Error;
use station_core::tool::argument;
use station_engine::{CalledTool, Consent, EnvironmentRef, ServerRef, Station, ToolCallEnd};
use station_server::wire;

/// Call a tool of a server, without an agent
///
/// Prints what it answers. The rules of server and environment hold as for agents; where one makes the call wait for a
/// person, you are asked. Each call is written into the audit (`stn audit list`). Exits 1 where the tool says that it
/// failed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server's id or name
    server: String,
    /// The tool's name at its server
    tool: String,
    /// Its arguments as a JSON object
    #[arg(value_name = "JSON", value_parser = object)]
    arguments: Option<Map<String, Value>>,
    /// One argument: text, or JSON where its schema asks for something else; may be given several times
    #[arg(long = "arg", value_name = "NAME=VALUE", value_parser = pair)]
    args: Vec<(String, String)>,
    /// The environment of a name [default: default]
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    #[command(flatten)]
    yes: Yes,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                let (server, _) = session.server(station, &self.server, self.env.as_ref()).await?;
                let arguments = self.arguments(session, station, &server).await?;
                let consent = if self.yes.yes { Consent::Given } else { Consent::Unasked };
                let mut end = self.pass(session, station, &server, arguments.clone(), consent).await?;
                if let ToolCallEnd::Asks(basis) = &end {
                    let rule = &basis.rule;
                    let why = format!(
                        "The rule `{}` makes calls of `{}` wait for a person.",
                        rule.pattern, self.tool
                    );
                    let shown = Value::Object(arguments.clone()).to_string();
                    let what = [why, format!("  {} {shown}", self.tool)];
                    confirm(session, &what, &format!("call `{}`?", self.tool), self.yes)?;
                    end = self.pass(session, station, &server, arguments, Consent::Given).await?;
                }
                match end {
                    ToolCallEnd::Called(called) => told(session, &called),
                    ToolCallEnd::Asks(_) => {
                        Err(Error::conflict("the rules changed while you were asked").into())
                    }
                }
            })
            .await
    }

    async fn pass(
        &self,
        session: &Session<'_>,
        station: &Station,
        server: &ServerRef,
        arguments: Map<String, Value>,
        consent: Consent,
    ) -> Result<ToolCallEnd> {
        let doing = format!("calling `{}`", self.tool);
        let call = station.call_tool(&session.by, server, &self.tool, arguments, consent);
        Ok(follow(session.out, station, Tell::Runs, &doing, call).await?)
    }

    /// The JSON, with single arguments put over it as the tool's schema reads them.
    async fn arguments(
        &self,
        session: &Session<'_>,
        station: &Station,
        server: &ServerRef,
    ) -> Result<Map<String, Value>> {
        let mut arguments = self.arguments.clone().unwrap_or_default();
        if !self.args.is_empty() {
            let tool = station.show_tool(&session.by, server, &self.tool).await?;
            for (name, text) in &self.args {
                arguments.insert(name.clone(), argument(&tool.input_schema, name, text)?);
            }
        }
        Ok(arguments)
    }
}

fn told(session: &Session<'_>, called: &CalledTool) -> Result {
    if session.out.is_json() {
        session.out.json(&wire::CalledTool::from(called))?;
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

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

//! Station as a tool server of its own runs: what it is handed, and what a run may do through it.
//!
//! A server whose file says `stn stdio` is the Station that starts it, whatever program of that name is in `PATH`: it opens
//! the same store, and acts as the caller who started the run, within a [`RunToken`]. What it needs for that comes over a
//! descriptor of its own, never by arguments or environment, where others could read it. **Invariant:** a run grants
//! nothing beyond its own tools without a person's yes; whoever makes an agent otherwise makes itself one with every tool.

use crate::call::On;
use crate::config::OwnServer;
use crate::lease::millis;
use crate::pool::Reach;
use crate::prepare::RunRequest;
use crate::reading::Reading;
use crate::{Station, drive};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use station_core::approval::{Level, Rule};
use station_core::budget::Ancestor;
use station_core::run::{DEPTH_MAX, Inputs};
use station_core::{
    Action, Caller, Definition, EnvironmentName, Error, Kind, Micros, Result, RunToken, Secret, ServerId,
    Tool, ToolName,
};

/// The tools of Station that decide what an agent may do.
const GRANTING: [&str; 2] = ["create_agent", "update_agent"];

/// What Station's own server is handed. The key is in it.
#[derive(Serialize, Deserialize)]
pub struct Handed {
    /// What the door that starts it gave to the engine.
    pub settings: String,
    /// The run that it is for; `None` for a person's call, and where it is only asked what it offers.
    pub token: Option<RunToken>,
}

impl OwnServer {
    /// What the server is handed, as JSON.
    pub(crate) fn handed(&self, token: Option<RunToken>) -> Secret {
        let handed = Handed { settings: self.settings.expose().to_owned(), token };
        Secret::new(serde_json::to_string(&handed).expect("strings and numbers serialize"))
    }

    /// `definition`, which says `stn stdio`, as this program.
    pub(crate) fn definition(&self, definition: &Definition) -> Definition {
        match definition {
            Definition::Stdio { cwd, filled, .. } => Definition::Stdio {
                command: self.program.clone(),
                args: self.args.clone(),
                env: std::collections::BTreeMap::new(),
                cwd: cwd.clone(),
                filled: filled.clone(),
            },
            Definition::Http { .. } => definition.clone(),
        }
    }
}

/// What a run may do through Station's own server `server`: what it was granted there.
fn token(on: &On, reading: &Reading, server: ServerId, otherwise: Micros) -> RunToken {
    let granted = reading.rights.tools.iter().filter(|it| it.tool.server == server);
    RunToken {
        run: on.run,
        user: on.user,
        scopes: on.scopes.clone(),
        verbs: granted.map(|it| it.tool.name.clone()).collect(),
        depth: on.depth,
        expires_at: on.deadline.unwrap_or(otherwise),
    }
}

/// How a server is reached for a run: Station's own acts for it, within what it may.
///
/// # Errors
/// The sentence that says why it cannot be reached.
pub(crate) fn reach(
    station: &Station,
    on: &On,
    reading: &Reading,
    server: ServerId,
) -> Result<Reach, String> {
    let mut reach = reading.rights.reach(server)?.clone();
    if reach.definition.is_station() {
        let otherwise = station.now().plus_ms(millis(station.config().run_timeout));
        reach.token = Some(token(on, reading, server, otherwise));
    }
    Ok(reach)
}

/// Refuses a person's call to Station's own server, but an administrator's: started for a person it acts for nobody, and so for
/// every environment.
///
/// # Errors
/// `Forbidden`.
pub(crate) fn refuse_others(by: &Caller, reach: &Reach) -> Result<()> {
    if !reach.definition.is_station() || by.may(Action::ManageServers).is_ok() {
        return Ok(());
    }
    let sentence = format!("`{}` is Station itself, and not passed on to `{}`", reach.name, by.name);
    Err(Error::new(Kind::Forbidden, sentence).with_hint("ask Station at `/mcp`, or by its API"))
}

/// `request`, of a run that the run with `token` starts through Station's own server: within its time and its limits, and
/// one deeper.
///
/// # Errors
/// `Unauthenticated` where the token has expired, `Conflict` where it is deep enough, and the store's.
pub(crate) async fn below(station: &Station, token: &RunToken, request: RunRequest) -> Result<RunRequest> {
    token.check(station.now())?;
    if token.depth >= DEPTH_MAX {
        return Err(Error::conflict(format!("agents call each other at most {DEPTH_MAX} deep")));
    }
    let journal = drive::read(station, token.run).await?;
    let inherited = Inputs::of(&journal).map(|inputs| (inputs.limits.clone(), inputs.above.clone()));
    let (limits, above) = inherited.unwrap_or_default();
    let own = Ancestor { run: token.run, agent: station.run(token.run).await?.agent };
    let above = std::iter::once(own).chain(above).collect();
    Ok(RunRequest { deadline: Some(token.expires_at), limits, above, ..request })
}

/// The rule that such a call waits by.
pub(crate) fn rule() -> Rule {
    Rule { level: Level::Station, pattern: "grants beyond the run's own".to_owned() }
}

/// Whether a call of `tool` gives an agent what the run does not have itself. Where no tools are named they are chosen, and
/// where it is another environment's agent they are other tools: nobody knows that they are the run's own. An agent that is there
/// has tools of its own: whoever says what it is told uses them. And whatever the architect makes is a plan first.
///
/// # Errors
/// The store's.
pub(crate) async fn grants_more(
    station: &Station,
    reading: &Reading,
    tool: &Tool,
    arguments: &Map<String, Value>,
) -> Result<bool> {
    if !GRANTING.contains(&tool.name.as_str()) {
        return Ok(false);
    }
    let built_in = station.store().environment(EnvironmentName::built_in().as_str()).await?;
    let is_planning = built_in.is_some_and(|it| it.id == reading.agent.environment);
    let tools = arguments.get("tool_names").and_then(Value::as_array);
    let makes_one = tool.name == "create_agent" && !is_planning;
    let Some(tools) = tools.filter(|_| makes_one) else { return Ok(true) };
    let environment = reading.agent.environment.to_string();
    let is_here = match &arguments.get("environment_id") {
        Some(Value::String(text)) => *text == environment,
        Some(number) => number.to_string() == environment,
        None => false,
    };
    let is_own =
        |name: &str| reading.rights.tools.iter().any(|it| ToolName::from(&it.tool).qualified() == name);
    let all_own = tools.iter().all(|name| name.as_str().is_some_and(is_own));
    Ok(arguments.contains_key("agents") || !is_here || !all_own)
}

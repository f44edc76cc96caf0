//! The gate: the only way in which a tool call leaves Station, for runs and for the gateway alike.
//!
//! `admit` asks whether the call may be sent now: grant, rules, approval, in this order, as they are at this moment;
//! what it lets pass is a [`Permit`]. `send` takes a permit and an effect id that is already committed. A permit
//! cannot be made elsewhere, so nothing is sent that was not admitted. `xtask tidy` refuses any other caller of the
//! pool's `send_call`.

use crate::Station;
use crate::pool::{Outgoing, Reach};
use crate::rights::{self, Rights};
use crate::variables::Values;
use serde_json::{Map, Value};
use station_core::run::{Event, GrantedTool, Target};
use station_core::{AgentId, EffectId, Result, RunId};
use station_mcp::CallEnd;
use std::time::Instant;

/// Who calls, on whose rights.
#[derive(Clone, Debug)]
pub(crate) struct On {
    pub(crate) run: RunId,
    pub(crate) agent: AgentId,
    pub(crate) values: Values,
    /// Patterns of the agent's own file that ask for approval.
    pub(crate) approve: Vec<String>,
}

/// A call that may be sent.
pub(crate) struct Permit {
    run: RunId,
    reach: Reach,
    tool: String,
    arguments: Map<String, Value>,
}

/// Asks whether `granted` may be called now. `Ok(Err(sentence))` is a refusal, to be told to the model.
///
/// # Errors
/// What the store says where rights cannot be read.
pub(crate) async fn admit(
    station: &Station,
    on: &On,
    granted: &GrantedTool,
    arguments: Map<String, Value>,
) -> Result<Result<Permit, String>> {
    let Target::Tool { server, server_name, tool, .. } = &granted.target else {
        return Ok(Err(format!("`{}` is an agent, not a tool", granted.spec.name)));
    };
    let agent = match rights::runnable(station, on.agent).await {
        Ok(agent) => agent,
        Err(error) if error.kind() == station_core::Kind::Internal => return Err(error),
        Err(error) => return Ok(Err(error.sentence().to_owned())),
    };
    let rights = Rights::read(station, &agent, &on.approve, &on.values).await?;
    let now = rights.tools.iter().find(|it| it.tool.server == *server && it.tool.name == *tool);
    let refusal = match now {
        None => Some("it was withdrawn since the run began".to_owned()),
        Some(it) => match it.verdict.allowed {
            Err(denied) => Some(denied.reason().to_owned()),
            Ok(()) if it.verdict.needs_approval => {
                Some("it needs an approval, and approvals cannot be given in this release".to_owned())
            }
            Ok(()) => None,
        },
    };
    if let Some(reason) = refusal {
        return Ok(Err(format!("`{tool}` of `{server_name}` is no longer allowed: {reason}")));
    }
    Ok(rights.reach(*server).map(|reach| Permit {
        run: on.run,
        reach: reach.clone(),
        tool: tool.clone(),
        arguments,
    }))
}

/// Sends an admitted call whose effect id is committed, and says what became of it. Never sends twice.
pub(crate) async fn send(station: &Station, permit: Permit, id: EffectId) -> Event {
    let started = Instant::now();
    let Permit { run, reach, tool, arguments } = permit;
    let outgoing = Outgoing { run: Some(run), tool: &tool, arguments, effect: id };
    let end = station.pool().send_call(&reach, outgoing).await;
    let ms = crate::lease::millis(started.elapsed());
    match end {
        CallEnd::Returned { text, structured, is_error, cut_bytes } => {
            Event::Returned { id, text, structured, is_error, cut_bytes, ms }
        }
        CallEnd::NotSent { sentence } => Event::Returned {
            id,
            text: format!("`{tool}` was not called: {sentence}"),
            structured: None,
            is_error: true,
            cut_bytes: 0,
            ms,
        },
        CallEnd::Unknown { why, sentence } => {
            tracing::warn!(%run, effect = %id, server = reach.name, %sentence, "the outcome of a call is unknown");
            Event::OutcomeUnknown { id, why, sentence, ms }
        }
    }
}

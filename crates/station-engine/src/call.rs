//! The gate: the only way in which a tool call leaves Station, for runs and for the gateway alike.
//!
//! `admit` asks whether the call may be sent now: grant, rules, approval, in this order, as they are at this moment;
//! what it lets pass is a [`Permit`]. `send` takes a permit and an effect id that is already committed. A permit
//! cannot be made elsewhere, so nothing is sent that was not admitted. `xtask tidy` refuses any other caller of the
//! pool's `send_call`.

use crate::Station;
use crate::lease::Lease;
use crate::pool::{Outgoing, Reach};
use crate::reading::{Reading, is_for_a_person};
use serde_json::{Map, Value};
use station_core::grant::Verdict;
use station_core::run::{Event, GrantedTool, Target};
use station_core::{AgentId, EffectId, Result, RunId, Secret};
use station_mcp::CallEnd;
use std::collections::BTreeMap;
use std::time::Instant;

/// Who calls, on whose rights.
#[derive(Clone, Debug)]
pub(crate) struct On {
    pub(crate) run: RunId,
    pub(crate) agent: AgentId,
    /// Values given with the run, before every other place.
    pub(crate) variables: BTreeMap<String, Secret>,
}

/// A call that may be sent.
pub(crate) struct Permit {
    run: RunId,
    reach: Reach,
    tool: String,
    arguments: Map<String, Value>,
    /// Whether it may be sent twice, by the rules as they are now.
    pub(crate) repeatable: bool,
}

/// Whether a call was out before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    First,
    Again,
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
    sending: Sending,
) -> Result<Result<Permit, String>> {
    let Target::Tool { server, server_name, tool, .. } = &granted.target else {
        return Ok(Err(format!("`{}` is an agent, not a tool", granted.spec.name)));
    };
    // What cannot be read is refused: rules that are broken now must not open what they closed.
    let reading = match Reading::now(station, on.agent, &on.variables).await {
        Ok(reading) => reading,
        Err(error) if is_for_a_person(&error) => {
            return Ok(Err(format!("`{tool}` of `{server_name}` was not called: {error}")));
        }
        Err(error) => return Err(error),
    };
    let rights = &reading.rights;
    let now = rights.tools.iter().find(|it| it.tool.server == *server && it.tool.name == *tool);
    let verdict = match now.map(|it| it.verdict) {
        None => Err("it was withdrawn since the run began".to_owned()),
        Some(Verdict { allowed: Err(denied), .. }) => Err(denied.reason().to_owned()),
        Some(Verdict { needs_approval: true, .. }) => {
            Err("it needs an approval, and approvals cannot be given in this release".to_owned())
        }
        Some(verdict) => Ok(verdict),
    };
    let repeatable = match verdict {
        Err(reason) => return Ok(Err(format!("`{tool}` of `{server_name}` is no longer allowed: {reason}"))),
        Ok(verdict) => verdict.read_only || verdict.idempotent,
    };
    if sending == Sending::Again && !repeatable {
        return Ok(Err(format!(
            "the outcome of `{tool}` is unknown: it was out when Station was interrupted, and may not be repeated any more"
        )));
    }
    let (run, tool) = (on.run, tool.clone());
    Ok(rights.reach(*server).map(|reach| Permit { run, reach: reach.clone(), tool, arguments, repeatable }))
}

/// Sends an admitted call whose effect id is committed, and says what became of it. Never sends twice.
pub(crate) async fn send(station: &Station, permit: Permit, id: EffectId, lease: &Lease) -> Event {
    let started = Instant::now();
    let Permit { run, reach, tool, arguments, .. } = permit;
    // Asked when the connection is there, right before the request is written.
    let may_send = || lease.check().map_err(|error| error.sentence().to_owned());
    let outgoing = Outgoing { run: Some(run), tool: &tool, arguments, effect: id, may_send: &may_send };
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

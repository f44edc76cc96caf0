//! Approvals asked of the client that waits for a run: as questions in its result, where it can be asked and may answer.
//!
//! A client of the modern era is asked by a result (`input_required`) and answers with a new request. What it brings back
//! (`requestState`) is sealed for the caller, the tool with its arguments, and a while, so that it opens nothing else; and an
//! approval is decided once, whatever is brought back twice. **Invariant:** only a caller with the right `approve` is asked.

use super::lacking;
use super::management::Desk;
use super::row::Reply;
use serde_json::{Map, Value, json};
use station_core::run::Status;
use station_core::{Action, BlobHash, Era, Kind, Result, RunId};
use station_engine::{Approval, Asker, RunDetails, Yes};
use station_mcp::serve::{Asked, Fault};
use std::time::Duration;

/// How long an answer is taken: a person may be at lunch.
pub(crate) const VALID_FOR: Duration = Duration::from_secs(60 * 60);

/// Characters of a call's arguments that a question shows: a person must be able to read them.
const ARGUMENTS_CHARS_MAX: usize = 2_000;

/// Before the number of an approval in the key of its question.
const KEY: &str = "approval-";

/// What a call of a tool is bound to: its name and its arguments, in whatever order they are written.
pub(crate) fn request(tool: &str, arguments: &Map<String, Value>) -> String {
    let arguments = station_core::tool::canonical_json(&Value::Object(arguments.clone()));
    BlobHash::of(format!("{tool} {arguments}").as_bytes()).to_string()
}

/// Whether this client, in whatever way its era has, may be asked to approve.
pub(crate) fn may_approve(asked: &Asked) -> bool {
    asked.can("elicitation") && asked.by.may(Action::Approve).is_ok()
}

/// Whether this client may be asked to approve by a result.
pub(crate) fn may_ask(asked: &Asked) -> bool {
    asked.era == Era::Modern && may_approve(asked)
}

/// What a client brings back cannot be taken.
pub(crate) fn not_taken(why: &str) -> Fault {
    Fault::Params(format!("`requestState` cannot be taken: {why}"))
}

/// Approvals that a run waits for.
pub(super) fn pending(details: &RunDetails) -> impl Iterator<Item = &Approval> {
    let waits = details.run.status == Status::Waiting;
    details.approvals.iter().filter(move |it| waits && it.is_pending())
}

/// The question whether the calls that a run waits for may be sent; nothing where there is none, or nobody to ask.
///
/// # Errors
/// Where the system has no random bytes.
pub(super) fn ask(desk: &Desk, asked: &Asked, request: &str, details: &RunDetails) -> Result<Option<Reply>> {
    let requests = questions(details);
    if requests.is_empty() || !may_ask(asked) {
        return Ok(None);
    }
    let state = desk.station.give_out(&asked.by, request, &details.run.id.to_string(), VALID_FOR)?;
    Ok(Some(Reply::Asks { requests, state }))
}

/// The questions of a run, by their keys.
pub(super) fn questions(details: &RunDetails) -> Map<String, Value> {
    pending(details).map(|approval| (format!("{KEY}{}", approval.id), question(approval))).collect()
}

/// Arguments as a person can read them.
pub(crate) fn shortened(arguments: &str) -> String {
    let begin: String = arguments.chars().take(ARGUMENTS_CHARS_MAX).collect();
    let rest = if begin.len() < arguments.len() { " … (there is more)" } else { "" };
    format!("{begin}{rest}")
}

fn question(approval: &Approval) -> Value {
    let arguments = shortened(&approval.arguments);
    let (Asker::Run { agent, .. } | Asker::Caller(agent)) = &approval.asker;
    let message = format!(
        "Agent `{}` of environment `{}` wants to call `{}` of server `{}` with {arguments}. {} asks for a person's yes.",
        agent, approval.environment, approval.tool, approval.server, approval.basis.rule
    );
    form(&message, json!({ "reason": { "type": "string", "title": "Why not? The agent is told." } }))
}

/// The question whether a call may be sent; `more` is asked beside.
pub(crate) fn form(message: &str, more: Value) -> Value {
    let mut properties =
        json!({ "decision": { "type": "string", "title": "May it be sent?", "enum": ["approve", "deny"] } });
    if let (Some(properties), Value::Object(more)) = (properties.as_object_mut(), more) {
        properties.extend(more);
    }
    let schema = json!({ "type": "object", "properties": properties, "required": ["decision"] });
    let params = json!({ "mode": "form", "message": message, "requestedSchema": schema });
    json!({ "method": "elicitation/create", "params": params })
}

/// What a person said to such a question.
pub(crate) enum Said {
    Yes,
    /// No, and why, where that was said.
    No(String),
    /// Nothing: it was put away.
    Nothing,
}

/// Reads the client's answer to a question of [`form`].
pub(crate) fn said(response: Option<&Value>) -> Said {
    let of = |key: &str| response.and_then(|response| response.get(key));
    let content = |key: &str| of("content").and_then(|content| content.get(key)?.as_str());
    match (of("action").and_then(Value::as_str), content("decision")) {
        (Some("accept"), Some("approve")) => Said::Yes,
        (Some("accept"), Some("deny")) | (Some("decline"), _) => {
            Said::No(content("reason").unwrap_or_default().to_owned())
        }
        _ => Said::Nothing,
    }
}

/// What a client brings back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Brought {
    /// A run that waits for its answers.
    Run(RunId),
    /// Values of variables, before there is a run.
    Variables,
}

/// What `state` was given out for.
///
/// # Errors
/// `Invalid` where it is not ours, was changed, is too old, or belongs to another caller or request.
pub(super) fn brought(desk: &Desk, asked: &Asked, request: &str, state: &str) -> Result<Brought> {
    match desk.station.take_back(&asked.by, request, state)?.as_str() {
        lacking::STATE => Ok(Brought::Variables),
        text => run_of(text).map(Brought::Run),
    }
}

fn run_of(text: &str) -> Result<RunId> {
    text.parse().map_err(|_| station_core::Error::invalid("it was not given out here for this"))
}

/// Decides what the client answered. Whether anything was decided: a question that was put away stays open.
///
/// # Errors
/// The engine's; an approval that was decided meanwhile is none.
pub(super) async fn decide(desk: &Desk, asked: &Asked, details: &RunDetails) -> Result<bool> {
    let mut decided = false;
    for approval in pending(details) {
        let done = match said(asked.input.responses.get(&format!("{KEY}{}", approval.id))) {
            Said::Yes => desk.station.approve(&asked.by, approval.id, Yes::Once).await,
            Said::No(reason) => desk.station.deny(&asked.by, approval.id, reason).await,
            Said::Nothing => continue,
        };
        match done {
            Ok(_) => decided = true,
            // Somebody else was faster, or this answer was brought before.
            Err(error) if error.kind() == Kind::Conflict => decided = true,
            Err(error) => return Err(error),
        }
    }
    Ok(decided)
}

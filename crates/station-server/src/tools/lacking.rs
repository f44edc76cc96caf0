//! Variables that servers lack, asked of the client that wants them called: all at once, by a form.
//!
//! A form is no place for a secret (the protocol forbids to ask for one by it), so those are named in a sentence that says where to
//! set them. **Invariant:** what a client answers goes into its run or its call, and nowhere else in the clear.

use super::management::Desk;
use super::questions::VALID_FOR;
use super::row::Reply;
use serde_json::{Map, Value, json};
use station_core::{EnvironmentName, Era, Error, Result, Secret};
use station_engine::{AgentDetails, LackingVariable};
use station_mcp::serve::Asked;
use std::collections::BTreeMap;

/// The key of the question in a result.
pub(crate) const KEY: &str = "variables";

/// What stands in a state that a client who was asked for variables brings back.
pub(super) const STATE: &str = "variables";

/// Characters of one answer: no address or name is longer.
const ANSWER_CHARS_MAX: usize = 10_000;

/// What a client answered.
pub(crate) enum Answered {
    /// These values; of what is missing still, nothing.
    Given(BTreeMap<String, Secret>),
    /// It goes on without.
    Declined,
    /// It put the question away.
    PutAway,
}

/// Asks the client of a run for what the servers of its agent lack, and puts what it answers into `given`. A reply where it is
/// asked by a result.
///
/// # Errors
/// `Conflict` where it put the question away; the engine's.
pub(super) async fn ask(
    desk: &Desk,
    asked: &Asked,
    found: &AgentDetails,
    (request, is_answered): (&str, bool),
    given: &mut BTreeMap<String, Secret>,
) -> Result<Option<Reply>> {
    if !takes_forms(asked) {
        return Ok(None);
    }
    let station = &desk.station;
    let lacking = station.lacking_for_agent(&asked.by, &found.agent, given).await?;
    let what = format!("run agent `{}`", found.agent.name);
    let Some(question) = question(&lacking, &what, &found.environment.name) else { return Ok(None) };
    let answered = match (asked.era, is_answered) {
        (_, true) => read(asked.input.responses.get(KEY), &lacking),
        (Era::Modern, false) => {
            let state = station.give_out(&asked.by, request, STATE, VALID_FOR)?;
            let requests = Map::from_iter([(KEY.to_owned(), question)]);
            return Ok(Some(Reply::Asks { requests, state }));
        }
        (Era::Legacy, false) => by_request(asked, &question, &lacking).await,
    };
    match answered {
        Answered::Given(values) => given.extend(values),
        // Its run says what it does without.
        Answered::Declined => {}
        Answered::PutAway => {
            let sentence =
                format!("agent `{}` was not run: the question for values was put away", found.agent.name);
            return Err(Error::conflict(sentence));
        }
    }
    Ok(None)
}

/// Whether a client can be shown a form: one that declares nothing more of elicitation has always been shown forms.
pub(crate) fn takes_forms(asked: &Asked) -> bool {
    let elicitation = asked.capabilities.get("elicitation").and_then(Value::as_object);
    elicitation.is_some_and(|it| it.contains_key("form") || !it.contains_key("url"))
}

/// The form that asks for what is lacking and no secret; nothing where all is.
pub(crate) fn question(
    lacking: &[LackingVariable],
    what: &str,
    environment: &EnvironmentName,
) -> Option<Value> {
    let open: Vec<&LackingVariable> = lacking.iter().filter(|it| !it.is_secret).collect();
    if open.is_empty() {
        return None;
    }
    let properties: Map<String, Value> = open.iter().map(|it| (it.name.clone(), field(it))).collect();
    let names: Vec<&str> = open.iter().map(|it| it.name.as_str()).collect();
    let mut message = format!("To {what}, values are needed. They hold for this once and are not kept.");
    if let Some(secrets) = secrets(lacking, environment) {
        message += &format!(" {secrets}");
    }
    let schema = json!({ "type": "object", "properties": properties, "required": names });
    let params = json!({ "mode": "form", "message": message, "requestedSchema": schema });
    Some(json!({ "method": "elicitation/create", "params": params }))
}

/// Where to set the secrets among what is lacking; nothing where there is none.
pub(crate) fn secrets(lacking: &[LackingVariable], environment: &EnvironmentName) -> Option<String> {
    let set: Vec<String> = lacking
        .iter()
        .filter(|it| it.is_secret)
        .map(|it| format!("`stn variables set {} --env {environment}`", it.name))
        .collect();
    let n_is =
        if set.len() == 1 { "A secret is missing, which is" } else { "Secrets are missing, which are" };
    (!set.is_empty()).then(|| format!("{n_is} not asked for here: set it with {}.", set.join(" and ")))
}

fn field(lacking: &LackingVariable) -> Value {
    let needed = format!("Needed by server `{}`.", lacking.servers.join("`, `"));
    let description = match lacking.description.trim() {
        "" => needed,
        said => format!("{said} {needed}"),
    };
    json!({ "type": "string", "title": lacking.name, "description": description, "minLength": 1 })
}

/// Puts the question to a client of the older era.
pub(crate) async fn by_request(asked: &Asked, question: &Value, lacking: &[LackingVariable]) -> Answered {
    let answer = asked.ask("elicitation/create", &question["params"]).await.ok();
    read(answer.as_ref(), lacking)
}

/// Reads the answer to a [`question`]: values of what was asked for, and nothing else that a client may send.
pub(crate) fn read(response: Option<&Value>, lacking: &[LackingVariable]) -> Answered {
    match response.and_then(|response| response["action"].as_str()) {
        Some("accept") => {}
        Some("decline") => return Answered::Declined,
        _ => return Answered::PutAway,
    }
    let content = response.and_then(|response| response["content"].as_object());
    let value = |it: &LackingVariable| {
        let text = content?.get(&it.name)?.as_str()?;
        let fits = !text.is_empty() && text.chars().count() <= ANSWER_CHARS_MAX;
        fits.then(|| (it.name.clone(), Secret::new(text)))
    };
    Answered::Given(lacking.iter().filter(|it| !it.is_secret).filter_map(value).collect())
}

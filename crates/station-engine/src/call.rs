//! The gate: the only way in which a tool call leaves Station, for runs and for the gateway alike.
//!
//! `admit` asks whether the call may be sent now: grant, rules, approval, in this order, as they are at this moment;
//! what it lets pass is a [`Permit`]. A person at a door comes through the same gate ([`admit_person`]): without a grant,
//! because nobody gave them an agent's, but under the same rules of server and environment. `send` takes a permit and an effect id that is already committed. A permit
//! cannot be made elsewhere, so nothing is sent that was not admitted. `xtask tidy` refuses any other caller of the
//! pool's `send_call`.

use crate::Station;
use crate::own_server;
use crate::pool::{CallTurn, MaySend, Outgoing, Reach, Standing, Wanted};
use crate::reading::{Reading, is_for_a_person};
use crate::rights::Allowed;
use crate::tool_calls::Said;
use crate::variables::Brought;
use crate::withheld;
use serde_json::{Map, Value, json};
use station_core::approval::{self, Approved, Basis};
use station_core::grant::Denied;
use station_core::run::{Again, Event, Given, GrantedTool, Target, Terms};
use station_core::sampling::Sampling;
use station_core::verify::Look;
use station_core::{
    AgentId, Caller, EffectId, Error, Fence, Micros, Redaction, Result, RunId, Scope, Secret, ServerId, Tool,
    Trace, UserId,
};
use station_mcp::{Along, Asks, CallEnd, Hearer, Passed};
use station_store::Approval;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

/// Who calls, on whose rights.
#[derive(Clone, Debug)]
pub(crate) struct On {
    pub(crate) run: RunId,
    pub(crate) agent: AgentId,
    /// Who started it.
    pub(crate) user: UserId,
    /// What it may do of what that user may, through Station's own server.
    pub(crate) scopes: BTreeSet<Scope>,
    /// How many runs are above it.
    pub(crate) depth: u32,
    /// The end of its time.
    pub(crate) deadline: Option<Micros>,
    /// What it belongs to; `None` where it was started before that was kept.
    pub(crate) trace: Option<Trace>,
    /// Values that came with the run.
    pub(crate) brought: Brought,
}

/// A call that may be sent.
pub(crate) struct Permit {
    /// The run that calls; `None` for a person.
    run: Option<RunId>,
    reach: Reach,
    tool: String,
    arguments: Map<String, Value>,
    /// It was out before, and nothing proves that it did not take effect.
    in_doubt: bool,
    /// What it is answered is for no model.
    is_secret: bool,
    /// Its turn at its server, until the call has ended.
    turn: Option<CallTurn>,
    /// What it belongs to.
    trace: Option<Trace>,
    /// What is kept of it with its `EffectStarted`.
    pub(crate) terms: Terms,
}

impl Permit {
    /// Where it takes its turn.
    pub(crate) fn place(&self) -> (&Reach, Option<RunId>) {
        (&self.reach, self.run)
    }

    /// Server and tool, where the server may ask for a model while it is at work, and what it is lent.
    pub(crate) fn lends(&self) -> Option<(&str, &str, &Sampling)> {
        // What it would ask a model may be what it answers.
        let sampling = self.reach.settings.answers.sampling.as_ref().filter(|_| !self.is_secret)?;
        Some((&self.reach.name, &self.tool, sampling))
    }

    /// Whether what it is answered is for no model.
    pub(crate) fn is_secret(&self) -> bool {
        self.is_secret
    }

    /// It has its turn.
    pub(crate) fn take(&mut self, turn: CallTurn) {
        self.turn = Some(turn);
    }
}

/// What the gate says.
pub(crate) enum Admission {
    /// It may be sent.
    Granted(Box<Permit>),
    /// It may not; the sentence is for the model.
    Refused(String),
    /// A person must say yes to this first.
    Asks(Basis),
}

/// A call that wants to be sent.
pub(crate) struct Wish<'a> {
    /// The tool as granted when the run started; rights are checked as they are now.
    pub(crate) granted: &'a GrantedTool,
    pub(crate) arguments: Map<String, Value>,
    /// The id that it will carry.
    pub(crate) id: EffectId,
    pub(crate) again: Option<Again>,
    pub(crate) given: Option<&'a Given>,
}

/// Asks whether a call may be sent now.
///
/// # Errors
/// What the store says where rights cannot be read.
pub(crate) async fn admit(station: &Station, on: &On, wish: Wish<'_>) -> Result<Admission> {
    // What was out before may have taken effect, whatever keeps it from being sent once more.
    let in_doubt = wish.again.is_some_and(|again| !again.absent);
    Ok(match judge(station, on, wish).await? {
        Admission::Granted(mut permit) => {
            permit.in_doubt = in_doubt;
            Admission::Granted(permit)
        }
        Admission::Refused(sentence) if in_doubt => Admission::Refused(unrepeated(&sentence)),
        other => other,
    })
}

/// What the model is told of a call that was out before and is not sent again.
fn unrepeated(sentence: &str) -> String {
    format!(
        "the outcome of this call is unknown: it was out when Station was interrupted and may have taken effect. It is not repeated: {sentence}"
    )
}

async fn judge(station: &Station, on: &On, wish: Wish<'_>) -> Result<Admission> {
    let (reading, server, server_name, tool) = match find(station, on, wish.granted).await? {
        Ok(found) => found,
        Err(sentence) => return Ok(Admission::Refused(sentence)),
    };
    let now = match allowed(&reading, server, tool) {
        Ok(now) => now,
        Err(reason) => {
            let sentence = format!("`{tool}` of `{server_name}` is no longer allowed: {reason}");
            return Ok(Admission::Refused(sentence));
        }
    };
    let repeatable = now.verdict.read_only || now.verdict.idempotent;
    if wish.again.is_some_and(|again| !again.absent) && !repeatable {
        return Ok(Admission::Refused(format!("`{tool}` may not be sent twice any more")));
    }
    let reach = match own_server::reach(station, on, &reading, server) {
        Ok(reach) => reach,
        Err(sentence) => return Ok(Admission::Refused(sentence)),
    };
    let mut rule = now.verdict.approval.clone();
    if reach.definition.is_station()
        && own_server::grants_more(station, &reading, &now.tool, &wish.arguments).await?
    {
        rule = rule.or_else(|| Some(own_server::rule()));
    }
    let approved = match rule {
        None => None,
        Some(rule) => {
            let definition = approval::definition(&now.tool, &reach.definition);
            let basis = Basis::new(&wish.arguments, definition, rule);
            match yes(station, on, now, wish.given, &basis).await? {
                Some(approved) => Some(approved),
                None => return Ok(Admission::Asks(basis)),
            }
        }
    };
    let look = now.look.as_ref().and_then(|look| look.as_ref().ok());
    let look = look.map(|rule| rule.look(wish.id, &wish.arguments));
    let terms = Terms { repeatable, approved, look, transport: reach.definition.transport() };
    Ok(permit(on, reach, (tool, now.verdict.secret), wish.arguments, terms))
}

/// Asks whether a look for a call of `granted` may be sent now.
///
/// # Errors
/// As [`admit`].
pub(crate) async fn admit_look(
    station: &Station,
    on: &On,
    granted: &GrantedTool,
    look: &Look,
) -> Result<Admission> {
    let (reading, server, server_name, tool) = match find(station, on, granted).await? {
        Ok(found) => found,
        Err(sentence) => return Ok(Admission::Refused(sentence)),
    };
    let rule = allowed(&reading, server, tool).and_then(|now| match &now.look {
        Some(Ok(rule)) if rule.tool == look.tool => Ok(()),
        Some(Ok(_)) | None => Err("another tool, or none, is to verify it now".to_owned()),
        Some(Err(why)) => Err(why.clone()),
    });
    if let Err(reason) = rule {
        return Ok(Admission::Refused(format!(
            "`{}` of `{server_name}` was not called: {reason}",
            look.tool
        )));
    }
    let reach = match own_server::reach(station, on, &reading, server) {
        Ok(reach) => reach,
        Err(sentence) => return Ok(Admission::Refused(sentence)),
    };
    let transport = reach.definition.transport();
    let terms = Terms { repeatable: true, approved: None, look: None, transport };
    Ok(permit(on, reach, (&look.tool, false), look.arguments.clone(), terms))
}

type Found<'a> = (Arc<Reading>, ServerId, &'a str, &'a str);

/// What the agent may do at this moment, and the tool that was granted to it.
async fn find<'a>(station: &Station, on: &On, granted: &'a GrantedTool) -> Result<Result<Found<'a>, String>> {
    let Target::Tool { server, server_name, tool, .. } = &granted.target else {
        return Ok(Err(format!("`{}` is no tool of a server", granted.spec.name)));
    };
    // What cannot be read is refused: rules that are broken now must not open what they closed.
    match Reading::now(station, on.agent, on.user, &on.brought).await {
        Ok(reading) => Ok(Ok((reading, *server, server_name, tool))),
        Err(error) if is_for_a_person(&error) => {
            Ok(Err(format!("`{tool}` of `{server_name}` was not called: {error}")))
        }
        Err(error) => Err(error),
    }
}

/// The tool as it is allowed now, or why it is not.
fn allowed<'a>(reading: &'a Reading, server: ServerId, tool: &str) -> Result<&'a Allowed, String> {
    let now = reading.rights.tools.iter().find(|it| it.tool.server == server && it.tool.name == tool);
    let now = now.ok_or("it was withdrawn since the run began")?;
    now.verdict.allowed.map_err(Denied::reason)?;
    Ok(now)
}

/// The yes that a call may be sent on: the one given for it, if that holds, else a standing one.
async fn yes(
    station: &Station,
    on: &On,
    now: &Allowed,
    given: Option<&Given>,
    basis: &Basis,
) -> Result<Option<Approved>> {
    if given.is_some_and(|given| basis.changed_since(&given.basis).is_none()) {
        return Ok(Some(Approved::Once { basis: basis.clone() }));
    }
    let (server, tool) = (now.tool.server, &now.tool.name);
    let standing = station.store().standing_approval(on.agent, server, tool, &basis.definition).await?;
    Ok(standing.map(|id| Approved::Always { id }))
}

fn permit(
    on: &On,
    reach: Reach,
    (tool, is_secret): (&str, bool),
    arguments: Map<String, Value>,
    terms: Terms,
) -> Admission {
    let (run, tool) = (Some(on.run), tool.to_owned());
    let (in_doubt, turn, trace) = (false, None, on.trace);
    let permit = Permit { run, reach, tool, arguments, in_doubt, is_secret, turn, trace, terms };
    Admission::Granted(Box::new(permit))
}

/// Whether a person says yes to a call that a rule makes wait for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// They were not asked yet.
    Unasked,
    /// They say yes to exactly this call.
    Given,
}

/// Asks whether a person may have a call of `tool` sent now, with values that they give for its server's variables; and what was
/// said to the question about it, where one was put and this uses it up. `allow_agents` is about agents and does not concern
/// them.
///
/// # Errors
/// `Invalid` where rules cannot be read, or the server cannot be reached as it is configured.
pub(crate) async fn admit_person(
    station: &Station,
    by: &Caller,
    tool: &Tool,
    arguments: Map<String, Value>,
    (consent, given): (Consent, &BTreeMap<String, Secret>),
) -> Result<(Admission, Option<Approval>)> {
    let gone = || Error::invalid(format!("server `{}` does not exist any more", tool.server_name));
    let surface = station.surface_of(by, tool.server).await?.ok_or_else(gone)?;
    station.refuse_given(by, surface.environment.id, given).await?;
    let (verdict, reach) = surface.judge(station, by.role, tool, given).await?.map_err(Error::invalid)?;
    own_server::refuse_others(by, &reach)?;
    if let Err(denied) = verdict.allowed {
        let (name, server) = (&tool.name, &tool.server_name);
        let sentence = format!("`{name}` of `{server}` may not be called: {}", denied.reason());
        return Ok((Admission::Refused(sentence), None));
    }
    let mut said = None;
    let approved = match verdict.approval {
        None => None,
        Some(rule) => {
            let basis = Basis::new(&arguments, approval::definition(tool, &reach.definition), rule);
            if consent == Consent::Unasked {
                match station.said_to_call(by, tool, &arguments, &basis).await? {
                    Said::Nothing => return Ok((Admission::Asks(basis), None)),
                    Said::No(sentence) => return Ok((Admission::Refused(sentence), None)),
                    Said::Yes(approval) => said = Some(*approval),
                }
            }
            Some(Approved::Once { basis })
        }
    };
    let (repeatable, transport) = (verdict.read_only || verdict.idempotent, reach.definition.transport());
    let terms = Terms { repeatable, approved, look: None, transport };
    let (tool, is_secret) = (tool.name.clone(), verdict.secret);
    let (in_doubt, turn, trace) = (false, None, by.trace);
    let permit = Permit { run: None, reach, tool, arguments, in_doubt, is_secret, turn, trace, terms };
    Ok((Admission::Granted(Box::new(permit)), said))
}

/// Sends a call that a person asked for, and that the audit tells of already. Never sends twice. They see what it is answered, also
/// where that is for no model.
pub(crate) async fn send_for_person(station: &Station, permit: Permit, id: EffectId) -> CallEnd {
    pass(station, (permit, None), id, &|| Ok(None)).await
}

/// What somebody who passes requests on brings to one of them.
#[derive(Clone, Debug, Default)]
pub struct Carried {
    /// What the server may ask meanwhile.
    pub asks: Asks,
    /// What goes with it, and who hears what is said meanwhile.
    pub along: Along,
    /// Parameters beside those that name what is wanted: answers to what was asked before.
    pub more: Map<String, Value>,
    /// Values for the server's variables, before those of every other place, for this request alone.
    pub variables: BTreeMap<String, Secret>,
}

/// As [`send_for_person`], for somebody who passes it on: what came of it is handed on as it was said.
pub(crate) async fn pass_for_person(
    station: &Station,
    permit: Permit,
    id: EffectId,
    carried: Carried,
) -> Passed {
    let Permit { run, reach, tool, arguments, is_secret, turn, trace, .. } = permit;
    let asks = Asks { sampling: carried.asks.sampling && !is_secret, ..carried.asks };
    let reach = Reach { asks, ..reach };
    let wanted = Wanted::call(&tool, arguments, carried.more);
    let along = Along { trace, ..carried.along };
    let outgoing = Outgoing { run, wanted, effect: id, is_secret, turn, may_send: &|| Ok(None), along };
    let passed = station.pool().send_call_whole(&reach, outgoing).await;
    if is_secret {
        return withheld::from_client(passed, &tool);
    }
    within(passed, station.pool().output_bytes_max(&reach), &reach.definition.redaction())
}

/// A result that is longer than the server's file allows is passed on as its text, cut, like that of a run's call.
fn within(passed: Passed, bytes_max: u64, redaction: &Redaction) -> Passed {
    let is_long = |result: &Value| station_core::json::bytes(result) > bytes_max;
    if !matches!(&passed, Passed::Answered(result) if is_long(result)) {
        return passed;
    }
    match passed.read(bytes_max, redaction) {
        CallEnd::Returned { text, structured, is_error, .. } => {
            let mut result = json!({ "content": [{ "type": "text", "text": text }], "isError": is_error });
            if let Some(structured) = structured {
                result["structuredContent"] = structured;
            }
            Passed::Answered(result)
        }
        CallEnd::NotSent { sentence } => Passed::NotSent { sentence },
        CallEnd::Unknown { why, sentence } => Passed::Unknown { why, sentence },
    }
}

/// Sends an admitted call whose effect id is committed, and says what became of it. Never sends twice. `lender` hears the
/// server ask for a model, where it is lent one; `may_send` is asked when the connection is there, right before the request is
/// written, and says under which fence that is.
pub(crate) async fn send(
    station: &Station,
    (permit, lender): (Permit, &Hearer),
    id: EffectId,
    may_send: &(dyn Fn() -> Result<Fence> + Sync),
) -> Event {
    let started = Instant::now();
    let (run, in_doubt, is_secret) = (permit.run, permit.in_doubt, permit.is_secret);
    let (reach, tool) = (permit.reach.clone(), permit.tool.clone());
    let may_send = || may_send().map(Some).map_err(|error| error.sentence().to_owned());
    let hearer = permit.lends().is_some().then(|| lender.clone());
    let end = pass(station, (permit, hearer), id, &may_send).await;
    let end = if is_secret { withheld::from_run(end, &tool) } else { end };
    note_standing(station, &reach, run, &end).await;
    let ms = crate::lease::millis(started.elapsed());
    match end {
        CallEnd::Returned { text, structured, is_error, cut_bytes, images } => {
            Event::Returned { id, text, structured, is_error, cut_bytes, whole: None, images, ms }
        }
        CallEnd::NotSent { sentence } => Event::Returned {
            id,
            text: if in_doubt {
                unrepeated(&sentence)
            } else {
                format!("`{tool}` was not called: {sentence}")
            },
            structured: None,
            is_error: true,
            cut_bytes: 0,
            whole: None,
            images: Vec::new(),
            ms,
        },
        CallEnd::Unknown { why, sentence } => {
            tracing::warn!(?run, effect = %id, server = reach.name, %sentence, "the outcome of a call is unknown");
            Event::OutcomeUnknown { id, why, sentence, ms }
        }
    }
}

/// Keeps in the catalog that a server went down, or came back, where that is news. Its failure is told already; that it
/// could not be noted is worth a line in the log.
async fn note_standing(station: &Station, reach: &Reach, run: Option<RunId>, end: &CallEnd) {
    let noted = match (end, &reach.problem, station.pool().standing(reach, run)) {
        (CallEnd::NotSent { .. }, known, Standing::Down(why)) if known.as_ref() != Some(&why) => {
            station.store().record_discovery_failure(reach.server, &why, station.now()).await
        }
        (CallEnd::Returned { .. }, Some(_), Standing::Up) => {
            station.store().record_reached(reach.server).await
        }
        _ => Ok(()),
    };
    if let Err(error) = noted {
        tracing::warn!(server = reach.name, %error, "how a server was found is not noted");
    }
}

async fn pass(
    station: &Station,
    (permit, hearer): (Permit, Option<Hearer>),
    id: EffectId,
    may_send: &MaySend<'_>,
) -> CallEnd {
    let Permit { run, reach, tool, arguments, is_secret, turn, trace, .. } = permit;
    let wanted = Wanted::call(&tool, arguments, Map::new());
    let along = Along { trace, hearer, ..Along::default() };
    let outgoing = Outgoing { run, wanted, effect: id, is_secret, turn, may_send, along };
    station.pool().send_call(&reach, outgoing).await
}

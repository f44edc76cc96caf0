//! Tools called by a person, without an agent and without a run.
//!
//! Through the gate like every call: rules are checked as they are now, a rule that makes a call wait for a person asks
//! the one who is here, and the audit has a row before anything is sent; calls that are passed on and that nobody had to say yes
//! to are queued for it ([`Deeds`](crate::deeds::Deeds)).

use crate::call::{self, Admission, Carried, Consent, Permit};
use crate::servers::ServerRef;
use crate::surface::CallableTool;
use crate::{Clock, Station};
use serde_json::{Map, Value, json};
use station_core::approval::{Basis, Status};
use station_core::{
    Action, BlobHash, Caller, EffectId, EnvironmentName, Error, Image, Kind, Result, Secret, Tool, near,
    plural,
};
use station_mcp::{CallEnd, Passed};
use station_store::{Approval, CallQuestion, Deed};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// What a tool answered.
#[derive(Clone, Debug)]
pub struct CalledTool {
    /// The id that the call carried.
    pub effect: EffectId,
    /// The result as text.
    pub text: String,
    /// The structured result, where there is one.
    pub structured: Option<Value>,
    /// Whether the tool says that it failed.
    pub is_error: bool,
    /// Images that it returned besides the text, which names them.
    pub images: Vec<Image>,
    /// Bytes of the result that were left out.
    pub cut_bytes: u64,
    /// Whether no model is told what it answered (`tools.secret`): whoever shows it keeps no copy.
    pub is_secret: bool,
    /// How long it took.
    pub ms: u64,
}

/// How a call by a person goes on.
#[derive(Clone, Debug)]
pub enum ToolCallEnd {
    /// It was sent and answered.
    Called(CalledTool),
    /// A rule makes this call wait for a person: call again with their consent.
    Asks(Basis),
}

/// How a call that is passed on goes on.
#[derive(Clone, Debug)]
pub enum PassedCall {
    /// It was sent, and this is the result as the server said it; it may ask for input first.
    Answered {
        /// The id that the call carried.
        effect: EffectId,
        /// The result.
        result: Value,
    },
    /// It was sent, and the server answered with this error of the protocol.
    Refused(Value),
    /// A rule makes this call wait for a person.
    Asks(Basis),
}

impl Station {
    /// A tool of a server as the catalog has it.
    ///
    /// # Errors
    /// `NotFound`, with the name that may be meant.
    pub async fn show_tool(&self, by: &Caller, server: &ServerRef, tool: &str) -> Result<Tool> {
        by.may(Action::ReadServers)?;
        let found = self.find_server(by, server).await?;
        let named = found.tools.iter().find(|it| it.name == tool).cloned();
        named.ok_or_else(|| {
            let name = &found.server.name;
            let error = Error::not_found(format!("server `{name}` offers no tool `{tool}`"));
            let hint = near::hint(tool, found.tools.iter().map(|it| it.name.as_str()));
            error.with_hint(hint.unwrap_or_else(|| match found.tools.len() {
                0 => format!("none of its tools is known: ask it with `stn mcp sync {name}`"),
                n => format!("`stn mcp tools {name}` shows its {}", plural(n, "tool")),
            }))
        })
    }

    /// The tools of an environment in file order, each with whether a person may call it now: a call of one that is denied
    /// or held back would be refused. As long as nothing of the environment changes, it is the very same list.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment; `Invalid` where its rules cannot be read.
    pub async fn list_callable(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
    ) -> Result<Arc<[CallableTool]>> {
        by.may(Action::ReadServers)?;
        self.surface(by, environment).await?.tools(self, by.role).await
    }

    /// Calls a tool for a person, who says whether they consent, and may give values for the variables of its server: they hold
    /// for this call alone.
    ///
    /// # Errors
    /// `NotFound`; `Forbidden` where a rule forbids the tool, or asks for a yes from somebody who may not give it;
    /// `Upstream` where the server did not answer. What the tool itself calls an error is an answer.
    pub async fn call_tool(
        &self,
        by: &Caller,
        server: &ServerRef,
        tool: &str,
        arguments: Map<String, Value>,
        (consent, given): (Consent, &BTreeMap<String, Secret>),
    ) -> Result<ToolCallEnd> {
        by.may(Action::CallTools)?;
        let tool = self.show_tool(by, server, tool).await?;
        let admitted = self.admit(by, &tool, arguments, (consent, given), Told::First).await?;
        let (permit, effect, yes) = match admitted {
            Admitted::Granted(permit, effect, yes) => (permit, effect, yes),
            Admitted::Asks(basis) => {
                return Ok(ToolCallEnd::Asks(basis));
            }
        };
        let (started, is_secret) = (Instant::now(), permit.is_secret());
        match call::send_for_person(self, *permit, effect).await {
            CallEnd::Returned { text, structured, is_error, cut_bytes, images } => {
                let ms = crate::lease::millis(started.elapsed());
                let called =
                    CalledTool { effect, text, structured, is_error, images, cut_bytes, is_secret, ms };
                Ok(ToolCallEnd::Called(called))
            }
            CallEnd::NotSent { sentence } => {
                self.give_back(yes).await?;
                Err(not_called(&tool, &sentence))
            }
            CallEnd::Unknown { sentence, .. } => Err(in_doubt(&tool, &sentence)),
        }
    }

    /// Calls a tool for somebody who passes the call on: through the same gate, and what comes of it as it was said.
    ///
    /// # Errors
    /// As [`Station::call_tool`].
    pub async fn pass_tool_call(
        &self,
        by: &Caller,
        tool: &Tool,
        arguments: Map<String, Value>,
        carried: Carried,
    ) -> Result<PassedCall> {
        by.may(Action::CallTools)?;
        let by_nobody = (Consent::Unasked, &carried.variables);
        let (permit, effect, yes) = match self.admit(by, tool, arguments, by_nobody, Told::Queued).await? {
            Admitted::Granted(permit, effect, yes) => (permit, effect, yes),
            Admitted::Asks(basis) => return Ok(PassedCall::Asks(basis)),
        };
        match call::pass_for_person(self, *permit, effect, carried).await {
            Passed::Answered(result) => {
                // The server asked something before it did anything: the same call comes again, with the answers, once.
                if result["resultType"] == "input_required" {
                    self.give_back(yes).await?;
                }
                Ok(PassedCall::Answered { effect, result })
            }
            Passed::Refused(error) => Ok(PassedCall::Refused(error)),
            Passed::NotSent { sentence } => {
                self.give_back(yes).await?;
                Err(not_called(tool, &sentence))
            }
            Passed::Unknown { sentence, .. } => Err(in_doubt(tool, &sentence)),
        }
    }

    /// Puts the question whether this call may be sent to whoever decides about approvals; the same call finds what they say.
    /// Its number.
    ///
    /// # Errors
    /// `Busy` where too many calls wait for a person; `NotFound` where the server is gone.
    pub async fn ask_for_call(
        &self,
        by: &Caller,
        tool: &Tool,
        arguments: &Map<String, Value>,
        basis: Basis,
    ) -> Result<i64> {
        by.may(Action::CallTools)?;
        let question = question(by, tool, arguments, basis);
        self.store().ask_for_call(&question, Clock::effect_id(), self.now()).await
    }

    /// Gives a yes back that was used up by a call which the server has not carried out.
    async fn give_back(&self, yes: Option<i64>) -> Result<()> {
        match yes {
            Some(yes) => self.store().give_back_call_approval(yes, self.now()).await,
            None => Ok(()),
        }
    }

    /// What was said to the question whether this call may be sent, where it was put: it is used up by that.
    pub(crate) async fn said_to_call(
        &self,
        by: &Caller,
        tool: &Tool,
        arguments: &Map<String, Value>,
        basis: &Basis,
    ) -> Result<Said> {
        let question = question(by, tool, arguments, basis.clone());
        let Some(said) = self.store().call_approval(&question, self.now()).await? else {
            return Ok(Said::Nothing);
        };
        if said.is_pending() || !self.store().use_call_approval(said.id, self.now()).await? {
            return Ok(Said::Nothing);
        }
        if said.status != Status::Denied {
            return Ok(Said::Yes(Box::new(said)));
        }
        let by = said.decided_by.as_deref().unwrap_or("a person");
        let reason = said.reason.as_deref().filter(|reason| !reason.is_empty());
        let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        Ok(Said::No(format!("`{}` was not called: {by} denied it{reason}", tool.name)))
    }

    /// Passes the gate, and writes into the audit that it did, or was refused.
    async fn admit(
        &self,
        by: &Caller,
        tool: &Tool,
        arguments: Map<String, Value>,
        (consent, given): (Consent, &BTreeMap<String, Secret>),
        told: Told,
    ) -> Result<Admitted> {
        let hash = BlobHash::of(text_of(&arguments).as_bytes());
        let subject = format!("tool {}", tool.id);
        let mut detail =
            json!({ "server": tool.server_name, "tool": tool.name, "arguments_hash": hash.as_str() });
        let (admission, said) = call::admit_person(self, by, tool, arguments, (consent, given)).await?;
        let permit = match admission {
            Admission::Granted(permit) => permit,
            Admission::Refused(sentence) => {
                detail["reason"] = sentence.as_str().into();
                self.store().note_deed("deny_tool_call", &subject, detail, by.actor(), self.now()).await?;
                return Err(Error::new(Kind::Forbidden, sentence));
            }
            Admission::Asks(basis) => return Ok(Admitted::Asks(basis)),
        };
        if permit.terms.approved.is_some() && said.is_none() {
            by.may(Action::Approve)?;
        }
        let effect = said.as_ref().map_or_else(Clock::effect_id, |said| said.effect);
        detail["effect"] = effect.to_string().into();
        detail["consent"] = (consent == Consent::Given || said.is_some()).into();
        let yes = said.map(|said| said.id);
        if let Some(yes) = yes {
            detail["approval"] = yes.into();
        }
        match told {
            // What somebody said yes to is written before anything else happens, whoever carries it out.
            Told::Queued if permit.terms.approved.is_none() => {
                let (actor, detail) = (by.actor(), detail.to_string());
                let deed = Deed { at: self.now(), actor, action: "call_tool", subject, detail };
                self.deeds().note(self.store(), deed).await?;
            }
            Told::First | Told::Queued => {
                self.store().note_deed("call_tool", &subject, detail, by.actor(), self.now()).await?;
            }
        }
        Ok(Admitted::Granted(permit, effect, yes))
    }
}

/// How the audit is told of a call that a rule allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Before it is sent.
    First,
    /// Within a tenth of a second, together with others.
    Queued,
}

/// What the gate says to a person.
enum Admitted {
    /// With the question to which somebody said yes, where one was put.
    Granted(Box<Permit>, EffectId, Option<i64>),
    Asks(Basis),
}

/// What somebody said to the question whether a call may be sent.
pub(crate) enum Said {
    /// Nobody was asked, or it is not decided, or is used up.
    Nothing,
    Yes(Box<Approval>),
    /// The sentence that tells of it.
    No(String),
}

fn text_of(arguments: &Map<String, Value>) -> String {
    serde_json::to_string(arguments).expect("a map with names that are texts serializes")
}

/// The question whether this call may be sent: the same for the same call.
fn question(by: &Caller, tool: &Tool, arguments: &Map<String, Value>, basis: Basis) -> CallQuestion {
    CallQuestion {
        // A user's name may be that of a user of the system.
        caller: match by.user {
            Caller::LOCAL_USER => by.name.clone(),
            user => format!("{} (user {user})", by.name),
        },
        server: tool.server,
        tool: tool.name.clone(),
        arguments: text_of(arguments),
        basis,
    }
}

fn not_called(tool: &Tool, sentence: &str) -> Error {
    Error::upstream(format!("`{}` was not called: {sentence}", tool.name))
}

fn in_doubt(tool: &Tool, sentence: &str) -> Error {
    let sentence = format!("it is not known whether `{}` took effect: {sentence}", tool.name);
    Error::upstream(sentence).with_hint("look before you call it again")
}

//! The question whether a call may be sent: put where approvals are decided, and to the client, where that can be asked.
//!
//! **Invariant:** what a client says decides the question that was put, and a question is decided once: whatever it brings back
//! twice, one yes sends one call.

use super::Gateway;
use super::calls::{Call, Round};
use super::state::At;
use crate::tools::{Said, failure, form, may_approve, may_ask, refused, said, shortened};
use serde_json::{Map, Value, json};
use station_core::approval::Basis;
use station_core::{Era, Kind};
use station_engine::Yes;
use station_mcp::serve::{Fault, Outcome};

/// The key of the question whether a call may be sent.
pub(super) const QUESTION: &str = "approval";

impl Gateway {
    /// Puts the question; a sentence with its number where the client cannot be asked.
    pub(super) async fn ask_for_consent(&self, call: &Call<'_>, basis: Basis) -> Result<Round, Fault> {
        let (name, server, rule) = (&call.tool.name, &call.tool.server_name, &basis.rule);
        let arguments = shortened(&Value::Object(call.arguments.clone()).to_string());
        let message = format!(
            "`{name}` of server `{server}` is about to be called with {arguments}. {rule} asks for a person's yes."
        );
        let asked = call.asked;
        let id = match self.station.ask_for_call(&asked.by, &call.tool, &call.arguments, basis).await {
            Ok(id) => id,
            Err(error) => return Ok(Some(Outcome::Complete(refused(call.name, &error)))),
        };
        let question = form(&message, json!({}));
        if may_ask(asked) {
            let state =
                self.seal(asked, &self.bound_to_call(call), &call.given.state(At::Approval { id }))?;
            let requests = Map::from_iter([(QUESTION.to_owned(), question)]);
            return Ok(Some(Outcome::NeedsInput { requests, state }));
        }
        if asked.era == Era::Legacy && may_approve(asked) {
            let answer = asked.ask("elicitation/create", &question["params"]).await.ok();
            return Ok(self.decide(call, id, answer.as_ref()).await);
        }
        let sentence = format!(
            "{message} It waits as approval {id}: decide it within a day with `stn approvals approve {id}` or \
             `stn approvals deny {id}`, then call it again with the same arguments"
        );
        Ok(Some(Outcome::Complete(failure(&sentence))))
    }

    /// Decides the question `id` as its client answers. An outcome where the call ends with it.
    pub(super) async fn decide(&self, call: &Call<'_>, id: i64, answer: Option<&Value>) -> Round {
        let by = &call.asked.by;
        let decided = match said(answer) {
            Said::Yes => self.station.approve(by, id, Yes::Once).await,
            Said::No(reason) => self.station.deny(by, id, reason).await,
            Said::Nothing => {
                let sentence = format!("the call was not approved: it waits as approval {id}");
                return Some(Outcome::Complete(failure(&sentence)));
            }
        };
        match decided {
            // Whoever sends the call first uses it up.
            Ok(_) => None,
            // Somebody else was faster, or this answer was brought before: what was decided holds, once.
            Err(error) if error.kind() == Kind::Conflict => None,
            Err(error) => Some(Outcome::Complete(refused(call.name, &error))),
        }
    }
}

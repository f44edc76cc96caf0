//! A call whose server lacks values of variables: its client is asked for them, and the call goes on with what it says.

use super::Gateway;
use super::calls::{Call, Round};
use super::state::At;
use crate::tools::lacking::{self, Answered};
use crate::tools::{failure, refused};
use serde_json::Map;
use station_core::{Era, Error};
use station_mcp::serve::{Fault, Outcome};

impl Gateway {
    /// A call was refused: its client is asked for what its server lacks, where that is why, and no secret is among it.
    pub(super) async fn lacking(&self, call: &mut Call<'_>, error: Error) -> Result<Round, Fault> {
        let (asked, name, server) = (call.asked, call.name, call.tool.server);
        let refused = |error: &Error| Ok(Some(Outcome::Complete(refused(name, error))));
        let lacking = match self.station.lacking_for_server(&asked.by, server, &call.given).await {
            Ok(lacking) => lacking,
            Err(error) => return refused(&error),
        };
        // With a secret missing, no answer helps.
        if let Some(sentence) = lacking::secrets(&lacking, &self.environment) {
            return refused(&error.with_hint(sentence));
        }
        let what = format!("call `{}` of server `{}`", call.tool.name, call.tool.server_name);
        let question = lacking::question(&lacking, &what, &self.environment);
        let Some(question) = question.filter(|_| lacking::takes_forms(asked) && !call.was_asked) else {
            return refused(&error);
        };
        if asked.era == Era::Modern {
            let state = self.seal(asked, &call.request, &call.state(At::Variables))?;
            let requests = Map::from_iter([(lacking::KEY.to_owned(), question)]);
            return Ok(Some(Outcome::NeedsInput { requests, state }));
        }
        let answered = lacking::by_request(asked, &question, &lacking).await;
        Ok(call.take(answered))
    }

    /// Takes what a client answers to the question for values. An outcome where the call ends with it.
    pub(super) async fn take_variables(&self, call: &mut Call<'_>) -> Round {
        let (asked, server) = (call.asked, call.tool.server);
        match self.station.lacking_for_server(&asked.by, server, &call.given).await {
            Ok(lacking) => call.take(lacking::read(asked.input.responses.get(lacking::KEY), &lacking)),
            Err(error) => Some(Outcome::Complete(refused(call.name, &error))),
        }
    }
}

impl Call<'_> {
    fn take(&mut self, answered: Answered) -> Round {
        self.was_asked = true;
        match answered {
            Answered::Given(values) => {
                self.given.extend(values);
                None
            }
            Answered::Declined | Answered::PutAway => {
                let name = &self.tool.name;
                let sentence =
                    format!("`{name}` was not called: nobody gave the values that its server lacks");
                Some(Outcome::Complete(failure(&sentence)))
            }
        }
    }
}

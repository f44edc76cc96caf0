//! A request whose server lacks values of variables: its client is asked for them, and the request goes on with what it says.

use super::Gateway;
use super::state::{At, State};
use crate::tools::lacking::{self, Answered};
use serde_json::Map;
use station_core::{Era, Error, Secret, ServerId};
use station_mcp::serve::{Asked, Fault, Outcome};
use std::collections::BTreeMap;

/// Values that a client gave for variables of a server, for one request.
#[derive(Default)]
pub(super) struct Given {
    pub(super) values: BTreeMap<String, Secret>,
    /// Whether it was asked for them.
    was_asked: bool,
}

/// A request that a server cannot be reached for without values.
pub(super) struct Wants<'a> {
    pub(super) asked: &'a Asked,
    pub(super) server: ServerId,
    /// What a state is bound to.
    pub(super) request: &'a str,
    /// What the client wants, in words: `call …`.
    pub(super) what: String,
}

/// What came of asking a client for values.
pub(super) enum Lacked {
    /// It said some: the request can be sent with them.
    Given,
    /// It is asked by a result.
    Asks(Outcome),
    /// The request is not sent, and why.
    Refused(Error),
}

impl Given {
    /// Goes on where a request was when its client was asked. What that was asked.
    pub(super) fn go_on(&mut self, state: State) -> At {
        self.was_asked = !state.given.is_empty();
        self.values = state.given.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
        state.at
    }

    /// How far a request is, to be brought back.
    pub(super) fn state(&self, at: At) -> State {
        let given = self.values.iter().map(|(name, value)| (name.clone(), value.expose().to_owned()));
        State { given: given.collect(), at }
    }

    fn take(&mut self, answered: Answered) -> Result<(), Error> {
        self.was_asked = true;
        match answered {
            Answered::Given(values) => {
                self.values.extend(values);
                Ok(())
            }
            Answered::Declined | Answered::PutAway => {
                Err(Error::conflict("nothing was sent: nobody gave the values that its server lacks"))
            }
        }
    }
}

impl Gateway {
    /// A request was refused with `error`: its client is asked for what the server lacks, where that is why, and no secret is
    /// among it.
    pub(super) async fn lacking(
        &self,
        wants: &Wants<'_>,
        given: &mut Given,
        error: Error,
    ) -> Result<Lacked, Fault> {
        let asked = wants.asked;
        let lacking = match self.station.lacking_for_server(&asked.by, wants.server, &given.values).await {
            Ok(lacking) => lacking,
            Err(error) => return Ok(Lacked::Refused(error)),
        };
        // With a secret missing, no answer helps.
        if let Some(sentence) = lacking::secrets(&lacking, &self.environment) {
            return Ok(Lacked::Refused(error.with_hint(sentence)));
        }
        let question = lacking::question(&lacking, &wants.what, &self.environment);
        let Some(question) = question.filter(|_| lacking::takes_forms(asked) && !given.was_asked) else {
            return Ok(Lacked::Refused(error));
        };
        if asked.era == Era::Modern {
            let state = self.seal(asked, wants.request, &given.state(At::Variables))?;
            let requests = Map::from_iter([(lacking::KEY.to_owned(), question)]);
            return Ok(Lacked::Asks(Outcome::NeedsInput { requests, state }));
        }
        let answered = lacking::by_request(asked, &question, &lacking).await;
        Ok(given.take(answered).map_or_else(Lacked::Refused, |()| Lacked::Given))
    }

    /// Takes what a client answers to the question for values.
    ///
    /// # Errors
    /// The request is not sent, and why.
    pub(super) async fn take_values(
        &self,
        asked: &Asked,
        server: ServerId,
        given: &mut Given,
    ) -> Result<(), Error> {
        let lacking = self.station.lacking_for_server(&asked.by, server, &given.values).await?;
        given.take(lacking::read(asked.input.responses.get(lacking::KEY), &lacking))
    }
}

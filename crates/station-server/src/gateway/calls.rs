//! Calling a tool at its server, and what it takes until that is done: a person's yes, and answers to what the server asks.

use super::Gateway;
use super::consent::QUESTION;
use super::lacking::{Given, Lacked, Wants};
use super::names::{Named, SEARCH, Shown, found};
use super::open::{End, Out, ROUNDS_MAX, Step};
use super::state::At;
use crate::tools::{call_agent_tool, failure, no_tool, refused, request_of};
use futures::FutureExt as _;
use serde_json::{Map, Value, json};
use station_core::{Era, Error, Kind};
use station_engine::PassedCall;
use station_mcp::serve::{Asked, Fault, Outcome};

/// What is said where a held request is gone.
pub(super) const NOT_HELD: &str =
    "what the server asked is not open any more, or was asked by another instance of Station: call it again";

/// A call, and what was brought to it so far.
pub(super) struct Call<'a> {
    pub(super) asked: &'a Asked,
    pub(super) name: &'a str,
    pub(super) tool: Named,
    pub(super) arguments: Map<String, Value>,
    /// Answers to what the server asked by a result.
    more: Map<String, Value>,
    pub(super) given: Given,
}

/// What comes of one round: the client's answer, or nothing, where another round is to begin with what was brought meanwhile.
pub(super) type Round = Option<Outcome>;

impl Gateway {
    /// Calls a tool at its server, or says why that is not done.
    pub(super) async fn relay(
        &self,
        asked: &Asked,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<Outcome, Fault> {
        // By name alone: whether it may be called is asked at the gate.
        let shown = match self.shown(&asked.by).await {
            Ok(shown) => shown,
            Err(error) => return Ok(Outcome::Complete(refused(name, &error))),
        };
        let Some(tool) = shown.find(name) else {
            return self.call_own(asked, name, arguments, &shown).await;
        };
        let (more, given) = (Map::new(), Given::default());
        let mut call = Call { asked, name, tool, arguments, more, given };
        let at = match &asked.input.state {
            Some(_) => self.brought(asked, &self.bound_to_call(&call))?.map(|state| call.given.go_on(state)),
            None => None,
        };
        let mut out = match at {
            None => None,
            Some(At::Variables) => {
                let server = call.tool.server;
                if let Err(error) = self.take_values(asked, server, &mut call.given).await {
                    return Ok(Outcome::Complete(refused(name, &error)));
                }
                None
            }
            Some(At::Approval { id }) => {
                let answer = asked.input.responses.get(QUESTION);
                if let Some(outcome) = self.decide(&call, id, answer).await {
                    return Ok(outcome);
                }
                None
            }
            Some(At::Input { state }) => {
                call.bring(asked.input.responses.clone(), state);
                None
            }
            Some(At::Held { id }) => match self.resume(&id, asked) {
                Some(out) => Some(out),
                None => return Ok(Outcome::Complete(failure(NOT_HELD))),
            },
        };
        for _ in 0..ROUNDS_MAX {
            let out = out.take().unwrap_or_else(|| self.send(&call));
            if let Some(outcome) = self.round(&mut call, out).await? {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Complete(failure("the server asked too often for what it needs")))
    }

    /// Calls what no server has: the search, or an agent.
    async fn call_own(
        &self,
        asked: &Asked,
        name: &str,
        arguments: Map<String, Value>,
        shown: &Shown,
    ) -> Result<Outcome, Fault> {
        if name == SEARCH && shown.has_search() {
            return Ok(Outcome::Complete(found(shown, &arguments)));
        }
        let mut known: Vec<String> = shown.names().map(str::to_owned).collect();
        match self.station.offers_agents(&asked.by, &self.environment).await {
            Ok(true) => match call_agent_tool(&self.desk, asked, &self.environment, name, arguments).await? {
                Ok(outcome) => return Ok(outcome),
                Err(agents) => known.extend(agents),
            },
            Ok(false) => {}
            Err(error) => return Ok(Outcome::Complete(refused(name, &error))),
        }
        Err(no_tool(name, known.iter().map(String::as_str)))
    }

    /// What the answers to questions about a call are bound to.
    pub(super) fn bound_to_call(&self, call: &Call<'_>) -> String {
        format!("{} {}", self.environment, request_of(call.name, &call.arguments))
    }

    fn send(&self, call: &Call<'_>) -> Out {
        let (station, by, tool) = (self.station.clone(), call.asked.by.clone(), call.tool.clone());
        let arguments = call.arguments.clone();
        Out::begin(call.asked, (call.more.clone(), call.given.values.clone()), move |carried| {
            async move {
                let passed = station.pass_tool_call(&by, &tool, arguments, carried).await?;
                Ok(match passed {
                    PassedCall::Answered { effect, mut result } => {
                        // The id under which the audit knows the call.
                        if let Some(result) = result.as_object_mut() {
                            let meta = result.entry("_meta").or_insert_with(|| json!({}));
                            meta["station/effect-id"] = effect.to_string().into();
                        }
                        End::Answered(result)
                    }
                    PassedCall::Refused(error) => End::Refused(error),
                    PassedCall::Asks(basis) => End::Asks(basis),
                })
            }
            .boxed()
        })
    }

    async fn round(&self, call: &mut Call<'_>, out: Out) -> Result<Round, Fault> {
        let end = match out.follow(call.asked).await? {
            Step::Asks(question, out) => {
                let put = self.put(call.asked, &self.bound_to_call(call), question, out)?;
                return Ok(Some(put.unwrap_or_else(|| {
                    let sentence = "too many requests wait for answers of their clients: try again later";
                    Outcome::Complete(failure(sentence))
                })));
            }
            Step::Ended(end) => end,
        };
        match end {
            Err(error) if error.kind() == Kind::Invalid => self.call_lacking(call, error).await,
            Err(error) => Ok(Some(Outcome::Complete(refused(call.name, &error)))),
            Ok(End::Refused(error)) => Err(Fault::Upstream(error)),
            Ok(End::Answered(result)) if result["resultType"] == "input_required" => {
                self.asked_by_result(call, result).await
            }
            Ok(End::Answered(result)) => Ok(Some(Outcome::Complete(result))),
            Ok(End::Asks(basis)) => self.ask_for_consent(call, basis).await,
        }
    }

    /// The call was refused: perhaps for want of values, which its client may have.
    async fn call_lacking(&self, call: &mut Call<'_>, error: Error) -> Result<Round, Fault> {
        let (asked, server) = (call.asked, call.tool.server);
        let what = format!("call `{}` of server `{}`", call.tool.name, call.tool.server_name);
        let request = self.bound_to_call(call);
        let wants = Wants { asked, server, request: &request, what };
        Ok(match self.lacking(&wants, &mut call.given, error).await? {
            Lacked::Given => None,
            Lacked::Asks(outcome) => Some(outcome),
            Lacked::Refused(error) => Some(Outcome::Complete(refused(call.name, &error))),
        })
    }

    /// The server asks by a result: so is a modern client, and an older one by requests.
    async fn asked_by_result(&self, call: &mut Call<'_>, result: Value) -> Result<Round, Fault> {
        let requests = result["inputRequests"].as_object().cloned().unwrap_or_default();
        let state = result["requestState"].as_str().map(str::to_owned);
        if call.asked.era == Era::Modern {
            let state = call.given.state(At::Input { state });
            let state = self.seal(call.asked, &self.bound_to_call(call), &state)?;
            return Ok(Some(Outcome::NeedsInput { requests, state }));
        }
        match answers(call.asked, requests).await {
            Ok(responses) => {
                call.bring(responses, state);
                Ok(None)
            }
            Err(sentence) => Ok(Some(Outcome::Complete(failure(&sentence)))),
        }
    }
}

impl Call<'_> {
    fn bring(&mut self, responses: Map<String, Value>, state: Option<String>) {
        self.more = brought(responses, state);
    }
}

/// Answers of a client as parameters of a request of the modern era.
pub(super) fn brought(responses: Map<String, Value>, state: Option<String>) -> Map<String, Value> {
    let mut more = Map::from_iter([("inputResponses".to_owned(), Value::Object(responses))]);
    more.extend(state.map(|state| ("requestState".to_owned(), Value::from(state))));
    more
}

/// What a client of the older era answers to the questions of a result, one after the other.
///
/// # Errors
/// Why there is no answer, in a sentence.
pub(super) async fn answers(
    asked: &Asked,
    requests: Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let mut responses = Map::new();
    for (key, request) in requests {
        let method = request["method"].as_str().unwrap_or_default();
        match asked.ask(method, &request["params"]).await {
            Ok(answer) => drop(responses.insert(key, answer)),
            Err(error) => {
                let why = error["message"].as_str().unwrap_or("it did not answer");
                return Err(format!("the server needs an answer of the client (`{method}`): {why}"));
            }
        }
    }
    Ok(responses)
}

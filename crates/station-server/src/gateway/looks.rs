//! Reading a resource, filling in a prompt and completing an argument at whichever server has it.

use super::Gateway;
use super::calls::{NOT_HELD, answers, brought};
use super::lacking::{Given, Lacked, Wants};
use super::offers::Offers;
use super::open::{End, Out, ROUNDS_MAX, Step};
use super::state::At;
use crate::tools::{failed, request_of};
use futures::FutureExt as _;
use serde_json::{Map, Value, json};
use station_core::{Era, Error, Kind, Secret, ServerId, near};
use station_engine::Look;
use station_mcp::serve::{Asked, Completing, Fault, Outcome, Subject};
use std::collections::BTreeMap;

/// The code by which older servers say that there is no such resource.
const NO_RESOURCE: i64 = -32002;

/// The code by which servers say that what was asked for is not there, or is wrong.
const WRONG_PARAMETERS: i64 = -32602;

impl Gateway {
    /// What is offered, as the files say now.
    pub(super) async fn offers_now(&self, asked: &Asked) -> Result<Offers, Fault> {
        let offers = async {
            self.refresh().await?;
            self.offers(&asked.by).await
        };
        offers.await.map_err(|error| failed(&error))
    }

    /// What the resource at `uri` holds, from the first server that has it.
    pub(super) async fn read(&self, asked: &Asked, uri: &str) -> Result<Outcome, Fault> {
        let offers = self.offers_now(asked).await?;
        let mut holders = offers.holders(uri);
        let is_sure = holders.len() == 1;
        // What is brought back is for the server that asked; those before it have said that it is not theirs.
        if asked.input.state.is_some() {
            let asks = holders.iter().position(|it| self.brought(asked, &self.bound_to(*it, uri)).is_ok());
            holders.drain(..asks.unwrap_or(0));
        }
        for server in holders {
            match self.look(asked, server, Look::Resource(uri.to_owned()), uri).await {
                Err(Fault::Upstream(error)) => match error["code"].as_i64() {
                    Some(NO_RESOURCE) => {}
                    Some(WRONG_PARAMETERS) if !is_sure => {}
                    // Older servers say so by this, and which of the two it is, nobody can tell.
                    Some(WRONG_PARAMETERS) if error["data"]["uri"] == uri => {}
                    _ => return Err(Fault::Upstream(error)),
                },
                other => return other,
            }
        }
        Err(Fault::NoResource(uri.to_owned()))
    }

    /// A prompt with its arguments filled in.
    pub(super) async fn fill(
        &self,
        asked: &Asked,
        name: &str,
        arguments: Map<String, Value>,
    ) -> Result<Outcome, Fault> {
        let offers = self.offers_now(asked).await?;
        let Some((server, upstream)) = offers.prompt(name) else {
            let names = offers.prompt_names();
            let hint = near::hint(name, names.iter().map(String::as_str));
            let hint = hint.map(|hint| format!(" {hint}")).unwrap_or_default();
            return Err(Fault::Params(format!("there is no prompt `{name}`{hint}")));
        };
        let request = request_of(name, &arguments);
        self.look(asked, server, Look::Prompt(upstream, arguments), &request).await
    }

    /// What an argument may be, as the server says that has what it is of.
    pub(super) async fn completed(
        &self,
        asked: &Asked,
        completing: Completing,
    ) -> Result<Vec<String>, Fault> {
        let offers = self.offers_now(asked).await?;
        let found = match &completing.of {
            Subject::Prompt(name) => offers
                .prompt(name)
                .map(|(server, name)| (server, json!({ "type": "ref/prompt", "name": name }))),
            Subject::Template(uri) => {
                offers.template(uri).map(|server| (server, json!({ "type": "ref/resource", "uri": uri })))
            }
        };
        let Some((server, of)) = found else {
            return Err(Fault::Params("there is no such prompt or resource template".to_owned()));
        };
        if !offers.completes(server) {
            return Ok(Vec::new());
        }
        let argument = json!({ "name": completing.argument, "value": completing.value });
        let mut params = Map::from_iter([("ref".to_owned(), of), ("argument".to_owned(), argument)]);
        if !completing.others.is_empty() {
            params.insert("context".to_owned(), json!({ "arguments": completing.others }));
        }
        match self.look(asked, server, Look::Completion(params), "completion").await? {
            Outcome::Complete(result) => {
                let values = result["completion"]["values"].as_array().cloned().unwrap_or_default();
                Ok(values.iter().filter_map(Value::as_str).map(str::to_owned).collect())
            }
            Outcome::NeedsInput { .. } | Outcome::Task(_) => Ok(Vec::new()),
        }
    }

    /// Looks at a server, and puts to the client what that asks, and what it lacks; `of` is what the answers are bound to.
    async fn look(&self, asked: &Asked, server: ServerId, look: Look, of: &str) -> Result<Outcome, Fault> {
        let request = self.bound_to(server, of);
        let (mut more, mut given, mut out) = (Map::new(), Given::default(), None);
        match self.brought(asked, &request)?.map(|state| given.go_on(state)) {
            None | Some(At::Approval { .. }) => {}
            Some(At::Variables) => {
                self.take_values(asked, server, &mut given).await.map_err(|error| not_sent(&error))?;
            }
            Some(At::Input { state }) => more = brought(asked.input.responses.clone(), state),
            Some(At::Held { id }) => {
                let resumed = self.resume(&id, asked);
                out = Some(resumed.ok_or_else(|| Fault::Params(NOT_HELD.to_owned()))?);
            }
        }
        let what = in_words(&look);
        let wants = Wants { asked, server, request: &request, what };
        for _ in 0..ROUNDS_MAX {
            let sent = out.take().unwrap_or_else(|| {
                let carried = (more.clone(), given.values.clone());
                self.send_look(asked, server, look.clone(), carried)
            });
            let end = match sent.follow(asked).await? {
                Step::Asks(asks, out) => {
                    let put = self.put(asked, &request, asks, out)?;
                    return put
                        .ok_or_else(|| Fault::Internal("too many requests wait for answers".to_owned()));
                }
                Step::Ended(Err(error)) if error.kind() == Kind::Invalid && takes_questions(&look) => {
                    match self.lacking(&wants, &mut given, error).await? {
                        Lacked::Given => continue,
                        Lacked::Asks(outcome) => return Ok(outcome),
                        Lacked::Refused(error) => return Err(not_sent(&error)),
                    }
                }
                Step::Ended(end) => end.map_err(|error| failed(&error))?,
            };
            let result = match end {
                End::Answered(result) => result,
                End::Refused(error) => return Err(Fault::Upstream(error)),
                End::Asks(_) => return Err(Fault::Internal("a look was held up by a rule".to_owned())),
            };
            if result["resultType"] != "input_required" {
                return Ok(Outcome::Complete(result));
            }
            let requests = result["inputRequests"].as_object().cloned().unwrap_or_default();
            let state = result["requestState"].as_str().map(str::to_owned);
            if asked.era == Era::Modern {
                let state = self.seal(asked, &request, &given.state(At::Input { state }))?;
                return Ok(Outcome::NeedsInput { requests, state });
            }
            let responses = answers(asked, requests).await.map_err(Fault::Params)?;
            more = brought(responses, state);
        }
        Err(Fault::Internal("the server asked too often for what it needs".to_owned()))
    }

    /// What the answers to questions about a look at a server are bound to.
    fn bound_to(&self, server: ServerId, of: &str) -> String {
        format!("{} {server} {of}", self.environment)
    }

    fn send_look(
        &self,
        asked: &Asked,
        server: ServerId,
        look: Look,
        carried: (Map<String, Value>, BTreeMap<String, Secret>),
    ) -> Out {
        let (station, by) = (self.station.clone(), asked.by.clone());
        Out::begin(asked, carried, move |carried| {
            async move {
                let looked = station.look_at(&by, server, look, carried).await?;
                Ok(match looked {
                    Ok(mut result) => {
                        // What one caller may see is nobody else's, whatever the server thinks of its own.
                        if let Some(result) = result.as_object_mut() {
                            result.remove("cacheScope");
                        }
                        End::Answered(result)
                    }
                    Err(error) => End::Refused(error),
                })
            }
            .boxed()
        })
    }
}

/// What a client wants to see, as a question says it.
fn in_words(look: &Look) -> String {
    match look {
        Look::Resource(uri) => format!("read `{uri}`"),
        Look::Prompt(name, _) => format!("fill in the prompt `{name}`"),
        Look::Completion(_) => "complete an argument".to_owned(),
    }
}

/// Whether the protocol lets a client be asked something for it: while it types, it is not.
fn takes_questions(look: &Look) -> bool {
    !matches!(look, Look::Completion(_))
}

/// Why a server was not asked, with what to try.
fn not_sent(error: &Error) -> Fault {
    let hints: String = error.hints().iter().map(|hint| format!("\nhint: {hint}")).collect();
    Fault::Internal(format!("{}{hints}", error.sentence()))
}

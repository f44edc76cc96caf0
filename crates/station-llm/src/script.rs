//! The provider of tests and benches: answers that were written down before, in this process.
//!
//! It checks every request it gets, because a conversation that a real provider would refuse must not pass a test:
//! a system message only at the start, each tool result after its call, no two tools of one name. A violation is a
//! panic with the reason. It is in the product's crate so that it takes the product's own path; no agent reaches it
//! unless `Models::scripted` made the models.

use crate::ask::Failed;
use crate::{Delta, Request};
use serde_json::Value;
use station_core::run::AskFailure;
use station_core::{Answer, Message, ModelRef, Stop, ToolCall, Usage};
use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What every scripted answer says it cost, so that sums can be tested.
pub const USAGE: Usage = Usage { input: 10, output: 5, cached: 2, cache_written: 0, reasoning: 1 };

/// One scripted answer.
#[derive(Clone, Debug)]
pub struct Turn {
    said: Said,
    latency: Duration,
}

#[derive(Clone, Debug)]
enum Said {
    Answer(Answer),
    Failure { failure: AskFailure, retry_after: Option<Duration> },
}

/// The model says `text` and is done.
#[must_use]
pub fn reply(text: impl Into<String>) -> Turn {
    answer(text.into(), Vec::new())
}

/// The model wants `calls` made, by wire name and arguments; their ids are `call_0`, `call_1`, ….
#[must_use]
pub fn calls<const N: usize>(calls: [(&str, Value); N]) -> Turn {
    raw_calls(calls.map(|(name, arguments)| (name, arguments.to_string())))
}

/// As [`calls`], with the arguments as text, which need not be JSON.
#[must_use]
pub fn raw_calls<const N: usize>(calls: [(&str, String); N]) -> Turn {
    let calls = calls
        .into_iter()
        .enumerate()
        .map(|(at, (name, arguments))| ToolCall {
            id: format!("call_{at}"),
            name: name.to_owned(),
            arguments,
        })
        .collect();
    answer(String::new(), calls)
}

/// The model answers exactly so.
#[must_use]
pub fn answers(answer: Answer) -> Turn {
    Turn { said: Said::Answer(answer), latency: Duration::ZERO }
}

/// The model does not answer.
#[must_use]
pub fn fails(failure: AskFailure) -> Turn {
    Turn { said: Said::Failure { failure, retry_after: None }, latency: Duration::ZERO }
}

fn answer(text: String, calls: Vec<ToolCall>) -> Turn {
    let model = String::from("script");
    Turn {
        said: Said::Answer(Answer { text, calls, thinking: None, stop: Stop::End, usage: USAGE, model }),
        latency: Duration::ZERO,
    }
}

impl Turn {
    /// The answer stops for this reason.
    #[must_use]
    pub fn stopped(mut self, stop: Stop) -> Self {
        if let Said::Answer(answer) = &mut self.said {
            answer.stop = stop;
        }
        self
    }

    /// The failure asks to be left alone for so long.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        if let Said::Failure { retry_after, .. } = &mut self.said {
            *retry_after = Some(wait);
        }
        self
    }

    /// It takes so long.
    #[must_use]
    pub fn after(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }
}

type Choose = dyn Fn(&Request<'_>) -> Turn + Send + Sync;

/// What the scripted model says. Clones share what is left to say.
#[derive(Clone)]
pub struct Script {
    source: Source,
    /// Whether a request that a provider would refuse ends the test.
    is_checked: bool,
}

#[derive(Clone)]
enum Source {
    Turns(Arc<Mutex<VecDeque<Turn>>>),
    Chosen(Arc<Choose>),
}

impl Script {
    /// One turn per request, in order, whoever asks.
    #[must_use]
    pub fn new(turns: Vec<Turn>) -> Self {
        Self { source: Source::Turns(Arc::new(Mutex::new(turns.into()))), is_checked: true }
    }

    /// A turn for each request, as `choose` says: for many runs at once.
    #[must_use]
    pub fn from_fn(choose: impl Fn(&Request<'_>) -> Turn + Send + Sync + 'static) -> Self {
        Self { source: Source::Chosen(Arc::new(choose)), is_checked: true }
    }

    /// The same, taking requests as they come: a record may hold what a lenient provider said.
    #[must_use]
    pub fn unchecked(self) -> Self {
        Self { is_checked: false, ..self }
    }

    /// How many turns were not asked for; 0 for a closure.
    #[must_use]
    pub fn left(&self) -> usize {
        match &self.source {
            Source::Turns(turns) => turns.lock().expect("no turn is taken in a panic").len(),
            Source::Chosen(_) => 0,
        }
    }

    pub(crate) async fn ask(
        &self,
        model: &ModelRef,
        request: &Request<'_>,
        on_delta: &(dyn Fn(Delta) + Send + Sync),
    ) -> Result<Answer, Failed> {
        if self.is_checked
            && let Err(violation) = check(request)
        {
            panic!("a request to the scripted model is wrong: {violation}\n{:#?}", request.messages);
        }
        let turn = self.next(request);
        if !turn.latency.is_zero() {
            tokio::time::sleep(turn.latency).await;
        }
        match turn.said {
            Said::Answer(answer) => {
                if !answer.text.is_empty() {
                    on_delta(Delta::Text(answer.text.clone()));
                }
                Ok(answer)
            }
            Said::Failure { failure, retry_after } => {
                let sentence = format!("model `{model}` failed as its script says");
                Err(Failed::new(failure, sentence).with_after(retry_after))
            }
        }
    }

    fn next(&self, request: &Request<'_>) -> Turn {
        match &self.source {
            Source::Turns(turns) => {
                let next = turns.lock().expect("no turn is taken in a panic").pop_front();
                next.unwrap_or_else(|| {
                    panic!("the script has no turn left for this request: {:#?}", request.messages)
                })
            }
            Source::Chosen(choose) => choose(request),
        }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Script").field(&self.left()).finish()
    }
}

/// What a provider would refuse in `request`.
fn check(request: &Request<'_>) -> Result<(), String> {
    let mut names = BTreeSet::new();
    for tool in request.tools {
        let name = &tool.spec.name;
        if name.is_empty() || name.len() > station_core::tool::WIRE_NAME_CHARS_MAX {
            return Err(format!("the tool name `{name}` is empty or too long"));
        }
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')) {
            return Err(format!("the tool name `{name}` has characters that providers refuse"));
        }
        if !names.insert(name) {
            return Err(format!("two tools are named `{name}`"));
        }
    }
    let mut open: BTreeSet<&str> = BTreeSet::new();
    let mut system_may_follow = true;
    for (at, message) in request.messages.iter().enumerate() {
        if !open.is_empty() && !matches!(message, Message::Tool { .. }) {
            return Err(format!("message {at} comes before the results of {open:?}"));
        }
        match message {
            Message::System { .. } if !system_may_follow => {
                return Err(format!("message {at} is a system message, but not at the start"));
            }
            Message::System { .. } => continue,
            Message::User { .. } => {}
            Message::Assistant { calls, .. } => {
                open = calls.iter().map(|call| call.id.as_str()).collect();
                if open.len() != calls.len() {
                    return Err(format!("two calls of message {at} have one id"));
                }
            }
            Message::Tool { call, .. } => {
                if !open.remove(call.as_str()) {
                    return Err(format!("message {at} is the result of `{call}`, which is not open"));
                }
            }
        }
        system_may_follow = false;
    }
    if !open.is_empty() {
        return Err(format!("the results of {open:?} are missing"));
    }
    if matches!(request.messages.last(), None | Some(Message::System { .. })) {
        return Err("nobody has said anything yet".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use station_core::run::Settings;

    fn row(words: &str, expected: Result<(), &str>) {
        let messages: Vec<Message> = words
            .split_whitespace()
            .map(|word| match word.split_once(':') {
                None if word == "s" => Message::System { text: String::from("system") },
                None => Message::User { text: word.to_owned() },
                Some(("call", ids)) => Message::Assistant {
                    text: String::new(),
                    calls: ids
                        .split(',')
                        .map(|id| ToolCall {
                            id: id.to_owned(),
                            name: String::from("t"),
                            arguments: String::new(),
                        })
                        .collect(),
                    thinking: None,
                },
                Some((_, id)) => Message::Tool {
                    call: id.to_owned(),
                    name: String::from("t"),
                    text: String::new(),
                    is_error: false,
                    images: Vec::new(),
                },
            })
            .collect();
        let settings = Settings::default();
        let request = Request {
            messages: &messages,
            tools: &[],
            settings: &settings,
            output_schema: None,
            repeat: crate::Repeat::Any,
            trace: None,
        };
        match (check(&request), expected) {
            (Ok(()), Ok(())) => {}
            (Err(is), Err(should)) => assert!(is.contains(should), "{words}: {is}"),
            (is, should) => panic!("{words}: {is:?} but {should:?}"),
        }
    }

    #[test]
    fn what_a_provider_would_refuse_is_refused() {
        row("s u", Ok(()));
        row("s u call:a,b ret:b ret:a u", Ok(()));
        row("u s", Err("not at the start"));
        row("u call:a u", Err("before the results"));
        row("u call:a", Err("are missing"));
        row("u ret:a", Err("not open"));
        row("u call:a,a ret:a", Err("one id"));
        row("s", Err("nobody"));
        row("", Err("nobody"));
    }
}

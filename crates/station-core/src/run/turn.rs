//! One turn of a run: what the model answered, and where each of its calls stands.
//!
//! A call that cannot be made at all (no such tool, arguments that are not JSON) is answered here, by pure reading of
//! the answer: no event is needed, because every fold reads the same.

use super::{DEPTH_MAX, GrantedTool, Target, Todo, Why};
use crate::{Answer, EffectId, Message, Stop, ToolCall, grant};
use serde_json::{Map, Value};

/// Most calls of one turn that are made; the rest is answered as too many. Providers allow more, people mean fewer.
const CALLS_MAX: usize = 32;

/// Times a call that may be repeated is sent in all: a call that takes Station down each time must not do so forever.
const ATTEMPTS_MAX: u32 = 3;

/// What the model is told of a call that it had not finished writing.
const CUT_OFF: &str = "not called: your answer was cut off before this call was complete; call again";

/// What the model answered in one turn, and where each of its calls stands.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    /// Station's words before the request, kept so that the conversation is rebuilt byte for byte.
    note: Option<String>,
    pub(super) answer: Answer,
    pub(super) slots: Vec<Slot>,
}

/// One call of a turn.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Index into the run's tools; `None` where the call was answered here.
    tool: Option<usize>,
    arguments: Map<String, Value>,
    pub(super) state: State,
}

/// Where a call stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// To be sent; `again` where it was out before and may be repeated.
    Planned { again: Option<(EffectId, u32)> },
    /// Sent.
    Out { id: EffectId, repeatable: bool, attempt: u32 },
    /// A sub-agent's run was enqueued.
    Spawned { id: EffectId },
    /// Answered, one way or another.
    Done { text: String, is_error: bool },
}

impl Turn {
    pub(super) fn new(note: Option<String>, answer: Answer, tools: &[GrantedTool], depth: u32) -> Self {
        let last = answer.calls.len().saturating_sub(1);
        let slots = answer.calls.iter().enumerate().map(|(n, call)| {
            let slot = Slot::new(n, call, tools, depth);
            match answer.stop {
                // What was cut off may lack the half that makes it harmless: `delete` without its filter.
                Stop::Refused => slot.cut_off(),
                Stop::Length if n == last || slot.arguments.is_empty() => slot.cut_off(),
                Stop::Length | Stop::End => slot,
            }
        });
        let slots = slots.collect();
        Self { note, answer, slots }
    }

    /// Appends this turn to a conversation.
    pub(super) fn say(&self, messages: &mut Vec<Message>) {
        if let Some(text) = &self.note {
            messages.push(Message::User { text: text.clone() });
        }
        messages
            .push(Message::Assistant { text: self.answer.text.clone(), calls: self.answer.calls.clone() });
        for (call, slot) in self.answer.calls.iter().zip(&self.slots) {
            if let State::Done { text, is_error } = &slot.state {
                messages.push(Message::Tool {
                    call: call.id.clone(),
                    name: call.name.clone(),
                    text: text.clone(),
                    is_error: *is_error,
                });
            }
        }
    }

    /// Calls that are to be sent now, in the model's order.
    pub(super) fn todos(&self, tools: &[GrantedTool]) -> Vec<Todo> {
        let planned = self.slots.iter().enumerate().filter_map(|(slot, it)| match (&it.state, it.tool) {
            (State::Planned { again }, Some(tool)) => Some((slot, it, tools.get(tool)?, *again)),
            _ => None,
        });
        planned
            .map(|(slot, it, tool, again)| match &tool.target {
                Target::Tool { .. } => {
                    Todo::Call { slot, tool: Box::new(tool.clone()), arguments: it.arguments.clone(), again }
                }
                Target::Agent { agent, name } => {
                    Todo::Spawn { slot, agent: *agent, name: name.clone(), task: task_of(&it.arguments) }
                }
            })
            .collect()
    }

    pub(super) fn spawned(&self) -> Vec<EffectId> {
        self.slots
            .iter()
            .filter_map(|slot| match slot.state {
                State::Spawned { id } => Some(id),
                _ => None,
            })
            .collect()
    }

    pub(super) fn calls_out(&self) -> Vec<EffectId> {
        self.slots
            .iter()
            .filter_map(|slot| match slot.state {
                State::Out { id, .. } => Some(id),
                _ => None,
            })
            .collect()
    }

    /// Whether `other` made the same calls and got the same results.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        let calls = |turn: &Self| -> Vec<(String, Map<String, Value>, State)> {
            turn.answer
                .calls
                .iter()
                .zip(&turn.slots)
                .map(|(call, slot)| (call.name.clone(), slot.arguments.clone(), slot.state.clone()))
                .collect()
        };
        calls(self) == calls(other)
    }
}

impl Slot {
    fn new(index: usize, call: &ToolCall, tools: &[GrantedTool], depth: u32) -> Self {
        match read(index, call, tools, depth) {
            Ok((tool, arguments)) => {
                Self { tool: Some(tool), arguments, state: State::Planned { again: None } }
            }
            Err(text) => {
                Self { tool: None, arguments: Map::new(), state: State::Done { text, is_error: true } }
            }
        }
    }

    /// Answered here instead of being made. What could be read of it is kept: an older version may have sent it, and
    /// then the rest of the journal says where it stands.
    fn cut_off(self) -> Self {
        Self { state: State::Done { text: CUT_OFF.to_owned(), is_error: true }, ..self }
    }
}

impl State {
    pub(super) fn id(&self) -> Option<EffectId> {
        match self {
            Self::Out { id, .. } | Self::Spawned { id } => Some(*id),
            Self::Planned { .. } | Self::Done { .. } => None,
        }
    }

    /// Where a call stands whose outcome will not be known: sent again only if that is harmless and nobody asked the
    /// run to stop; otherwise the model is told. A time-out is told: waiting as long again is the model's decision.
    pub(super) fn after_unknown(&self, why: Why) -> Self {
        let Self::Out { id, repeatable, attempt } = *self else {
            return self.clone();
        };
        let harmless = repeatable && attempt < ATTEMPTS_MAX;
        let text = match why {
            Why::Interrupted | Why::ConnectionLost if harmless => {
                return Self::Planned { again: Some((id, attempt + 1)) };
            }
            Why::Interrupted => "Station was interrupted after this call was sent, so its outcome is unknown",
            Why::ConnectionLost => {
                "the tool's server went away after this call was sent, so its outcome is unknown"
            }
            Why::TimedOut => "this call took longer than it may, so its outcome is unknown",
            Why::Stopped => "the run was stopped while this call was out, so its outcome is unknown",
        };
        let text = format!(
            "{text}. It may or may not have taken effect, and was not sent again. Check the state of things before you repeat it."
        );
        Self::Done { text, is_error: true }
    }
}

/// The tool and arguments that `call` means, or what the model is told instead.
fn read(
    index: usize,
    call: &ToolCall,
    tools: &[GrantedTool],
    depth: u32,
) -> Result<(usize, Map<String, Value>), String> {
    if index >= CALLS_MAX {
        return Err(format!("not called: at most {CALLS_MAX} calls are made in one turn"));
    }
    let named = |name: &str| tools.iter().position(|tool| tool.spec.name == name);
    let Some(tool) = named(&call.name).or_else(|| named(grant::bare(&call.name))) else {
        let names: Vec<&str> = tools.iter().map(|tool| tool.spec.name.as_str()).collect();
        let offer = if names.is_empty() {
            "there are none".to_owned()
        } else {
            format!("there are: {}", names.join(", "))
        };
        return Err(format!("there is no tool `{}`; {offer}", call.name));
    };
    let arguments = arguments_of(&call.arguments)?;
    if let Target::Agent { name, .. } = &tools[tool].target {
        if depth >= DEPTH_MAX {
            return Err(format!(
                "agent `{name}` was not started: agents call each other at most {DEPTH_MAX} deep"
            ));
        }
        if task_of(&arguments).trim().is_empty() {
            return Err(format!("agent `{name}` needs a `task`: a text that says what it is to do"));
        }
    }
    Ok((tool, arguments))
}

fn arguments_of(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err("the arguments are not a JSON object; call again with an object".to_owned()),
        Err(error) => Err(format!("the arguments are not valid JSON ({error}); call again with valid JSON")),
    }
}

fn task_of(arguments: &Map<String, Value>) -> String {
    arguments.get("task").and_then(Value::as_str).unwrap_or_default().to_owned()
}

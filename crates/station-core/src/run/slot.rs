//! One call of a turn: what it is, and where it stands on its way to an answer.
//!
//! A call is planned, perhaps waits for a person's yes, is out, and comes back. If its answer is lost it is sent again
//! where that is harmless; otherwise a look may tell what became of it, or a person, or nobody: then the model is told.

use super::{Again, DEPTH_MAX, Given, GrantedTool, Target, UnknownPolicy, Whole, Why};
use crate::verify::{Found, Look, LookAnswer};
use crate::{EffectId, Image, ToolCall, Transport, grant};
use serde_json::{Map, Value};

/// Most calls of one turn that are made; the rest is answered as too many. Providers allow more, people mean fewer.
const CALLS_MAX: usize = 32;

/// Times a call that may be repeated is sent in all, where its server went away the last time.
const ATTEMPTS_MAX: u32 = 3;

/// The same where each time it was proved that the call did not take effect.
const PROVED_ATTEMPTS_MAX: u32 = 10;

/// What the model is told of a call that it had not finished writing.
const CUT_OFF: &str = "not called: your answer was cut off before this call was complete; call again";

/// One call of a turn.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Index into the run's tools; `None` where the call was answered here.
    pub(super) tool: Option<usize>,
    pub(super) arguments: Map<String, Value>,
    /// The yes of a person, given for this call alone.
    pub(super) given: Option<Given>,
    pub(super) state: State,
}

/// Where a call stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// To be sent; `again` where it was out before and may be repeated.
    Planned { again: Option<Again> },
    /// Waits for a person's yes.
    Awaiting { given: Given },
    /// Sent.
    Out { id: EffectId, repeatable: bool, attempt: u32, look: Option<Look>, transport: Transport },
    /// Its answer was lost, and a look is to tell what became of it. `looks` were made in vain.
    Doubtful { lost: Lost, looks: u32 },
    /// The look is out.
    Looking { id: EffectId, lost: Lost, looks: u32 },
    /// A person is to say what became of it.
    Unsettled { lost: Lost },
    /// A sub-agent's run was enqueued.
    Spawned { id: EffectId },
    /// Answered, one way or another.
    Done { text: String, is_error: bool, whole: Option<Whole>, images: Vec<Image> },
}

/// A call whose answer was lost.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lost {
    pub(super) id: EffectId,
    attempt: u32,
    pub(super) look: Option<Look>,
    why: Why,
    /// Whether what it was given to is known to be at work no more.
    gone: bool,
}

impl Slot {
    pub(super) fn new(index: usize, call: &ToolCall, tools: &[GrantedTool], depth: u32) -> Self {
        match read(index, call, tools, depth) {
            Ok((tool, arguments)) => {
                Self { tool: Some(tool), arguments, given: None, state: State::Planned { again: None } }
            }
            Err(text) => Self { tool: None, arguments: Map::new(), given: None, state: State::error(text) },
        }
    }

    /// Answered here instead of being made. What could be read of it is kept: an older version may have sent it, and
    /// then the rest of the journal says where it stands.
    pub(super) fn cut_off(self) -> Self {
        Self { state: State::error(CUT_OFF), ..self }
    }

    /// A person's yes.
    pub(super) fn approve(&mut self) {
        if let State::Awaiting { given } = &self.state {
            self.given = Some(given.clone());
            self.state = State::Planned { again: None };
        }
    }

    /// A yes that does not hold any more.
    pub(super) fn void(&mut self) {
        self.given = None;
        if let State::Awaiting { .. } = &self.state {
            self.state = State::Planned { again: None };
        }
    }
}

/// What a run says of calls whose answer is lost.
#[derive(Clone, Copy)]
pub(super) struct LostTerms {
    pub(super) policy: UnknownPolicy,
    pub(super) interruptions_max: u32,
}

impl State {
    pub(super) fn done(text: impl Into<String>) -> Self {
        Self::Done { text: text.into(), is_error: false, whole: None, images: Vec::new() }
    }

    pub(super) fn error(text: impl Into<String>) -> Self {
        Self::Done { text: text.into(), is_error: true, whole: None, images: Vec::new() }
    }

    /// The same wherever in the run it stands: the handle of a long result names its place.
    pub(super) fn of_no_place(&self) -> Self {
        match self {
            Self::Done { whole: Some(whole), is_error, images, .. } => Self::Done {
                text: whole.blob.to_string(),
                is_error: *is_error,
                whole: None,
                images: images.clone(),
            },
            other => other.clone(),
        }
    }

    pub(super) fn id(&self) -> Option<EffectId> {
        match self {
            Self::Out { id, .. } | Self::Spawned { id } | Self::Looking { id, .. } => Some(*id),
            Self::Awaiting { given } => Some(given.id),
            Self::Doubtful { lost, .. } | Self::Unsettled { lost } => Some(lost.id),
            Self::Planned { .. } | Self::Done { .. } => None,
        }
    }

    /// Where a call stands after its answer, or that of a look for it, was lost. It is sent again only if that is
    /// harmless and nobody asked the run to stop. A time-out is not repeated: waiting as long again is the model's
    /// decision. `gone`: every child that it could have been given to is known to be at work no more; a remote server
    /// is no child.
    pub(super) fn after_unknown(&self, why: Why, gone: bool, terms: LostTerms) -> Self {
        let LostTerms { policy, interruptions_max } = terms;
        let attempts_max = if why == Why::Interrupted { interruptions_max } else { ATTEMPTS_MAX };
        match self {
            Self::Out { id, repeatable, attempt, look, transport } => {
                let gone = gone && transport.ends_with_us();
                let lost = Lost { id: *id, attempt: *attempt, look: look.clone(), why, gone };
                match why {
                    Why::Interrupted | Why::ConnectionLost if *repeatable && lost.attempt < attempts_max => {
                        lost.again(false)
                    }
                    Why::Stopped => lost.told(""),
                    _ if lost.look.is_some() => Self::Doubtful { lost, looks: 0 },
                    _ => lost.left_to(policy, ""),
                }
            }
            Self::Looking { lost, looks, .. } => match why {
                Why::Stopped => lost.told(""),
                _ if looks + 1 < attempts_max => Self::Doubtful { lost: lost.clone(), looks: looks + 1 },
                _ => lost.left_to(policy, " What became of it could not be looked up."),
            },
            _ => self.clone(),
        }
    }

    /// Where a call stands that turned out never to have left.
    pub(super) fn after_not_sent(&self) -> Self {
        match self {
            Self::Out { id, attempt, .. } => {
                Self::Planned { again: Some(Again { id: *id, attempt: *attempt + 1, absent: true }) }
            }
            Self::Looking { lost, looks, .. } => Self::Doubtful { lost: lost.clone(), looks: *looks },
            _ => self.clone(),
        }
    }

    /// Where a call stands after a look for it came back.
    pub(super) fn after_look(&self, answer: LookAnswer<'_>, policy: UnknownPolicy) -> Self {
        let Self::Looking { lost, .. } = self else { return self.clone() };
        let Some(look) = &lost.look else { return lost.left_to(policy, "") };
        match look.judge(answer) {
            Found::Done => Self::done(format!(
                "this call took effect, but its own answer was lost; `{}` says: {}",
                look.tool, answer.text
            )),
            Found::NotDone if lost.gone && lost.attempt < PROVED_ATTEMPTS_MAX => lost.again(true),
            Found::NotDone => lost.left_to(
                policy,
                &format!(" `{}` did not find its effect, but it may still be at work.", look.tool),
            ),
            Found::Unclear => {
                lost.left_to(policy, &format!(" `{}` could not tell what became of it.", look.tool))
            }
        }
    }

    /// Where a call stands after the gate did not let its look pass.
    pub(super) fn after_refusal(&self, sentence: &str, policy: UnknownPolicy) -> Self {
        match self {
            Self::Doubtful { lost, .. } => {
                lost.left_to(policy, &format!(" What became of it could not be looked up: {sentence}."))
            }
            _ => Self::error(sentence),
        }
    }

    /// Where a call stands after a person said what became of it.
    pub(super) fn after_settling(&self, done: bool, by: &str, note: &str) -> Self {
        let Self::Unsettled { lost } = self else { return self.clone() };
        let note = if note.is_empty() { String::new() } else { format!(": {note}") };
        if done {
            return Self::done(format!(
                "this call took effect, but its answer was lost; so says a person ({by}){note}"
            ));
        }
        if lost.attempt < PROVED_ATTEMPTS_MAX {
            return lost.again(true);
        }
        Self::error(format!("this call did not take effect, so says a person ({by}){note}"))
    }
}

impl Lost {
    fn again(&self, absent: bool) -> State {
        State::Planned { again: Some(Again { id: self.id, attempt: self.attempt + 1, absent }) }
    }

    fn left_to(&self, policy: UnknownPolicy, besides: &str) -> State {
        match policy {
            UnknownPolicy::Tell => self.told(besides),
            UnknownPolicy::Park => State::Unsettled { lost: self.clone() },
        }
    }

    fn told(&self, besides: &str) -> State {
        let text = match self.why {
            Why::Interrupted => "Station was interrupted after this call was sent, so its outcome is unknown",
            Why::ConnectionLost => {
                "the tool's server went away after this call was sent, so its outcome is unknown"
            }
            Why::TimedOut => "this call took longer than it may, so its outcome is unknown",
            Why::Stopped => "the run was stopped while this call was out, so its outcome is unknown",
        };
        State::error(format!(
            "{text}. It may or may not have taken effect, and was not sent again.{besides} Check the state of things before you repeat it."
        ))
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

pub(super) fn task_of(arguments: &Map<String, Value>) -> String {
    arguments.get("task").and_then(Value::as_str).unwrap_or_default().to_owned()
}

//! What the machine says is next, and what the driver is to know of it.

use super::{GrantedTool, Outcome};
use crate::approval::{Approved, Basis};
use crate::verify::Look;
use crate::{AgentId, EffectId, ModelRef, Transport};
use serde_json::{Map, Value};

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Send these, all at once.
    Do(Vec<Todo>),
    /// Nothing can be done until something outside happens; the run costs a row.
    Park(Waiting),
    /// The run is over; `RunEnded` is to be appended if it was not.
    End(Outcome),
}

/// Something to be sent. `Machine::start` turns it into the event that is committed first.
#[derive(Clone, Debug, PartialEq)]
pub enum Todo {
    /// Ask a model.
    Ask {
        /// Index into the run's models.
        choice: usize,
        /// The model.
        model: ModelRef,
    },
    /// Call a tool.
    Call {
        /// Index of the call in the current turn.
        slot: usize,
        /// The tool as granted when the run started; rights are checked as they are now.
        tool: Box<GrantedTool>,
        /// The arguments.
        arguments: Map<String, Value>,
        /// How it is sent again, where this call was out before.
        again: Option<Again>,
        /// A person's yes, given for this call alone.
        given: Option<Box<Given>>,
        /// What the gate says of it; set before it is started.
        terms: Box<Terms>,
    },
    /// Look whether a call whose answer was lost took effect.
    Verify {
        /// Index of that call in the current turn.
        slot: usize,
        /// That call.
        of: EffectId,
        /// Its tool, as granted when the run started.
        tool: Box<GrantedTool>,
        /// The look.
        look: Box<Look>,
    },
    /// Start a sub-agent's run.
    Spawn {
        /// Index of the call in the current turn.
        slot: usize,
        /// The agent.
        agent: AgentId,
        /// Its name.
        name: String,
        /// Its task.
        task: String,
    },
}

/// What a parked run waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Runs of sub-agents, by the effects that spawned them.
    Children(Vec<EffectId>),
    /// A person's yes, for these calls.
    Approval(Vec<EffectId>),
    /// A person's word on what became of these calls.
    Person(Vec<EffectId>),
}

/// What the gate says of a call that it lets pass; kept with its `EffectStarted`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// It may be sent again after an interruption.
    pub repeatable: bool,
    /// The yes it uses.
    pub approved: Option<Approved>,
    /// How it is found out whether it took effect.
    pub look: Option<Look>,
    /// How its server is reached.
    pub transport: Transport,
}

/// A call that was out before and is sent again, under the id that it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// Its id.
    pub id: EffectId,
    /// The number of this attempt; 1 was the first.
    pub attempt: u32,
    /// Whether it was proved that it did not take effect; otherwise it is sent because repeating it is harmless.
    pub absent: bool,
}

/// A yes of a person, given for one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The effect it was asked under, which is the call's own.
    pub id: EffectId,
    /// What it was given for.
    pub basis: Basis,
}

impl Todo {
    /// The id that this effect has already: a call that was out before, or that waited for a yes, keeps its own.
    #[must_use]
    pub fn id(&self) -> Option<EffectId> {
        match self {
            Self::Call { again, given, .. } => {
                again.map(|again| again.id).or_else(|| given.as_ref().map(|given| given.id))
            }
            Self::Ask { .. } | Self::Verify { .. } | Self::Spawn { .. } => None,
        }
    }
}

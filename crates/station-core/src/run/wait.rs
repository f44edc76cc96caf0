//! What a run waits on: what sort of thing, for whoever decides by it, and the words for people.

use crate::Action;

/// What a run waits on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitsOn {
    /// What sort of thing it is.
    pub kind: WaitKind,
    /// Which one, in words for people.
    pub words: String,
}

/// The sort of thing that a run waits on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitKind {
    /// A worker with room for it.
    Worker,
    /// The answer of a model, or another try.
    Model,
    /// The answer of a tool.
    Tool,
    /// Sub-agents.
    Agent,
    /// Its turn at something that may not be asked so often.
    Rate,
    /// A person's yes.
    Approval,
    /// A person who says what became of a call.
    Outcome,
    /// A person, because it cannot be driven on as things are.
    Fault,
    /// Room in a budget.
    Budget,
    /// What a model costs, under a limit of money.
    Price,
    /// A Station that knows all that its journal says.
    NewerStation,
}

impl WaitKind {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::Worker,
        Self::Model,
        Self::Tool,
        Self::Agent,
        Self::Rate,
        Self::Approval,
        Self::Outcome,
        Self::Fault,
        Self::Budget,
        Self::Price,
        Self::NewerStation,
    ];

    /// The word in the store and in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Model => "model",
            Self::Tool => "tool",
            Self::Agent => "agent",
            Self::Rate => "rate",
            Self::Approval => "approval",
            Self::Outcome => "outcome",
            Self::Fault => "fault",
            Self::Budget => "budget",
            Self::Price => "price",
            Self::NewerStation => "newer_station",
        }
    }

    /// The kind of this word; `None` where another version wrote it.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Whether it is over only when somebody changes a limit or says what a model costs: going on would not help.
    #[must_use]
    pub fn is_limit(self) -> bool {
        matches!(self, Self::Budget | Self::Price)
    }

    /// What words of this kind begin with, where the thing itself does not say what it is; empty where it does.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Approval => "approval of ",
            Self::Outcome => "a person: the outcome of ",
            Self::Fault => "a person, because it could not be driven on: ",
            Self::Price => "a price: ",
            Self::NewerStation => "a newer Station: ",
            Self::Worker | Self::Model | Self::Tool | Self::Agent | Self::Rate | Self::Budget => "",
        }
    }

    /// What words of this kind end with: for an approval, who may give it.
    fn suffix(self) -> String {
        match self {
            Self::Approval => format!(" by {}", Action::Approve.by_whom()),
            Self::Outcome => " is unknown".to_owned(),
            Self::Worker
            | Self::Model
            | Self::Tool
            | Self::Agent
            | Self::Rate
            | Self::Fault
            | Self::Budget
            | Self::Price
            | Self::NewerStation => String::new(),
        }
    }
}

impl WaitsOn {
    /// Waits on `which` of this kind.
    #[must_use]
    pub fn new(kind: WaitKind, which: impl std::fmt::Display) -> Self {
        Self { kind, words: format!("{}{which}{}", kind.prefix(), kind.suffix()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_on_is_said_in_words() {
        for (kind, which, words) in [
            (WaitKind::Worker, "a free worker", "a free worker"),
            (WaitKind::Model, "model p/m", "model p/m"),
            (WaitKind::Approval, "`post` of `book`", "approval of `post` of `book` by a user or an admin"),
            (WaitKind::Outcome, "`post`", "a person: the outcome of `post` is unknown"),
            (WaitKind::Fault, "it is odd", "a person, because it could not be driven on: it is odd"),
            (
                WaitKind::Budget,
                "budget: run 1 has spent 2 of 2 tokens",
                "budget: run 1 has spent 2 of 2 tokens",
            ),
            (WaitKind::Price, "p/m has none", "a price: p/m has none"),
            (WaitKind::NewerStation, "entry 3 is new", "a newer Station: entry 3 is new"),
        ] {
            assert_eq!(WaitsOn::new(kind, which), WaitsOn { kind, words: words.to_owned() });
        }
    }

    #[test]
    fn each_kind_has_a_word_of_its_own() {
        for kind in WaitKind::ALL {
            assert_eq!(WaitKind::from_word(kind.as_str()), Some(kind));
        }
        assert_eq!(WaitKind::from_word("of another version"), None);
    }
}

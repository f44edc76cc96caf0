//! How much may run at a time: limits that workers keep to when they claim runs.

use std::collections::BTreeMap;

/// How many runs may be driven at a time, here and elsewhere, by what they have in common. `None`: any number.
///
/// A run counts while it is driven, by a worker or by a person; a parked one does not, so that no sub-agent waits for the
/// run that waits for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Concurrency {
    /// Of one environment.
    pub environment_max: Option<u32>,
    /// Of one agent.
    pub agent_max: Option<u32>,
    /// With one model.
    pub model_max: ModelMax,
}

/// How many runs may be driven at a time with one model: the one that a run asks first, or the one it fell back to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelMax {
    /// Of each model that is not named.
    pub each: Option<u32>,
    /// By name.
    pub named: BTreeMap<String, u32>,
}

impl Concurrency {
    /// Any number of everything.
    pub const UNLIMITED: Self = Self {
        environment_max: None,
        agent_max: None,
        model_max: ModelMax { each: None, named: BTreeMap::new() },
    };
}

impl ModelMax {
    /// Whether any model has a limit.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.each.is_some() || !self.named.is_empty()
    }

    /// The limit of one model.
    #[must_use]
    pub fn of(&self, model: &str) -> Option<u32> {
        self.named.get(model).copied().or(self.each)
    }
}

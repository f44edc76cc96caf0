//! What a client brings back with its answers: sealed, and bound to who asked for what.

use super::Gateway;
use crate::tools::{VALID_FOR, failed, not_taken};
use serde::{Deserialize, Serialize};
use station_mcp::serve::{Asked, Fault};
use std::collections::BTreeMap;

/// How far a request was when its client was asked. It travels with the client, sealed, and comes back within the hour, perhaps to
/// a newer version: what that cannot read, it refuses.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Values that the client gave for variables of the server: they go with the request and are kept nowhere else.
    pub(super) given: BTreeMap<String, String>,
    /// What it was asked.
    pub(super) at: At,
}

/// What a client was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum At {
    /// Values of variables that the server lacks.
    Variables,
    /// A person was asked whether the call may be sent.
    Approval {
        /// The question's number: it is decided once, whatever is brought back twice.
        id: i64,
    },
    /// The server asked by a result.
    Input {
        /// What it wants back.
        state: Option<String>,
    },
    /// The server asked while it was at work, and waits; by the number under which that is held here.
    Held { id: String },
}

impl At {
    /// As a state in which nothing was given.
    pub(super) fn alone(self) -> State {
        State { given: BTreeMap::new(), at: self }
    }
}

impl Gateway {
    pub(super) fn seal(&self, asked: &Asked, request: &str, state: &State) -> Result<String, Fault> {
        let text = serde_json::to_string(state)
            .map_err(|cause| Fault::Internal(format!("a state could not be written: {cause}")))?;
        let sealed = self.station.give_out(&asked.by, request, &text, VALID_FOR);
        sealed.map_err(|error| failed(&error))
    }

    /// What the client brings back, where it brings anything.
    pub(super) fn brought(&self, asked: &Asked, request: &str) -> Result<Option<State>, Fault> {
        let Some(sealed) = &asked.input.state else { return Ok(None) };
        let text = self.station.take_back(&asked.by, request, sealed);
        let text = text.map_err(|error| not_taken(error.sentence()))?;
        serde_json::from_str(&text).map(Some).map_err(|_| not_taken("it was given out by another version"))
    }
}

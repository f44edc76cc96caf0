//! Journal entries.
//!
//! Events are the one exception to "a twin for each noun": the journal's own words are versioned and outlive releases,
//! so they are told as they are kept; only points in time are written as everywhere on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use station_core::{Micros, run};

/// The one point in time that an event may have.
const DEADLINE: &str = "deadline";

/// One line of a journal.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Entry {
    /// Its place: 1, 2, 3, …
    pub seq: i64,
    /// When it was appended.
    pub at: String,
    /// What happened; `event` names it.
    pub event: Value,
}

impl Entry {
    /// The entry that this tells; `None` where it is one that this version does not know.
    #[must_use]
    pub fn read(&self) -> Option<run::Entry> {
        let mut event = self.event.clone();
        if let Some(deadline) = event.get_mut(DEADLINE)
            && let Some(at) = deadline.as_str().and_then(Micros::parse)
        {
            *deadline = Value::from(at.0);
        }
        Some(run::Entry {
            seq: self.seq,
            at: Micros::parse(&self.at)?,
            event: serde_json::from_value(event).ok()?,
        })
    }
}

impl From<&run::Entry> for Entry {
    fn from(entry: &run::Entry) -> Self {
        let mut event = serde_json::to_value(&entry.event).expect("journal events serialize");
        if let Some(deadline) = event.get_mut(DEADLINE)
            && let Some(micros) = deadline.as_i64()
        {
            *deadline = Value::from(Micros(micros).to_string());
        }
        Self { seq: entry.seq, at: entry.at.to_string(), event }
    }
}

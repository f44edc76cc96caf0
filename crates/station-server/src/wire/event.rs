//! Journal entries.
//!
//! Events are the one exception to "a twin for each noun": the journal's own words are versioned and outlive releases,
//! so they are told as they are kept; only points in time are written as everywhere on the wire.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use station_core::Micros;

/// One line of a journal.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Entry {
    /// Its place: 1, 2, 3, …
    pub seq: i64,
    /// When it was appended.
    pub at: String,
    /// What happened; `event` names it.
    pub event: Value,
}

impl From<&station_core::run::Entry> for Entry {
    fn from(entry: &station_core::run::Entry) -> Self {
        let mut event = serde_json::to_value(&entry.event).expect("journal events serialize");
        if let Some(deadline) = event.get_mut("deadline")
            && let Some(micros) = deadline.as_i64()
        {
            *deadline = Value::from(Micros(micros).to_string());
        }
        Self { seq: entry.seq, at: entry.at.to_string(), event }
    }
}

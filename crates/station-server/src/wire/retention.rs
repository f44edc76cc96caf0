//! Old runs: what would go, and what went.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use station_engine::{Prunable, Pruned};

/// Runs that would be removed.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct PrunableRuns {
    /// How many, sub-agents' included.
    pub runs: u64,
    /// When the oldest of them was started.
    pub oldest: Option<String>,
}

/// Runs that were removed.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct PrunedRuns {
    /// How many, sub-agents' included.
    pub runs: u64,
    /// Stored bodies that no run needs any more, which went with them.
    pub bodies: u64,
}

impl From<&Prunable> for PrunableRuns {
    fn from(prunable: &Prunable) -> Self {
        Self { runs: prunable.runs, oldest: prunable.oldest.map(|at| at.to_string()) }
    }
}

impl From<&Pruned> for PrunedRuns {
    fn from(pruned: &Pruned) -> Self {
        Self { runs: pruned.runs, bodies: pruned.blobs }
    }
}

//! Replayed cases.

use serde::Serialize;
use station_core::case::{Case, Side, Verdict};

/// A case and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct TriedCase {
    /// Its file.
    pub path: String,
    /// The agent; `null` where the file is no case.
    pub agent: Option<String>,
    /// The environment.
    pub environment: Option<String>,
    /// Whether it passed.
    pub passed: bool,
    /// Why it could not be replayed.
    pub problem: Option<String>,
    /// Record and replay, side by side.
    pub lines: Vec<CaseLine>,
    /// What has changed since it was recorded and made no difference.
    pub notes: Vec<String>,
}

/// A line of the comparison.
#[derive(Clone, Debug, Serialize)]
pub struct CaseLine {
    /// `both`, `recorded` or `replayed`.
    pub side: &'static str,
    /// What it says.
    pub text: String,
}

impl TriedCase {
    /// The case at `path`, and its comparison.
    #[must_use]
    pub fn new(
        path: String,
        case: Option<&Case>,
        passed: bool,
        result: Result<&Verdict, &station_core::Error>,
    ) -> Self {
        let lines = result.map(|verdict| verdict.lines.as_slice()).unwrap_or_default();
        let line = |line: &station_core::case::Line| CaseLine {
            side: match line.side {
                Side::Both => "both",
                Side::Recorded => "recorded",
                Side::Replayed => "replayed",
            },
            text: line.text.clone(),
        };
        Self {
            path,
            agent: case.map(|case| case.agent.clone()),
            environment: case.map(|case| case.environment.clone()),
            passed,
            problem: result.err().map(|error| error.sentence().to_owned()),
            lines: lines.iter().map(line).collect(),
            notes: result.map(|verdict| verdict.notes.clone()).unwrap_or_default(),
        }
    }
}

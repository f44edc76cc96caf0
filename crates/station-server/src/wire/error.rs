//! An error as every door tells it: the public part, never the cause.

use schemars::JsonSchema;
use serde::Serialize;

/// `{"error": {…}}`.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Error {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ErrorBody {
    /// The stable word: `invalid`, `not_found`, `conflict`, …; at the terminal also `usage`.
    pub kind: &'static str,
    /// The sentence.
    pub message: String,
    /// What to try, in order.
    pub hints: Vec<String>,
    /// After how many seconds it may be tried again, where that is known.
    pub retry_after_s: Option<u32>,
    /// What the log calls the request; over HTTP alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl From<&station_core::Error> for Error {
    fn from(error: &station_core::Error) -> Self {
        let (message, hints) = (error.sentence().to_owned(), error.hints().to_vec());
        let (kind, retry_after_s) = (error.kind().as_str(), error.retry_after_s());
        Self { error: ErrorBody { kind, message, hints, retry_after_s, request_id: None } }
    }
}

//! An error as every door tells it: the public part, never the cause.

use super::Word;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use station_core::Kind;

/// `{"error": {…}}`.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct Error {
    /// What went wrong.
    pub error: ErrorBody,
}

/// What went wrong, for programs and for people.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct ErrorBody {
    /// The stable word: `invalid`, `not_found`, `conflict`, …; at the terminal also `usage`.
    pub kind: Word,
    /// The sentence.
    pub message: String,
    /// What to try, in order.
    pub hints: Vec<String>,
    /// After how many seconds it may be tried again, where that is known.
    pub retry_after_s: Option<u32>,
    /// What the log calls the request; over HTTP alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl ErrorBody {
    /// The error that this tells; `None` where this version does not know its kind.
    #[must_use]
    pub fn read(self) -> Option<station_core::Error> {
        let kind = Kind::from_word(&self.kind)?;
        let error = self
            .hints
            .into_iter()
            .fold(station_core::Error::new(kind, self.message), station_core::Error::with_hint);
        Some(match self.retry_after_s {
            Some(seconds) => error.with_retry_after_s(seconds),
            None => error,
        })
    }
}

impl From<&station_core::Error> for Error {
    fn from(error: &station_core::Error) -> Self {
        let (message, hints) = (error.sentence().to_owned(), error.hints().to_vec());
        let (kind, retry_after_s) = (error.kind().as_str().into(), error.retry_after_s());
        Self { error: ErrorBody { kind, message, hints, retry_after_s, request_id: None } }
    }
}

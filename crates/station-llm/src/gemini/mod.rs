//! Google's Gemini dialect (`POST …/v1beta/models/{model}:streamGenerateContent?alt=sse`).
//!
//! What is particular: arguments and results are objects, results go by the function's name, and thoughts are signatures on
//! parts of the answer, without which Gemini 3 refuses what follows its own calls.
//! Reference: <https://ai.google.dev/api/generate-content>, <https://ai.google.dev/gemini-api/docs/thought-signatures>,
//! <https://ai.google.dev/gemini-api/docs/function-calling>.

mod answer;
mod model;
mod request;

pub(crate) use answer::Reading;
pub(crate) use model::{takes_schema, thinks_at_all};
pub(crate) use request::body;

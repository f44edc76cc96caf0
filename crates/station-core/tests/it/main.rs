//! What core promises about data that outlives a release.

mod edits;
mod journals;
mod workspace;

//! What core promises about data that outlives a release.

mod journals;

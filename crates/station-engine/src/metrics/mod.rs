//! What Station counts and times, for Prometheus.
//!
//! Store, models, tool servers, runs and doors open `tracing` spans with fixed names ([`names`] has all of them); a layer here times each
//! and counts what it says of itself, so that what is measured and what is traced is one thing, told at one place. What is not an event
//! but a number of the store (agents, servers, the queue) is asked when somebody looks. **Invariant:** labels are words of
//! ours, or names that an administrator gave, of which no more than [`names::VALUES_MAX`] are told apart: no run, user or address is one.

mod count;
mod names;
mod zero;

pub use count::Metrics;

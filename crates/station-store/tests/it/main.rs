//! One suite, two engines: every function of the store is tried on encrypted SQLite and on a real PostgreSQL.

#![expect(clippy::unwrap_used, reason = "this is all test: whatever fails here should end it")]

mod approvals;
mod budgets;
mod catalog;
mod environments;
mod family;
mod fixture;
mod forks;
mod generation;
mod instances;
mod journal;
mod lease_play;
mod leases;
mod logins;
mod once;
mod opening;
mod parking;
mod processes;
mod prune;
mod queue;
mod removal;
mod rotation;
mod runs;
mod secrecy;
mod sync;
mod users;
mod wakes;

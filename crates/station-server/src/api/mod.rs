//! The HTTP API: every operation as a row of a table, from which the routes, the checks of what is sent and the OpenAPI document
//! are made.
//!
//! An operation has the name of the engine's verb and answers in the shapes of [`wire`](crate::wire), which the command line's
//! `--json` prints too. To add one: a row in its noun's file. What this is not: it knows no sockets and no headers; `http::api`
//! brings requests here and takes answers away.

mod agents;
mod approvals;
mod environments;
mod older;
mod openapi;
mod operation;
mod page;
mod runs;
#[cfg(test)]
mod tests;

pub use openapi::document;
pub(crate) use operation::{Events, Operation, Reply, Verb, read};

/// What the addresses of all operations begin with.
pub(crate) const BASE: &str = "/api/v1";

/// Every operation, in the order of the document.
pub(crate) fn operations() -> impl Iterator<Item = &'static Operation> {
    [environments::ROWS, agents::ROWS, runs::ROWS, approvals::ROWS, older::ROWS].into_iter().flatten()
}

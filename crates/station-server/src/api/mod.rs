//! The HTTP API: every operation as a row of a table, from which the routes, the checks of what is sent and the OpenAPI document
//! are made.
//!
//! An operation has the name of the engine's verb and answers in the shapes of [`wire`](crate::wire), which the command line's
//! `--json` prints too. To add one: a row in its noun's file. What this is not: it knows no sockets and no headers; `http::api`
//! brings requests here and takes answers away.

mod agents;
mod approvals;
mod audit;
mod budgets;
mod environments;
mod events;
mod forms;
mod locks;
mod models;
mod older;
mod openapi;
mod operation;
mod page;
mod plans;
mod request;
mod retention;
mod runs;
mod servers;
mod settings;
#[cfg(test)]
mod tests;
mod users;
mod variables;

use axum::http::Method;
pub use openapi::document;
pub(crate) use operation::{Events, Needs, Operation, Reply, read};
pub use request::{Request, request};

/// What the addresses of all operations begin with.
pub(crate) const BASE: &str = "/api/v1";

/// What is said where there is nothing, for a client as well: of an operation that its server does not have.
pub const NOTHING_THERE: &str = "there is nothing at this address";

/// Every operation, in the order of the document.
pub(crate) fn operations() -> impl Iterator<Item = &'static Operation> {
    [
        environments::ROWS,
        variables::ROWS,
        agents::ROWS,
        plans::ROWS,
        servers::ROWS,
        locks::ROWS,
        models::ROWS,
        runs::ROWS,
        retention::ROWS,
        approvals::ROWS,
        budgets::ROWS,
        users::ROWS,
        audit::ROWS,
        settings::ROWS,
        older::ROWS,
    ]
    .into_iter()
    .flatten()
}

/// Whether an address of an operation is asked by a method that it does not take.
pub(crate) fn is_for_another_method(method: &Method, path: &str) -> bool {
    let Some(path) = path.strip_prefix(BASE) else { return false };
    let mut there = operations().filter(|it| fits(it.path, path)).peekable();
    there.peek().is_some() && there.all(|it| it.verb.method() != *method)
}

/// Whether `path` is one of those that `template` stands for.
fn fits(template: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    let is_like = |part: &str| parts.next().is_some_and(|it| part.starts_with('{') || part == it);
    template.split('/').all(is_like) && parts.next().is_none()
}

/// Whether nobody need be known for a request.
pub(crate) fn is_open(method: &Method, path: &str) -> bool {
    let Some(path) = path.strip_prefix(BASE) else { return false };
    operations().any(|it| it.needs == Needs::Nothing && it.path == path && it.verb.method() == *method)
}

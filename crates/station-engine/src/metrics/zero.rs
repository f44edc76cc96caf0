//! Zeros that are told before anything was counted.
//!
//! Prometheus sees no increase where a series begins with a one, so a first failure that nothing stood before would be none. What has
//! words of ours as labels begins with the process; what has the name of an environment or of a server, once the store has told which
//! there are.

use super::count::Metrics;
use super::names::{
    CONNECTION_ERRORS, CONNECTION_FAULTS, DATABASE_ERRORS, MCP_SECONDS, OTHER, RUN_ERRORS, RUN_SECONDS, RUNS,
};
use station_core::run::{Failure, Status};
use station_store::{Figures, OPERATIONS, failure_words};

/// What is there whatever the store has.
pub(super) fn begin() {
    for operation in OPERATIONS {
        for error in failure_words() {
            metrics::counter!(DATABASE_ERRORS, "operation" => operation, "error" => error).increment(0);
        }
    }
    for status in ends() {
        drop(metrics::histogram!(RUN_SECONDS, "status" => status));
    }
    drop(metrics::histogram!(MCP_SECONDS, "method" => "tools/call", "outcome" => "answered"));
    of_environment(OTHER);
    of_server(OTHER);
}

/// What is there of everything that `figures` names.
pub(super) fn of_store(metrics: &Metrics, figures: &Figures) {
    for environment in &figures.environment_names {
        of_environment(&metrics.bounded("environment", environment));
    }
    for server in &figures.server_names {
        of_server(&metrics.bounded("server", server));
    }
}

fn of_environment(name: &str) {
    for status in ends() {
        metrics::counter!(RUNS, "environment" => name.to_owned(), "status" => status).increment(0);
    }
    for failure in Failure::ALL.map(Failure::as_str) {
        metrics::counter!(RUN_ERRORS, "environment" => name.to_owned(), "failure" => failure).increment(0);
    }
}

fn of_server(name: &str) {
    for error in CONNECTION_FAULTS {
        metrics::counter!(CONNECTION_ERRORS, "server" => name.to_owned(), "error" => error).increment(0);
    }
}

/// How a run ends.
fn ends() -> impl Iterator<Item = &'static str> {
    Status::ALL.into_iter().filter(|status| status.is_final()).map(Status::as_str)
}

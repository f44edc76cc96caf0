//! What is counted and timed, by the names under which it is told.

use metrics::Unit;
use station_store::Figures;

/// Distinct values of one label that are told apart; what comes later is [`OTHER`].
pub(super) const VALUES_MAX: usize = 200;
pub(super) const OTHER: &str = "other";

/// Upper bounds in seconds: of statements and requests of our own.
const FAST: [f64; 11] = [0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0];

/// Of servers and models, which start, think and wait.
const SLOW: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0];

/// Of runs, which may wait for a person.
pub(super) const LONG: [f64; 11] =
    [0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0];

/// How a span is counted when it ends.
pub(super) struct Measured {
    /// Its name.
    pub(super) span: &'static str,
    /// The histogram of its seconds.
    pub(super) histogram: &'static str,
    pub(super) help: &'static str,
    pub(super) buckets: &'static [f64],
    /// Its fields that are labels there.
    pub(super) labels: &'static [&'static str],
    /// What is counted where it has the field `error`, with its help, and the fields that are labels there.
    pub(super) errors: Option<(&'static str, &'static str, &'static [&'static str])>,
}

/// Every span that is measured. The names with `agent_`, `mcp_` and `database_` are those of Station's architecture document.
pub(super) const SPANS: [Measured; 6] = [
    Measured {
        span: "store.query",
        histogram: "station_database_query_duration_seconds",
        help: "Time of a statement in the database, commits included.",
        buckets: &FAST,
        labels: &["operation"],
        errors: Some((
            DATABASE_ERRORS,
            "Statements that failed, by what they do and the sort of failure.",
            &["operation", "error"],
        )),
    },
    Measured {
        span: "mcp.request",
        histogram: MCP_SECONDS,
        help: "Time from writing a request to a tool server to its answer.",
        buckets: &SLOW,
        labels: &["method", "outcome"],
        errors: Some(CONNECTIONS),
    },
    Measured {
        span: "mcp.connect",
        histogram: "station_mcp_connect_duration_seconds",
        help: "Time to start or reach a tool server and to greet it.",
        buckets: &SLOW,
        labels: &["transport", "outcome"],
        errors: Some(CONNECTIONS),
    },
    Measured {
        span: "tool.call",
        histogram: "station_tool_call_duration_seconds",
        help: "Time of a tool call, waiting for its server included.",
        buckets: &SLOW,
        labels: &["outcome"],
        errors: None,
    },
    Measured {
        span: "model.request",
        histogram: "station_model_request_duration_seconds",
        help: "Time of a request to a model, repetitions included.",
        buckets: &SLOW,
        labels: &["provider", "outcome"],
        errors: Some((
            "station_model_errors_total",
            "Requests that no model answered, after all repetitions.",
            &["provider", "error"],
        )),
    },
    Measured {
        span: "http.request",
        histogram: "station_http_request_duration_seconds",
        help: "Time from the head of a request to the head of its answer.",
        buckets: &FAST,
        labels: &["method", "route", "status"],
        errors: None,
    },
];

const CONNECTIONS: (&str, &str, &[&str]) = (
    CONNECTION_ERRORS,
    "Tool servers that could not be reached (connect), or broke off in the middle of a request (lost).",
    &["server", "error"],
);

/// The event that says that a run has ended.
pub(super) const RUN_ENDED: &str = "run.ended";
pub(super) const DATABASE_ERRORS: &str = "station_database_errors_total";
pub(super) const MCP_SECONDS: &str = "station_mcp_request_duration_seconds";
pub(super) const CONNECTION_ERRORS: &str = "station_mcp_connection_errors_total";
/// What the label `error` of that says.
pub(super) const CONNECTION_FAULTS: [&str; 2] = ["connect", "lost"];
pub(super) const RUNS: &str = "station_agent_runs_total";
pub(super) const RUN_ERRORS: &str = "station_agent_execution_errors_total";
pub(super) const RUN_SECONDS: &str = "station_agent_execution_duration_seconds";
pub(super) const TOKENS: &str = "station_model_tokens_total";
pub(super) const RETRIES: &str = "station_model_retries_total";

/// Each number of the store by its name, with its help.
pub(super) fn gauges(figures: &Figures) -> [(&'static str, &'static str, u64); 5] {
    [
        ("station_agents_total", "Agents in the store.", figures.agents),
        ("station_mcp_servers_total", "Tool servers in the store.", figures.servers),
        ("station_execution_queue_size", "Runs that wait for a worker.", figures.queued),
        ("station_executions_running", "Runs that a worker has, of all instances.", figures.running),
        (
            "station_executions_waiting",
            "Runs that are parked: for a person, a sub-agent or a budget.",
            figures.waiting,
        ),
    ]
}

/// Tells what each name means.
pub(super) fn describe() {
    for row in &SPANS {
        metrics::describe_histogram!(row.histogram, Unit::Seconds, row.help);
        if let Some((name, help, _)) = row.errors {
            metrics::describe_counter!(name, help);
        }
    }
    for (name, help, _) in gauges(&Figures::default()) {
        metrics::describe_gauge!(name, help);
    }
    metrics::describe_counter!(RUNS, "Runs that ended in this process, by how.");
    metrics::describe_counter!(RUN_ERRORS, "Runs that failed, by the sort of failure.");
    let help = "Time from the first claim of a run to its end, waiting included.";
    metrics::describe_histogram!(RUN_SECONDS, Unit::Seconds, help);
    metrics::describe_counter!(TOKENS, "Tokens that models read (input) and wrote (output).");
    metrics::describe_counter!(RETRIES, "Requests to models that were sent again.");
    metrics::describe_gauge!("station_build_info", "The version that runs; always 1.");
    metrics::gauge!("station_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

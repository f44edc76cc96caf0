//! Listens to spans, counts and times what they say of themselves, and tells it.

use super::names::{
    LONG, Measured, OTHER, RETRIES, RUN_ENDED, RUN_ERRORS, RUN_SECONDS, RUNS, SPANS, TOKENS, VALUES_MAX,
    describe, gauges,
};
use super::zero;
use crate::Station;
use crate::said::Said;
use metrics::Label;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use station_core::policy::Action;
use station_core::{Caller, Error, Result};
use station_store::Figures;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, filter};

/// Observations after which buffers are folded, so that nobody who never looks pays with memory.
const FOLD_AFTER: u64 = 4_096;

/// The metrics of this process. Cheap to clone; every clone is the same.
#[derive(Clone)]
pub struct Metrics {
    inner: Arc<Inner>,
}

struct Inner {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    process: metrics_process::Collector,
    observed: AtomicU64,
    /// Values that were seen, by their label.
    values: Mutex<BTreeMap<&'static str, BTreeSet<String>>>,
}

impl Metrics {
    /// Nothing counted yet.
    ///
    /// # Errors
    /// `Internal` where a histogram has no bounds.
    pub fn new() -> Result<Self> {
        let internal = |cause| Error::internal("setting up metrics", cause);
        let mut builder = PrometheusBuilder::new();
        let runs = (RUN_SECONDS, &LONG[..]);
        for (name, bounds) in SPANS.iter().map(|row| (row.histogram, row.buckets)).chain([runs]) {
            builder =
                builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds).map_err(internal)?;
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        let inner = Inner {
            recorder,
            handle,
            process: metrics_process::Collector::default(),
            observed: AtomicU64::new(0),
            values: Mutex::default(),
        };
        let made = Self { inner: Arc::new(inner) };
        made.here(|| {
            describe();
            zero::begin();
            made.inner.process.describe();
        });
        Ok(made)
    }

    /// What listens to spans and counts them: to be a layer of the process's subscriber.
    #[must_use]
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let counting = Counting { metrics: self.clone() };
        let wanted =
            filter::filter_fn(is_counted).with_max_level_hint(tracing::level_filters::LevelFilter::INFO);
        counting.with_filter(wanted)
    }

    /// All of it in Prometheus' text format (version 0.0.4); without `figures` where the store cannot be asked.
    #[must_use]
    pub fn render(&self, figures: Option<&Figures>) -> String {
        self.here(|| {
            figures.into_iter().for_each(|figures| zero::of_store(self, figures));
            for (name, _, value) in figures.into_iter().flat_map(gauges) {
                // Exact below 2^53.
                #[expect(clippy::cast_precision_loss, reason = "a count")]
                metrics::gauge!(name).set(value as f64);
            }
            self.inner.process.collect();
        });
        self.inner.handle.render()
    }

    /// Runs `count` with this recorder.
    fn here(&self, count: impl FnOnce()) {
        metrics::with_local_recorder(&self.inner.recorder, count);
    }

    /// As [`Metrics::here`], for something that was observed.
    fn observe(&self, count: impl FnOnce()) {
        self.here(count);
        if self.inner.observed.fetch_add(1, Ordering::Relaxed) % FOLD_AFTER == FOLD_AFTER - 1 {
            self.inner.handle.run_upkeep();
        }
    }

    /// The fields of `said` that are named, as labels.
    fn labels(&self, names: &[&'static str], said: &Said) -> Vec<Label> {
        let label = |name: &&'static str| Label::new(*name, self.bounded(name, &said.text(name)));
        names.iter().map(label).collect()
    }

    /// `value` where it is one of those that are told apart.
    pub(super) fn bounded(&self, label: &'static str, value: &str) -> String {
        let mut values = self.inner.values.lock().unwrap_or_else(PoisonError::into_inner);
        let values = values.entry(label).or_default();
        if !values.contains(value) {
            if values.len() >= VALUES_MAX {
                return OTHER.to_owned();
            }
            values.insert(value.to_owned());
        }
        value.to_owned()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Station {
    /// How much there is of what, in all environments.
    ///
    /// # Errors
    /// `Forbidden`; the store's.
    pub async fn figures(&self, by: &Caller) -> Result<Figures> {
        by.may(Action::ReadMetrics)?;
        self.store().figures().await
    }
}

/// Whether a span or event is one that is counted.
fn is_counted(metadata: &Metadata<'_>) -> bool {
    let name = metadata.name();
    metadata.target().starts_with("station_")
        && (name == RUN_ENDED || SPANS.iter().any(|row| row.span == name))
}

/// A span that is being timed.
struct Timing {
    row: &'static Measured,
    began: Instant,
    said: Said,
}

struct Counting {
    metrics: Metrics,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Counting {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(row) = SPANS.iter().find(|row| row.span == attributes.metadata().name()) else { return };
        let Some(span) = context.span(id) else { return };
        let mut said = Said::default();
        attributes.record(&mut said);
        span.extensions_mut().insert(Timing { row, began: Instant::now(), said });
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(timing) = span.extensions_mut().get_mut::<Timing>() {
            record.record(&mut timing.said);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(Timing { row, began, said }) = span.extensions_mut().remove::<Timing>() else { return };
        let seconds = began.elapsed();
        let metrics = &self.metrics;
        metrics.observe(|| {
            metrics::histogram!(row.histogram, metrics.labels(row.labels, &said)).record(seconds);
            if let Some((name, _, labels)) = row.errors
                && said.get("error").is_some()
            {
                metrics::counter!(name, metrics.labels(labels, &said)).increment(1);
            }
            if row.span == "model.request" {
                let provider = metrics.bounded("provider", &said.text("provider"));
                for (direction, field) in [("input", "input_tokens"), ("output", "output_tokens")] {
                    let counter =
                        metrics::counter!(TOKENS, "provider" => provider.clone(), "direction" => direction);
                    counter.increment(said.count(field));
                }
                metrics::counter!(RETRIES, "provider" => provider).increment(said.count("retries"));
            }
        });
    }

    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if event.metadata().name() != RUN_ENDED {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let metrics = &self.metrics;
        metrics.observe(|| {
            metrics::counter!(RUNS, metrics.labels(&["environment", "status"], &said)).increment(1);
            let seconds: f64 = said.text("seconds").parse().unwrap_or_default();
            metrics::histogram!(RUN_SECONDS, metrics.labels(&["status"], &said)).record(seconds);
            if said.get("failure").is_some() {
                metrics::counter!(RUN_ERRORS, metrics.labels(&["environment", "failure"], &said))
                    .increment(1);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::field::Empty;
    use tracing_subscriber::layer::SubscriberExt as _;

    /// What is told after `work` was done under a subscriber that counts.
    fn told(work: impl FnOnce()) -> Vec<String> {
        let metrics = Metrics::new().unwrap();
        let subscriber = tracing_subscriber::registry().with(metrics.layer());
        tracing::subscriber::with_default(subscriber, work);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let figures = Figures {
            agents: 3,
            servers: 2,
            queued: 1,
            running: 0,
            waiting: 4,
            environment_names: names(&["dev"]),
            server_names: names(&["files"]),
        };
        metrics.render(Some(&figures)).lines().map(str::to_owned).collect()
    }

    fn has(told: &[String], line: &str) {
        assert!(told.iter().any(|it| it == line), "{line}\n{}", told.join("\n"));
    }

    #[test]
    fn a_span_is_timed_and_its_failure_counted_by_what_it_says_of_itself() {
        let told = told(|| {
            for error in [None, Some("locked"), Some("locked")] {
                let span = tracing::info_span!(target: "station_store", "store.query", operation = "update", error = Empty);
                if let Some(error) = error {
                    span.record("error", error);
                }
            }
        });
        has(&told, r#"station_database_query_duration_seconds_count{operation="update"} 3"#);
        has(&told, r#"station_database_errors_total{operation="update",error="locked"} 2"#);
        has(&told, "# TYPE station_database_query_duration_seconds histogram");
    }

    #[test]
    fn the_end_of_a_run_is_counted_by_environment_and_status() {
        let told = told(|| {
            let seconds = 2.0;
            let failure = "model";
            tracing::info!(name: "run.ended", target: "station_engine", environment = "dev", status = "failed", failure, seconds);
            tracing::info!(name: "run.ended", target: "station_engine", environment = "dev", status = "completed", seconds);
        });
        has(&told, r#"station_agent_runs_total{environment="dev",status="failed"} 1"#);
        has(&told, r#"station_agent_runs_total{environment="dev",status="completed"} 1"#);
        has(&told, r#"station_agent_execution_errors_total{environment="dev",failure="model"} 1"#);
        has(&told, r#"station_agent_execution_duration_seconds_sum{status="failed"} 2"#);
    }

    #[test]
    fn figures_of_the_store_are_gauges_and_the_process_is_measured() {
        let told = told(|| {});
        has(&told, "station_agents_total 3");
        has(&told, "station_mcp_servers_total 2");
        has(&told, "station_execution_queue_size 1");
        has(&told, "# TYPE station_execution_queue_size gauge");
        assert!(told.iter().any(|line| line.starts_with("process_resident_memory_bytes ")));
    }

    #[test]
    fn what_was_never_counted_is_told_as_zero() {
        let told = told(|| {});
        has(&told, r#"station_agent_runs_total{environment="dev",status="completed"} 0"#);
        has(&told, r#"station_agent_execution_errors_total{environment="dev",failure="model"} 0"#);
        has(&told, r#"station_agent_execution_duration_seconds_count{status="timed_out"} 0"#);
        has(&told, r#"station_mcp_connection_errors_total{server="files",error="connect"} 0"#);
        has(&told, r#"station_database_errors_total{operation="commit",error="full"} 0"#);
    }

    #[test]
    fn a_label_has_no_more_values_than_are_told_apart() {
        let told = told(|| {
            for n in 0..VALUES_MAX + 50 {
                let server = format!("server-{n}");
                tracing::info_span!(target: "station_mcp", "mcp.connect", %server, transport = "stdio", outcome = "failed", error = "connect");
            }
        });
        let name = "station_mcp_connection_errors_total{";
        let series = told.iter().filter(|line| line.starts_with(name) && line.contains(r#"error="connect""#));
        assert_eq!(series.count(), VALUES_MAX + 1);
        has(&told, r#"station_mcp_connection_errors_total{server="other",error="connect"} 50"#);
    }

    #[test]
    fn what_others_call_by_the_same_name_is_not_counted() {
        let told = told(|| {
            tracing::info_span!(target: "elsewhere", "http.request", method = "GET");
        });
        assert!(!told.iter().any(|line| line.starts_with("station_http_request_duration_seconds_count")));
    }

    /// Dashboard and alerts that are handed out with Station ask for nothing that is not told.
    #[test]
    fn what_is_handed_out_to_watch_it_asks_for_metrics_that_there_are() {
        let histograms = SPANS.iter().map(|row| row.histogram).chain([RUN_SECONDS]);
        let parts = |name: &str| ["bucket", "count", "sum"].map(|part| format!("{name}_{part}"));
        let figures = Figures::default();
        let counters = SPANS.iter().filter_map(|row| row.errors.map(|(name, ..)| name));
        let plain = counters.chain([RUNS, RUN_ERRORS, TOKENS, RETRIES]);
        let plain = plain.chain(gauges(&figures).map(|(name, ..)| name)).map(str::to_owned);
        let known: BTreeSet<String> = histograms.flat_map(parts).chain(plain).collect();
        for file in ["prometheus/alerts.yml", "grafana/station.json"] {
            let path = format!("{}/../../deploy/{file}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let asked: BTreeSet<&str> = words.filter(|word| word.starts_with("station_")).collect();
            assert!(asked.len() > 8, "{file} asks for {asked:?}");
            for name in asked {
                assert!(known.contains(name), "{file} asks for {name}");
            }
        }
    }
}

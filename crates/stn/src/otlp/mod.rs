//! Traces and metrics by OTLP: what is measured, sent to a collector under the names that OpenTelemetry gives it.
//!
//! A layer notes spans as they end ([`layer`]), [`conventions`] names them, and one task sends them in batches; another sends what `/metrics`
//! tells ([`metrics`]) now and then. Ids are Station's own: the trace is that of the request or run, and the span of a call is the one that its
//! server or model was told. What a model, a tool or a person said is in a span only where that is asked for. A collector that is busy for a
//! moment is sent it again; what cannot be sent is told in the log and dropped: one that is away costs nobody anything.

mod conventions;
mod layer;
mod metrics;

use crate::config::Settings;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use prost::Message as _;
use station_core::file::config::check_endpoint;
use station_core::{Caller, Error, Micros, Result};
use station_engine::{Clock, Metrics, Station};
use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use layer::Tracing;

/// Spans that wait to be sent; what comes when it is full is dropped.
const QUEUE_MAX: usize = 4_096;

/// Spans of one request, and how long the first of them waits for others.
const BATCH_MAX: usize = 512;
const BATCH_WITHIN: Duration = Duration::from_secs(5);

/// How often metrics are sent.
const METRICS_EVERY: Duration = Duration::from_secs(60);

/// What a collector says that may be asked again (OTLP 1, "Retryable Response Codes"). Of traces the exporter knows them by itself.
const BUSY: [u16; 4] = [429, 502, 503, 504];

/// How often the last metrics are sent to one that is busy, and what is waited in between: within [`END_WITHIN`].
const LAST_TRIES: u32 = 5;
const AGAIN_AFTER: Duration = Duration::from_millis(300);

/// How long a collector may take to answer, and how long the last batch is waited for at the end.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const END_WITHIN: Duration = Duration::from_secs(3);

/// Where traces and metrics are sent to. Spans are taken from the moment it is made; they are sent once it is started.
pub(crate) struct Collector {
    /// Its address, without a signal's own path.
    endpoint: String,
    headers: HashMap<String, String>,
    /// What this is called there.
    service: String,
    began: Micros,
    spans: mpsc::Receiver<SpanData>,
}

/// The time, as OpenTelemetry takes it.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(Clock::System.now().0).unwrap_or_default())
}

/// What sends, until it is closed.
pub(crate) struct Sending {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// The collector that `settings` name, and what takes spans for it.
///
/// # Errors
/// `Invalid` where its address is none, its headers cannot be read, or it is not clear whether it is told what was said.
pub(crate) fn collector(settings: &Settings) -> Result<Option<(Collector, Tracing)>> {
    let Some((place, endpoint)) = endpoint(settings) else { return Ok(None) };
    check_endpoint(place, endpoint)?;
    let (outlet, spans) = mpsc::channel(QUEUE_MAX);
    let endpoint = endpoint.trim_end_matches('/').to_owned();
    let (headers, began) = (headers(settings)?, Clock::System.now());
    let service = settings.environment.get("OTEL_SERVICE_NAME").unwrap_or("station").to_owned();
    let contents = has_contents(settings)?.then(|| settings.secrets());
    Ok(Some((Collector { endpoint, headers, service, began, spans }, Tracing::new(outlet, contents))))
}

/// Whether spans have in them what was said. The words are those of OpenTelemetry's instrumentations; events of it are not sent.
fn has_contents(settings: &Settings) -> Result<bool> {
    const VARIABLE: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    let Some(word) = settings.environment.get(VARIABLE) else {
        return Ok(settings.config.otel_content.unwrap_or_default());
    };
    match &*word.to_ascii_lowercase() {
        "true" | "span_only" | "span_and_event" => Ok(true),
        "false" | "no_content" | "event_only" => Ok(false),
        _ => Err(Error::invalid(format!("{VARIABLE} is `{word}`, and must be `true` or `false`"))),
    }
}

/// Where OTLP goes to, and where that is said.
fn endpoint(settings: &Settings) -> Option<(&'static str, &str)> {
    const VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let environment = settings.environment.get(VARIABLE).map(|endpoint| (VARIABLE, endpoint));
    let written = settings.config.otel_endpoint.as_deref();
    environment.or(written.map(|endpoint| ("`otel_endpoint` of config.yaml", endpoint)))
}

/// What a collector asks for: `name=value`, with commas between (OpenTelemetry, protocol exporter).
fn headers(settings: &Settings) -> Result<HashMap<String, String>> {
    const VARIABLE: &str = "OTEL_EXPORTER_OTLP_HEADERS";
    let Some(text) = settings.environment.get(VARIABLE) else { return Ok(HashMap::new()) };
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((name.trim().to_owned(), value.into_owned()))
    };
    // They are secrets: not even the one that is wrong is told.
    let wrong = || Error::invalid(format!("{VARIABLE} is not `name=value`, with commas between"));
    text.split(',').filter(|it| !it.trim().is_empty()).map(|it| pair(it).ok_or_else(wrong)).collect()
}

impl Collector {
    /// Sends from now on.
    ///
    /// # Errors
    /// `Internal` where no request can be made at all.
    pub(crate) fn start(self, station: &Station, by: &Caller, metrics: &Metrics) -> Result<Sending> {
        let client = reqwest::Client::builder()
            .timeout(ANSWER_WITHIN)
            // Its headers are secrets, and go where it was named.
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let client = client.map_err(|cause| Error::internal("setting up OTLP", cause))?;
        // OTEL_RESOURCE_ATTRIBUTES says more.
        let about = [
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", uuid::Uuid::now_v7().to_string()),
        ];
        let resource = Resource::builder().with_service_name(self.service).with_attributes(about).build();
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        tasks.spawn(send_metrics(
            (client.clone(), format!("{}/v1/metrics", self.endpoint), self.headers.clone()),
            (station.clone(), by.clone(), metrics.clone()),
            (about_of(&resource), self.began),
            stop.clone(),
        ));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_headers(self.headers)
            .with_endpoint(format!("{}/v1/traces", self.endpoint))
            .with_timeout(ANSWER_WITHIN)
            .build();
        let mut exporter = exporter.map_err(|cause| Error::internal("setting up OTLP", cause))?;
        exporter.set_resource(&resource);
        tasks.spawn(send_spans(exporter, self.spans, stop.clone()));
        Ok(Sending { stop, tasks })
    }
}

fn about_of(resource: &Resource) -> Vec<(String, String)> {
    resource.iter().map(|(key, value)| (key.to_string(), value.as_str().into_owned())).collect()
}

async fn send_spans(exporter: SpanExporter, mut spans: mpsc::Receiver<SpanData>, stop: CancellationToken) {
    loop {
        let (batch, is_last) = gathered(&mut spans, &stop).await;
        if !batch.is_empty()
            && let Err(error) = exporter.export(batch).await
        {
            tracing::warn!(%error, "traces were not taken, and are dropped");
        }
        if is_last {
            return;
        }
    }
}

/// The next batch, and whether it is the last.
async fn gathered(spans: &mut mpsc::Receiver<SpanData>, stop: &CancellationToken) -> (Vec<SpanData>, bool) {
    let mut batch = Vec::new();
    let mut due = None;
    loop {
        let until = due.unwrap_or_else(Instant::now);
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                while let Ok(span) = spans.try_recv() {
                    batch.push(span);
                }
                return (batch, true);
            }
            () = tokio::time::sleep_until(until), if due.is_some() => return (batch, false),
            span = spans.recv() => match span {
                Some(span) => batch.push(span),
                None => return (batch, true),
            },
        }
        if batch.len() >= BATCH_MAX {
            return (batch, false);
        }
        due.get_or_insert_with(|| Instant::now() + BATCH_WITHIN);
    }
}

async fn send_metrics(
    (client, endpoint, headers): (reqwest::Client, String, HashMap<String, String>),
    (station, by, metrics): (Station, Caller, Metrics),
    (about, began): (Vec<(String, String)>, Micros),
    stop: CancellationToken,
) {
    let mut is_last = false;
    while !is_last {
        tokio::select! {
            () = stop.cancelled() => is_last = true,
            () = tokio::time::sleep(METRICS_EVERY) => {}
        }
        // Without what the store has where it cannot be asked; `/metrics` tells of that.
        let text = metrics.render(station.figures(&by).await.ok().as_ref());
        let times = metrics::Times { began, now: Clock::System.now() };
        let mut request = client.post(&endpoint).header("content-type", "application/x-protobuf");
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        request = request.body(metrics::request(&text, &about, times).encode_to_vec());
        // What is refused now is in the next, which tells all of it; after the last there is none.
        let mut tries_left = if is_last { LAST_TRIES } else { 1 };
        while let Err(error) = send(&request).await {
            tries_left -= 1;
            if tries_left == 0 || !error.status().is_some_and(|status| BUSY.contains(&status.as_u16())) {
                tracing::warn!(error = %error.without_url(), "metrics were not taken");
                break;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }
}

/// Sends a copy of `request`.
async fn send(request: &reqwest::RequestBuilder) -> reqwest::Result<reqwest::Response> {
    let copy = request.try_clone().expect("its body is no stream");
    copy.send().await.and_then(reqwest::Response::error_for_status)
}

impl Sending {
    /// Sends what there still is, as far as the collector takes it soon.
    pub(crate) async fn close(mut self) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(END_WITHIN, all).await.is_err() {
            tracing::warn!("the last traces and metrics were not taken in time");
        }
    }
}

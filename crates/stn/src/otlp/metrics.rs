//! Metrics by OTLP: what `/metrics` tells, in the messages of OTLP.
//!
//! Prometheus' text is read and told anew, so that what is counted is counted once. What OpenTelemetry has a name for has that name, and
//! so have its attributes; the rest keeps ours, with dots. Sums and histograms are cumulative from the start of the process on.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use station_core::Micros;
use std::collections::BTreeMap;

/// Names of ours, and what OpenTelemetry calls the same
/// (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/>, `…/http/http-metrics/`, `…/gen-ai/mcp/`).
const NAMES: [(&str, &str); 4] = [
    ("station_http_request_duration_seconds", "http.server.request.duration"),
    ("station_model_request_duration_seconds", "gen_ai.client.operation.duration"),
    ("station_model_tokens_total", "station.model.tokens"),
    ("station_mcp_request_duration_seconds", "mcp.client.operation.duration"),
];

/// Labels of one of them, and what they are there.
const LABELS: [(&str, &str, &str); 7] = [
    ("station_http_request_duration_seconds", "method", "http.request.method"),
    ("station_http_request_duration_seconds", "route", "http.route"),
    ("station_http_request_duration_seconds", "status", "http.response.status_code"),
    ("station_model_request_duration_seconds", "provider", "gen_ai.provider.name"),
    ("station_model_tokens_total", "provider", "gen_ai.provider.name"),
    ("station_model_tokens_total", "direction", "gen_ai.token.type"),
    ("station_mcp_request_duration_seconds", "method", "mcp.method.name"),
];

/// When the process began to count, and now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) began: Micros,
    pub(super) now: Micros,
}

impl Times {
    /// Both in nanoseconds since 1970.
    fn nanos(self) -> (u64, u64) {
        let nanos = |at: Micros| u64::try_from(at.0).unwrap_or_default() * 1_000;
        (nanos(self.began), nanos(self.now))
    }
}

/// `text` of `/metrics` as a request to a collector; `about` says whose they are.
pub(super) fn request(text: &str, about: &[(String, String)], times: Times) -> ExportMetricsServiceRequest {
    let attributes = about.iter().map(|(name, value)| attribute(name, value)).collect();
    let metrics = read(text).into_iter().filter_map(|family| family.told(times)).collect();
    let scope = InstrumentationScope { name: "station".to_owned(), ..InstrumentationScope::default() };
    let told = ScopeMetrics { scope: Some(scope), metrics, schema_url: String::new() };
    let resource = Resource { attributes, ..Resource::default() };
    let resource_metrics = vec![ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![told],
        schema_url: String::new(),
    }];
    ExportMetricsServiceRequest { resource_metrics }
}

fn attribute(name: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: name.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// A metric and all of its samples.
#[derive(Debug, Default)]
struct Family<'a> {
    name: &'a str,
    help: &'a str,
    kind: &'a str,
    samples: Vec<Sample<'a>>,
}

#[derive(Debug)]
struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: f64,
}

/// Reads Prometheus' text format, as far as our own exporter writes it.
fn read(text: &str) -> Vec<Family<'_>> {
    let mut families: Vec<Family<'_>> = Vec::new();
    let mut help = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            families.push(Family { name, help, kind, samples: Vec::new() });
            help = "";
        } else if let (Some(sample), Some(family)) = (sample(line), families.last_mut()) {
            family.samples.push(sample);
        }
    }
    families
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let (head, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = head.strip_suffix('}').and_then(|head| head.split_once('{')) else {
        return Some(Sample { name: head, labels: Vec::new(), value });
    };
    let mut read = Vec::new();
    let mut rest = labels;
    while let Some((label, value)) = rest.split_once("=\"") {
        let end = closing_quote(value)?;
        read.push((label, unescaped(value.get(..end)?)));
        rest = value.get(end + 1..)?.trim_start_matches(',');
    }
    Some(Sample { name, labels: read, value })
}

/// Where the quote stands that ends a value.
fn closing_quote(value: &str) -> Option<usize> {
    let mut is_escaped = false;
    value.char_indices().find_map(|(at, c)| {
        let was_escaped = is_escaped;
        is_escaped = c == '\\' && !was_escaped;
        (c == '"' && !was_escaped).then_some(at)
    })
}

fn unescaped(value: &str) -> String {
    value.replace("\\n", "\n").replace("\\\"", "\"").replace("\\\\", "\\")
}

impl Family<'_> {
    /// As OTLP has it; `None` for what nothing was counted of.
    fn told(self, times: Times) -> Option<Metric> {
        if self.samples.is_empty() {
            return None;
        }
        let temporality = i32::from(AggregationTemporality::Cumulative);
        let data = match self.kind {
            "counter" => Data::Sum(Sum {
                data_points: self.numbers(times),
                aggregation_temporality: temporality,
                is_monotonic: true,
            }),
            "histogram" => Data::Histogram(Histogram {
                data_points: self.histograms(times),
                aggregation_temporality: temporality,
            }),
            _ => Data::Gauge(Gauge { data_points: self.numbers(times) }),
        };
        let unit = if self.name.contains("_seconds") { "s" } else { "" };
        Some(Metric {
            name: self.otel_name(),
            description: self.help.to_owned(),
            unit: unit.to_owned(),
            data: Some(data),
            ..Metric::default()
        })
    }

    fn otel_name(&self) -> String {
        let known = NAMES.iter().find(|(ours, _)| *ours == self.name).map(|(_, name)| (*name).to_owned());
        known.unwrap_or_else(|| {
            let bare = self.name.trim_end_matches("_total").trim_end_matches("_seconds");
            match bare.split_once('_') {
                Some((first, rest)) => format!("{first}.{rest}"),
                None => bare.to_owned(),
            }
        })
    }

    fn attributes(&self, labels: &[(&str, String)]) -> Vec<KeyValue> {
        let name = |label: &str| {
            let row = LABELS.iter().find(|(of, ours, _)| *of == self.name && *ours == label);
            row.map_or(label, |(_, _, name)| name).to_owned()
        };
        let told = labels.iter().filter(|(label, _)| *label != "le");
        let mut told: Vec<KeyValue> = told.map(|(label, value)| attribute(&name(label), value)).collect();
        if self.name == "station_model_request_duration_seconds" {
            told.push(attribute("gen_ai.operation.name", "chat"));
        }
        told
    }

    fn numbers(&self, times: Times) -> Vec<NumberDataPoint> {
        let (start_time_unix_nano, time_unix_nano) = times.nanos();
        let point = |sample: &Sample<'_>| NumberDataPoint {
            attributes: self.attributes(&sample.labels),
            start_time_unix_nano,
            time_unix_nano,
            value: Some(Value::AsDouble(sample.value)),
            ..NumberDataPoint::default()
        };
        self.samples.iter().map(point).collect()
    }

    fn histograms(&self, times: Times) -> Vec<HistogramDataPoint> {
        let (start_time_unix_nano, time_unix_nano) = times.nanos();
        // By their labels but for the bucket's own.
        let mut points: BTreeMap<String, HistogramDataPoint> = BTreeMap::new();
        for sample in &self.samples {
            let of: Vec<_> = sample.labels.iter().filter(|(label, _)| *label != "le").collect();
            let point = points.entry(format!("{of:?}")).or_insert_with(|| HistogramDataPoint {
                attributes: self.attributes(&sample.labels),
                start_time_unix_nano,
                time_unix_nano,
                ..HistogramDataPoint::default()
            });
            match sample.name.strip_prefix(self.name) {
                Some("_sum") => point.sum = Some(sample.value),
                Some("_count") => point.count = count(sample.value),
                Some("_bucket") => {
                    // Prometheus counts what is below a bound, OTLP what is between two.
                    let below: u64 = point.bucket_counts.iter().sum();
                    point.bucket_counts.push(count(sample.value).saturating_sub(below));
                    let bound = sample.labels.iter().find(|(label, _)| *label == "le");
                    let bound = bound.and_then(|(_, bound)| bound.parse::<f64>().ok());
                    point.explicit_bounds.extend(bound.filter(|bound| bound.is_finite()));
                }
                _ => {}
            }
        }
        points.into_values().collect()
    }
}

/// A count that Prometheus writes as it writes every number.
fn count(value: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, exact below 2^53")]
    let count = value as u64;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"# HELP station_agents_total Agents in the store.
# TYPE station_agents_total gauge
station_agents_total 3

# HELP station_agent_runs_total Runs that ended in this process, by how.
# TYPE station_agent_runs_total counter
station_agent_runs_total{environment="a \"b\"",status="failed"} 2

# TYPE station_http_request_duration_seconds histogram
station_http_request_duration_seconds_bucket{method="GET",route="/x",status="200",le="0.1"} 1
station_http_request_duration_seconds_bucket{method="GET",route="/x",status="200",le="1"} 4
station_http_request_duration_seconds_bucket{method="GET",route="/x",status="200",le="+Inf"} 5
station_http_request_duration_seconds_sum{method="GET",route="/x",status="200"} 7.5
station_http_request_duration_seconds_count{method="GET",route="/x",status="200"} 5

# TYPE station_model_errors_total counter
"#;

    #[test]
    fn what_prometheus_reads_is_told_a_collector_by_its_own_names() {
        let request = request(
            TEXT,
            &[("service.name".to_owned(), "station".to_owned())],
            Times { began: Micros(1), now: Micros(2) },
        );
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["station.agents", "station.agent_runs", "http.server.request.duration"]);
        let Some(Data::Sum(runs)) = &metrics[1].data else { panic!("{:?}", metrics[1]) };
        assert!(runs.is_monotonic);
        assert_eq!(runs.data_points[0].attributes[0], attribute("environment", "a \"b\""));
        let Some(Data::Histogram(requests)) = &metrics[2].data else { panic!("{:?}", metrics[2]) };
        let [point] = &requests.data_points[..] else { panic!("{requests:?}") };
        assert_eq!((point.count, point.sum, metrics[2].unit.as_str()), (5, Some(7.5), "s"));
        assert_eq!((&point.bucket_counts[..], &point.explicit_bounds[..]), (&[1, 3, 1][..], &[0.1, 1.0][..]));
        let keys: Vec<&str> = point.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
        assert_eq!(keys, ["http.request.method", "http.route", "http.response.status_code"]);
    }
}

//! Notes spans as they end, with the ids that Station gives them.

use super::{conventions, now};
use opentelemetry::InstrumentationScope;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use station_core::Redaction;
use station_core::content::CONTENT;
use station_engine::Said;
use std::time::SystemTime;
use tokio::sync::mpsc;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::filter;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// Spans that wait to be sent while others still have in them what was said: a collector that is away costs no more memory than that.
const CONTENTS_MAX: usize = 256;

/// Takes spans for a collector: a layer of the process's subscriber.
pub(crate) struct Tracing {
    outlet: mpsc::Sender<SpanData>,
    /// Where spans have in them what was said: the secrets that are known, which it is told without.
    contents: Option<Redaction>,
}

/// A span that has not ended.
struct Open {
    trace: TraceId,
    span: SpanId,
    /// The span above it, and whether that is another process's.
    parent: (SpanId, bool),
    began: SystemTime,
    said: Said,
}

impl Tracing {
    pub(super) fn new(outlet: mpsc::Sender<SpanData>, contents: Option<Redaction>) -> Self {
        Self { outlet, contents }
    }

    /// What spans may say beside themselves, while few of them wait.
    fn contents(&self) -> Option<&Redaction> {
        let waiting = self.outlet.max_capacity() - self.outlet.capacity();
        self.contents.as_ref().filter(|_| waiting < CONTENTS_MAX)
    }

    /// As a layer.
    pub(crate) fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(self) -> impl Layer<S> + Send + Sync {
        let has_contents = self.contents.is_some();
        let is_wanted = move |metadata: &Metadata<'_>| {
            if !metadata.is_span() {
                return has_contents && metadata.target() == CONTENT;
            }
            metadata.target().starts_with("station_") && conventions::is_told(metadata.name())
        };
        self.with_filter(filter::filter_fn(is_wanted))
    }
}

/// The ids of a span: those that it says, else a trace of the span above it, else one of its own.
fn ids<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>, said: &Said) -> (TraceId, SpanId, (SpanId, bool)) {
    let above = span
        .scope()
        .skip(1)
        .find_map(|above| above.extensions().get::<Open>().map(|open| (open.trace, open.span)));
    let span_of = |name: &str| SpanId::from_hex(&said.text(name)).ok();
    let (high, low) = uuid::Uuid::now_v7().as_u64_pair();
    let trace = TraceId::from_hex(&said.text("trace_id")).ok().or(above.map(|(trace, _)| trace));
    let trace = trace.unwrap_or_else(|| TraceId::from(u128::from(high) << 64 | u128::from(low)));
    let parent = match (above, span_of("parent_id")) {
        (Some((of, parent)), _) if of == trace => (parent, false),
        (_, Some(remote)) => (remote, true),
        _ => (SpanId::INVALID, false),
    };
    // The half of a UUID that is random.
    (trace, span_of("span_id").unwrap_or_else(|| SpanId::from(low)), parent)
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Tracing {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut said = Said::default();
        attributes.record(&mut said);
        let (trace, own, parent) = ids(&span, &said);
        span.extensions_mut().insert(Open { trace, span: own, parent, began: now(), said });
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            record.record(&mut open.said);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            event.record(&mut open.said);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else { return };
        let Some(told) = conventions::tell(span.name(), &open.said, self.contents()) else { return };
        let (parent_span_id, parent_span_is_remote) = open.parent;
        let data = SpanData {
            span_context: SpanContext::new(
                open.trace,
                open.span,
                TraceFlags::SAMPLED,
                false,
                TraceState::default(),
            ),
            parent_span_id,
            parent_span_is_remote,
            span_kind: told.kind,
            name: told.name.into(),
            start_time: open.began,
            end_time: now(),
            attributes: told.attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: told.status,
            instrumentation_scope: InstrumentationScope::builder("station").build(),
        };
        // Full: the collector is slow, and nobody waits for it.
        self.outlet.try_send(data).unwrap_or_default();
    }
}

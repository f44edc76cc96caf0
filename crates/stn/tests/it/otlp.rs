//! Traces and metrics of the real `stn serve`, as a collector takes them in: OTLP over HTTP, read back by the protocol's own messages.

use crate::home::Home;
use crate::http::Served;
use crate::watch::until;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use prost::Message as _;
use serde_json::json;
use station_testkit::openai::{self, OpenAi};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A request that a collector was sent, and the status that it was answered with.
struct Sent {
    path: String,
    head: String,
    body: Vec<u8>,
    status: u16,
}

/// A collector: it takes in traces and metrics in the binary encoding of OTLP over HTTP, and refuses everything else.
pub(crate) struct Collector {
    pub(crate) url: String,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Collector {
    pub(crate) fn start() -> Self {
        Self::refusing(0)
    }

    /// One that is busy at the first `n` requests to each of its addresses.
    fn refusing(n: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sent: Arc<Mutex<Vec<Sent>>> = Arc::default();
        let kept = Arc::clone(&sent);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || while take(&stream, &kept, n).is_some() {});
            }
        });
        Self { url, sent }
    }

    /// All that it was sent, heads and bodies.
    fn bytes(&self) -> Vec<u8> {
        let sent = self.sent.lock().unwrap();
        sent.iter().flat_map(|it| [it.head.as_bytes(), &it.body].concat()).collect()
    }

    /// The bodies of all that it was sent.
    pub(crate) fn bodies_of_all(&self) -> Vec<u8> {
        self.sent.lock().unwrap().iter().flat_map(|it| it.body.clone()).collect()
    }

    /// The bodies that it took in at `path`.
    fn bodies(&self, path: &str) -> Vec<Vec<u8>> {
        let sent = self.sent.lock().unwrap();
        let taken = sent.iter().filter(|it| it.path == path && it.status == 200);
        taken.map(|it| it.body.clone()).collect()
    }

    /// How it answered, in the order in which it was sent something.
    fn statuses(&self) -> Vec<(String, u16)> {
        self.sent.lock().unwrap().iter().map(|it| (it.path.clone(), it.status)).collect()
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.bodies("/v1/traces");
        let requests = requests.iter().map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap());
        let scopes = requests.flat_map(|it| it.resource_spans).flat_map(|it| it.scope_spans);
        scopes.flat_map(|it| it.spans).collect()
    }
}

/// Takes one request; `None` where there are no more.
fn take(stream: &TcpStream, kept: &Mutex<Vec<Sent>>, n_refused: usize) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length =
        head.to_lowercase().lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let mut sent = kept.lock().unwrap();
    let n_before = sent.iter().filter(|it| it.path == path).count();
    let status = if n_before < n_refused { 503 } else { judged(&path, &head, &body) };
    sent.push(Sent { path, head, body, status });
    drop(sent);
    let answer = format!(
        "HTTP/1.1 {status} Told\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
    );
    let mut stream = stream;
    stream.write_all(answer.as_bytes()).ok()
}

/// What a collector answers (OTLP 1, "OTLP/HTTP").
fn judged(path: &str, head: &str, body: &[u8]) -> u16 {
    let head = head.to_lowercase();
    let is_read = match path {
        "/v1/traces" => ExportTraceServiceRequest::decode(body).is_ok(),
        "/v1/metrics" => ExportMetricsServiceRequest::decode(body).is_ok(),
        _ => return 404,
    };
    if !head.starts_with("post ") {
        405
    } else if !head.contains("\r\ncontent-type: application/x-protobuf\r\n") {
        415
    } else if !is_read {
        400
    } else {
        200
    }
}

fn attribute(of: &[KeyValue], name: &str) -> Option<String> {
    let value = of.iter().find(|it| it.key == name)?.value.as_ref()?.value.as_ref()?;
    Some(match value {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(n) => n.to_string(),
        other => format!("{other:?}"),
    })
}

#[test]
fn a_collector_is_told_a_run_as_one_trace_and_what_was_counted() {
    let model = OpenAi::from_fn(|seen| match seen.results().len() {
        0 => openai::calls([("read", r#"{"path": "notes.txt"}"#)]),
        _ => openai::reply("a word that only the model said"),
    });
    let collector = Collector::start();
    let home = Home::with_fake()
        .asking(&model)
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)
        .set("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=one%20two");
    home.agent("default", "reader", "tools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let (bearer, parent) = (format!("Bearer {}", home.read("api-token").trim()), "b7ad6b7169203331");
    let above = format!("00-{trace}-{parent}-01");
    let headers = [("authorization", &*bearer), ("traceparent", &*above)];
    let task = json!({ "task": "a task that only a person said" }).to_string();
    let started = served.send_to("/api/v1/agents/reader/runs", "POST", &headers, &task);
    assert_eq!(started.status, 202, "{}", started.body);
    until("it has ended", || home.json(&["runs", "list"])["runs"][0]["status"] == "completed");
    // What is not sent yet is sent at the end.
    served.stop();

    let spans = collector.spans();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    let find = |name: &str| {
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} is not in {names:?}"))
    };
    let request = find("POST /api/v1/agents/{agent}/runs");
    let (run, call) = (find("invoke_agent reader"), find("execute_tool read"));
    let asked = spans.iter().find(|span| span.name.starts_with("chat ")).expect("the model was asked");
    for span in [request, run, call, asked, find("tools/call")] {
        assert_eq!(hex(&span.trace_id), trace, "{}", span.name);
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    }
    assert_eq!(hex(&request.parent_span_id), parent);
    assert_eq!(run.parent_span_id, request.span_id, "a run is below the request that started it");
    assert_eq!((&call.parent_span_id, &asked.parent_span_id), (&run.span_id, &run.span_id));
    // Whom we ask is told of the very span in which we ask.
    let told = &model.requests()[0].headers["traceparent"];
    let all: Vec<String> = spans.iter().map(|span| format!("00-{trace}-{}-01", hex(&span.span_id))).collect();
    assert!(all.contains(told), "{told}: {all:?}");
    let of = |span: &Span, name: &str| attribute(&span.attributes, name).unwrap_or_default();
    assert_eq!(of(request, "http.response.status_code"), "202");
    assert_eq!(
        (of(run, "gen_ai.agent.name"), of(run, "gen_ai.operation.name")),
        ("reader".into(), "invoke_agent".into())
    );
    assert_eq!(
        (of(asked, "gen_ai.provider.name"), of(asked, "gen_ai.operation.name")),
        ("openai".into(), "chat".into())
    );
    assert_eq!(of(call, "gen_ai.tool.name"), "read");
    // Of a request of MCP exactly this is told, as docs/serving.md says.
    let told = |name: &str| -> Vec<(String, String)> {
        let span = find(name);
        assert_eq!(span.kind, i32::from(SpanKind::Client), "{name}");
        let mut all: Vec<(String, String)> =
            span.attributes.iter().map(|it| (it.key.clone(), of(span, &it.key))).collect();
        all.sort();
        all
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    assert_eq!(
        told("tools/call"),
        pairs(&[
            ("mcp.method.name", "tools/call"),
            ("station.outcome", "answered"),
            ("station.server", "fake"),
        ])
    );
    assert_eq!(
        told("connect fake"),
        pairs(&[
            ("station.outcome", "connected"),
            ("station.server", "fake"),
            ("station.transport", "stdio"),
        ])
    );
    assert!(collector.statuses().iter().all(|(_, status)| *status == 200), "{:?}", collector.statuses());

    let metrics = collector.bodies("/v1/metrics");
    let metrics =
        ExportMetricsServiceRequest::decode(&metrics.last().expect("they are sent at the end")[..]).unwrap();
    let [of_one] = &metrics.resource_metrics[..] else { panic!("{metrics:?}") };
    let about = &of_one.resource.as_ref().unwrap().attributes;
    assert_eq!(attribute(about, "service.name").as_deref(), Some("station"));
    let names: Vec<&str> =
        of_one.scope_metrics[0].metrics.iter().map(|metric| metric.name.as_str()).collect();
    for name in [
        "gen_ai.client.operation.duration",
        "http.server.request.duration",
        "station.agent_runs",
        "station.agents",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    // Nothing that was said is told, nor what lets us in.
    let bytes = collector.bytes();
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("x-tenant: one two"));
    for said in ["only the model said", "only a person said", "notes.txt", home.read("api-token").trim()] {
        assert!(!text.contains(said), "{said}");
    }
}

#[test]
fn a_collector_that_is_busy_for_a_moment_is_sent_the_same_again() {
    let collector = Collector::refusing(1);
    let home = Home::with_fake().set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    let served = Served::start(&home);
    assert_eq!(served.send_to("/api/v1/agents", "GET", &[], "").status, 200);
    until("its first traces are taken", || !collector.bodies("/v1/traces").is_empty());
    served.stop();
    let names: Vec<String> = collector.spans().into_iter().map(|span| span.name).collect();
    assert!(names.contains(&"GET /api/v1/agents".to_owned()), "{names:?}");
    assert_eq!(collector.bodies("/v1/metrics").len(), 1, "{:?}", collector.statuses());
    for path in ["/v1/traces", "/v1/metrics"] {
        let sent = collector.sent.lock().unwrap();
        let mut of_it = sent.iter().filter(|it| it.path == path);
        let (refused, taken) = (of_it.next().unwrap(), of_it.next().unwrap());
        assert_eq!((refused.status, taken.status), (503, 200), "{path}");
        assert!(refused.body == taken.body, "{path}: what was held is what is sent");
    }
}

#[test]
fn the_collector_of_these_tests_refuses_what_is_no_otlp() {
    let collector = Collector::start();
    let address = collector.url.strip_prefix("http://").unwrap().to_owned();
    for (line, kind, body, status) in [
        ("POST /v1/traces", "application/x-protobuf", "", 200),
        ("POST /v1/traces", "application/json", "{}", 415),
        ("POST /v1/traces", "application/x-protobuf", "no message", 400),
        ("GET /v1/metrics", "application/x-protobuf", "", 405),
        ("POST /v1/logs", "application/x-protobuf", "", 404),
        ("POST /", "application/x-protobuf", "", 404),
    ] {
        let mut stream = TcpStream::connect(&address).unwrap();
        let head =
            format!("{line} HTTP/1.1\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).unwrap();
        assert!(answer.contains(&format!(" {status} ")), "{line} {kind}: {answer}");
    }
}

#[test]
fn a_collector_is_told_what_was_said_where_that_is_asked_for_and_the_log_is_not() {
    let model = OpenAi::from_fn(|seen| match seen.results().len() {
        0 => openai::calls([("read", r#"{"path": "notes.txt"}"#)]),
        _ => openai::reply("the model's own word, and sk-proj-a1B2c3D4e5F6g7H8i9J0k1L2m3N4"),
    });
    let collector = Collector::start();
    let home = Home::with_fake()
        .asking(&model)
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url)
        .set("STN_LOG_LEVEL", "info,station_content=trace");
    home.stn(&["settings", "set", "otel_content", "true"]).done();
    home.agent("default", "reader", "tools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let bearer = format!("Bearer {}", home.read("api-token").trim());
    let task = json!({ "task": "a person's own words" }).to_string();
    let started = served.send_to("/api/v1/agents/reader/runs", "POST", &[("authorization", &*bearer)], &task);
    assert_eq!(started.status, 202, "{}", started.body);
    until("it has ended", || home.json(&["runs", "list"])["runs"][0]["status"] == "completed");
    served.signal(nix::sys::signal::Signal::SIGTERM);
    until("it has ended", || !std::path::Path::new(&format!("/proc/{}/exe", served.pid())).exists());
    let log = served.told().join("\n");

    let spans = collector.spans();
    let said = |name: &str, attribute_of: &str| -> Vec<String> {
        let named = spans.iter().filter(|span| span.name.starts_with(name));
        named.filter_map(|span| attribute(&span.attributes, attribute_of)).collect()
    };
    let asked = said("chat ", "gen_ai.input.messages");
    assert!(asked.len() == 2 && asked.iter().all(|it| it.contains("a person's own words")), "{asked:?}");
    assert!(asked[1].contains("tool_call_response") && asked[1].contains("notes.txt"), "{asked:?}");
    let answers = said("chat ", "gen_ai.output.messages").concat();
    assert!(answers.contains("the model's own word, and [secret]"), "{answers}");
    assert_eq!(said("execute_tool", "gen_ai.tool.call.arguments"), [r#"{"path":"notes.txt"}"#]);
    assert_eq!(said("execute_tool", "gen_ai.tool.call.result").len(), 1);
    for own in ["a person's own words", "the model's own word"] {
        assert!(!log.contains(own), "{log}");
    }
}

#[test]
fn a_collector_that_is_none_is_refused_and_one_that_is_away_costs_nothing() {
    let home = Home::with_init().set("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318");
    home.stn(&["serve"]).is(&expect_test::expect![[r#"
        --- stderr
        error: OTEL_EXPORTER_OTLP_ENDPOINT is `localhost:4318`, and no address of a collector
        hint: write where it takes OTLP over HTTP: `http://localhost:4318`
        --- exit 1
    "#]]);
    let home = Home::with_init()
        .set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")
        .set("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "maybe");
    let refused = home.stn(&["serve"]);
    let sentence =
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT is `maybe`, and must be `true` or `false`";
    assert!(refused.stderr.contains(sentence), "{}", refused.stderr);
    let gone = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
    let home = Home::with_init();
    home.stn(&["settings", "set", "otel_endpoint", &format!("http://{gone}")]).done();
    let served = Served::start(&home);
    assert_eq!(served.send_to("/health", "GET", &[], "").status, 200);
    served.stop();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

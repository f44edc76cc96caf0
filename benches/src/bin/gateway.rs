//! An environment as one MCP server: what the way through it costs, how soon it lists and starts, and what it keeps running.
//!
//! The same client sends the same calls to a tool server and through the gateway to that same server, in turns, so that
//! whatever else the machine does meets both. `gateway` measures all; a word (`calls`, `list`, `stdio`, `create`, `many`)
//! measures one.

use serde_json::{Value, json};
use station_benches::home::Home;
use station_benches::post::{self, Client, RESULT};
use station_benches::process::{self, Serving};
use station_benches::samples::{Samples, ms};
use station_benches::{direct, floor, report};
use station_testkit::fake_server::Remote;
use station_testkit::openai::{self, OpenAi, Seen, Turn};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Calls one by one, each of them both ways.
const PAIRS: usize = 4_000;

/// Calls at once, and how many over each connection.
const LOADS: [(usize, usize); 2] = [(32, 200), (256, 40)];

/// Added to a call at 1 at once, over HTTP keep-alive.
const ADDED_P50_US: f64 = 60.0;
const ADDED_P99_US: f64 = 200.0;

/// The servers of a long list, the tools of each, and how often it is asked for.
const LISTED_SERVERS: usize = 200;
const LISTED_EACH: usize = 50;
const LISTS: usize = 100;
const LIST_MS: f64 = 5.0;

/// Processes that are timed.
const N: usize = 40;
const FIRST_ANSWER_MS: f64 = 25.0;
const CREATE_MS: f64 = 30.0;

/// Servers of one environment, of which nobody uses any.
const MANY: usize = 100;

fn main() {
    let wanted = std::env::args().nth(1);
    let is_wanted = |word: &str| wanted.as_deref().is_none_or(|wanted| wanted == word);
    let place = Home::new();
    report::title("gateway: an environment as one MCP server", place.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    if is_wanted("calls") {
        runtime.block_on(calls());
    }
    if is_wanted("list") {
        runtime.block_on(list());
    }
    if is_wanted("stdio") {
        stdio();
    }
    if is_wanted("create") {
        runtime.block_on(create());
    }
    if is_wanted("many") {
        runtime.block_on(many());
    }
}

/// `stn serve` in a home, with its HTTP door at a port of the system's choice.
fn serving(home: &Home) -> Serving {
    Serving::start(home.stn(&["serve"]).env("STN_API_PORT", "0"))
}

/// A call of one tool: straight to its server, and through the gateway.
async fn calls() {
    let home = Home::new();
    let remote = Remote::of(&station_benches::programs::fake_server(), home.path(), &[]);
    let station = json!({ "concurrency": 256 });
    let web = json!({ "url": format!("http://127.0.0.1:{}/mcp", remote.port()), "station": station });
    home.write("mcp-servers/web.json", &json!({ "mcpServers": { "web": web } }).to_string());
    let pipe = json!({ "command": station_benches::programs::fake_server(), "station": station });
    home.write("mcp-servers/pipe.json", &json!({ "mcpServers": { "pipe": pipe } }).to_string());
    process::time(&mut home.stn(&["sync"]));
    let serving = serving(&home);
    let straight = post::echo("/mcp", "echo");
    let through = |server: &str| post::echo("/mcp/env/default", &format!("{server}__echo"));

    let [direct, web] = paired_http(&remote, &straight, &serving, &through("web")).await;
    report::line("a call of a server over HTTP, 1 at once: straight", us(&direct));
    report::line("  through the gateway", us(&web));
    added(&direct, &web);
    let [piped, pipe] = paired_pipe(&home, &serving, &through("pipe")).await;
    report::line("a call of a server over stdio, 1 at once: straight", us(&piped));
    report::line("  through the gateway, over HTTP", us(&pipe));
    added(&piped, &pipe);
    for (at_once, each) in LOADS {
        let direct = post::load(remote.port(), &straight, RESULT, at_once, each).await;
        report::line(&format!("{at_once} at once, over HTTP: straight"), us(&direct.samples));
        report::line("  calls a second", format_args!("{:8.0}", direct.each_second));
        for server in ["web", "pipe"] {
            let gateway = post::load(serving.port, &through(server), RESULT, at_once, each).await;
            report::line(&format!("  through the gateway to `{server}`"), us(&gateway.samples));
            report::line("  calls a second", format_args!("{:8.0}", gateway.each_second));
            if server == "web" {
                added(&direct.samples, &gateway.samples);
            }
        }
    }
    let flush = floor::fsync(home.path(), 200);
    report::line("one flush: an appended page of 4 KiB, fsync", &flush);
    serving.end();
    let verified = home.stn(&["audit", "verify"]).output().expect("the program can be started");
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
    report::line("the audit afterwards", String::from_utf8_lossy(&verified.stderr).trim());
    report::gap();
}

/// One call each way, again and again: `straight` makes one, and says how long it took.
async fn paired(
    serving: &Serving,
    through: &[u8],
    mut straight: impl AsyncFnMut() -> Duration,
) -> [Samples; 2] {
    let mut to_gateway = Client::connect(serving.port).await;
    let mut samples = [Samples::default(), Samples::default()];
    for at in 0..PAIRS + PAIRS / 10 {
        let took = [straight().await, post::called(&mut to_gateway, through, RESULT).await];
        // The first pay for what is set up once.
        if at >= PAIRS / 10 {
            samples.iter_mut().zip(took).for_each(|(samples, took)| samples.add(took));
        }
    }
    samples
}

/// Over HTTP on both ways.
async fn paired_http(remote: &Remote, straight: &[u8], serving: &Serving, through: &[u8]) -> [Samples; 2] {
    let mut to_server = Client::connect(remote.port()).await;
    paired(serving, through, async || post::called(&mut to_server, straight, RESULT).await).await
}

/// Over a pipe, and over HTTP to the gateway.
async fn paired_pipe(home: &Home, serving: &Serving, through: &[u8]) -> [Samples; 2] {
    let connection = direct::connect(home.launch()).await;
    let straight = async || {
        let started = Instant::now();
        direct::echo(&connection).await;
        started.elapsed()
    };
    let samples = paired(serving, through, straight).await;
    connection.close().await;
    samples
}

fn us(samples: &Samples) -> String {
    let (p50, p99) = (ms(samples.median()) * 1e3, ms(samples.p99()) * 1e3);
    format!("p50 {p50:8.1} µs, p99 {p99:8.1} µs  (n {})", samples.n())
}

fn added(straight: &Samples, through: &Samples) {
    let more = |of: fn(&Samples) -> Duration| (ms(of(through)) - ms(of(straight))) * 1e3;
    report::aim("  added, p50", more(Samples::median), ADDED_P50_US, "µs");
    report::aim("  added, p99", more(Samples::p99), ADDED_P99_US, "µs");
}

/// A list of ten thousand tools.
async fn list() {
    let home = Home::new();
    // The server has some of its own.
    let more = (LISTED_EACH - 15).to_string();
    for n in 0..LISTED_SERVERS {
        home.server(&format!("s{n:03}"), &["--tools", &more]);
    }
    process::time(&mut home.stn(&["sync"]));
    let serving = serving(&home);
    let request = post::request("/mcp/env/default", "tools/list", &json!({}));
    let mut client = Client::connect(serving.port).await;
    let started = Instant::now();
    let first = client.send(&request).await.to_vec();
    let first_took = started.elapsed();
    let listed: Value = serde_json::from_slice(&first).expect("it is JSON");
    let tools = listed["result"]["tools"].as_array().map_or(0, Vec::len);
    let again = lists(&mut client, &request, &first).await;
    let bare = lists(&mut Client::connect(repeating(&first)).await, &request, &first).await;
    report::line(
        &format!("tools/list of {LISTED_SERVERS} servers: {tools} tools, {:.1} MB", mb(&first)),
        &again,
    );
    report::aim("  the list, byte for byte the same each time", again.median_ms(), LIST_MS, "ms");
    report::line("  the first after a start", format_args!("{:8.3} ms", ms(first_took)));
    report::line("  the same bytes from a socket that only repeats them", &bare);
    serving.end();
    report::gap();
}

async fn lists(client: &mut Client, request: &[u8], expected: &[u8]) -> Samples {
    let mut samples = Samples::default();
    for _ in 0..LISTS {
        let started = Instant::now();
        let listed = client.send(request).await;
        samples.add(started.elapsed());
        assert!(listed == expected, "the list is another one");
    }
    samples
}

#[expect(clippy::cast_precision_loss, reason = "some megabytes")]
fn mb(bytes: &[u8]) -> f64 {
    bytes.len() as f64 / 1e6
}

/// The port of a server that answers whatever it is sent with `body`, once for each request.
fn repeating(body: &[u8]) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port can be had");
    let port = listener.local_addr().expect("it is bound").port();
    let answer =
        [format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes(), body].concat();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody connects");
        let mut taken = [0; 4096];
        // A request of ours is one segment.
        while stream.read(&mut taken).is_ok_and(|n| n > 0) && stream.write_all(&answer).is_ok() {}
    });
    port
}

/// From the start of `stn stdio` to its first answer.
fn stdio() {
    let home = Home::new();
    home.server("fake", &[]);
    process::time(&mut home.stn(&["sync"]));
    let answered = |args: &'static [&'static str], method: &'static str| {
        let mut samples = Samples::default();
        for at in 0..=N {
            let took = first_answer(&mut home.stn(args), method);
            if at > 0 {
                samples.add(took);
            }
        }
        samples
    };
    let discover = answered(&["stdio"], "server/discover");
    let listed = answered(&["stdio"], "tools/list");
    let of_environment = answered(&["stdio", "--env", "default"], "tools/list");
    report::line("stn stdio, from its start to its first answer", &discover);
    report::aim("  server/discover", discover.median_ms(), FIRST_ANSWER_MS, "ms");
    report::line("  tools/list", &listed);
    report::line("  tools/list of an environment", &of_environment);
    report::line(
        "  stn --version, for what a process costs",
        process::samples(N, || home.stn(&["--version"])),
    );
    report::gap();
}

fn first_answer(command: &mut Command, method: &str) -> Duration {
    let mut request = post::message(method, &json!({})).to_string();
    request.push('\n');
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let started = Instant::now();
    let mut child = command.spawn().expect("the program can be started");
    let mut input = child.stdin.take().expect("stdin is piped");
    input.write_all(request.as_bytes()).expect("it reads");
    let mut line = String::new();
    let mut output = BufReader::new(child.stdout.take().expect("stdout is piped"));
    output.read_line(&mut line).expect("it answers");
    let took = started.elapsed();
    assert!(line.contains("\"result\""), "{line}");
    drop(input);
    assert!(child.wait().expect("it ends").success(), "it ends well");
    took
}

/// An agent that the architect plans and makes, the model answering at once.
async fn create() {
    let home = Home::new();
    let model = OpenAi::from_fn(planner);
    home.write_config(&format!(
        "ai_provider: openai\nai_model: stand-in-1\nai_api_key: sk-bench\nai_base_url: {}\n",
        model.base_url()
    ));
    home.server("fake", &[]);
    home.agent("talker", "max_steps: 3");
    process::time(&mut home.stn(&["sync"]));
    let number = std::cell::Cell::new(0);
    let asked_before = model.requests().len();
    let made = process::samples(N, || {
        number.set(number.get() + 1);
        let name = format!("agent {}", number.get());
        home.stn(&["agent", "create", &name, "Repeats what it is told", "--yes"])
    });
    let turns = (model.requests().len() - asked_before) / (N + 1);
    let asked = model.requests().last().expect("it was asked").body.to_string();
    let port = model.url().rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("it has a port");
    let model_ms =
        asked_alone(port, &asked).await.median_ms() * f64::from(u32::try_from(turns).expect("a few"));
    report::line("stn agent create, the model answering at once", &made);
    report::line(&format!("  the model alone, {turns} answers"), format_args!("{model_ms:8.3} ms"));
    report::aim("  beyond the model", made.median_ms() - model_ms, CREATE_MS, "ms");
    let run = process::samples(N, || home.stn(&["agent", "run", "talker", "say something"]));
    report::line("  stn agent run of one turn, for what a run costs", &run);
    report::line(
        "  stn --version, for what a process costs",
        process::samples(N, || home.stn(&["--version"])),
    );
    report::gap();
}

/// The stand-in's answers to the longest request, over a connection each.
async fn asked_alone(port: u16, body: &str) -> Samples {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const END: &[u8] = b"data: [DONE]";
    let mut samples = Samples::default();
    for _ in 0..N {
        let started = Instant::now();
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer sk-bench\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).await.expect("it reads");
        let mut answer = Vec::new();
        // Its last event; the connection stays open.
        while !answer.windows(END.len()).any(|it| it == END) {
            let n = stream.read_buf(&mut answer).await.expect("it answers");
            assert!(n > 0, "{}", String::from_utf8_lossy(&answer));
        }
        samples.add(started.elapsed());
    }
    samples
}

/// Looks at the tools, then makes an agent with one of them.
fn planner(seen: &Seen) -> Turn {
    let has_tools = seen.body["tools"].as_array().is_some_and(|tools| !tools.is_empty());
    if !has_tools {
        return openai::reply("nothing is new");
    }
    let messages = seen.body["messages"].as_array().expect("a chat has messages");
    let task = messages.iter().find(|it| it["role"] == "user").and_then(|it| it["content"].as_str());
    let task: Value = serde_json::from_str(task.unwrap_or_default()).unwrap_or_default();
    match seen.results().len() {
        0 => {
            openai::calls([("list_tools", &json!({ "environment_id": task["environment_id"] }).to_string())])
        }
        1 => {
            let new = json!({
                "name": task["name"], "description": task["description"],
                "environment_id": task["environment_id"], "prompt": "You repeat.", "max_steps": 4,
                "tool_names": ["fake__echo"], "tool_reasons": { "fake__echo": "it says back what it is given" },
            });
            openai::calls([("create_agent", &new.to_string())])
        }
        _ => openai::reply("It is done."),
    }
}

/// A hundred servers: none of them runs until it is used, and all are asked side by side.
async fn many() {
    let home = Home::new();
    home.write_config("pool:\n  idle_close: 1s\n");
    for n in 0..MANY {
        home.server(&format!("s{n:03}"), &[]);
    }
    process::time(&mut home.stn(&["sync", "--no-discover"]));
    let serving = serving(&home);
    let before = serving.descendants();
    let request = post::request("/mcp/env/default", "tools/list", &json!({}));
    let mut client = Client::connect(serving.port).await;
    let (started, mut most) = (Instant::now(), 0);
    let listing = async {
        client.send(&request).await;
        started.elapsed()
    };
    tokio::pin!(listing);
    let took = loop {
        tokio::select! {
            took = &mut listing => break took,
            () = tokio::time::sleep(Duration::from_millis(2)) => most = most.max(serving.descendants()),
        }
    };
    let alone = alone(&home, MANY).await;
    report::line(&format!("{MANY} servers, before anybody asks: processes"), format_args!("{before:8}"));
    report::line("  all started and listed for the first list", format_args!("{:8.1} ms", ms(took)));
    report::line("  the servers alone, sixteen at a time", format_args!("{:8.1} ms", ms(alone)));
    report::line("  most processes at a time, shims counted", format_args!("{most:8}"));
    process::rest(Duration::from_secs(4));
    let after = serving.descendants();
    report::line("  processes when nobody used them for a while", format_args!("{after:8}"));
    assert_eq!((before, after), (0, 0), "who is not used has no process");
    serving.end();
    report::gap();
}

async fn alone(home: &Home, n: usize) -> Duration {
    use futures::StreamExt as _;
    let started = Instant::now();
    let asked = (0..n).map(|_| async {
        let launch = station_mcp::Launch { era: None, ..home.launch() };
        let connection = direct::connect(launch).await;
        connection.list(Duration::from_secs(60)).await.expect("the fake server lists");
        connection.close().await;
    });
    futures::stream::iter(asked).buffer_unordered(16).collect::<Vec<()>>().await;
    started.elapsed()
}

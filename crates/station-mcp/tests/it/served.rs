//! Serving over a pair of pipes: rows of what a client says, and all that it hears.

use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use serde_json::{Map, Value, json};
use station_core::Caller;
use station_mcp::serve::{
    About, Answer, Asked, Change, Completing, Endpoint, Fault, Headers, Host, Listing, Outcome, Sent, Task,
    Wanted, serve_stdio,
};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, DuplexStream, ReadBuf,
    ReadHalf, WriteHalf,
};
use tokio::sync::broadcast;

/// Long enough for a loaded machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes that lie in a pipe.
const PIPE: usize = 64 * 1024;

/// A host with one tool of each sort.
struct Offer {
    changes: broadcast::Sender<Change>,
}

impl Host for Offer {
    fn about(&self) -> About {
        About {
            name: "offer".to_owned(),
            title: "Offer".to_owned(),
            version: "1".to_owned(),
            instructions: String::new(),
            lists_change: true,
            resources_change: true,
            logs: true,
        }
    }

    fn tools<'a>(&'a self, _: &'a Asked) -> Answer<'a, Listing> {
        let echo = json!({ "name": "echo", "inputSchema": { "type": "object" } });
        async { Ok(Listing::Entries(vec![echo])) }.boxed()
    }

    fn call_tool<'a>(
        &'a self,
        asked: &'a Asked,
        name: &'a str,
        arguments: Map<String, Value>,
    ) -> Answer<'a, Outcome> {
        async move {
            match name {
                "echo" => {
                    asked.tell("half").await;
                    Ok(Outcome::Complete(json!({ "content": [], "structuredContent": arguments })))
                }
                "hang" => {
                    asked.gone.cancelled().await;
                    Err(Fault::Internal("nobody hears this".to_owned()))
                }
                "ask" if asked.input.responses.is_empty() && asked.can("elicitation") => {
                    let requests = json!({ "name": { "method": "elicitation/create", "params": {} } });
                    let requests = requests.as_object().cloned().unwrap();
                    Ok(Outcome::NeedsInput { requests, state: "sealed".to_owned() })
                }
                "ask" => {
                    let given = json!({ "given": asked.input.responses, "state": asked.input.state });
                    Ok(Outcome::Complete(given))
                }
                "long" => Ok(Outcome::Task(task("working"))),
                _ => Err(Fault::Params(format!("there is no tool `{name}`"))),
            }
        }
        .boxed()
    }

    fn complete<'a>(&'a self, _: &'a Asked, of: Completing) -> Answer<'a, Vec<String>> {
        async move { Ok((0..150).map(|n| format!("{}{n}", of.value)).collect()) }.boxed()
    }

    fn changes<'a>(&'a self, _: &'a Asked, wanted: Wanted) -> BoxFuture<'a, BoxStream<'static, Change>> {
        let changes = self.changes.subscribe();
        let told = futures::stream::unfold(changes, |mut changes| async {
            let change = changes.recv().await.ok()?;
            Some((change, changes))
        })
        .filter(move |change| {
            let is_wanted = match change {
                Change::Tools => wanted.tools,
                Change::Prompts => wanted.prompts,
                Change::Resources => wanted.resources,
                Change::Resource(uri) => wanted.uris.contains(uri),
            };
            std::future::ready(is_wanted)
        });
        std::future::ready(told.boxed()).boxed()
    }

    fn task<'a>(&'a self, _: &'a Asked, id: &'a str) -> Answer<'a, Option<Task>> {
        async move { Ok((id == "1").then(|| task("completed"))) }.boxed()
    }

    fn answer_task<'a>(&'a self, asked: &'a Asked, id: &'a str) -> Answer<'a, Option<()>> {
        async move { Ok((id == "1" && !asked.input.responses.is_empty()).then_some(())) }.boxed()
    }

    fn end_task<'a>(&'a self, _: &'a Asked, id: &'a str) -> Answer<'a, Option<()>> {
        async move { Ok((id == "1").then_some(())) }.boxed()
    }
}

fn task(status: &'static str) -> Task {
    Task {
        id: "1".to_owned(),
        status,
        message: "m".to_owned(),
        created_at: "then".to_owned(),
        updated_at: "now".to_owned(),
        requests: Map::new(),
        result: (status == "completed").then(|| json!({ "content": [] })),
        poll_interval_ms: 500,
    }
}

/// A client of the offer, line by line.
struct Client {
    input: Option<WriteHalf<DuplexStream>>,
    output: BufReader<ReadHalf<DuplexStream>>,
    changes: broadcast::Sender<Change>,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Client {
    fn new() -> Self {
        let (changes, _) = broadcast::channel(16);
        let (ours, theirs) = tokio::io::duplex(PIPE);
        let host = Arc::new(Offer { changes: changes.clone() });
        let (input, output) = tokio::io::split(theirs);
        let served = tokio::spawn(serve_stdio(host, Caller::local(), input, output));
        let (output, input) = tokio::io::split(ours);
        Self { input: Some(input), output: BufReader::new(output), changes, served }
    }

    async fn send(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        tokio::time::timeout(PATIENCE, read).await.expect("the server says something").unwrap();
        serde_json::from_str(&line).unwrap_or(Value::Null)
    }

    async fn answer(&mut self, line: &str) -> Value {
        self.send(line).await;
        self.next().await
    }

    /// A modern request.
    async fn modern(&mut self, id: i64, capabilities: &Value, method: &str, params: Value) -> Value {
        let line = modern(id, capabilities, method, params);
        self.answer(&line).await
    }

    /// Closes the input; what is said from then on, to the end.
    async fn end(mut self) -> Vec<Value> {
        self.input.take().unwrap().shutdown().await.unwrap();
        let mut rest = Vec::new();
        loop {
            match self.next().await {
                Value::Null => break,
                message => rest.push(message),
            }
        }
        tokio::time::timeout(PATIENCE, self.served).await.expect("it leaves").unwrap().unwrap();
        rest
    }
}

fn modern(id: i64, capabilities: &Value, method: &str, mut params: Value) -> String {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = capabilities.clone();
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

fn initialize(version: &str) -> String {
    let params = json!({ "protocolVersion": version, "capabilities": {} });
    json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }).to_string()
}

#[tokio::test]
async fn every_broken_line_has_its_answer_and_the_server_lives_on() {
    let mut client = Client::new();
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(17 * 1024 * 1024));
    let rows = [
        ("hello", -32700),
        ("{\"jsonrpc\":\"2.0\",", -32700),
        (&*"[".repeat(1_000), -32700),
        (&*long, -32600),
        ("[]", -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#, -32602),
    ];
    for (line, code) in rows {
        let answer = client.answer(line).await;
        let shown: String = line.chars().take(60).collect();
        assert_eq!(answer["error"]["code"], code, "{shown}: {answer}");
    }
    // What needs no answer gets none, and the next one is that of the next request.
    for silent in [
        "",
        "   ",
        r#"{"jsonrpc":"2.0","id":7,"result":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[]}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/whatever"}"#,
    ] {
        client.send(silent).await;
    }
    assert_eq!(client.modern(2, &json!({}), "tools/list", json!({})).await["id"], 2);
    assert!(client.end().await.is_empty());
}

#[tokio::test]
async fn each_era_is_answered_in_its_own_words() {
    let mut client = Client::new();
    let arguments = json!({ "name": "echo", "arguments": { "a": 1 } });
    let answer = client.modern(1, &json!({}), "tools/call", arguments).await;
    assert_eq!(
        answer["result"],
        json!({
            "content": [], "structuredContent": { "a": 1 }, "resultType": "complete",
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "offer", "title": "Offer", "version": "1" } },
        })
    );
    let list = client.modern(2, &json!({}), "tools/list", json!({})).await;
    assert_eq!(
        (&list["result"]["ttlMs"], &list["result"]["cacheScope"]),
        (&json!(60_000), &json!("private"))
    );
    assert_eq!(client.modern(3, &json!({}), "logging/setLevel", json!({})).await["error"]["code"], -32601);
    let missing = client.modern(4, &json!({}), "resources/read", json!({ "uri": "x://y" })).await;
    assert_eq!(missing["error"]["code"], -32602);
    let agreed = client.answer(&initialize("2025-06-18")).await;
    assert_eq!(agreed["result"]["protocolVersion"], "2025-06-18");
    let called = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"echo","_meta":{"progressToken":9}}}"#;
    let half = client.answer(called).await;
    assert_eq!(half["params"], json!({ "progressToken": 9, "progress": 1, "message": "half" }));
    assert_eq!(client.next().await["result"], json!({ "content": [], "structuredContent": {} }));
    let missing = r#"{"jsonrpc":"2.0","id":6,"method":"resources/read","params":{"uri":"x://y"}}"#;
    assert_eq!(client.answer(missing).await["error"]["code"], -32002);
    let prompt = r#"{"jsonrpc":"2.0","id":7,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"p"},"argument":{"name":"a","value":"v"}}}"#;
    let completion = client.answer(prompt).await["result"]["completion"].clone();
    assert_eq!((&completion["total"], &completion["hasMore"]), (&json!(150), &json!(true)));
    assert_eq!(completion["values"].as_array().map(Vec::len), Some(100));
}

#[tokio::test]
async fn batches_are_answered_as_batches_where_the_revision_has_them() {
    let mut client = Client::new();
    client.answer(&initialize("2025-03-26")).await;
    let batch = r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"},{"jsonrpc":"2.0","id":2,"method":"no"},5]"#;
    let answers = client.answer(batch).await;
    let shown: Vec<String> = answers
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["id"], it["error"]["code"]))
        .collect();
    assert_eq!(shown, ["1 null", "2 -32601", "null -32600"]);
    client.answer(&initialize("2025-06-18")).await;
    assert_eq!(client.answer(batch).await["error"]["code"], -32600);
}

#[tokio::test]
async fn a_cancelled_request_is_not_answered_and_its_id_is_free_again() {
    let mut client = Client::new();
    let hang = modern(1, &json!({}), "tools/call", json!({ "name": "hang" }));
    client.send(&hang).await;
    let busy = client.answer(&hang).await;
    assert_eq!((&busy["id"], &busy["error"]["code"]), (&json!(1), &json!(-32600)));
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#).await;
    // The next answers are those of the next requests.
    loop {
        let again = client.modern(1, &json!({}), "tools/list", json!({})).await;
        if again.get("result").is_some() {
            break;
        }
        // Its work had not ended yet.
        assert_eq!(again["error"]["code"], -32600);
    }
    client.send(&modern(2, &json!({}), "tools/call", json!({ "name": "hang" }))).await;
    assert!(client.end().await.is_empty(), "what nobody waits for is not answered");
}

/// A client that asks again under the same id before the write of an answer has returned, as one on another processor does.
#[derive(Clone)]
struct Hasty(Arc<Mutex<Said>>);

#[derive(Default)]
struct Said {
    /// What is still to be read, and the request that it is made of.
    line: Vec<u8>,
    request: Vec<u8>,
    answers: Vec<u8>,
    left: usize,
    reader: Option<Waker>,
}

impl AsyncRead for Hasty {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut said = self.0.lock().unwrap();
        if said.line.is_empty() && said.left > 0 {
            said.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let n = said.line.len().min(buf.remaining());
        buf.put_slice(&said.line.drain(..n).collect::<Vec<u8>>());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Hasty {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let said = &mut *self.0.lock().unwrap();
        said.answers.extend(bytes);
        said.left -= 1;
        if said.left > 0 {
            said.line.extend(&said.request);
        }
        said.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_client_that_asks_again_at_once_under_the_same_id_is_not_told_that_it_is_under_way() {
    let request = format!("{}\n", modern(1, &json!({}), "tools/list", json!({}))).into_bytes();
    let said = Said { line: request.clone(), request, left: 200, ..Said::default() };
    let pipe = Hasty(Arc::new(Mutex::new(said)));
    let (changes, _) = broadcast::channel(1);
    let served = serve_stdio(Arc::new(Offer { changes }), Caller::local(), pipe.clone(), pipe.clone());
    tokio::time::timeout(PATIENCE, served).await.expect("it leaves").unwrap();
    let answers = String::from_utf8(std::mem::take(&mut pipe.0.lock().unwrap().answers)).unwrap();
    let refused = answers.lines().filter(|line| line.contains("\"error\"")).count();
    assert_eq!((answers.lines().count(), refused), (200, 0), "{answers}");
}

#[tokio::test]
async fn a_question_goes_to_a_client_that_can_be_asked() {
    let mut client = Client::new();
    let (can, ask) = (json!({ "elicitation": {} }), json!({ "name": "ask" }));
    let asked = client.modern(1, &can, "tools/call", ask.clone()).await["result"].clone();
    assert_eq!((&asked["resultType"], &asked["requestState"]), (&json!("input_required"), &json!("sealed")));
    let mut back = ask.clone();
    back["inputResponses"] = json!({ "name": { "action": "accept" } });
    back["requestState"] = "sealed".into();
    let done = client.modern(2, &can, "tools/call", back).await["result"].clone();
    assert_eq!((&done["given"]["name"]["action"], &done["state"]), (&json!("accept"), &json!("sealed")));
    assert_eq!(client.modern(3, &json!({}), "tools/call", ask).await["result"]["given"], json!({}));
}

#[tokio::test]
async fn long_work_is_a_task_for_a_client_that_knows_tasks() {
    let mut client = Client::new();
    let can = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    let made = client.modern(1, &can, "tools/call", json!({ "name": "long" })).await["result"].clone();
    assert_eq!(
        (&made["resultType"], &made["taskId"], &made["status"]),
        (&json!("task"), &json!("1"), &json!("working"))
    );
    let one = json!({ "taskId": "1" });
    let got = client.modern(2, &can, "tasks/get", one.clone()).await["result"].clone();
    assert_eq!((&got["resultType"], &got["status"]), (&json!("complete"), &json!("completed")));
    assert_eq!(got["result"], json!({ "content": [] }));
    assert_eq!(client.modern(3, &can, "tasks/cancel", one.clone()).await["result"]["resultType"], "complete");
    let mut answered = one.clone();
    answered["inputResponses"] = json!({ "a": { "action": "accept" } });
    assert_eq!(client.modern(6, &can, "tasks/update", answered).await["result"]["resultType"], "complete");
    assert_eq!(client.modern(4, &can, "tasks/get", json!({ "taskId": "2" })).await["error"]["code"], -32602);
    assert_eq!(client.modern(5, &json!({}), "tasks/get", one).await["error"]["code"], -32021);
}

#[tokio::test]
async fn changes_are_told_to_whoever_listens_and_to_an_older_client_unasked() {
    let mut client = Client::new();
    let wants = json!({ "notifications": { "toolsListChanged": true, "resourceSubscriptions": ["x://y"] } });
    let heard = client.modern(1, &json!({}), "subscriptions/listen", wants.clone()).await;
    assert_eq!(heard["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(heard["params"]["notifications"], wants["notifications"]);
    for change in [Change::Prompts, Change::Resource("x://other".to_owned()), Change::Tools] {
        client.changes.send(change).unwrap();
    }
    let heard = client.next().await;
    assert_eq!(heard["method"], "notifications/tools/list_changed");
    assert_eq!(heard["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#).await;
    client.answer(&initialize("2025-11-25")).await;
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
    let subscribe = r#"{"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"x://y"}}"#;
    assert_eq!(client.answer(subscribe).await["result"], json!({}));
    until_listened(&client, 2).await;
    client.changes.send(Change::Prompts).unwrap();
    assert_eq!(client.next().await["method"], "notifications/prompts/list_changed");
    client.changes.send(Change::Resource("x://y".to_owned())).unwrap();
    let heard = client.next().await;
    assert_eq!(
        (&heard["method"], &heard["params"]),
        (&json!("notifications/resources/updated"), &json!({ "uri": "x://y" }))
    );
    // A subscription that we end is told so.
    client.modern(3, &json!({}), "subscriptions/listen", wants).await;
    let ended = client.end().await;
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!((&ended[0]["id"], &ended[0]["result"]["resultType"]), (&json!(3), &json!("complete")));
}

/// Waits until exactly `n` follow what changes.
async fn until_listened(client: &Client, n: usize) {
    let looks = async {
        while client.changes.receiver_count() != n {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, looks).await.expect("the changes are followed");
}

/// What comes of a POST, in the session of `session` where there is one.
async fn posted(
    endpoint: &Endpoint,
    session: Option<&String>,
    message: Value,
) -> (u16, Value, Option<String>) {
    let headers = Headers {
        version: Some("2025-11-25".to_owned()),
        session: session.cloned(),
        accepts_events: true,
        ..Headers::default()
    };
    match endpoint.post(Caller::local(), &headers, message.to_string().as_bytes()).await {
        Sent::Bare(status) => (status, Value::Null, None),
        Sent::Message { status, body, session } => {
            (status, serde_json::from_str(&body.to_string()).unwrap(), session)
        }
        Sent::Refused(error) => panic!("{error}"),
        Sent::Events(_) => panic!("nothing is said before the end"),
    }
}

#[tokio::test]
async fn a_call_of_a_session_is_cancelled_by_another_request_of_that_session_alone() {
    let endpoint = Endpoint::new(Arc::new(Offer { changes: broadcast::channel(1).0 }));
    let hello = json!({
        "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {} },
        "clientInfo": { "name": "old", "version": "1" },
    });
    let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello });
    let (_, _, mine) = posted(&endpoint, None, hello.clone()).await;
    let (_, _, other) = posted(&endpoint, None, hello).await;
    assert!(mine.is_some() && other.is_some() && mine != other);
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": "hang" } });
    let mut call = std::pin::pin!(posted(&endpoint, mine.as_ref(), call));
    assert!(futures::poll!(&mut call).is_pending());
    let cancel = |id: Value| json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id } });
    for (session, id) in [(&other, json!(7)), (&None, json!(7)), (&mine, json!("7")), (&mine, json!([]))] {
        assert_eq!(posted(&endpoint, session.as_ref(), cancel(id)).await.0, 202);
        tokio::task::yield_now().await;
        assert!(futures::poll!(&mut call).is_pending());
    }
    assert_eq!(posted(&endpoint, mine.as_ref(), cancel(json!(7))).await.0, 202);
    let (status, answer, _) = call.await;
    assert_eq!((status, &answer["error"]["message"]), (200, &json!("nobody hears this")));
}

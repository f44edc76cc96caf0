//! An MCP client that a test writes line by line, at the other end of the real `stn stdio`.

use crate::home::{Home, Said};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// How long an answer may take on a machine that is busy with a build.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Lines that nobody has looked at yet.
const LINES_MAX: usize = 10_000;

/// The metadata of every modern request.
pub(crate) fn meta(capabilities: &Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "scene", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    })
}

/// A client of one server process.
pub(crate) struct Client {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
    /// Notifications that came before an answer.
    pub(crate) heard: Vec<Value>,
    id: i64,
}

impl Client {
    /// Starts `stn` with `args`, as a client does.
    pub(crate) fn start(home: &Home, args: &[&str]) -> Self {
        Self::of(home.start(args))
    }

    /// A client of a server that runs already.
    pub(crate) fn of(mut child: Child) -> Self {
        let output = child.stdout.take().unwrap();
        let (sender, lines) = sync_channel(LINES_MAX);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let message: Value = serde_json::from_str(&line)
                    .unwrap_or_else(|error| panic!("{error}: this is no protocol: {line}"));
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        Self { input: child.stdin.take(), child, lines, heard: Vec::new(), id: 0 }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a line as it is.
    pub(crate) fn send(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
        input.flush().unwrap();
    }

    /// The next message.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Value {
        self.lines.recv_timeout(ANSWER_MAX).expect("the server says something")
    }

    /// The next message, which must be the answer to a request of this id; notifications before it are kept.
    #[track_caller]
    pub(crate) fn answer(&mut self, id: i64) -> Value {
        loop {
            let message = self.next();
            if message.get("method").is_some() {
                self.heard.push(message);
                continue;
            }
            assert_eq!(message["id"], id, "{message}");
            return message;
        }
    }

    /// Sends a request of the modern era without waiting for its answer. Its id.
    pub(crate) fn ask_as(&mut self, capabilities: &Value, method: &str, mut params: Value) -> i64 {
        self.id += 1;
        let mut all = meta(capabilities);
        if let Some(given) = params.get("_meta").and_then(Value::as_object) {
            given.iter().for_each(|(key, value)| all[key] = value.clone());
        }
        params["_meta"] = all;
        self.send(
            &json!({ "jsonrpc": "2.0", "id": self.id, "method": method, "params": params }).to_string(),
        );
        self.id
    }

    pub(crate) fn ask(&mut self, method: &str, params: Value) -> i64 {
        self.ask_as(&json!({}), method, params)
    }

    /// The result of a request of the modern era.
    #[track_caller]
    pub(crate) fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params);
        let answer = self.answer(id);
        assert!(answer.get("result").is_some(), "{answer}");
        answer["result"].clone()
    }

    /// The whole result of a tool.
    #[track_caller]
    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.request("tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    /// What a tool gives, which must be a success.
    #[track_caller]
    pub(crate) fn done(&mut self, tool: &str, arguments: &Value) -> Value {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], false, "{result}");
        result["structuredContent"].clone()
    }

    /// What a tool says that it cannot do.
    #[track_caller]
    pub(crate) fn refused(&mut self, tool: &str, arguments: &Value) -> String {
        let result = self.call(tool, arguments);
        assert_eq!(result["isError"], true, "{result}");
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }

    /// Closes its input and waits for its end. What was said and not looked at comes with it.
    pub(crate) fn end(mut self, home: &Home) -> (Said, Vec<Value>) {
        drop(self.input.take());
        let mut rest = Vec::new();
        loop {
            match self.lines.recv_timeout(ANSWER_MAX) {
                Ok(message) => rest.push(message),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("the server survives the end of its input"),
            }
        }
        (home.said(self.child), rest)
    }
}

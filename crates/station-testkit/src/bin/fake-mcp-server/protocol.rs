//! The protocol, as far as a tool server needs it: both eras, lists, calls, changes.

use crate::options::Options;
use crate::{append, complain, die, http, sampling, tools};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};

const LEGACY_VERSIONS: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
const MODERN_VERSION: &str = "2026-07-28";
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";

const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
pub(crate) const INVALID_PARAMS: i64 = -32602;
const INTERNAL_ERROR: i64 = -32603;
const UNSUPPORTED_VERSION: i64 = -32022;

/// Tools on one page of a list, so that lists of some hundreds have several.
const PAGE: usize = 50;

/// A refused request: its code, its message, its data.
pub(crate) struct Refusal(pub(crate) i64, pub(crate) String, pub(crate) Value);

/// The server.
pub(crate) struct Server {
    pub(crate) options: Options,
    /// Tools beyond its own.
    more_tools: AtomicUsize,
    initialized: Mutex<bool>,
    /// Whether the client has said that it has a model.
    has_model: AtomicBool,
    /// Requests that follow the changes of lists.
    listeners: Mutex<Vec<Value>>,
    /// Requests of ours, by id, that wait for the client's answer.
    asked: Mutex<HashMap<usize, mpsc::SyncSender<Value>>>,
    next_id: AtomicUsize,
    pub(crate) web: http::Web,
}

/// Reads messages until stdin closes.
pub(crate) fn serve(options: Options) {
    let server = Arc::new(Server {
        more_tools: AtomicUsize::new(options.tools),
        options,
        initialized: Mutex::new(false),
        has_model: AtomicBool::new(false),
        listeners: Mutex::default(),
        asked: Mutex::default(),
        next_id: AtomicUsize::new(1),
        web: http::Web::default(),
    });
    if let Some(file) = server.options.http.clone() {
        http::serve(&server, &file);
        return;
    }
    if server.options.noise {
        server.print("Starting up, please wait ...\n\n[info] {not json}\n");
    }
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        if let Some(trace) = &server.options.trace {
            append(trace, &line);
        }
        match serde_json::from_str(&line) {
            Ok(message) if !server.options.silent => server.receive(message),
            Ok(_) => {}
            Err(error) => complain(&format!("not JSON: {error}")),
        }
    }
    if server.options.linger {
        loop {
            std::thread::park();
        }
    }
}

impl Server {
    fn receive(self: &Arc<Self>, message: Value) {
        if message["method"] != "tools/call" {
            self.receive_here(&message);
            return;
        }
        // Calls take their time, and must not keep each other waiting.
        let server = Arc::clone(self);
        std::thread::spawn(move || server.receive_here(&message));
    }

    /// Acts on a message on this thread.
    pub(crate) fn receive_here(self: &Arc<Self>, message: &Value) {
        let Some(method) = message["method"].as_str() else {
            self.answered(message);
            return;
        };
        if message.get("id").is_none() {
            if method == "notifications/initialized" {
                *self.initialized.lock().expect("no thread panics") = true;
            }
            return;
        }
        if method != "tools/call" {
            let answer = self.answer(method, message);
            self.reply(message, answer);
            return;
        }
        let answer = self.check(message).and_then(|()| tools::call(self, message));
        self.reply(message, answer);
        if self.options.list_changed_after_call {
            self.more_tools.fetch_add(1, Ordering::SeqCst);
            self.tell_changed();
        }
    }

    fn answer(&self, method: &str, message: &Value) -> Result<Value, Refusal> {
        let unknown = || Refusal(METHOD_NOT_FOUND, format!("method not found: {method}"), Value::Null);
        self.has_model.fetch_or(sampling::is_offered(message), Ordering::SeqCst);
        match method {
            "server/discover" if self.options.eras.modern() => Ok(self.discovered()),
            "server/discover" if self.options.dies_at_probe => die("fatal: expected initialize", 1),
            "initialize" => self.initialize(message),
            "ping" => Ok(json!({})),
            refused if self.options.refuse.as_deref() == Some(refused) => {
                Err(Refusal(INTERNAL_ERROR, "its database is away".to_owned(), Value::Null))
            }
            "subscriptions/listen" if is_modern(message) => Ok(Value::Null),
            "tools/list" | "resources/list" | "resources/templates/list" | "prompts/list" => {
                self.check(message)?;
                self.list(method, &message["params"]).ok_or_else(unknown)
            }
            _ => Err(unknown()),
        }
    }

    /// Whether the request came the way its era demands.
    fn check(&self, message: &Value) -> Result<(), Refusal> {
        let initialized = *self.initialized.lock().expect("no thread panics");
        let legacy = self.options.eras.legacy() && initialized;
        let modern = self.options.eras.modern() && is_modern(message);
        if legacy || modern {
            return Ok(());
        }
        let problem = "neither initialized nor with the metadata of a modern request";
        Err(Refusal(INVALID_REQUEST, problem.to_owned(), Value::Null))
    }

    fn capabilities(&self) -> Value {
        let mut capabilities = json!({ "tools": { "listChanged": self.options.list_changed_after_call } });
        if self.options.full {
            capabilities["resources"] = json!({});
            capabilities["prompts"] = json!({});
        }
        capabilities
    }

    fn discovered(&self) -> Value {
        json!({
            "supportedVersions": [MODERN_VERSION],
            "capabilities": self.capabilities(),
            "instructions": "Use the tools.",
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": self.options.name, "version": "1" } },
        })
    }

    fn initialize(&self, message: &Value) -> Result<Value, Refusal> {
        let asked = message["params"]["protocolVersion"].as_str().unwrap_or_default();
        if !self.options.eras.legacy() {
            let data = json!({ "supported": [MODERN_VERSION], "requested": asked });
            return Err(Refusal(UNSUPPORTED_VERSION, "unsupported protocol version".to_owned(), data));
        }
        let latest = LEGACY_VERSIONS[LEGACY_VERSIONS.len() - 1];
        let version = LEGACY_VERSIONS.into_iter().find(|version| *version == asked).unwrap_or(latest);
        Ok(json!({
            "protocolVersion": version,
            "capabilities": self.capabilities(),
            "serverInfo": { "name": self.options.name, "version": "1" },
            "instructions": "Use the tools.",
        }))
    }

    fn list(&self, method: &str, params: &Value) -> Option<Value> {
        let (word, entries) = match method {
            "tools/list" => {
                let says =
                    self.options.echo_says.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
                let more = self.more_tools.load(Ordering::SeqCst);
                ("tools", tools::list(&self.options, more, says.as_deref()))
            }
            _ if !self.options.full => return None,
            "resources/list" => {
                ("resources", json!([{ "uri": "fake://one", "name": "one", "mimeType": "text/plain" }]))
            }
            "resources/templates/list" => {
                ("resourceTemplates", json!([{ "uriTemplate": "fake://{id}", "name": "any" }]))
            }
            _ => {
                ("prompts", json!([{ "name": "greet", "arguments": [{ "name": "whom", "required": true }] }]))
            }
        };
        let mut entries = entries.as_array().cloned().unwrap_or_default();
        if word == "tools" && self.has_model.load(Ordering::SeqCst) {
            entries.push(sampling::list());
        }
        let from: usize = params["cursor"].as_str().and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let to = (from + PAGE).min(entries.len());
        let mut page = json!({ word: entries[from..to], "ttlMs": 0, "cacheScope": "private" });
        if to < entries.len() {
            page["nextCursor"] = json!(to.to_string());
        }
        Some(page)
    }

    fn tell_changed(&self) {
        let method = "notifications/tools/list_changed";
        if self.options.http.is_some() {
            let listeners = self.listeners.lock().expect("no thread panics");
            let params =
                listeners.last().map_or(json!({}), |id| json!({ "_meta": { SUBSCRIPTION_KEY: id } }));
            http::tell(self, &json!({ "jsonrpc": "2.0", "method": method, "params": params }));
            return;
        }
        if *self.initialized.lock().expect("no thread panics") {
            self.send(&json!({ "jsonrpc": "2.0", "method": method }));
        }
        for id in &*self.listeners.lock().expect("no thread panics") {
            let params = json!({ "_meta": { SUBSCRIPTION_KEY: id } });
            self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
        }
    }

    /// Asks the client something and waits for its answer.
    pub(crate) fn ask(&self, method: &str, params: &Value) -> Value {
        let id = self.next_id.fetch_add(1, Ordering::SeqCst);
        let (tell, told) = mpsc::sync_channel(1);
        self.asked.lock().expect("no thread panics").insert(id, tell);
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        told.recv().unwrap_or_default()
    }

    fn answered(&self, message: &Value) {
        let id = message["id"].as_u64().and_then(|id| usize::try_from(id).ok());
        let waiting = id.and_then(|id| self.asked.lock().expect("no thread panics").remove(&id));
        if let Some(waiting) = waiting {
            waiting.send(message.clone()).expect("who asked waits");
        }
    }

    fn reply(&self, message: &Value, answer: Result<Value, Refusal>) {
        let id = &message["id"];
        match answer {
            // The answer to a listener is the end of its stream; what it gets first is an acknowledgment.
            Ok(Value::Null) => {
                self.listeners.lock().expect("no thread panics").push(id.clone());
                let accepted = &message["params"]["notifications"];
                let params = json!({ "_meta": { SUBSCRIPTION_KEY: id }, "notifications": accepted });
                let method = "notifications/subscriptions/acknowledged";
                self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
            }
            Ok(mut result) => {
                if is_modern(message) && result["resultType"].is_null() {
                    result["resultType"] = json!("complete");
                }
                self.send(&json!({ "jsonrpc": "2.0", "id": id, "result": result }));
            }
            Err(Refusal(code, text, data)) => {
                let error = json!({ "code": code, "message": text, "data": data });
                self.send(&json!({ "jsonrpc": "2.0", "id": id, "error": error }));
            }
        }
    }

    pub(crate) fn send(&self, message: &Value) {
        if http::send(self, message) || self.options.http.is_some() {
            return;
        }
        if self.options.noise {
            self.print("[info] about to answer\n");
        }
        self.print(&format!("{message}\n"));
    }

    /// Prints to stdout; a client that has gone is not our problem.
    pub(crate) fn print(&self, text: &str) {
        self.print_bytes(text.as_bytes());
    }

    pub(crate) fn print_bytes(&self, bytes: &[u8]) {
        let mut out = std::io::stdout().lock();
        if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
            complain("nobody reads");
        }
    }
}

pub(crate) fn is_modern(message: &Value) -> bool {
    message["params"]["_meta"][VERSION_KEY] == MODERN_VERSION
}

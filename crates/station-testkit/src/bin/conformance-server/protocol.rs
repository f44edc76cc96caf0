//! The protocol's own methods: greeting, listening, and who is told what.

use crate::{offers, tools};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::io::{BufRead as _, Write as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub(crate) const MODERN: &str = "2026-07-28";
const LEGACY: &str = "2025-11-25";

/// How long a client may think before a tool gives up.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Which eras are spoken.
#[derive(Clone, Copy)]
pub(crate) struct Eras {
    pub(crate) legacy: bool,
    pub(crate) modern: bool,
}

/// The server.
pub(crate) struct Server {
    /// What the client of the older era can do.
    capabilities: Mutex<Value>,
    waiting: Mutex<HashMap<u64, SyncSender<Value>>>,
    asked: AtomicU64,
    /// Subscriptions of the newer era: their ids and what they listen to.
    listeners: Mutex<Vec<(Value, Value)>>,
    pub(crate) extra_tool: AtomicBool,
    pub(crate) extra_prompt: AtomicBool,
}

/// One request that is being answered.
pub(crate) struct Request {
    pub(crate) server: Arc<Server>,
    pub(crate) params: Value,
    pub(crate) is_modern: bool,
}

/// An answer: a result, or an error of the protocol.
pub(crate) type Answer = Result<Value, Value>;

pub(crate) fn fault(code: i64, message: &str) -> Value {
    json!({ "code": code, "message": message })
}

/// Serves whoever writes to stdin until that ends.
pub(crate) fn serve(eras: Eras) {
    let server = Arc::new(Server {
        capabilities: Mutex::new(json!({})),
        waiting: Mutex::default(),
        asked: AtomicU64::new(0),
        listeners: Mutex::default(),
        extra_tool: AtomicBool::new(false),
        extra_prompt: AtomicBool::new(false),
    });
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
        let Some(method) = message["method"].as_str().map(str::to_owned) else {
            server.take(&message);
            continue;
        };
        if message.get("id").is_none() {
            continue;
        }
        let server = Arc::clone(&server);
        std::thread::spawn(move || {
            let params = message["params"].clone();
            let is_modern = params["_meta"]["io.modelcontextprotocol/protocolVersion"] == MODERN;
            let request = Request { server: Arc::clone(&server), params, is_modern };
            let answer = match method.as_str() {
                "initialize" if eras.legacy => Ok(request.initialize()),
                "server/discover" if eras.modern => Ok(request.discover()),
                "subscriptions/listen" if is_modern => return request.listen(&message["id"]),
                "ping" => Ok(json!({})),
                _ => request.answer(&method),
            };
            server.say(&match answer {
                Ok(result) => json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }),
                Err(error) => json!({ "jsonrpc": "2.0", "id": message["id"], "error": error }),
            });
        });
    }
}

impl Server {
    fn say(&self, message: &Value) {
        let mut out = std::io::stdout().lock();
        // A client that is gone is seen at the end of stdin.
        drop(out.write_all(format!("{message}\n").as_bytes()).and_then(|()| out.flush()));
    }

    pub(crate) fn tell(&self, method: &str, params: &Value) {
        self.say(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn take(&self, message: &Value) {
        let waiting = message["id"]
            .as_u64()
            .and_then(|id| self.waiting.lock().expect("no holder of this lock can panic").remove(&id));
        if let Some(waiting) = waiting {
            drop(waiting.send(message.clone()));
        }
    }

    /// Says that a list changed to whoever listens to that.
    pub(crate) fn list_changed(&self, list: &str) {
        let method = format!("notifications/{list}/list_changed");
        self.tell_listeners(&method, &format!("{list}ListChanged"));
        if self.listeners.lock().expect("no holder of this lock can panic").is_empty() {
            self.tell(&method, &json!({}));
        }
    }

    fn tell_listeners(&self, method: &str, wanted: &str) {
        for (id, filter) in self.listeners.lock().expect("no holder of this lock can panic").iter() {
            if filter[wanted] == true {
                let meta = json!({ "io.modelcontextprotocol/subscriptionId": id });
                self.tell(method, &json!({ "_meta": meta }));
            }
        }
    }
}

impl Request {
    fn capabilities_of_server() -> Value {
        json!({
            "tools": { "listChanged": true },
            "prompts": { "listChanged": true },
            "resources": { "subscribe": true, "listChanged": true },
            "completions": {},
            "logging": {},
        })
    }

    fn initialize(&self) -> Value {
        *self.server.capabilities.lock().expect("no holder of this lock can panic") =
            self.params["capabilities"].clone();
        json!({
            "protocolVersion": LEGACY,
            "capabilities": Self::capabilities_of_server(),
            "serverInfo": { "name": "conformance", "version": "1" },
        })
    }

    fn discover(&self) -> Value {
        json!({
            "resultType": "complete",
            "supportedVersions": [MODERN],
            "capabilities": Self::capabilities_of_server(),
            "ttlMs": 0,
            "cacheScope": "private",
            "_meta": { "io.modelcontextprotocol/serverInfo": { "name": "conformance", "version": "1" } },
        })
    }

    fn listen(&self, id: &Value) {
        let filter = self.params["notifications"].clone();
        self.server
            .listeners
            .lock()
            .expect("no holder of this lock can panic")
            .push((id.clone(), filter.clone()));
        let meta = json!({ "io.modelcontextprotocol/subscriptionId": id });
        let params = json!({ "_meta": meta, "notifications": filter });
        self.server.tell("notifications/subscriptions/acknowledged", &params);
    }

    fn answer(&self, method: &str) -> Answer {
        let result = match method {
            "tools/list" => self.cacheable(json!({ "tools": tools::list(&self.server) })),
            "tools/call" => tools::call(self)?,
            "resources/list" => self.cacheable(json!({ "resources": offers::resources() })),
            "resources/templates/list" => self.cacheable(json!({ "resourceTemplates": offers::templates() })),
            "resources/read" => self.cacheable(offers::read(self)?),
            "resources/subscribe" | "resources/unsubscribe" | "logging/setLevel" if !self.is_modern => {
                json!({})
            }
            "prompts/list" => self.cacheable(json!({ "prompts": offers::prompts(&self.server) })),
            "prompts/get" => offers::prompt(self)?,
            "completion/complete" => offers::complete(self),
            _ => return Err(fault(-32601, "method not found")),
        };
        Ok(self.dressed(result))
    }

    fn dressed(&self, mut result: Value) -> Value {
        if self.is_modern && result.get("resultType").is_none() {
            result["resultType"] = "complete".into();
        }
        result
    }

    fn cacheable(&self, mut result: Value) -> Value {
        if self.is_modern {
            result["ttlMs"] = 0.into();
            result["cacheScope"] = "private".into();
        }
        result
    }

    /// What the client can do: in the newer era each request says it.
    pub(crate) fn can(&self, what: &str) -> bool {
        match self.is_modern {
            true => self.params["_meta"]["io.modelcontextprotocol/clientCapabilities"].get(what).is_some(),
            false => {
                self.server.capabilities.lock().expect("no holder of this lock can panic").get(what).is_some()
            }
        }
    }

    pub(crate) fn arguments(&self) -> Map<String, Value> {
        self.params["arguments"].as_object().cloned().unwrap_or_default()
    }

    /// Asks the client of the older era, and waits.
    pub(crate) fn ask(&self, request: &Value) -> Answer {
        let id = self.server.asked.fetch_add(1, Ordering::Relaxed) + 1;
        let (sender, receiver) = sync_channel(1);
        self.server.waiting.lock().expect("no holder of this lock can panic").insert(id, sender);
        let params = &request["params"];
        self.server
            .say(&json!({ "jsonrpc": "2.0", "id": id, "method": request["method"], "params": params }));
        let answer = receiver.recv_timeout(ANSWER_MAX).map_err(|_| fault(-32603, "the client is silent"))?;
        match answer.get("error") {
            Some(error) => Err(error.clone()),
            None => Ok(answer["result"].clone()),
        }
    }

    /// Says how far it is, where the client wants to know.
    pub(crate) fn progress(&self, progress: u64) {
        let token = &self.params["_meta"]["progressToken"];
        if !token.is_null() {
            let params = json!({ "progressToken": token, "progress": progress, "total": 100 });
            self.server.tell("notifications/progress", &params);
        }
    }

    /// A log message, where the client wants any.
    pub(crate) fn log(&self, text: &str) {
        let level = &self.params["_meta"]["io.modelcontextprotocol/logLevel"];
        if !self.is_modern || !level.is_null() {
            self.server.tell("notifications/message", &json!({ "level": "info", "data": text }));
        }
    }
}

//! Who may do what, through the real door: every operation, by every role, in an environment that is assigned to it and in one that
//! is not. Of MCP and the port of agents: `who_may_mcp`. What a role needs is read from the OpenAPI document; that it holds is seen here.

use crate::home::{Home, reading};
use crate::http::{Answer, Served};
use crate::watch::until;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

pub(crate) const ROLES: [&str; 3] = ["viewer", "user", "admin"];

pub(crate) fn rank(role: &str) -> usize {
    ROLES.iter().position(|it| *it == role).unwrap()
}

/// A Station with two environments that are alike, and a user of each role, to whom the first is assigned.
pub(crate) struct World {
    _home: Home,
    pub(crate) served: Served,
    pub(crate) keys: BTreeMap<&'static str, String>,
    /// What there is in each environment, by the names of parameters.
    pub(crate) own: BTreeMap<&'static str, String>,
    pub(crate) foreign: BTreeMap<&'static str, String>,
}

impl World {
    pub(crate) fn new() -> Self {
        let model = reading();
        let home = Home::with_fake().asking(&model).set("STN_MCP_PORT", "0");
        for environment in ["default", "foreign"] {
            home.server(environment, "fake", &[]);
            home.write(&format!("environments/{environment}/environment.yml"), "tools: {approve: [read]}\n");
            home.agent(environment, "reader", "tools: [read]\n");
            home.stn(&["sync", environment, "--quiet"]).done();
        }
        // The first is an administrator.
        let keys = ["admin", "user", "viewer"].map(|role| {
            let made = home.json(&["user", "create", role, "--role", role, "--env", "default"]);
            (role, made["secret"].as_str().unwrap().to_owned())
        });
        let served = Served::start(&home);
        let none = BTreeMap::new();
        let mut world = Self { _home: home, served, keys: keys.into(), own: none.clone(), foreign: none };
        world.own = world.what_is_in("default");
        world.foreign = world.what_is_in("foreign");
        world
    }

    pub(crate) fn send(&self, by: &str, method: &str, path: &str, body: &str) -> Answer {
        let key = self.keys.get(by).map_or(by, String::as_str);
        self.served.send_as(key, &format!("/api/v1{path}"), method, body)
    }

    fn what_is_in(&self, environment: &str) -> BTreeMap<&'static str, String> {
        let body = json!({ "task": "read it", "environment": environment }).to_string();
        let started = self.send("admin", "POST", "/agents/reader/runs", &body);
        let run = started.json()["run"]["id"].to_string();
        let shown = || self.send("admin", "GET", &format!("/runs/{run}"), "").json();
        until("it waits for a person", || shown()["run"]["status"] == "waiting");
        let approval = shown()["approvals"][0]["id"].to_string();
        let agent = shown()["run"]["agent_id"].to_string();
        let servers = self.send("admin", "GET", &format!("/servers?environment={environment}"), "").json();
        BTreeMap::from([
            ("environment", environment.to_owned()),
            ("agent", agent),
            ("run", run),
            ("approval", approval),
            ("server", servers["servers"][0]["id"].to_string()),
        ])
    }

    /// Something that may go when an operation takes it away: its parameter, and what it is called.
    pub(crate) fn spare(&self, operation: &str, n: usize) -> Option<(&'static str, String)> {
        let made = |path: &str, body: &Value| {
            let made = self.send("admin", "POST", path, &body.to_string());
            assert!(made.status < 300, "{}", made.body);
            made.json()
        };
        let name = format!("spare-{n}");
        match operation {
            "delete_agent" => {
                let agent = json!({ "name": name, "description": "d", "prompt": "p", "tools": [] });
                Some(("agent", made("/agents", &agent)["agent"]["id"].to_string()))
            }
            "delete_server" => {
                let server = json!({ "name": name, "definition": { "command": "true" } });
                Some(("server", made("/servers", &server)["server"]["id"].to_string()))
            }
            "delete_environment" => {
                made("/environments", &json!({ "name": name }));
                Some(("environment", name))
            }
            "unset_variable" => {
                made("/environments/default/variables", &json!({ "name": "SPARE", "value": "x" }));
                Some(("name", "SPARE".to_owned()))
            }
            _ => None,
        }
    }

    /// A user who is nobody else's concern, with a key.
    fn spare_user(&self, n: usize) -> (String, String) {
        let body = json!({ "name": format!("spare-{n}"), "role": "viewer" }).to_string();
        let made = self.send("admin", "POST", "/users", &body);
        let user = made.json()["id"].to_string();
        let key = self.send("admin", "POST", &format!("/users/{user}/api-keys"), r#"{"name": "k"}"#);
        (user, key.json()["api_key"]["id"].to_string())
    }
}

/// One operation of the document.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    told: &'a Value,
}

impl Operation<'_> {
    fn id(&self) -> &str {
        self.told["operationId"].as_str().unwrap()
    }

    /// Names of its parameters, in path, query and body.
    fn takes(&self, name: &str) -> bool {
        let body = &self.told["requestBody"]["content"]["application/json"]["schema"]["properties"];
        let parameters = self.told["parameters"].as_array().into_iter().flatten();
        parameters.into_iter().any(|it| it["name"] == name) || !body[name].is_null()
    }

    /// It, about what is in `place`.
    fn ask(&self, world: &World, by: &str, place: &BTreeMap<&str, String>, user: &str, key: &str) -> Answer {
        let mut path = self.path.to_owned();
        let mut about = place.clone();
        about.extend([("user", user.to_owned()), ("key", key.to_owned()), ("tool", "echo".to_owned())]);
        about.entry("name").or_insert_with(|| "SAY".to_owned());
        about.insert("standing_approval", "99".to_owned());
        about.insert("setting", "execution.workers".to_owned());
        about.extend([("effect", "0a0b".to_owned()), ("prompt", "review".to_owned())]);
        for (name, value) in &about {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        if self.takes("runs") {
            path = format!("{path}?runs={}", place["run"]);
        }
        let mut body = self.told["requestBody"]["content"]["application/json"]["example"].clone();
        if self.takes("environment") && !self.path.contains("{environment}") {
            let by_number = place.iter().any(|(name, _)| self.path.contains(&format!("{{{name}}}")));
            match &mut body {
                // What is named by its number is in one environment alone.
                Value::Object(_) if !by_number => body["environment"] = place["environment"].as_str().into(),
                Value::Null if !by_number => path = format!("{path}?environment={}", place["environment"]),
                _ => drop(body.as_object_mut().map(|it| it.remove("environment"))),
            }
        }
        if self.id() == "add_server" {
            // The example's would be fetched.
            body["definition"] = json!({ "command": "true" });
        }
        if self.id().ends_with("_user") && body["environments"].is_array() {
            body["environments"] = json!(["default"]);
        }
        let body = if body.is_null() { String::new() } else { body.to_string() };
        world.send(by, &self.method.to_uppercase(), &path, &body)
    }

    /// Whether it is about something that is in an environment.
    fn is_in_one(&self, place: &BTreeMap<&str, String>) -> bool {
        self.takes("environment")
            || self.takes("runs")
            || place.keys().any(|name| self.path.contains(&format!("{{{name}}}")))
    }
}

#[test]
fn every_operation_is_for_those_who_may_and_what_is_foreign_does_not_exist() {
    let world = World::new();
    let document = world.send("viewer", "GET", "/openapi.json", "").json();
    let mut n = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, told) in methods.as_object().unwrap() {
            let operation = Operation { method, path, told };
            let needed = told["x-station-role"].as_str();
            for role in ROLES {
                let (user, key) = world.spare_user(n);
                let check = |place: &BTreeMap<&str, String>, allowed: &[u16]| {
                    let answer = operation.ask(&world, role, place, &user, &key);
                    let (id, status) = (operation.id(), answer.status);
                    let told = allowed.contains(&status);
                    assert!(told, "{id} by {role} about {place:?}: {status} {}", answer.body);
                };
                match needed {
                    // What is done twice, or is not there a second time, is no matter of rights.
                    Some("admin, or the user itself") if role == "admin" => {
                        check(&world.own, &[200, 201, 400]);
                    }
                    Some("admin, or the user itself") if path == "/api-keys" => check(&world.own, &[200]),
                    Some("admin, or the user itself") => check(&world.own, &[404]),
                    Some(needed) if rank(role) < rank(needed) => {
                        check(&world.own, &[403]);
                        check(&world.foreign, &[403, 404]);
                    }
                    // There is none.
                    _ if operation.id() == "revoke_standing_approval" => check(&world.own, &[404]),
                    _ => {
                        let spare = world.spare(operation.id(), n);
                        let is_spare = spare.is_some();
                        let mut own = world.own.clone();
                        own.extend(spare);
                        // Who passes hears from a server that has neither resources nor prompts that it refuses.
                        let passed: &[u16] = match operation.id() {
                            "read_resource" | "get_prompt" => &[409],
                            _ => &[200, 201, 202, 400, 409],
                        };
                        match operation.id() {
                            // A stream ends with its run, and this one waits for a person.
                            "follow_run" => {}
                            // It knows no password, and no invitation.
                            "create_session" | "accept_invitation" => check(&own, &[401]),
                            _ => check(&own, passed),
                        }
                        if !(is_spare && role == "admin") && operation.is_in_one(&world.own) {
                            match role {
                                "admin" if operation.id() == "follow_run" => {}
                                "admin" => check(&world.foreign, passed),
                                _ => check(&world.foreign, &[404]),
                            }
                        }
                    }
                }
                n += 1;
            }
            // Nobody without a credential, and none with a wrong one.
            let bearer = format!("stn_1_{}", "0".repeat(64));
            let answer = operation.ask(&world, &bearer, &world.own, "1", "1");
            assert_eq!(answer.status, 401, "{}: {}", operation.id(), answer.body);
        }
    }
    assert!(n > 120, "{n}");
    // Lists show what is one's own.
    for (path, nouns, place) in [
        ("/environments", "environments", "name"),
        ("/agents", "agents", "environment"),
        ("/runs", "runs", "environment"),
        ("/approvals?all=true", "approvals", "environment"),
    ] {
        let places = |by: &str| -> Vec<String> {
            let listed = world.send(by, "GET", path, "").json();
            let mut all: Vec<String> = listed[nouns]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| it[place].as_str().unwrap().to_owned())
                .collect();
            all.sort();
            all.dedup();
            all
        };
        assert_eq!(places("viewer"), ["default"], "{path}");
        assert_eq!(places("user"), ["default"], "{path}");
        assert!(places("admin").contains(&"foreign".to_owned()), "{path}");
    }
}

#[test]
fn a_key_says_no_more_than_its_scopes_and_is_good_until_it_is_revoked() {
    let home = Home::with_fake();
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["user", "create", "root", "--admin"]).done();
    home.stn(&["user", "create", "ann", "--env", "default"]).done();
    let made = home.json(&["user", "key", "create", "ann", "--name", "ci", "--scope", "run"]);
    let key = made["secret"].as_str().unwrap();
    let served = Served::start(&home);
    let send =
        |method: &str, path: &str, body: &str| served.send_as(key, &format!("/api/v1{path}"), method, body);
    assert_eq!(send("POST", "/agents/reader/runs", r#"{"task": "read notes.txt"}"#).status, 202);
    let refused = send("POST", "/approvals/1/approve", "{}");
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains("lacks the scope `approve`"), "{}", refused.body);
    let id = made["api_key"]["id"].to_string();
    home.stn(&["user", "key", "revoke", &id]).done();
    assert_eq!(send("GET", "/agents", "").status, 401);
    // The key is in no file, however it is looked for.
    let secret = made["secret"].as_str().unwrap();
    assert!(!home.json(&["user", "key", "list"]).to_string().contains(secret));
    served.stop();
}

#[test]
fn who_may_no_more_hears_no_more_of_a_run() {
    let world = World::new();
    let path = format!("/api/v1/runs/{}/events", world.own["run"]);
    // The run waits for a person all the while: nothing of it ends these streams.
    let listening = |by: &str| {
        let mut stream = world.served.connect();
        let head =
            format!("GET {path} HTTP/1.0\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", world.keys[by]);
        stream.write_all(head.as_bytes()).unwrap();
        let (mut heard, mut piece) = (String::new(), [0; 4096]);
        while !heard.contains("event: entry") {
            let n = stream.read(&mut piece).unwrap();
            assert!(n > 0, "{heard}");
            heard.push_str(&String::from_utf8_lossy(&piece[..n]));
        }
        move || {
            let mut rest = String::new();
            stream.read_to_string(&mut rest).unwrap();
            rest
        }
    };
    let (mut of_key, mut of_place) = (listening("viewer"), listening("user"));
    let keys = world.send("admin", "GET", "/api-keys?user=viewer", "").json();
    let key = keys["api_keys"][0]["id"].to_string();
    assert_eq!(world.send("admin", "DELETE", &format!("/api-keys/{key}"), "").status, 200);
    let nowhere = json!({ "environments": [] }).to_string();
    assert_eq!(world.send("admin", "PATCH", "/users/user", &nowhere).status, 200);
    let (of_key, of_place) = (of_key(), of_place());
    assert!(of_key.contains("event: error") && of_key.contains("is not known any more"), "{of_key}");
    assert!(of_place.contains("event: error") && of_place.contains("does not exist"), "{of_place}");
}

#[test]
fn a_server_for_administrators_is_neither_listed_nor_called_for_others() {
    let home = Home::with_init();
    home.stn(&["user", "create", "root", "--admin"]).done();
    let made = home.json(&["user", "create", "ann", "--env", "default"]);
    home.server("default", "fake", &[]);
    let path = "environments/default/mcp-servers/fake.json";
    let mut file: Value = serde_json::from_str(&home.read(path)).unwrap();
    file["mcpServers"]["fake"]["station"] = json!({ "allow_roles": ["admin"] });
    home.write(path, &file.to_string());
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["sync", "--quiet"]).done();
    let served = Served::start(&home);
    let key = made["secret"].as_str().unwrap();
    let send = |method: &str, path: &str, body: &str| served.send_as(key, path, method, body);
    assert_eq!(send("GET", "/api/v1/tools", "").json()["count"], 0);
    let list = r#"{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}"#;
    assert_eq!(send("POST", "/mcp/env/default", list).json()["result"]["tools"], json!([]));
    let called = send("POST", "/api/v1/servers/fake/tools/echo/call", r#"{"arguments": {"text": "hi"}}"#);
    assert_eq!(called.status, 403, "{}", called.body);
    assert!(called.body.contains("allow_roles"), "{}", called.body);
    // Nor by an agent that has a grant of it.
    let started = send("POST", "/api/v1/agents/reader/runs", r#"{"task": "read notes.txt"}"#).json();
    let path = format!("/api/v1/runs/{}", started["run"]["id"]);
    until("the run has ended", || send("GET", &path, "").json()["run"]["ended_at"].is_string());
    let run = send("GET", &path, "").json();
    assert_eq!(run["run"]["tool_calls"], 0, "{run}");
}

#[test]
fn a_user_gives_no_value_that_servers_are_made_of() {
    let home = Home::with_init();
    home.stn(&["user", "create", "root", "--admin"]).done();
    let made = home.json(&["user", "create", "ann", "--env", "default"]);
    home.server("default", "fake", &["--dir", "{{ .DIR }}"]);
    home.stn(&["variables", "set", "DIR=/nowhere"]).done();
    home.agent("default", "reader", "model: offline\ntools: [read]\n");
    home.stn(&["sync", "--quiet", "--no-discover"]).done();
    let served = Served::start(&home);
    let key = made["secret"].as_str().unwrap();
    let start = |name: &str| {
        let body = json!({ "task": "read notes.txt", "variables": { name: "/" } }).to_string();
        served.send_as(key, "/api/v1/agents/reader/runs", "POST", &body)
    };
    let refused = start("DIR");
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains("may not give `DIR`: servers are made of it"), "{}", refused.body);
    assert_eq!(start("TOPIC").status, 202, "what only the prompt has use for is anybody's");
}

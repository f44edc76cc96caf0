//! Station as a protected resource of OAuth 2, with a real authorization server: whose tokens are taken, for what, and how one is asked
//! for.

use crate::home::Home;
use crate::http::{Answer, Served};
use crate::watch::until;
use serde_json::{Value, json};
use station_engine::Clock;
use station_testkit::fake_server;
use station_testkit::oidc::Oidc;

/// A Station that takes tokens of an issuer, with an administrator, and the users `ann` and `robot` in `default`.
struct Scene {
    oidc: Oidc,
    home: Home,
    served: Served,
}

impl Scene {
    fn new() -> Self {
        Self::with("")
    }

    /// `more` is of config.yaml.
    fn with(more: &str) -> Self {
        let (oidc, home) = (Oidc::start(), Home::with_fake());
        home.agent("default", "reader", "model: offline\ntools: [read]\n");
        home.stn(&["sync", "--quiet"]).done();
        home.stn(&["env", "create", "foreign"]).done();
        home.stn(&["user", "create", "root", "--admin"]).done();
        for name in ["ann", "robot"] {
            home.stn(&["user", "create", name, "--role", "user", "--env", "default"]).done();
        }
        let config = home.read("config.yaml");
        home.write("config.yaml", &format!("{config}oauth:\n  issuer: {}\n{more}", oidc.name()));
        let served = Served::start(&home);
        Self { oidc, home, served }
    }

    /// An address of this Station, as tokens name it.
    fn at(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.served.port)
    }

    /// What a token of `ann` claims that is good for all of it: `more` changes that, and `null` takes away.
    fn claims(&self, more: &Value) -> Value {
        let now = Clock::System.now().0 / 1_000_000;
        let mut claims = json!({
            "iss": self.oidc.name(), "aud": self.at(""), "sub": "ann", "client_id": "a client",
            "iat": now, "exp": now + 600, "scope": "read run edit approve admin",
        });
        for (key, value) in more.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(key)),
                // Seconds from now.
                Value::Number(n) => claims[key] = json!(n.as_i64().unwrap() + now),
                value => claims[key] = value.clone(),
            }
        }
        claims
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        self.oidc.sign(header, &self.claims(claims))
    }

    fn tools(&self, path: &str, token: &str) -> Answer {
        self.served.send_as(token, path, "POST", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#)
    }

    fn call(&self, path: &str, token: &str, tool: &str, arguments: &Value) -> Answer {
        let params = json!({ "name": tool, "arguments": arguments });
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        self.served.send_as(token, path, "POST", &request.to_string())
    }
}

/// What an answer asks for in place of the token that was shown; the port is another in each test.
fn challenge(scene: &Scene, answer: &Answer) -> String {
    let header = answer.head.lines().find_map(|line| line.strip_prefix("www-authenticate: "));
    header.unwrap_or_default().replace(&scene.at(""), "$STATION")
}

const METADATA: &str = "resource_metadata=\"$station/.well-known/oauth-protected-resource";

#[test]
fn strangers_are_told_whose_tokens_are_taken_and_nothing_else() {
    let scene = Scene::new();
    let get = |path: &str| scene.served.send_to(path, "GET", &[("content-type", "")], "");
    for (path, resource) in [
        ("/.well-known/oauth-protected-resource", ""),
        ("/.well-known/oauth-protected-resource/mcp", "/mcp"),
        ("/.well-known/oauth-protected-resource/mcp/env/default", "/mcp/env/default"),
        // Whether there is such an environment is not told.
        ("/.well-known/oauth-protected-resource/mcp/env/nothing", "/mcp/env/nothing"),
    ] {
        let answer = get(path);
        assert_eq!(answer.status, 200, "{path}");
        let expected = json!({
            "resource": scene.at(resource), "resource_name": "Station",
            "authorization_servers": [scene.oidc.name()],
            "scopes_supported": ["read", "run", "edit", "approve", "admin"],
            "bearer_methods_supported": ["header"],
        });
        assert_eq!(answer.json(), expected, "{path}");
    }
    for path in ["/mcp/", "/api/v1", "/mcp/env/", "/mcp/env/a/b", "/mcp/env/%2e%2e", "/"] {
        assert_eq!(get(&format!("/.well-known/oauth-protected-resource{path}")).status, 404, "{path}");
    }
    assert_eq!(scene.served.send_to("/.well-known/oauth-protected-resource", "POST", &[], "{}").status, 401);
    // A missing token is no wrong one, and what asks for it says where to get one.
    for (path, place) in [
        ("/mcp", "/mcp"),
        ("/mcp/env/default", "/mcp/env/default"),
        ("/mcp/env/nothing", "/mcp/env/nothing"),
        ("/api/v1/agents", ""),
    ] {
        let answer = scene.served.send_to(path, "POST", &[], "{}");
        assert_eq!(answer.status, 401, "{path}");
        let expected = format!("bearer {METADATA}{place}\", scope=\"read run\"");
        assert_eq!(challenge(&scene, &answer).to_lowercase(), expected);
    }
}

#[test]
fn a_token_of_the_issuer_lets_its_user_in_with_no_more_than_both_may() {
    let scene = Scene::new();
    // One that the server gave out by itself.
    let robot = scene.oidc.grant(&scene.at("/mcp"), "read");
    assert_eq!(scene.tools("/mcp", &robot).json()["result"]["tools"].as_array().map(Vec::len), Some(13));
    for alg in ["RS256", "ES256", "EdDSA"] {
        let token = scene.token(&json!({ "alg": alg }), &json!({}));
        assert_eq!(scene.tools("/mcp", &token).status, 200, "{alg}");
        let caller = scene.served.send_as(&token, "/api/v1/caller", "GET", "").json();
        assert_eq!((&caller["name"], &caller["role"]), (&json!("ann"), &json!("user")), "{alg}");
    }
    // The role and the environments of the user hold, whatever scopes the token has.
    let ann = scene.token(&json!({}), &json!({}));
    let listed = scene.call("/mcp", &ann, "list_environments", &json!({})).json();
    let names: Vec<&Value> = listed["result"]["structuredContent"]["environments"]
        .as_array()
        .unwrap()
        .iter()
        .map(|environment| &environment["name"])
        .collect();
    assert_eq!(names, ["default"], "{listed}");
    assert_eq!(scene.tools("/mcp/env/foreign", &ann).status, 404);
    assert_eq!(scene.tools("/mcp/env/default", &ann).status, 200);
    let refused = scene.served.send_as(&ann, "/api/v1/users", "GET", "");
    assert_eq!((refused.status, challenge(&scene, &refused).as_str()), (403, ""), "{}", refused.body);
    // An API key is as good as before.
    let key = scene.home.json(&["user", "key", "create", "ann", "--name", "k"])["secret"].clone();
    assert_eq!(scene.tools("/mcp", key.as_str().unwrap()).status, 200);
    // A user that is removed is nobody from the next request on.
    scene.home.stn(&["user", "update", "ann", "--role", "viewer"]).done();
    let caller = scene.served.send_as(&ann, "/api/v1/caller", "GET", "").json();
    assert_eq!(caller["role"], "viewer");
    scene.home.stn(&["user", "delete", "ann", "--yes"]).done();
    let refused = scene.tools("/mcp", &ann);
    assert_eq!(refused.status, 401);
    assert!(challenge(&scene, &refused).contains("names no user of this station"), "{}", refused.head);
}

#[test]
fn a_token_is_good_for_its_address_and_what_is_below_it() {
    let scene = Scene::new();
    let check = |aud: Value, path: &str, status: u16| {
        let token = scene.token(&json!({}), &json!({ "aud": aud }));
        let answer = match path.starts_with("/mcp") {
            true => scene.tools(path, &token),
            false => scene.served.send_as(&token, path, "GET", ""),
        };
        assert_eq!(answer.status, status, "{aud} {path}: {}", answer.body);
    };
    let (all, mcp, own) = (scene.at(""), scene.at("/mcp"), scene.at("/mcp/env/default"));
    for (aud, there) in [(&all, [200, 200, 200]), (&mcp, [401, 200, 200]), (&own, [401, 401, 200])] {
        for (path, status) in ["/api/v1/caller", "/mcp", "/mcp/env/default"].iter().zip(there) {
            check(json!(aud), path, status);
            check(json!(["https://other.example", aud]), path, status);
        }
    }
    check(json!(scene.at("/")), "/mcp", 200);
    for aud in [
        json!("https://other.example/mcp"),
        json!(scene.at("/mcp/env/other")),
        json!("a client"),
        Value::Null,
    ] {
        check(aud, "/mcp/env/default", 401);
    }
}

#[test]
fn what_is_wrong_with_a_token_is_said_and_lets_nobody_in() {
    let scene = Scene::new();
    let check = |token: &str, expected: &str| {
        let answer = scene.tools("/mcp", token);
        assert_eq!(answer.status, 401, "{}", answer.body);
        let said = format!("the access token {expected}");
        assert_eq!(answer.json()["error"]["message"], said);
        let challenged = format!(
            "bearer error=\"invalid_token\", error_description=\"{}\", {METADATA}/mcp\", scope=\"read run\"",
            said.to_lowercase()
        );
        assert_eq!(challenge(&scene, &answer).to_lowercase(), challenged);
    };
    let claims = |more: Value| scene.token(&json!({}), &more);
    let head = |more: Value| scene.token(&more, &json!({}));
    check(&claims(json!({ "iss": "https://evil.example" })), "is from another issuer");
    check(&claims(json!({ "aud": "https://other.example" })), "is not for this address (`aud`)");
    check(&claims(json!({ "exp": -31 })), "has expired");
    check(&claims(json!({ "exp": "soon" })), "does not say when it ends (`exp`)");
    check(&claims(json!({ "nbf": 90 })), "is not good yet (`nbf`)");
    check(&claims(json!({ "sub": null })), "names no user: it has no `sub`");
    check(&claims(json!({ "sub": "eve" })), "is good, and names no user of this Station");
    check(&claims(json!({ "sub": "local" })), "is good, and names no user of this Station");
    check(
        &claims(json!({ "cnf": { "jkt": "x" } })),
        "is bound to a key of its client (`cnf`), which is not looked at here",
    );
    let unsigned = "is not signed by RS256, ES256 or EdDSA";
    check(&head(json!({ "alg": "none" })), unsigned);
    // What is published, taken for a shared secret.
    check(&head(json!({ "alg": "HS256" })), unsigned);
    check(
        &head(json!({ "typ": "JWT" })),
        "does not say that it is an access token: its `typ` must be `at+jwt`",
    );
    check(
        &head(json!({ "crit": ["b64"] })),
        "asks for something that must be understood (`crit`), and is not here",
    );
    check(&head(json!({ "kid": "nobody's" })), "is signed by a key that its issuer does not publish");
    check(
        &head(json!({ "alg": "ES256", "kid": "RS256-1" })),
        "is signed by a key that its issuer does not publish",
    );
    check(&head(json!({ "kid": "foreign" })), "has a signature that does not hold");
    let good = head(json!({ "alg": "EdDSA" }));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let other = claims(json!({ "sub": "root" }));
    let (other, _) = other.rsplit_once('.').unwrap();
    check(&format!("{other}.{signature}"), "has a signature that does not hold");
    check(&format!("{signed}."), "has a signature that does not hold");
    check("a.b.c", "is no signed JWT");
    check(&format!("{good}.x"), "is no signed JWT");
    check(&format!("{signed}.{}", "A".repeat(16 * 1024)), "has more than 16 KiB");
    assert_eq!(scene.tools("/mcp", &good).status, 200);
    // One look for all of the names that were made up.
    assert_eq!(scene.oidc.looks(), 1);
    // A wrong key is as it was, but says where a token is had.
    let wrong = scene.tools("/mcp", "stn_1_wrong");
    assert_eq!(
        (wrong.status, &wrong.json()["error"]["message"]),
        (401, &json!("the credential is wrong, was revoked, or is over"))
    );
    assert!(challenge(&scene, &wrong).contains("error=\"invalid_token\""), "{}", wrong.head);
    let log = scene.served.told().join("\n");
    assert!(!log.contains(signature) && !log.contains(signed), "{log}");
}

#[test]
fn a_scope_that_is_lacking_is_asked_for_with_those_there_are() {
    let scene = Scene::new();
    let check = |scope: &str, answer: Answer, lacking: Option<&str>| {
        let expected =
            lacking.map(|scopes| format!("bearer error=\"insufficient_scope\", scope=\"{scopes}\", "));
        let said = challenge(&scene, &answer).to_lowercase();
        assert_eq!(answer.status, if lacking.is_some() { 403 } else { 200 }, "{scope}: {}", answer.body);
        assert!(said.starts_with(&expected.clone().unwrap_or_default()), "{scope}: {said}");
        assert_eq!(said.is_empty(), expected.is_none(), "{scope}: {said}");
    };
    let token = |scope: &str| scene.token(&json!({}), &json!({ "scope": scope }));
    let agent = json!({ "agent_id": "reader" });
    for (scope, tool, arguments, lacking) in [
        ("read", "get_agent_details", agent.clone(), None),
        ("read", "call_agent", json!({ "agent_id": "reader", "task": "read notes.txt" }), Some("read run")),
        ("run", "call_agent", json!({ "agent_id": "reader", "task": "read notes.txt" }), None),
        ("run", "delete_agent", agent.clone(), Some("read run edit")),
        // Another scope would not help: it is the role that is too little.
        ("run", "no_such_tool", json!({}), None),
    ] {
        check(scope, scene.call("/mcp", &token(scope), tool, &arguments), lacking);
    }
    let echo = json!({ "text": "hello" });
    check("read", scene.call("/mcp/env/default", &token("read"), "echo", &echo), Some("read run"));
    check("run", scene.call("/mcp/env/default", &token("run"), "echo", &echo), None);
    check("read", scene.tools("/mcp/env/default", &token("read")), None);
    check("openid", scene.tools("/mcp", &token("openid")), Some("read"));
    // The API says the same.
    let start = |scope: &str| {
        scene.served.send_as(
            &token(scope),
            "/api/v1/agents/reader/runs",
            "POST",
            r#"{"task": "read notes.txt"}"#,
        )
    };
    check("read", start("read"), Some("read run"));
    assert_eq!(start("run").status, 202);
    // A batch is done whole or not at all.
    let call = |id: u8, tool: &str, arguments: &Value| json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": tool, "arguments": arguments } });
    let batch = json!([call(1, "get_agent_details", &agent), call(2, "delete_agent", &agent)]).to_string();
    let bearer = format!("Bearer {}", token("run"));
    let headers = [("authorization", &*bearer), ("mcp-protocol-version", "2025-03-26")];
    check("run", scene.served.send_to("/mcp", "POST", &headers, &batch), Some("read run edit"));
}

#[test]
fn a_token_gives_nobody_rights_that_outlive_it() {
    let scene = Scene::new();
    scene.home.stn(&["user", "update", "ann", "--role", "admin"]).done();
    let token = scene.token(&json!({}), &json!({ "scope": "read run admin" }));
    let post = |path: &str, body: &Value| scene.served.send_as(&token, path, "POST", &body.to_string());
    let made = post("/api/v1/users/ann/api-keys", &json!({ "name": "k", "scopes": ["run"] }));
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(made.json()["api_key"]["expires_at"].is_string(), "{}", made.body);
    assert_eq!(post("/api/v1/users/ann/api-keys", &json!({ "name": "k", "scopes": ["edit"] })).status, 403);
    assert_eq!(post("/api/v1/users", &json!({ "name": "eve", "role": "admin" })).status, 403);
}

#[test]
fn new_keys_are_found_and_an_issuer_that_is_away_locks_nobody_out() {
    let mut scene = Scene::new();
    let before = scene.token(&json!({}), &json!({}));
    let kept = scene.token(&json!({ "alg": "ES256" }), &json!({}));
    // Nobody asked for the keys before there was a token.
    assert_eq!(scene.oidc.looks(), 0);
    scene.oidc.rotate();
    let after = scene.token(&json!({}), &json!({}));
    assert_eq!(scene.tools("/mcp", &after).status, 200);
    assert_eq!(scene.tools("/mcp", &before).status, 401);
    assert_eq!(scene.oidc.looks(), 1);
    let fresh = Served::start(&scene.home);
    let for_fresh = json!({ "aud": format!("http://127.0.0.1:{}/mcp", fresh.port) });
    let for_fresh = scene.token(&json!({}), &for_fresh);
    scene.oidc.end();
    assert_eq!(scene.tools("/mcp", &after).status, 200);
    assert_eq!(scene.tools("/mcp", &kept).status, 401, "its key was withdrawn before");

    // One that was never reached is told apart from a token that is wrong.
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let answer = fresh.send_as(&for_fresh, "/mcp", "POST", list);
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(
        answer.head.contains("retry-after: 30") && !answer.head.contains("www-authenticate"),
        "{}",
        answer.head
    );
    assert!(!answer.body.contains(scene.oidc.name()), "{}", answer.body);
    until("the log tells it", || fresh.told().join("\n").contains("cannot be read"));
    // What says of itself that it is not for here costs no look.
    assert_eq!(fresh.send_as(&after, "/mcp", "POST", list).status, 401);
}

#[test]
fn an_operator_says_what_tokens_look_like() {
    let more = "  audience: api://station\n  user_claim: email\n  scope_prefix: 'station:'\n  token_type: any\n\
        http:\n  public_url: https://station.example.com/\n";
    let scene = Scene::with(more);
    let token = |header: Value, claims: Value| {
        let mut all = json!({ "email": "ann", "scope": "station:run", "aud": "api://station" });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        scene.token(&header, &all)
    };
    assert_eq!(scene.tools("/mcp", &token(json!({ "typ": "JWT" }), json!({}))).status, 200);
    assert_eq!(
        scene.tools("/mcp", &token(json!({}), json!({ "aud": "https://station.example.com/mcp" }))).status,
        200
    );
    assert_eq!(scene.tools("/mcp", &token(json!({}), json!({ "aud": scene.at("/mcp") }))).status, 401);
    assert_eq!(scene.tools("/mcp", &token(json!({}), json!({ "email_verified": false }))).status, 401);
    let answer = scene.tools("/mcp", &token(json!({}), json!({ "scope": "read run" })));
    assert_eq!(answer.status, 403);
    let expected = "bearer error=\"insufficient_scope\", scope=\"station:read\", \
        resource_metadata=\"https://station.example.com/.well-known/oauth-protected-resource/mcp\"";
    assert_eq!(challenge(&scene, &answer).to_lowercase(), expected);
    let told = scene.served.send_to("/.well-known/oauth-protected-resource/mcp", "GET", &[], "").json();
    assert_eq!(told["resource"], "https://station.example.com/mcp");
    assert_eq!(told["scopes_supported"][1], "station:run");
}

#[test]
fn a_station_logs_in_at_another_and_asks_for_more_when_it_needs_it() {
    let scene = Scene::new();
    let browser = fake_server::browser();
    let home = Home::with_init().set("BROWSER", browser.to_str().unwrap());
    let file = json!({ "mcpServers": { "far": { "url": scene.at("/mcp") } } }).to_string();
    home.write("environments/default/mcp-servers/far.json", &file);
    let call = |tool: &str, args: &[&str]| {
        let mut all = vec!["mcp", "call", "far", tool];
        args.iter().for_each(|arg| all.extend(["--arg", arg]));
        home.stn(&all)
    };
    let said = home.stn(&["sync"]);
    assert!(said.shown().contains("server `far` asks for a login"), "{}", said.shown());
    let said = home.stn(&["mcp", "login", "far"]);
    said.done();
    assert!(said.stderr.contains("Logged in at `far`: it offers 13 tools."), "{}", said.shown());
    let said = call("list_environments", &[]);
    said.done();
    assert!(said.stdout.contains("\"default\"") && !said.stdout.contains("foreign"), "{}", said.shown());

    let said = call("delete_agent", &["agent_id=reader"]);
    said.exits(1);
    let asks = "server `far` asks for a login that is good for more (`read run edit`): `stn mcp login far` makes one";
    assert!(said.shown().contains(asks), "{}", said.shown());
    home.stn(&["mcp", "login", "far"]).done();
    call("delete_agent", &["agent_id=reader"]).done();
    let audit = scene.home.stn(&["audit", "list"]).shown();
    assert!(audit.contains("ann") && audit.contains("delete_agent"), "{audit}");

    // What was withdrawn over there holds at once.
    scene.home.stn(&["user", "delete", "ann", "--yes"]).done();
    call("list_environments", &[]).exits(1);
}

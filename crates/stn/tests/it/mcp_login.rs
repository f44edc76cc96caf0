//! Logging in at remote servers through the real `stn`: in a browser, by a code, by hand; renewed, asked for more, ended.

use crate::home::{Home, Said};
use serde_json::json;
use station_testkit::fake_server::{self, Remote};
use station_testkit::issuer::{Conduct, Issuer};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

/// A home whose server `far` wants a login.
struct Scene {
    home: Home,
    issuer: Issuer,
    _far: Remote,
}

impl Scene {
    fn new(conduct: Conduct) -> Self {
        Self::with(conduct, &json!({}))
    }

    fn with(conduct: Conduct, oauth: &serde_json::Value) -> Self {
        let browser = fake_server::browser();
        let home = Home::new().set("BROWSER", browser.to_str().unwrap());
        home.stn(&["init", "--yes"]).done();
        let far = Remote::start(home.path(), &[]);
        let issuer = Issuer::before(&far.url("/mcp"), conduct);
        let entry = json!({ "url": issuer.mcp(), "station": { "oauth": oauth } });
        let file = json!({ "mcpServers": { "far": entry } }).to_string();
        home.write("environments/default/mcp-servers/far.json", &file);
        Self { home, issuer, _far: far }
    }

    fn stn(&self, args: &[&str]) -> Said {
        let said = self.home.stn(args);
        self.tells_nothing(&said);
        said
    }

    fn echo(&self) -> Said {
        self.stn(&["mcp", "call", "far", "echo", "--arg", "text=hello"])
    }

    /// Nothing that was given out is in what was said.
    fn tells_nothing(&self, said: &Said) {
        for secret in self.issuer.secrets() {
            assert!(!said.shown().contains(&secret), "{}", said.shown());
        }
    }
}

#[test]
fn a_person_logs_in_in_a_browser_and_out_again() {
    let scene = Scene::new(Conduct::default());
    let said = scene.stn(&["sync"]);
    let asks = "server `far` asks for a login: `stn mcp login far` makes one";
    assert!(said.shown().contains(asks), "{}", said.shown());

    let said = scene.stn(&["mcp", "login", "far"]);
    said.done();
    assert!(said.stderr.contains("Logged in at `far`: it offers 15 tools."), "{}", said.shown());
    assert_eq!(scene.issuer.asked(), ["register", "authorize read", "code"]);
    let status = scene.stn(&["mcp", "status"]).shown();
    assert!(status.contains(", logged in until [time], renewed by itself"), "{status}");
    let server = &scene.home.json(&["mcp", "status"])["servers"][0];
    assert_eq!(
        (&server["login"]["issuer"], &server["login"]["scope"], &server["login"]["is_over"]),
        (&json!(scene.issuer.name()), &json!("read"), &json!(false))
    );
    scene.echo().done();

    // The same client once more, if it is the same place to come back to.
    scene.stn(&["mcp", "login", "far"]).done();
    assert_eq!(scene.issuer.asked().iter().filter(|asked| *asked == "register").count(), 1);

    let said = scene.stn(&["mcp", "logout", "far"]);
    said.done();
    assert!(scene.issuer.asked().ends_with(&["revoke".to_owned(), "revoke".to_owned()]));
    let said = scene.echo();
    assert_eq!(said.code, Some(1));
    assert!(said.shown().contains(asks), "{}", said.shown());
    assert!(scene.stn(&["mcp", "logout", "far"]).shown().contains("nobody is logged in at server `far`"));
    let audit = scene.stn(&["audit", "list"]).shown();
    assert!(audit.contains("login_server") && audit.contains("logout_server"), "{audit}");
}

#[test]
fn a_token_that_ended_is_renewed_once_however_many_ask() {
    let scene = Scene::new(Conduct::default());
    scene.stn(&["mcp", "login", "far"]).done();
    scene.issuer.end_tokens();
    let call = || scene.home.start(&["mcp", "call", "far", "echo", "--arg", "text=hello"]);
    let started: Vec<_> = (0..4).map(|_| call()).collect();
    for child in started {
        let said = scene.home.said(child);
        scene.tells_nothing(&said);
        said.done();
    }
    let refreshes: Vec<String> =
        scene.issuer.asked().into_iter().filter(|asked| asked.starts_with("refresh")).collect();
    assert_eq!(refreshes, ["refresh"], "a refresh token was used twice");

    // What cannot be renewed any more asks for a person.
    scene.issuer.end_logins();
    let said = scene.echo();
    assert_eq!(said.code, Some(1));
    assert!(said.shown().contains("`stn mcp login far` makes one"), "{}", said.shown());
    let status = scene.stn(&["mcp", "status"]).shown();
    assert!(status.contains("its login is over: `stn mcp login` makes a new one"), "{status}");
}

#[test]
fn a_token_that_is_about_to_end_is_renewed_before_it_is_shown() {
    let scene = Scene::new(Conduct { expires_in_s: 30, ..Conduct::default() });
    scene.stn(&["mcp", "login", "far"]).done();
    let renewed = |scene: &Scene| scene.issuer.asked().iter().filter(|asked| *asked == "refresh").count();
    let before = renewed(&scene);
    scene.echo().done();
    assert_eq!(renewed(&scene), before + 1);
}

#[test]
fn a_call_that_needs_more_asks_for_that_and_for_what_there_was() {
    let scene = Scene::new(Conduct { calls_need: Some("write"), ..Conduct::default() });
    scene.stn(&["mcp", "login", "far"]).done();
    let said = scene.echo();
    assert_eq!(said.code, Some(1));
    let asks = "server `far` asks for a login that is good for more (`write`): `stn mcp login far` makes one";
    assert!(said.shown().contains(asks), "{}", said.shown());
    scene.stn(&["mcp", "login", "far"]).done();
    assert!(scene.issuer.asked().contains(&"authorize read write".to_owned()), "{:?}", scene.issuer.asked());
    scene.echo().done();
}

#[test]
fn without_a_browser_an_address_is_shown_and_what_comes_of_it_typed_in() {
    let scene = Scene::with(
        Conduct {
            registers: false,
            known_client: Some(("by-hand", "a secret of a client")),
            ..Conduct::default()
        },
        &json!({ "client_id": "by-hand", "client_secret": "{{ .CLIENT_SECRET }}" }),
    );
    scene.home.write("environments/default/variables.yml", "CLIENT_SECRET: a secret of a client\n");
    let said = scene
        .home
        .stn_reading(&["mcp", "login", "far", "--paste"], "http://127.0.0.1/callback?code=x&state=y\n");
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("belongs to another login"), "{}", said.shown());
    let address = said.stderr.lines().find(|line| line.starts_with("http://")).unwrap().to_owned();
    assert!(address.contains("client_id=by-hand") && !address.contains("secret"), "{address}");

    let mut child = scene.home.start(&["mcp", "login", "far", "--paste"]);
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let address = told.find(|line| line.starts_with("http://")).unwrap();
    let back = sent_to(&address);
    child.stdin.take().unwrap().write_all(format!("{back}\n").as_bytes()).unwrap();
    let rest: Vec<String> = told.collect();
    assert!(rest.last().unwrap().contains("Logged in at `far`"), "{rest:?}");
    scene.home.said(child).done();
    scene.echo().done();
}

/// Where a browser that opens `address` is sent to.
fn sent_to(address: &str) -> String {
    let (host, path) = address.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    lines.find_map(|line| line.strip_prefix("Location: ").map(str::to_owned)).unwrap()
}

#[test]
fn a_code_is_typed_in_on_another_device() {
    let scene = Scene::new(Conduct { has_devices: true, ..Conduct::default() });
    let said = scene.stn(&["mcp", "login", "far", "--device"]);
    said.done();
    assert!(said.stderr.contains("/activate on any device, and type in WDJB-MJHT"), "{}", said.shown());
    scene.echo().done();
}

#[test]
fn an_answer_of_another_issuer_is_not_used() {
    let scene = Scene::new(Conduct { pretends_to_be: Some("https://evil.example"), ..Conduct::default() });
    let said = scene.stn(&["mcp", "login", "far"]);
    assert_eq!(said.code, Some(1));
    assert!(said.stderr.contains("the answer came from `https://evil.example`"), "{}", said.shown());
    assert!(!scene.issuer.asked().contains(&"code".to_owned()), "the code was shown to somebody");
    let none = scene.home.json(&["mcp", "status"]);
    assert_eq!(none["servers"][0]["login"], json!(null));
}

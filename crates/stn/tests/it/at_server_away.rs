//! What is said where a server is none, is away, or comes back; and what it cannot do.

use crate::at_server::{ask, url};
use crate::home::{Home, Process, Said};
use crate::http::Served;
use crate::watch::until;
use expect_test::expect;
use nix::sys::signal::Signal;
use serde_json::json;
use station_testkit::openai::{self, OpenAi};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{ChildStderr, Stdio};

#[test]
fn what_a_server_cannot_do_is_refused_with_what_to_use() {
    let home = Home::with_init();
    for args in [
        &["init", "--yes"] as &[&str],
        &["doctor"],
        &["serve"],
        &["stdio"],
        &["key", "status"],
        &["test"],
        &["config", "show"],
        &["demo"],
        &["mcp", "login", "x"],
        &["mcp", "import", "x.json"],
        &["mcp", "config", "cursor"],
    ] {
        let said = ask(&home, "http://127.0.0.1:1", "", args);
        assert!(
            said.code == Some(1) && said.stderr.contains("URL cannot do it"),
            "{args:?} {}",
            said.shown()
        );
        assert!(said.stderr.contains("STN_SERVER names a server"), "{args:?} {}", said.shown());
    }
    home.stn(&["key", "rotate", "--server", "https://station.example.com"]).is(&expect![[r#"
        --- stderr
        error: `stn key rotate` is about the key of a database, which never leaves its machine, so https://station.example.com cannot do it
        hint: run it where that Station is
        hint: without `--server`, the Station of this machine is meant
        --- exit 1
    "#]]);
    home.stn(&["agent", "list", "--server", "station.example.com"]).is(&expect![[r#"
        --- stderr
        error: `station.example.com` is no address of a server
        hint: write it like `https://station.example.com` or `http://localhost:8585`
        --- exit 1
    "#]]);
    home.stn(&["agent", "list", "--server", "https://ann:secret@station.example.com"]).is(&expect![[r#"
        --- stderr
        error: the address of a server has a name or a password in it: `stn login` keeps keys
        hint: write it like `https://station.example.com` or `http://localhost:8585`
        --- exit 1
    "#]]);
    home.stn(&["agent", "list", "--server", "http://station.example.com"]).is(&expect![[r#"
        --- stderr
        error: http://station.example.com is spoken to without TLS: whoever is in between would read the key
        hint: write `https://…`; `--plain-http` allows it, for a network that is yours alone
        --- exit 1
    "#]]);
}

/// Something that answers every request with `answer`.
fn other(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|n| n > 2) {
                line.clear();
            }
            stream.write_all(answer.as_bytes()).ok();
        }
    });
    url
}

#[test]
fn whatever_is_no_station_or_is_away_is_told_apart() {
    let home = Home::with_init();
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    ask(&home, &format!("http://{away}"), "", &["agent", "list"]).is(&expect![[r#"
        --- stderr
        error: URL cannot be reached: Connection refused (os error 111)
        hint: is it running there (`stn serve`), and is the address right?
        --- exit 1
    "#]]);
    let check = |answer: &'static str, expected: &expect_test::Expect| {
        ask(&home, &other(answer), "stn_1_x", &["agent", "list"]).is(expected);
    };
    check(
        "HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\n<html>",
        &expect![[r#"
        --- stderr
        error: what URL answered to `list_agents` cannot be read: it is no Station, or of another version
        hint: bring it and this `stn` to the same version
        --- exit 1
    "#]],
    );
    check(
        "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops",
        &expect![[r#"
        --- stderr
        error: what is at URL is no Station: it answered HTTP 502, and not as a Station does
        hint: name the address of a `stn serve`, as in `http://localhost:8585`, or of the proxy before it
        --- exit 1
    "#]],
    );
    check(
        "HTTP/1.1 308 Permanent Redirect\r\nlocation: https://elsewhere.example/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        &expect![[r#"
            --- stderr
            error: URL sends on to https://elsewhere.example/, and a key is not sent there
            hint: name the address where it really is
            --- exit 1
        "#]],
    );
    check(
        "HTTP/1.1 404 Not Found\r\ncontent-length: 81\r\nconnection: close\r\n\r\n\
         {\"error\":{\"kind\":\"not_found\",\"message\":\"there is nothing at this address\",\"hints\":[]}}",
        &expect![[r#"
            --- stderr
            error: what is at URL is no Station: it answered HTTP 404, and not as a Station does
            hint: name the address of a `stn serve`, as in `http://localhost:8585`, or of the proxy before it
            --- exit 1
        "#]],
    );
    let served = Served::start(&home);
    ask(&home, &url(&served), "stn_1_wrong", &["agent", "list"]).is(&expect![[r#"
        --- stderr
        error: the credential is wrong, was revoked, or is over
        hint: `stn login URL` keeps another key for it
        --- exit 1
    "#]]);
    home.stn(&["user", "create", "root", "--admin"]).done();
    ask(&home, &url(&served), "", &["agent", "list"]).is(&expect![[r#"
        --- stderr
        error: URL wants to know who asks, and no key for it is kept here
        hint: `stn login URL` keeps one; STN_SERVER_KEY gives one for a while
        --- exit 1
    "#]]);
}

/// A command at a server that is at work.
struct AtWork {
    process: Process,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl AtWork {
    /// Started, and read up to the line in which `seen` stands.
    fn until(home: &Home, url: &str, key: &str, args: &[&str], seen: &str) -> Self {
        let mut command = home.command(args);
        command.env("STN_SERVER", url).env("STN_SERVER_KEY", key);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let mut at_work = Self { process: Process(Some(child)), stderr, said: String::new() };
        at_work.read_until(seen);
        at_work
    }

    fn read_until(&mut self, seen: &str) {
        while !self.said.contains(seen) {
            assert_ne!(self.stderr.read_line(&mut self.said).unwrap(), 0, "it ended before: {}", self.said);
        }
    }

    fn end(mut self, home: &Home) -> Said {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let mut said = self.process.end(home);
        said.stderr = self.said;
        said
    }
}

/// A home whose agent `waiter` calls a tool that hangs until the file `gate` is there, and the key of an administrator.
fn hanging() -> (OpenAi, Home, String) {
    let home = Home::new();
    let gate = home.path().join("gate");
    let model = OpenAi::from_fn(move |seen| match seen.results().len() {
        0 => openai::calls([("hang", &*json!({ "file": gate }).to_string())]),
        _ => openai::reply("It went on."),
    });
    let home = home.asking(&model);
    home.stn(&["init", "--yes"]).done();
    home.server("default", "fake", &["--log", "/dev/null"]);
    home.agent("default", "waiter", "tools: [__hang]\n");
    home.stn(&["sync", "--quiet"]).done();
    let key = home.stn(&["user", "create", "root", "--admin"]).done().stdout.trim().to_owned();
    (model, home, key)
}

#[test]
fn a_server_that_is_killed_while_a_run_is_followed_is_heard_again_when_it_is_back() {
    let (_model, home, key) = hanging();
    let served = Served::start(&home);
    let (port, address) = (served.port, url(&served));
    let mut run = AtWork::until(&home, &address, &key, &["agent", "run", "waiter", "wait"], "hang");
    served.signal(Signal::SIGKILL);
    run.read_until("is not heard");
    std::fs::write(home.path().join("gate"), "").unwrap();
    drop(served);
    until("its port is free", || TcpListener::bind(("127.0.0.1", port)).is_ok());
    let home = home.set("STN_API_PORT", &port.to_string());
    let served = Served::start(&home);
    let said = run.end(&home);
    assert_eq!((said.stdout.as_str(), said.code), ("It went on.\n", Some(0)), "{}", said.shown());
    assert!(said.stderr.contains("is heard again"), "{}", said.shown());
    // Each entry is told once.
    assert_eq!(said.stderr.matches("-> fake/hang").count(), 1, "{}", said.shown());
    served.stop();
}

#[test]
fn ctrl_c_cancels_a_run_at_a_server_and_ends_a_following_alone() {
    let (_model, home, key) = hanging();
    let served = Served::start(&home);
    let address = url(&served);
    let run = AtWork::until(&home, &address, &key, &["agent", "run", "waiter", "wait"], "hang");
    let follows = AtWork::until(&home, &address, &key, &["runs", "follow", "1"], "hang");
    follows.process.signal(Signal::SIGINT);
    follows.end(&home).exits(130);
    assert_eq!(home.json(&["runs", "inspect", "1"])["run"]["status"], "running");
    run.process.signal(Signal::SIGINT);
    run.end(&home).exits(130);
    until("it is over", || home.json(&["runs", "inspect", "1"])["run"]["status"] == "cancelled");
    served.stop();
}

//! Runs that a worker is given because it is there: followed as if they were driven here, ended at once, taken back
//! when the worker is killed. On both engines where they differ.

use crate::home::{Home, Process, Said};
use crate::watch::until;
use expect_test::expect;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use station_testkit::openai::{self, OpenAi};
use station_testkit::postgres::cluster;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{ChildStderr, Stdio};
use std::time::{Duration, Instant};

/// Far below the ten seconds after which a worker renews its leases, and learns of wishes that way.
const AT_ONCE: Duration = Duration::from_secs(6);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Sqlite,
    Postgres,
}

const BOTH: [Engine; 2] = [Engine::Sqlite, Engine::Postgres];

/// A home whose agent `waiter` calls a tool that hangs until it is freed, and then answers.
fn scene(engine: Engine) -> (OpenAi, Home) {
    let home = Home::new();
    let gate = home.path().join("gate");
    let model = OpenAi::from_fn(move |seen| {
        let messages = seen.body["messages"].as_array().unwrap();
        match messages.iter().any(|message| message["role"] == "tool") {
            false => openai::calls([("hang", &json!({ "file": gate }).to_string())]),
            true => openai::reply("It went on."),
        }
    });
    let home = home.asking(&model);
    let home = match engine {
        Engine::Sqlite => home,
        Engine::Postgres => home.set("STATION_DATABASE", &cluster().database()),
    };
    home.stn(&["init", "--yes"]).done();
    home.server("default", "fake", &["--log", "/dev/null"]);
    home.agent("default", "waiter", "tools: [__hang]\n");
    home.agent("default", "reader", "model: offline\ntools: [__read]\n");
    home.stn(&["sync", "--quiet"]).done();
    (model, home)
}

/// A worker that has begun to work.
struct Worker {
    process: Process,
    stderr: BufReader<ChildStderr>,
}

fn serve(home: &Home) -> Worker {
    let Started { process, stderr, .. } = start_until(home, &["serve"], "Working with");
    let worker = Worker { process, stderr };
    // On PostgreSQL a worker is there once it has said so in the database.
    until("the worker is seen", || {
        let queued = home.stn(&["agent", "run", "reader", "read x", "--detach"]);
        queued.stderr.contains("drives it")
    });
    until("nothing waits", || home.json(&["runs", "list", "--waiting"])["count"] == 0);
    worker
}

impl Worker {
    /// Stops it and gives what it said since it began.
    fn stop(mut self, home: &Home) -> String {
        self.process.signal(Signal::SIGTERM);
        let mut said = String::new();
        self.stderr.read_to_string(&mut said).unwrap();
        self.process.end(home).done();
        said
    }
}

/// A command of which everything up to `seen` was read.
struct Started {
    process: Process,
    stderr: BufReader<ChildStderr>,
    said: String,
}

fn start_until(home: &Home, args: &[&str], seen: &str) -> Started {
    let mut child = home.start(args);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let process = Process(Some(child));
    let mut said = String::new();
    while !said.contains(seen) {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it ended before: {said}");
    }
    Started { process, stderr, said }
}

impl Started {
    fn end(mut self, home: &Home) -> Said {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let mut said = self.process.end(home);
        said.stderr = self.said;
        said
    }
}

fn last_run(home: &Home) -> String {
    home.json(&["runs", "list", "--limit", "1"])["runs"][0]["id"].to_string()
}

fn adopters(home: &Home, run: &str) -> Vec<Value> {
    let details = home.json(&["runs", "inspect", run]);
    let journal = details["journal"].as_array().unwrap().iter();
    journal
        .filter(|entry| entry["event"]["event"] == "adopted")
        .map(|entry| entry["event"]["worker"].clone())
        .collect()
}

pub(crate) fn socket(home: &Home) -> PathBuf {
    let folder = home.path().join("run/station");
    assert_eq!(std::fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);
    let paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(paths.len(), 1, "{paths:?}");
    assert_eq!(std::fs::metadata(&paths[0]).unwrap().permissions().mode() & 0o777, 0o600);
    paths[0].clone()
}

#[test]
fn a_run_is_handed_to_the_worker_that_is_there_and_told_as_if_it_were_driven_here() {
    for engine in BOTH {
        let (_model, home) = scene(engine);
        let here = home.stn(&["agent", "run", "reader", "read x", "--tail"]);
        let worker = serve(&home);
        let there = home.stn(&["agent", "run", "reader", "read x", "--tail"]);
        let run = last_run(&home);
        let pid = worker.process.id().to_string();
        let by = adopters(&home, &run);
        assert!(by.len() == 1 && by[0].as_str().unwrap().ends_with(&format!(":{pid}")), "{by:?}");
        assert_eq!((&there.stdout, there.code), (&here.stdout, Some(0)), "{}", there.shown());
        let handed = there.stderr.lines().next().unwrap();
        assert!(handed.starts_with(&format!("Handed run {run} to worker ")), "{handed}");
        if engine == Engine::Sqlite {
            let shown = there.shown().replace(&format!("run {run}"), "run 1");
            let without = |shown: &str, word: &str| -> String {
                shown.split_inclusive('\n').filter(|line| !line.starts_with(word)).collect()
            };
            let (there, here) = (without(&shown, "Handed"), without(&here.shown(), "Driving"));
            assert_eq!(there, here, "the text of the model as well");
        }
        let local = home.stn(&["agent", "run", "reader", "read x", "--local"]);
        assert!(!local.stderr.contains("Handed"), "{}", local.shown());
        assert!(local.stderr.starts_with("Driving run"), "{}", local.shown());
        worker.stop(&home);
        // Nobody is there any more.
        home.stn(&["agent", "run", "reader", "read x", "--quiet"]).done();
    }
}

#[test]
fn two_runs_are_followed_at_once_each_by_its_own() {
    let (_model, home) = scene(Engine::Sqlite);
    let worker = serve(&home);
    let one = start_until(&home, &["agent", "run", "waiter", "one"], "-> fake/hang");
    let two = start_until(&home, &["agent", "run", "waiter", "two"], "-> fake/hang");
    let other = start_until(&home, &["runs", "follow", &last_run(&home)], "-> fake/hang");
    std::fs::write(home.path().join("gate"), "").unwrap();
    for started in [one, two, other] {
        let said = started.end(&home);
        assert_eq!((said.stdout.as_str(), said.code), ("It went on.\n", Some(0)), "{}", said.shown());
        assert_eq!(said.stderr.matches("-> fake/hang").count(), 1, "{}", said.shown());
        assert_eq!(said.stderr.matches("turn 2: answer").count(), 1, "{}", said.shown());
    }
    worker.stop(&home);
}

#[test]
fn a_wish_to_end_a_run_is_heeded_at_once_by_whoever_drives_it() {
    for engine in BOTH {
        let (_model, home) = scene(engine);
        let worker = serve(&home);
        let followed = start_until(&home, &["agent", "run", "waiter", "one"], "-> fake/hang");
        let run = last_run(&home);
        let follower = start_until(&home, &["runs", "follow", &run], "-> fake/hang");
        let began = Instant::now();
        home.stn(&["runs", "cancel", &run]).done();
        for started in [followed, follower] {
            let said = started.end(&home);
            assert_eq!(said.code, Some(3), "{}", said.shown());
            assert!(said.stderr.contains("was cancelled"), "{}", said.shown());
        }
        assert!(began.elapsed() < AT_ONCE, "on {engine:?} it took {:?}", began.elapsed());

        // Ctrl-C where it is followed ends it too.
        let followed = start_until(&home, &["agent", "run", "waiter", "two"], "-> fake/hang");
        let began = Instant::now();
        followed.process.signal(Signal::SIGINT);
        let said = followed.end(&home);
        assert_eq!(said.code, Some(130), "{}", said.shown());
        assert!(began.elapsed() < AT_ONCE, "on {engine:?} it took {:?}", began.elapsed());
        assert_eq!(home.json(&["runs", "inspect", &last_run(&home)])["run"]["status"], "cancelled");
        worker.stop(&home);

        // A run that is driven in front of a person has no socket; it looks at the store.
        let driven = start_until(&home, &["agent", "run", "waiter", "three"], "-> fake/hang");
        let began = Instant::now();
        home.stn(&["runs", "cancel", &last_run(&home)]).done();
        assert_eq!(driven.end(&home).code, Some(3));
        assert!(began.elapsed() < AT_ONCE, "on {engine:?} it took {:?}", began.elapsed());
    }
}

#[test]
fn a_run_whose_worker_is_killed_goes_on_where_it_is_followed() {
    let (_model, home) = scene(Engine::Sqlite);
    let worker = serve(&home);
    let followed = start_until(&home, &["agent", "run", "waiter", "one"], "-> fake/hang");
    let run = last_run(&home);
    let follower = start_until(&home, &["runs", "follow", &run], "-> fake/hang");
    worker.process.signal(Signal::SIGKILL);
    drop(worker);
    let said = followed.end(&home);
    assert_eq!((said.stdout.as_str(), said.code), ("It went on.\n", Some(0)), "{}", said.shown());
    assert!(said.stderr.contains(&format!("went away; run {run} goes on here")), "{}", said.shown());
    assert!(said.stderr.contains("its outcome is unknown"), "{}", said.shown());
    // Who only looks on sees it end as well, or is told how to go on.
    let said = follower.end(&home);
    assert!(matches!(said.code, Some(0 | 5)), "{}", said.shown());
    // The socket that was left is taken over.
    let worker = serve(&home);
    socket(&home);
    worker.stop(&home);
    assert_eq!(std::fs::read_dir(home.path().join("run/station")).unwrap().count(), 0);
}

#[test]
fn a_run_that_nobody_drives_is_told_so_and_handed_on() {
    let (_model, home) = scene(Engine::Sqlite);
    let driven = start_until(&home, &["agent", "run", "waiter", "one"], "-> fake/hang");
    driven.process.signal(Signal::SIGKILL);
    driven.end(&home);
    home.stn(&["runs", "follow", "1"]).is(&expect![[r#"
        --- stderr
        run 1 of `waiter` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 1 word)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/hang {"file":"$HOME/gate"}
        Worker [worker] is gone.
        run 1 waits for tool `hang` of `fake` since [time]
        hint: go on with `stn runs resume 1`; a running `stn serve` does so by itself
        --- exit 5
    "#]]);
    home.stn(&["agent", "run", "reader", "read x", "--detach", "--quiet"]).done();
    home.stn(&["runs", "follow", "2"]).is(&expect![[r#"
        --- stderr
        No worker is there.
        run 2 waits for a free worker since [time]
        hint: go on with `stn runs resume 2`; a running `stn serve` does so by itself
        --- exit 5
    "#]]);
    home.stn(&["runs", "cancel", "2", "--quiet"]).done();

    let worker = serve(&home);
    std::fs::write(home.path().join("gate"), "").unwrap();
    // It takes up what was interrupted by itself; being asked makes it sooner.
    let resumed = home.stn(&["runs", "resume", "1"]);
    assert!(matches!(resumed.code, Some(0 | 1)), "{}", resumed.shown());
    until("it has ended", || home.json(&["runs", "inspect", "1"])["run"]["status"] == "completed");
    worker.stop(&home);
}

#[test]
fn a_handed_run_that_waits_for_a_person_is_left_to_wait() {
    for engine in BOTH {
        let (_model, home) = scene(engine);
        home.agent("default", "asker", "tools: [__hang]\nstation: {approve: [hang]}\n");
        home.stn(&["sync", "--quiet"]).done();
        let worker = serve(&home);
        std::fs::write(home.path().join("gate"), "").unwrap();
        let said = home.stn(&["agent", "run", "asker", "one"]);
        let run = last_run(&home);
        assert_eq!(said.code, Some(5), "{}", said.shown());
        assert!(said.stderr.contains("stn approvals approve 1"), "{}", said.shown());
        let follower = home.stn(&["runs", "follow", &run]);
        assert_eq!(follower.code, Some(5), "{}", follower.shown());
        home.stn(&["approvals", "approve", "1", "--quiet"]).done();
        let followed = home.stn(&["runs", "follow", &run]);
        assert_eq!(
            (followed.stdout.as_str(), followed.code),
            ("It went on.\n", Some(0)),
            "{}",
            followed.shown()
        );
        worker.stop(&home);
    }
}

#[test]
fn values_go_along_with_a_run_and_with_its_retry() {
    let (_model, home) = scene(Engine::Sqlite);
    let entry = json!({
        "command": station_testkit::fake_server::binary(),
        "env": { "TOKEN": "{{ .TOKEN }}", "REGION": "{{ .REGION }}" },
    });
    let file = json!({ "mcpServers": { "keyed": entry } });
    home.write("environments/default/mcp-servers/keyed.json", &file.to_string());
    home.agent("default", "keyed", "model: offline\ntools: [keyed__env]\n");
    let home = home.set("REGION", "somewhere-9");
    let mut sync = home.command(&["sync", "--quiet"]);
    assert!(sync.env("TOKEN", "first-7").output().unwrap().status.success());
    let worker = serve(&home);
    let pid = worker.process.id();
    // The worker was started without it.
    let run = |args: &[&str]| {
        let mut command = home.command(args);
        command.env("TOKEN", "hunter-2-hunter").output().unwrap()
    };
    let told = |output: std::process::Output| {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // One is of the environment of who starts the run, the other is given with it, over the worker's own.
    for (name, value) in [("TOKEN", "hunter-2-hunter"), ("REGION", "here-1234")] {
        let task = format!("env \"{name}\"");
        let answer = told(run(&["agent", "run", "keyed", &task, "--var", "REGION=here-1234", "--no-sync"]));
        assert!(answer.contains(value), "{answer}");
        let id = last_run(&home);
        let by = adopters(&home, &id);
        assert!(by.len() == 1 && by[0].as_str().unwrap().ends_with(&format!(":{pid}")), "{by:?}");
        for place in [&["--local"][..], &[]] {
            let again = home.stn(&[&["runs", "retry", &id], place].concat());
            assert!(again.stderr.contains(&format!("tries run {id} again.")), "{}", again.shown());
            assert_eq!(again.done().stdout, answer);
        }
    }
    let unfinished = start_until(&home, &["agent", "run", "waiter", "one"], "-> fake/hang");
    let id = last_run(&home);
    let refused = home.stn(&["runs", "retry", &id]);
    assert!(refused.stderr.contains(&format!("error: run {id} has not ended")), "{}", refused.shown());
    std::fs::write(home.path().join("gate"), "").unwrap();
    unfinished.end(&home).done();
    worker.stop(&home);
}

#[test]
fn garbage_on_the_socket_harms_nobody() {
    let (_model, home) = scene(Engine::Sqlite);
    let worker = serve(&home);
    let path = socket(&home);
    let long = vec![b'x'; 1 << 20];
    let garbage: [&[u8]; 6] = [
        b"",
        b"\n",
        b"\x00\xff\xfe\n",
        b"{\"v\":1,\"ask\":{\"what\":\"launch\"}}\n",
        b"{\"v\":9,\"ask\":{\"what\":\"wake\"}}\n",
        &long,
    ];
    for bytes in garbage {
        let mut stream = UnixStream::connect(&path).unwrap();
        // It may have had enough before everything was written.
        stream.write_all(bytes).ok();
        stream.shutdown(std::net::Shutdown::Write).ok();
        let mut said = String::new();
        stream.read_to_string(&mut said).ok();
        assert!(said.lines().count() <= 2, "{said}");
    }
    // A second worker does not take it from the first, and is stopped before it.
    let second = start_until(&home, &["serve"], "Working with");
    assert!(second.said.contains("another worker of this store has it"), "{}", second.said);
    second.process.signal(Signal::SIGTERM);
    second.end(&home).done();
    assert_eq!(socket(&home), path);
    // Many that connect and say nothing keep nobody out.
    let silent: Vec<UnixStream> = (0..100).filter_map(|_| UnixStream::connect(&path).ok()).collect();
    let said = home.stn(&["agent", "run", "reader", "read x"]);
    assert!(said.done().stderr.contains("Handed run"), "{}", said.shown());
    drop(silent);
    worker.stop(&home);
}

#[test]
fn a_command_without_the_session_of_the_worker_reaches_it() {
    let (_model, home) = scene(Engine::Sqlite);
    let worker = serve(&home);
    // As cron calls it.
    let mut command = home.command(&["agent", "run", "reader", "read x"]);
    command.env_remove("XDG_RUNTIME_DIR").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let said = home.said(command.spawn().unwrap());
    assert!(said.done().stderr.contains("Handed run"), "{}", said.shown());
    worker.stop(&home);
}

#[test]
fn a_second_worker_is_reached_when_the_first_was_killed() {
    let (_model, home) = scene(Engine::Sqlite);
    let worker = serve(&home);
    let second = start_until(&home, &["serve"], "Working with");
    worker.process.signal(Signal::SIGKILL);
    drop(worker);
    until("the second has the socket", || {
        home.stn(&["agent", "run", "reader", "read x"]).stderr.contains("Handed run")
    });
    second.process.signal(Signal::SIGTERM);
    second.end(&home).done();
}

#[test]
fn without_a_place_for_its_socket_a_worker_works_all_the_same() {
    let (_model, home) = scene(Engine::Sqlite);
    std::fs::write(home.path().join("run/station"), "in the way").unwrap();
    let temporary = home.path().join("tmp");
    std::os::unix::fs::symlink("/", temporary.join(format!("station-{}", nix::unistd::geteuid()))).unwrap();
    home.stn(&["agent", "run", "reader", "read x", "--detach", "--quiet"]).done();
    let served = start_until(&home, &["serve"], "Working with");
    until("it has ended", || home.json(&["runs", "inspect", "1"])["run"]["status"] == "completed");
    home.stn(&["agent", "run", "reader", "read x", "--quiet"]).done();
    served.process.signal(Signal::SIGTERM);
    served.end(&home).is(&expect![[r#"
        --- stderr
        Listening on http://127.0.0.1:[port]: MCP at /mcp.
        Without a socket ($HOME/run/station is no folder; $HOME/tmp/station-0 is no folder): what models say is not followed, and other commands may be heard a second later.
        Working with 50 slots; Ctrl-C stops.
        Stopping: nothing new is begun; calls that are out are waited for.
    "#]]);
}

#[test]
fn nothing_is_handed_to_a_worker_that_was_killed_a_moment_ago() {
    let (_model, home) = scene(Engine::Postgres);
    let mut worker = serve(&home);
    worker.process.signal(Signal::SIGKILL);
    worker.process.end(&home);
    let said = home.stn(&["agent", "run", "reader", "read x"]);
    assert!(!said.done().stderr.contains("Handed run"), "{}", said.shown());
}

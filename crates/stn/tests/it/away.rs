//! A database that is away for a moment, and a journal from a version that is not this one: no run is lost to either.

use crate::home::{Home, Process};
use crate::watch::{effects, log, until};
use expect_test::expect;
use nix::sys::signal::Signal;
use serde_json::json;
use station_testkit::openai::{self, OpenAi};
use station_testkit::postgres::Cluster;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A model that has a call made which hangs until there is the file `gate`, and repeats what came back.
fn hanging(gate: &Path) -> OpenAi {
    let call = json!({ "file": gate }).to_string();
    OpenAi::from_fn(move |seen| {
        let last = seen.body["messages"].as_array().unwrap().last().unwrap();
        match last["role"].as_str() {
            Some("tool") => openai::reply(&format!("It said: {}", last["content"].as_str().unwrap())),
            _ => openai::calls([("hang", &call)]),
        }
    })
}

/// A home with an agent that calls what must not be called twice.
struct Writing {
    home: Home,
    model: OpenAi,
    /// The log of its server.
    log: PathBuf,
    /// What the call waits for.
    gate: PathBuf,
}

impl Writing {
    fn new(url: &str) -> Self {
        let home = Home::with_init();
        let (log, gate) = (home.work("log"), home.work("gate"));
        let model = hanging(&gate);
        let home = home.set("STATION_DATABASE", url).asking(&model).set("STN_AI_API_KEY", "a-key");
        home.server("default", "fake", &["--log", log.to_str().unwrap()]);
        home.agent("default", "writer", "tools: [__hang]\n");
        home.stn(&["sync", "--quiet"]).done();
        Self { home, model, log, gate }
    }

    fn start(&self, args: &[&str]) -> Process {
        Process(Some(self.home.start(args)))
    }

    fn n_calls(&self) -> usize {
        effects(&log(&self.log), "hang").len()
    }

    fn open(&self) {
        std::fs::write(&self.gate, "").unwrap();
    }
}

fn home(url: &str, model: &OpenAi) -> Home {
    let home = Home::with_fake().set("STATION_DATABASE", url).asking(model);
    home.agent("default", "worker", "tools: [__echo]\n");
    home
}

#[test]
fn an_answer_that_arrives_while_the_database_is_away_is_not_lost() {
    let cluster = Arc::new(Cluster::own());
    let url = cluster.database();
    let (asked, crashing) = (AtomicU32::new(0), Arc::clone(&cluster));
    let model = OpenAi::from_fn(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 => {
            // Every connection that `stn` has is gone when its model has answered.
            crashing.crash();
            crashing.start_again();
            openai::calls([("echo", r#"{"text": "hello"}"#)])
        }
        _ => openai::reply("Done."),
    });
    let home = home(&url, &model);
    home.stn(&["agent", "run", "worker", "say hello", "--quiet"]).is(&expect![[r#"
        Done.
    "#]]);
    assert_eq!(model.requests().len(), 2, "no request was asked again");
}

#[test]
fn a_journal_of_a_newer_station_waits_for_one_and_is_not_claimed_for_ever() {
    let cluster = Cluster::own();
    let url = cluster.database();
    let model = OpenAi::from_fn(|_| openai::reply("Done."));
    let home = home(&url, &model);
    home.stn(&["agent", "run", "worker", "say hello", "--detach", "--quiet"]).done();
    cluster.set_journal(&url, 1, Some(r#"{"event":"from_the_future"}"#));
    let run = || home.json(&["runs", "list"])["runs"][0].clone();
    let mut served = home.start(&["serve", "--quiet"]);
    until("it waits", || run()["status"] == "waiting");
    served.kill().unwrap();
    home.said(served);
    let waits = "a newer Station: entry 1 of run 1 is not known to this version of Station";
    assert_eq!(run()["waiting_on"], waits);
    cluster.set_journal(&url, 1, None);
    let mut served = home.start(&["serve", "--quiet"]);
    until("a Station that can read it drives it on", || run()["status"] == "completed");
    served.kill().unwrap();
    home.said(served);
}

#[test]
fn what_a_tool_did_while_the_database_was_away_is_told_once() {
    let cluster = Cluster::own();
    let writing = Writing::new(&cluster.database());
    let mut driven = writing.start(&["agent", "run", "writer", "write"]);
    until("the tool is called", || writing.n_calls() == 1);
    cluster.crash();
    writing.open();
    cluster.start_again();
    driven.end(&writing.home).is(&expect![[r#"
        It said: freed
        --- stderr
        Driving run 1 here.
        run 1 of `writer` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 1 word)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/hang {"file":"$HOME/work/gate"}
        run 1 waits: the database `[postgres]` cannot be reached; trying again
          <- hang: 5 bytes in [span]
          turn 2: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 1 completed in [span] (2 steps, 1 tool call, 200 tokens in (128 cached), 40 out)
    "#]]);
    assert_eq!((writing.n_calls(), writing.model.requests().len()), (1, 2), "something was sent again");
}

#[test]
fn a_worker_outlives_a_database_that_is_away_for_a_moment() {
    let cluster = Cluster::own();
    let writing = Writing::new(&cluster.database());
    let home = &writing.home;
    let mut served = writing.start(&["serve", "--quiet"]);
    let mut followed = writing.start(&["agent", "run", "writer", "write"]);
    until("the tool is called", || writing.n_calls() == 1);
    cluster.crash();
    writing.open();
    cluster.start_again();
    // Whoever follows it hears of the rest when it can be seen again.
    assert_eq!(followed.end(home).done().stdout, "It said: freed\n");
    assert_eq!((writing.n_calls(), writing.model.requests().len()), (1, 2), "something was sent again");
    // The worker goes on with what is queued afterwards.
    home.stn(&["agent", "run", "writer", "once more", "--quiet"]).is(&expect![[r#"
        It said: freed
    "#]]);
    served.signal(Signal::SIGTERM);
    served.end(home).done();
}

#[test]
fn a_database_that_stays_away_ends_the_command_and_not_the_run() {
    let cluster = Cluster::own();
    // Side by side, because it takes as long as a lease: what a command drives, and what a worker does.
    let (ours, workers) = (Writing::new(&cluster.database()), Writing::new(&cluster.database()));
    let mut driven = ours.start(&["agent", "run", "writer", "write"]);
    workers.home.stn(&["agent", "run", "writer", "write", "--detach", "--quiet"]).done();
    let mut served = workers.start(&["serve", "--quiet"]);
    until("both tools are called", || ours.n_calls() + workers.n_calls() == 2);
    cluster.crash();
    [&ours, &workers].into_iter().for_each(Writing::open);
    driven.end(&ours.home).is(&expect![[r#"
        --- stderr
        Driving run 1 here.
        run 1 of `writer` in `default`: model openai/stand-in-1, at most 4 steps (computed: 1 tool, 0 sub-agents, a task of 1 word)
          turn 1: 1 call (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
          -> fake/hang {"file":"$HOME/work/gate"}
        run 1 waits: the database `[postgres]` cannot be reached; trying again
        error: the database `[postgres]` cannot be reached
        hint: check that it runs, and that it is named rightly
        hint: what happened until then is kept: go on with `stn runs resume 1`
        --- exit 1
    "#]]);
    ours.home.stn(&["agent", "list"]).is(&expect![[r#"
        --- stderr
        error: the database `[postgres]` cannot be reached
        hint: check that it runs, and that it is named rightly
        hint: STATION_DATABASE names it
        --- exit 1
    "#]]);
    cluster.start_again();
    ours.home.stn(&["runs", "resume", "1"]).is(&expect![[r#"
        It said: error: Station was interrupted after this call was sent, so its outcome is unknown. It may or may not have taken effect, and was not sent again. Check the state of things before you repeat it.
        --- stderr
        Driving run 1 here.
          interrupted; taken up again by [worker]
          hang was out: its outcome is unknown, and it is not sent again by itself
          turn 2: answer (stand-in-1, [span], 100 tokens in (64 cached), 20 out)
        run 1 completed in [span] (2 steps, 1 tool call, 200 tokens in (128 cached), 40 out)
    "#]]);
    // The worker takes its run up again by itself.
    let run = || workers.home.json(&["runs", "list"])["runs"][0].clone();
    until("its run is completed", || run()["status"] == "completed");
    assert_eq!((ours.n_calls(), workers.n_calls()), (1, 1), "a call was sent again");
    served.signal(Signal::SIGTERM);
    served.end(&workers.home).done();
}

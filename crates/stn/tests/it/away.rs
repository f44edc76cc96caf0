//! A database that is away for a moment, and a journal from a version that is not this one: no run is lost to either.

use crate::home::Home;
use crate::watch::until;
use expect_test::expect;
use station_testkit::openai::{self, OpenAi};
use station_testkit::postgres::Cluster;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

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

//! From files to tools: how long it takes until what an environment's servers offer is in the catalog.

use station_benches::home::Home;
use station_benches::samples::Samples;
use station_benches::{direct, process, report};
use std::time::{Duration, Instant};

/// New homes with twenty servers, and changes of all ten files of one home.
const FRESH: usize = 15;
const CHANGES: usize = 30;

fn main() {
    let place = Home::new();
    report::title("discovery: `stn sync` until every server's tools are listed", place.path());
    fresh(20);
    report::gap();
    changed(10);
}

/// An environment of new servers.
fn fresh(n: usize) {
    let mut synced = Samples::default();
    let mut alone = Samples::default();
    for at in 0..=FRESH {
        let home = Home::new();
        write(&home, n, 0);
        let took = process::time(&mut home.stn(&["sync"]));
        // The first pays for what is set up once.
        if at > 0 {
            synced.add(took);
            alone.add(servers_alone(&home, n));
        }
    }
    report::line(&format!("{n} new stdio servers, one file each"), &synced);
    report::line("  the servers alone, all at once: start, greeting, list, end", &alone);
}

/// The same environment again and again, every file changed.
fn changed(n: usize) {
    let home = Home::new();
    write(&home, n, 0);
    process::time(&mut home.stn(&["sync"]));
    let mut synced = Samples::default();
    let mut alone = Samples::default();
    let mut unchanged = Samples::default();
    for change in 1..=CHANGES {
        write(&home, n, change);
        synced.add(process::time(&mut home.stn(&["sync"])));
        unchanged.add(process::time(&mut home.stn(&["sync"])));
        alone.add(servers_alone(&home, n));
    }
    report::line(&format!("{n} servers, every file changed"), &synced);
    report::line("  the servers alone, all at once: start, greeting, list, end", &alone);
    report::line("  nothing changed", &unchanged);
}

/// `n` server files; another `change` makes every definition another one.
fn write(home: &Home, n: usize, change: usize) {
    for at in 0..n {
        home.server(&format!("fake-{at:02}"), &["--name", &format!("change-{change}"), "--tools", "5"]);
    }
}

/// The floor: as many servers, started and listed at once, without Station.
fn servers_alone(home: &Home, n: usize) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(async {
        let started = Instant::now();
        futures::future::join_all((0..n).map(|_| async {
            // A server that is not known yet is asked which era it speaks.
            let launch = station_mcp::Launch { era: None, ..home.launch() };
            let connection = direct::connect(launch).await;
            connection.list(Duration::from_secs(60)).await.expect("the fake server lists");
            connection.close().await;
        }))
        .await;
        started.elapsed()
    })
}

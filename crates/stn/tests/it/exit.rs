//! How the process ends: alone.

use crate::home::Home;
use crate::watch::under;

/// How many threads the process had, and those that were still alive when it exited: they did not end themselves.
fn threads_at_exit(home: &Home, args: &[&str]) -> (usize, Vec<String>) {
    let trace = home.path().join("trace");
    let strace = ["strace", "-f", "-e", "trace=exit,exit_group", "-o", trace.to_str().unwrap()];
    under(home, &strace, args).done();
    let text = std::fs::read_to_string(&trace).unwrap();
    let threads = |what: &str| -> Vec<&str> {
        let found = text.lines().filter_map(|line| line.split_once(' '));
        found.filter(|(_, rest)| rest.trim_start().starts_with(what)).map(|(thread, _)| thread).collect()
    };
    let (ended, asked) = (threads("+++ exited"), threads("exit"));
    assert!(!ended.is_empty(), "a process has a thread: {text}");
    let left =
        ended.iter().filter(|thread| !asked.contains(thread)).map(|&thread| thread.to_owned()).collect();
    (ended.len(), left)
}

/// A thread that was still ending met OpenSSL being taken down, and now and then a command crashed after its work.
#[test]
fn no_thread_is_left_when_the_process_exits() {
    let home = Home::new();
    home.agent("default", "one", "model: offline\n");
    // What only reads has one thread; what writes has more.
    let rows: [(&[&str], usize); 4] = [
        (&["init", "--yes"], 2),
        (&["sync"], 2),
        (&["agent", "list"], 1),
        (&["agent", "run", "one", "anything"], 2),
    ];
    for (args, at_least) in rows {
        let (n_threads, left) = threads_at_exit(&home, args);
        assert!(n_threads >= at_least && left.is_empty(), "{args:?}: {n_threads} threads, left {left:?}");
    }
}

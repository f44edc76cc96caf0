//! How the process ends: alone.

use crate::home::Home;
use crate::watch::under;

/// Threads that were still alive when the process exited: they did not end themselves.
fn left_at_exit(home: &Home, args: &[&str]) -> Vec<String> {
    let trace = home.path().join("trace");
    let strace = ["strace", "-f", "-e", "trace=exit,exit_group", "-o", trace.to_str().unwrap()];
    under(home, &strace, args).done();
    let text = std::fs::read_to_string(&trace).unwrap();
    let threads = |what: &str| -> Vec<&str> {
        let found = text.lines().filter_map(|line| line.split_once(' '));
        found.filter(|(_, rest)| rest.trim_start().starts_with(what)).map(|(thread, _)| thread).collect()
    };
    let (ended, asked) = (threads("+++ exited"), threads("exit"));
    assert!(ended.len() > 1, "it has threads: {text}");
    ended.iter().filter(|thread| !asked.contains(thread)).map(|&thread| thread.to_owned()).collect()
}

/// A thread that was still ending met OpenSSL being taken down, and now and then a command crashed after its work.
#[test]
fn no_thread_is_left_when_the_process_exits() {
    let home = Home::new();
    assert!(left_at_exit(&home, &["init", "--yes"]).is_empty());
    home.agent("default", "one", "model: offline\n");
    for args in [&["sync"][..], &["agent", "list"], &["agent", "run", "one", "anything"]] {
        let left = left_at_exit(&home, args);
        assert!(left.is_empty(), "{args:?}: {left:?}");
    }
}

//! One gate: a tool call is sent from one place, where grant, policy, limits and the effect id are behind it.
//!
//! `engine::call` is the only caller of the pool's `send_call` and `send_call_whole`, each in one place, and the pool the only one
//! of a connection's `call` and `pass_request`.
//! If the gate is renamed, the rule must be renamed with it: a rule that finds nothing protects nothing.

use super::source::Source;
use super::tree::{File, Finding, Tree};

const POOL: &str = "crates/station-engine/src/pool";
const GATE: &str = "crates/station-engine/src/call";

/// How calls leave the pool: each function, and what a use of it looks like. The longer name first: the shorter is its beginning.
const SENDS: [(&str, &[&str]); 2] = [
    ("send_call_whole", &[".send_call_whole(", "::send_call_whole"]),
    ("send_call", &[".send_call(", "::send_call", "pool.send("]),
];

/// The crates that can reach a connection of station-mcp.
const REACH: &[&str] = &["crates/station-engine/src/", "crates/station-server/src/", "crates/stn/src/"];

/// Every sender stands at the gate.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut n_senders = [0; SENDS.len()];
    for (file, source) in
        tree.rust().filter(|(file, _)| REACH.iter().any(|reach| file.path.starts_with(reach)))
    {
        let mut seen = Vec::new();
        for ((_, uses), n) in SENDS.iter().zip(&mut n_senders) {
            let lines = sites(file, source, uses);
            for line in lines.into_iter().filter(|line| !seen.contains(line)).collect::<Vec<_>>() {
                seen.push(line);
                if !is_module(file, GATE) {
                    findings.push(
                        file.finding(line, "only `engine::call` sends a tool call: go through the gate"),
                    );
                    continue;
                }
                *n += 1;
                if *n > 1 {
                    findings.push(file.finding(line, "a second sender: the gate sends in one place"));
                }
            }
        }
        if !is_module(file, POOL) {
            let callers = sites(
                file,
                source,
                &[".call(", "Connection::call", ".pass_request(", "Connection::pass_request"],
            );
            findings.extend(
                callers
                    .iter()
                    .map(|line| file.finding(*line, "only the pool calls a connection: go through the gate")),
            );
        }
    }
    findings.extend(SENDS.iter().zip(n_senders).find_map(|((name, _), n)| vacuous(tree, name, n)));
    findings
}

/// The pool is there, and the names that this check looks for are not.
fn vacuous(tree: &Tree, name: &str, n_senders: usize) -> Option<Finding> {
    let (pool, _) = tree.rust().find(|(file, _)| is_module(file, POOL))?;
    let defined = tree
        .rust()
        .any(|(file, source)| is_module(file, POOL) && source.functions.iter().any(|f| f.name == name));
    if !defined {
        return Some(pool.finding(
            1,
            format!("the pool has no `fn {name}`: if it was renamed, rename it in xtask/src/tidy/gate.rs"),
        ));
    }
    (n_senders == 0)
        .then(|| pool.finding(1, format!("nothing in `{GATE}.rs` calls `{name}`: where is the gate?")))
}

fn is_module(file: &File, module: &str) -> bool {
    file.path.strip_prefix(module).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

fn sites(file: &File, source: &Source, words: &[&str]) -> Vec<usize> {
    let mut lines: Vec<usize> = words.iter().flat_map(|word| source.lines_with(word)).collect();
    lines.retain(|line| !file.is_test() && !source.is_test_line(*line));
    lines.sort_unstable();
    lines.dedup();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL_TEXT: (&str, &str) = (
        "crates/station-engine/src/pool.rs",
        "async fn send_call() { connection.call(x) }\nasync fn send_call_whole() { connection.pass_request(x) }",
    );
    const GATE_TEXT: (&str, &str) = (
        "crates/station-engine/src/call.rs",
        "fn f() { self.pool.send_call(x) }\nfn g() { self.pool.send_call_whole(x) }",
    );

    #[test]
    fn the_gate_has_one_sender() {
        assert_eq!(check(&Tree::of(&[POOL_TEXT, GATE_TEXT])).len(), 0);
        let rows = [
            ("crates/station-engine/src/drive.rs", "fn f() { self.pool.send_call(x) }"),
            ("crates/station-engine/src/call/b.rs", "fn f() { self.pool.send_call(x) }"),
            ("crates/station-engine/src/drive.rs", "fn f() { pool.send(x) }"),
            ("crates/station-engine/src/sync.rs", "fn f() { Pool::send_call(x) }"),
            ("crates/station-engine/src/call/b.rs", "fn f() { connection.call(x) }"),
            ("crates/station-engine/src/drive.rs", "fn f() { self.pool.send_call_whole(x) }"),
            ("crates/station-server/src/gateway.rs", "fn f() { connection.pass_request(x) }"),
            ("crates/stn/src/main.rs", "fn f() { connection\n.call(x) }"),
        ];
        for row in rows {
            assert_eq!(check(&Tree::of(&[POOL_TEXT, GATE_TEXT, row])).len(), 1, "{row:?}");
        }
    }

    #[test]
    fn a_renamed_gate_is_noticed() {
        assert_eq!(check(&Tree::of(&[(POOL_TEXT.0, "fn deliver() {}"), GATE_TEXT])).len(), 1);
        assert_eq!(check(&Tree::of(&[POOL_TEXT, (GATE_TEXT.0, "fn f() {}")])).len(), 1);
        let plain_alone = (GATE_TEXT.0, "fn f() { self.pool.send_call(x) }");
        assert_eq!(check(&Tree::of(&[POOL_TEXT, plain_alone])).len(), 1);
    }

    #[test]
    fn tests_may_send() {
        let test = "#[cfg(test)]\nmod tests { fn f() { pool.send_call(x) } }";
        assert_eq!(
            check(&Tree::of(&[POOL_TEXT, GATE_TEXT, ("crates/station-engine/src/drive.rs", test)])).len(),
            0
        );
    }
}

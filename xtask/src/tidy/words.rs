//! Words that belong in one place, or nowhere: a table, and two rules that look at comments.

use super::source::{Source, contains_word};
use super::tree::{File, Finding, Tree};

/// A word and where it may stand.
struct Row {
    words: &'static [&'static str],
    /// Beginnings of paths that the rule is about.
    scope: &'static [&'static str],
    /// Beginnings of paths inside the scope where the word is at home.
    homes: &'static [&'static str],
    /// Whether code of tests is bound too.
    binds_tests: bool,
    why: &'static str,
    /// A text that the row refuses: no row without one.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "read by the test that feeds each row its own example")
    )]
    example: &'static str,
}

const CORE: &[&str] = &["crates/station-core/"];
const ALL: &[&str] = &["crates/", "xtask/", "benches/"];
const CRATES: &[&str] = &["crates/"];

/// Of no program: cargo tells it by the environment what is built, and hears on stdout what it wants.
const BUILD: &str = "crates/stn/build.rs";

const ROWS: &[Row] = &[
    Row {
        words: &["println!", "eprintln!", "print!", "eprint!", "dbg!"],
        scope: CRATES,
        homes: &["crates/stn/src/out.rs", "crates/stn/src/out/", BUILD],
        binds_tests: false,
        why: "printing lives in crates/stn/src/out.rs, which survives a closed pipe",
        example: "println!(\"hello\");",
    },
    Row {
        words: &["_by: &Caller", "_by: &station_core::Caller"],
        scope: &["crates/station-engine/src/"],
        homes: &[],
        binds_tests: false,
        why: "a verb asks its caller first (`by.may(Action::…)`), and finds things through it",
        example: "pub async fn list_agents(&self, _by: &Caller) -> Result<()> {",
    },
    Row {
        words: &["env::var(", "env::vars(", "env::var_os(", "env::vars_os("],
        scope: CRATES,
        homes: &["crates/stn/src/config.rs", "crates/stn/src/config/", BUILD],
        binds_tests: false,
        why: "the environment is read once, in crates/stn/src/config.rs; take the value as a parameter",
        example: "let home = std::env::var(\"HOME\");",
    },
    Row {
        words: &["env::set_var(", "env::remove_var(", "env::set_current_dir("],
        scope: ALL,
        homes: &[],
        binds_tests: true,
        why: "the environment and the current directory belong to the whole process: give them to the child or the call",
        example: "std::env::set_current_dir(dir)?;",
    },
    Row {
        words: &["env::current_dir(", "env::temp_dir(", "env::home_dir("],
        scope: CRATES,
        homes: &["crates/stn/src/"],
        binds_tests: false,
        why: "where we stand is found out by the terminal door and passed in",
        example: "let here = std::env::current_dir()?;",
    },
    Row {
        words: &[
            "SystemTime::now",
            "Instant::now",
            "Timestamp::now",
            "Zoned::now",
            "Uuid::now_v7",
            "Uuid::new_v4",
        ],
        scope: CORE,
        homes: &[],
        binds_tests: true,
        why: "core reads no clock and draws nothing at random: take time and ids as parameters",
        example: "let now = Timestamp::now();",
    },
    Row {
        words: &["std::fs", "std::net", "std::env", "std::process", "std::thread", "async fn"],
        scope: CORE,
        homes: &[],
        binds_tests: false,
        why: "core has no tokio, files, environment, clock, network or SQL",
        example: "let text = std::fs::read_to_string(path)?;",
    },
    Row {
        words: &["std::io"],
        scope: CORE,
        // Handlebars' `Output` trait answers with an `io::Error`; nothing is read or written there.
        homes: &["crates/station-core/src/file/render/fill.rs"],
        binds_tests: false,
        why: "core does no IO",
        example: "use std::io::Read;",
    },
    Row {
        words: &["Command::new("],
        scope: CRATES,
        homes: &["crates/station-mcp/src/"],
        binds_tests: false,
        why: "child processes are started by station-mcp alone, under the shim",
        example: "let child = Command::new(\"npx\");",
    },
    Row {
        words: &["unbounded_channel(", "unbounded()"],
        scope: CRATES,
        homes: &[],
        binds_tests: false,
        why: "a queue has a length: name it, with the reason",
        example: "let (tx, rx) = mpsc::unbounded_channel();",
    },
    Row {
        words: &[".unwrap()", ".expect(\"\")"],
        scope: ALL,
        homes: &[],
        binds_tests: false,
        why: "say the invariant in words (`expect`), or handle it",
        example: "let first = list.first().unwrap();",
    },
    Row {
        words: &["#[allow(", "#![allow("],
        scope: ALL,
        homes: &[],
        binds_tests: true,
        why: "`#[expect(.., reason = \"..\")]` tells why, and when it is no longer needed",
        example: "#[allow(dead_code)]",
    },
    Row {
        words: &["#[ignore"],
        scope: ALL,
        homes: &[],
        binds_tests: true,
        why: "an ignored test is no test: assert what happens and say why it is wrong",
        example: "#[ignore]",
    },
    Row {
        words: &["thread::sleep(", "time::sleep("],
        scope: &[
            "crates/station-core/tests/",
            "crates/station-store/tests/",
            "crates/station-engine/tests/",
            "crates/stn/tests/",
        ],
        homes: &[],
        binds_tests: true,
        why: "a test waits for what it wants to see, not for time to pass",
        example: "std::thread::sleep(SECOND);",
    },
];

/// A task says who waits for it: in the comment just above.
const TRACKED: &str = "tracked:";
const SPAWNS: &[&str] = &["tokio::spawn(", "task::spawn(", "thread::spawn("];

const NOTES: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

/// The table.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust().flat_map(|(file, source)| ROWS.iter().flat_map(|row| refused(row, file, source))).collect()
}

/// No task that nobody can stop or wait for.
pub(crate) fn spawned(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, source) in tree.rust().filter(|(file, _)| file.path.starts_with("crates/") && !file.is_test())
    {
        let mut lines: Vec<usize> = SPAWNS.iter().flat_map(|word| source.lines_with(word)).collect();
        lines.sort_unstable();
        lines.dedup();
        lines.retain(|line| !source.is_test_line(*line) && !is_tracked(source, *line));
        let why = "a task that nobody waits for: use a JoinSet or TaskTracker, or say `// tracked: <who stops it>` just above";
        findings.extend(lines.iter().map(|line| file.finding(*line, why)));
    }
    findings
}

/// A note to ourselves names who does it.
pub(crate) fn owners(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, source) in tree.rust() {
        for comment in &source.comments {
            for (n, line) in comment.text.lines().enumerate() {
                if let Some(note) = NOTES.iter().find(|note| lacks_owner(line, note)) {
                    findings.push(file.finding(
                        comment.line + n,
                        format!("`{note}` without an owner: write `{note}(name): until when`"),
                    ));
                }
            }
        }
    }
    findings
}

fn refused(row: &Row, file: &File, source: &Source) -> Vec<Finding> {
    let within = |paths: &[&str]| paths.iter().any(|path| file.path.starts_with(path));
    if !within(row.scope) || within(row.homes) || (file.is_test() && !row.binds_tests) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for word in row.words {
        let lines = source.lines_with(word).filter(|line| row.binds_tests || !source.is_test_line(*line));
        let word = word.trim_end_matches('(');
        findings.extend(lines.map(|line| file.finding(line, format!("`{word}`: {}", row.why))));
    }
    findings
}

/// The comment lines directly above `line` (attributes in between are fine) say `tracked:`.
fn is_tracked(source: &Source, line: usize) -> bool {
    let comment = |line: usize| source.comments.iter().find(|comment| comment.line == line);
    let mut above = line - 1;
    while let Some(found) = comment(above) {
        if found.text.contains(TRACKED) {
            return true;
        }
        above -= 1;
    }
    false
}

fn lacks_owner(line: &str, note: &str) -> bool {
    let owned = |rest: &str| rest.strip_prefix('(').is_some_and(|rest| !rest.starts_with(')'));
    contains_word(line, note)
        && line.match_indices(note).any(|(at, _)| {
            let rest = &line[at + note.len()..];
            !owned(rest) && !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '`')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_refuses_its_example_and_only_outside_of_its_home() {
        for row in ROWS {
            let path = |folder: &str| {
                if folder.ends_with(".rs") { folder.to_owned() } else { format!("{folder}x/src/a.rs") }
            };
            let found = check(&Tree::of(&[(&path(row.scope[0]), row.example)]));
            assert!(found.iter().any(|finding| finding.to_string().contains(row.why)), "{}", row.example);
            for home in row.homes {
                assert_eq!(
                    check(&Tree::of(&[(&path(home), row.example)])).len(),
                    0,
                    "{home}: {}",
                    row.example
                );
            }
            let in_test = format!("#[cfg(test)]\nmod tests {{ {} }}", row.example);
            let bound = !check(&Tree::of(&[(&path(row.scope[0]), &in_test)])).is_empty();
            assert_eq!(bound, row.binds_tests || row.scope[0].contains("/tests/"), "{}", row.example);
        }
    }

    #[test]
    fn a_comment_or_a_string_is_no_use() {
        let text = "// never println!(..)\nlet s = \"std::env::var(x)\";";
        assert_eq!(check(&Tree::of(&[("crates/x/src/a.rs", text)])).len(), 0);
    }

    #[test]
    fn a_task_says_who_waits_for_it() {
        let rows = [
            ("tokio::spawn(f());", 1),
            ("// tracked: elsewhere\n\ntokio::spawn(f());", 1),
            ("std::thread::spawn(f);", 1),
            ("// tracked: `Writer::drop` joins it,\n// and so on\nlet h = tokio::spawn(f());", 0),
            ("set.spawn(f());", 0),
            ("#[cfg(test)]\nmod tests { fn f() { tokio::spawn(g()); } }", 0),
        ];
        for (text, n) in rows {
            assert_eq!(spawned(&Tree::of(&[("crates/x/src/a.rs", text)])).len(), n, "{text}");
        }
    }

    #[test]
    fn a_note_has_an_owner() {
        let rows = [
            ("// TODO: later", 1),
            ("/* a\n FIXME */", 1),
            ("// TODO(ann): when sqlx 0.10 is out", 0),
            ("let TODO = 1;", 0),
            ("// TODOS", 0),
        ];
        for (text, n) in rows {
            assert_eq!(owners(&Tree::of(&[("crates/x/src/a.rs", text)])).len(), n, "{text}");
        }
    }
}

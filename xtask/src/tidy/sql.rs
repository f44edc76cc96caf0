//! SQL lives in station-store alone, and both engines have the same migrations.

use std::collections::BTreeSet;

use super::tree::{Finding, Tree};

const STORE: &str = "crates/station-store/";
const SQLITE: &str = "crates/station-store/migrations/sqlite/";
const POSTGRES: &str = "crates/station-store/migrations/postgres/";

/// A literal that begins with the first and goes on with the second is SQL.
const STATEMENTS: &[(&str, &str)] = &[
    ("select ", " from "),
    ("insert into ", ""),
    ("update ", " set "),
    ("delete from ", ""),
    ("create table ", ""),
    ("alter table ", ""),
    ("drop table ", ""),
];

/// What stands before the name of a table, a few words away at most, that loses rows as they were.
const TOUCHING: &[&str] = &["update", "delete", "truncate", "drop", "replace"];

/// No SQL outside of the store, and no `select *` inside.
pub(crate) fn texts(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, source) in tree.rust().filter(|(file, _)| file.path.starts_with("crates/")) {
        let in_store = file.path.starts_with(STORE);
        for literal in &source.literals {
            let text = literal.text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
            if !in_store && is_sql(&text) {
                findings.push(file.finding(
                    literal.line,
                    "SQL lives in station-store: ask it by a function named for the question",
                ));
            }
            if in_store && !file.is_test() && is_sql(&text) && text.starts_with("select *") {
                findings.push(
                    file.finding(
                        literal.line,
                        "name the columns: `select *` breaks when a migration adds one",
                    ),
                );
            }
        }
    }
    findings
}

/// Rows of the audit are added and never touched again: nothing changes them or takes them out, not even a migration.
pub(crate) fn audit(tree: &Tree) -> Vec<Finding> {
    let why = "rows of the audit are only ever added: nothing updates or deletes them";
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.starts_with(STORE) && !file.is_test()) {
        let literals = file.source.iter().flat_map(|source| &source.literals);
        let touched = literals.filter(|literal| touches_audit(&literal.text));
        findings.extend(touched.map(|literal| file.finding(literal.line, why)));
        if file.path.ends_with(".sql") {
            let told = file.text.lines().filter(|line| !line.trim_start().starts_with("--"));
            let text = told.collect::<Vec<_>>().join("\n");
            let touched = text.split(';').find(|statement| touches_audit(statement));
            let line = touched.and_then(|statement| statement.trim().lines().next());
            findings.extend(line.map(|line| file.finding(file.line_of(line), why)));
        }
    }
    findings
}

/// Whether `text` is SQL that changes rows of the audit, or takes them out.
fn touches_audit(text: &str) -> bool {
    let text = text.to_lowercase();
    let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || c == '(').collect();
    let is_audit =
        |word: &str| matches!(word.trim_matches(['"', ';']), "audit" | "station.audit" | "main.audit");
    let is_target =
        |at: usize| is_audit(words[at]) && words[..at].iter().rev().take(4).any(|it| TOUCHING.contains(it));
    let is_replaced = words.contains(&"conflict") && words.contains(&"update");
    let is_written = |at: usize| is_audit(words[at]) && at > 0 && words[at - 1] == "into";
    (0..words.len()).any(|at| is_target(at) || (is_written(at) && is_replaced))
}

/// Same numbers and names for both engines, numbered without a gap.
pub(crate) fn migrations(tree: &Tree) -> Vec<Finding> {
    let names = |folder: &str| -> BTreeSet<String> {
        tree.files.iter().filter_map(|file| file.path.strip_prefix(folder)).map(str::to_owned).collect()
    };
    let (sqlite, postgres) = (names(SQLITE), names(POSTGRES));
    let mut findings = Vec::new();
    for (folder, missing) in
        [(POSTGRES, sqlite.difference(&postgres)), (SQLITE, postgres.difference(&sqlite))]
    {
        findings.extend(missing.map(|name| {
            Finding::at(&format!("{folder}{name}"), 1, "is missing: the other engine has this migration")
        }));
    }
    for (n, name) in sqlite.iter().enumerate() {
        if !is_migration(name, n + 1) {
            let why =
                format!("is not number {:04}: migrations are `NNNN_name.sql`, one after the other", n + 1);
            findings.push(Finding::at(&format!("{SQLITE}{name}"), 1, why));
        }
    }
    findings
}

fn is_sql(text: &str) -> bool {
    STATEMENTS.iter().any(|(start, then)| text.starts_with(start) && text.contains(then))
}

fn is_migration(name: &str, number: usize) -> bool {
    let Some((digits, rest)) = name.split_once('_') else { return false };
    let is_word = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    digits == format!("{number:04}") && rest.strip_suffix(".sql").is_some_and(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_stays_in_the_store() {
        let rows = [
            ("crates/station-engine/src/a.rs", "f(\"select id from runs\")", 1),
            ("crates/station-engine/src/a.rs", "f(r#\"\n  INSERT INTO runs\"#)", 1),
            ("crates/stn/tests/it/a.rs", "f(\"update runs set state = 1\")", 1),
            ("crates/stn/src/a.rs", "f(\"delete from runs\")", 1),
            ("crates/station-store/src/a.rs", "f(\"select * from runs\")", 1),
            ("crates/station-store/src/a.rs", "f(\"select id from runs\")", 0),
            ("crates/stn/src/a.rs", "f(\"select a model\") // select id from runs", 0),
        ];
        for (path, text, n) in rows {
            assert_eq!(texts(&Tree::of(&[(path, text)])).len(), n, "{path} {text}");
        }
    }

    #[test]
    fn rows_of_the_audit_are_only_added() {
        let rows = [
            ("update audit set actor = $1", 1),
            ("UPDATE station.audit\n set actor = $1", 1),
            ("delete from audit where seq > $1", 1),
            ("with old as (delete from audit returning seq) select seq from old", 1),
            ("truncate table audit", 1),
            ("drop table if exists audit", 1),
            ("insert or replace into audit (seq) values ($1)", 1),
            ("insert into audit (seq) values ($1) on conflict (seq) do update set at = 1", 1),
            ("insert into audit (seq) values ($1)", 0),
            ("insert into audit_head (id) values (1) on conflict (id) do update set head = $1", 0),
            ("delete from audit_head", 0),
            ("select seq from audit where seq > $1", 0),
            ("delete from runs where id not in (select subject from audit)", 0),
        ];
        for (text, n) in rows {
            let code = format!("const SQL: &str = \"{text}\";");
            assert_eq!(audit(&Tree::of(&[("crates/station-store/src/a.rs", &code)])).len(), n, "{text}");
            let migration = format!("-- delete from audit\ncreate table a (id integer);\n{text};\n");
            let path = "crates/station-store/migrations/sqlite/0001_a.sql";
            assert_eq!(audit(&Tree::of(&[(path, &migration)])).len(), n, "{text}");
        }
        let tampering = "f(\"delete from audit\")";
        assert!(audit(&Tree::of(&[("crates/station-store/tests/it/a.rs", tampering)])).is_empty());
    }

    #[test]
    fn engines_migrate_together() {
        let check = |sqlite: &[&str], postgres: &[&str]| {
            let paths: Vec<String> = sqlite
                .iter()
                .map(|n| format!("{SQLITE}{n}"))
                .chain(postgres.iter().map(|n| format!("{POSTGRES}{n}")))
                .collect();
            migrations(&Tree::of(&paths.iter().map(|path| (path.as_str(), "")).collect::<Vec<_>>())).len()
        };
        assert_eq!(check(&["0001_core.sql"], &["0001_core.sql"]), 0);
        assert_eq!(check(&["0001_core.sql"], &[]), 1);
        assert_eq!(check(&["0001_core.sql"], &["0001_core.sql", "0002_queue.sql"]), 1);
        assert_eq!(check(&["0002_core.sql"], &["0002_core.sql"]), 1);
        assert_eq!(check(&["1_core.sql"], &["1_core.sql"]), 1);
    }
}

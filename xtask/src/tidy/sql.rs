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

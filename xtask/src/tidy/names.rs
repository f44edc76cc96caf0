//! A file's name says what is inside.

use super::tree::{Finding, Tree};

/// Names that say nothing: a file so named collects what nobody wanted to think about.
const EMPTY: &[&str] = &[
    "util",
    "utils",
    "common",
    "helper",
    "helpers",
    "types",
    "traits",
    "constants",
    "misc",
    "manager",
    "service",
    "imp",
    "data",
    "info",
    "stuff",
];

/// No file or folder of ours has an empty name.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, _) in tree.rust() {
        let parts = file.path.strip_suffix(".rs").unwrap_or(&file.path).split('/');
        if let Some(name) = parts.into_iter().find(|part| EMPTY.contains(part)) {
            findings.push(
                file.finding(1, format!("`{name}` says nothing: name it for what it does, split by verb")),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_names_are_refused() {
        let rows = [
            ("crates/x/src/utils.rs", 1),
            ("crates/x/src/common/mod.rs", 1),
            ("crates/x/tests/it/helpers.rs", 1),
            ("crates/x/src/imp.rs", 1),
            ("crates/x/src/drive.rs", 0),
        ];
        for (path, n) in rows {
            assert_eq!(check(&Tree::of(&[(path, "")])).len(), n, "{path}");
        }
    }
}

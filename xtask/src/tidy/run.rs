//! Runs every check over the checkout and prints what they found.

use anyhow::Result;

use super::tree::{Finding, Tree};
use super::{edges, gate, leaks, names, papers, sizes, sql, words};

/// Every check, in the order in which its findings are printed.
const CHECKS: &[fn(&Tree) -> Vec<Finding>] = &[
    edges::crates,
    edges::technologies,
    edges::locked,
    edges::denied,
    edges::manifests,
    sizes::files,
    sizes::functions,
    sizes::module_docs,
    gate::check,
    words::check,
    words::spawned,
    words::owners,
    sql::texts,
    sql::audit,
    sql::migrations,
    names::check,
    papers::check,
    leaks::paths,
    leaks::hosts,
    leaks::keys,
];

/// Prints the findings to stderr. True if there is none.
pub(crate) fn run() -> Result<bool> {
    let tree = Tree::read()?;
    let findings: Vec<Finding> = CHECKS.iter().flat_map(|check| check(&tree)).collect();
    for finding in &findings {
        eprintln!("{finding}");
    }
    match findings.len() {
        0 => println!("tidy: {} files, nothing to say", tree.files.len()),
        1 => eprintln!("tidy: 1 finding"),
        n => eprintln!("tidy: {n} findings"),
    }
    Ok(findings.is_empty())
}

//! The papers of the project: present, and short enough to be read.

use super::tree::{Finding, Tree};

/// What must be there, and how long it may be.
const PAPERS: &[(&str, usize)] = &[
    ("ARCHITECTURE.md", 250),
    ("CONTRIBUTING.md", 100),
    // A change log and a licence grow as they must.
    ("CHANGELOG.md", usize::MAX),
    ("README.md", usize::MAX),
    ("LICENSE", usize::MAX),
];

const DECISIONS: &str = "docs/decisions/";
/// A decision is one page: what hurt, what we chose, what it costs.
const DECISION_LINES_MAX: usize = 80;

/// Every paper is there, and decisions are one page each.
pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, max) in PAPERS {
        match tree.file(path) {
            None => findings.push(Finding::at(path, 1, "is missing")),
            Some(file) => findings.extend(too_long(path, &file.text, *max)),
        }
    }
    let mut numbers = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.starts_with(DECISIONS)) {
        let name = &file.path[DECISIONS.len()..];
        match decision_number(name) {
            None => findings.push(file.finding(1, "a decision is named `NNNN-title-in-words.md`")),
            Some(number) if numbers.contains(&number) => {
                findings.push(file.finding(1, format!("number {number} is taken")));
            }
            Some(number) => numbers.push(number),
        }
        findings.extend(too_long(&file.path, &file.text, DECISION_LINES_MAX));
    }
    findings
}

fn too_long(path: &str, text: &str, max: usize) -> Option<Finding> {
    let n_lines = text.lines().count();
    (n_lines > max).then(|| Finding::at(path, max + 1, format!("{n_lines} lines, the limit is {max}")))
}

fn decision_number(name: &str) -> Option<&str> {
    let (number, title) = name.strip_suffix(".md")?.split_once('-')?;
    let is_number = number.len() == 4 && number.chars().all(|c| c.is_ascii_digit());
    let is_title =
        !title.is_empty() && title.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    (is_number && is_title).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(path: &str, text: &str) -> usize {
        let mut files: Vec<(&str, &str)> =
            PAPERS.iter().map(|(path, _)| (*path, "x\n")).filter(|(p, _)| *p != path).collect();
        files.push((path, text));
        check(&Tree::of(&files)).len()
    }

    #[test]
    fn papers_are_there_and_short() {
        assert_eq!(check(&Tree::default()).len(), PAPERS.len());
        assert_eq!(with("ARCHITECTURE.md", &"x\n".repeat(250)), 0);
        assert_eq!(with("ARCHITECTURE.md", &"x\n".repeat(251)), 1);
    }

    #[test]
    fn decisions_are_one_page() {
        assert_eq!(with("docs/decisions/0001-own-drive.md", &"x\n".repeat(80)), 0);
        assert_eq!(with("docs/decisions/0001-own-drive.md", &"x\n".repeat(81)), 1);
        assert_eq!(with("docs/decisions/notes.md", "x\n"), 1);
        assert_eq!(with("docs/decisions/0001-Own Drive.md", "x\n"), 1);
        let twice = Tree::of(&[("docs/decisions/0001-a.md", ""), ("docs/decisions/0001-b.md", "")]);
        assert_eq!(check(&twice).len(), PAPERS.len() + 1);
    }
}

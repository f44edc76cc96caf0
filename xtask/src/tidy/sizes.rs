//! Files and functions that a person can read at one sitting, and modules that say what they are.

use super::tree::{Finding, Tree};

/// A file longer than this does two things: split it by verb.
const FILE_LINES_MAX: usize = 500;
/// Test files are mostly rows of data, which read faster.
const TEST_FILE_LINES_MAX: usize = 900;
/// A function longer than this does not fit on a screen.
const FUNCTION_LINES_MAX: usize = 70;
/// A test may hold its rows; beyond this the rows belong in a constant.
const TEST_FUNCTION_LINES_MAX: usize = 120;
/// `//!` comes first, save for a licence line or an attribute.
const MODULE_DOC_WITHIN_LINES: usize = 4;

/// No Rust file is too long.
pub(crate) fn files(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, _) in tree.rust() {
        let n_lines = file.text.lines().count();
        let max = if file.is_test() { TEST_FILE_LINES_MAX } else { FILE_LINES_MAX };
        if n_lines > max {
            findings.push(
                file.finding(max + 1, format!("{n_lines} lines, the limit is {max}: split it by verb")),
            );
        }
    }
    findings
}

/// No function is too long.
pub(crate) fn functions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, source) in tree.rust() {
        for function in &source.functions {
            let is_test = file.is_test() || source.is_test_line(function.line);
            let max = if is_test { TEST_FUNCTION_LINES_MAX } else { FUNCTION_LINES_MAX };
            if function.lines > max {
                let why = format!("`{}` has {} lines, the limit is {max}", function.name, function.lines);
                findings.push(file.finding(function.line, why));
            }
        }
    }
    findings
}

/// Every module begins with `//!`.
pub(crate) fn module_docs(tree: &Tree) -> Vec<Finding> {
    let documented =
        |text: &str| text.lines().take(MODULE_DOC_WITHIN_LINES).any(|line| line.starts_with("//!"));
    tree.rust()
        .filter(|(file, _)| !documented(&file.text))
        .map(|(file, _)| file.finding(1, "the module does not say what it is: begin with `//!`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_files_are_refused() {
        let rows = [
            ("crates/x/src/a.rs", 501, 1),
            ("crates/x/src/a.rs", 500, 0),
            ("crates/x/tests/it/a.rs", 900, 0),
            ("crates/x/src/a/tests.rs", 901, 1),
        ];
        for (path, n_lines, n) in rows {
            assert_eq!(files(&Tree::of(&[(path, &"x\n".repeat(n_lines))])).len(), n, "{path} {n_lines}");
        }
    }

    #[test]
    fn long_functions_are_refused() {
        let rows = [
            (68, "", 0),
            (69, "", 1),
            (69, "#[cfg(test)]\nmod tests {", 0),
            (119, "#[cfg(test)]\nmod tests {", 1),
        ];
        for (n_lines, before, n) in rows {
            let text = format!("{before}\nfn long() {{\n{}}}\n}}", "x;\n".repeat(n_lines));
            assert_eq!(functions(&Tree::of(&[("crates/x/src/a.rs", &text)])).len(), n, "{n_lines} {before}");
        }
    }

    #[test]
    fn a_silent_module_is_refused() {
        let rows =
            [("fn main() {}", 1), ("/// Not the module.\nfn a() {}", 1), ("#![no_std]\n//! It says.", 0)];
        for (text, n) in rows {
            assert_eq!(module_docs(&Tree::of(&[("crates/x/src/main.rs", text)])).len(), n, "{text}");
        }
    }
}

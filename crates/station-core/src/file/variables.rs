//! `variables.yml`: flat `KEY: value`.
//!
//! A plain value is the text it is written as: `0123`, `1.10`, `yes` and `2024-01-01` are what a server gets, not what
//! YAML would make of them. **Invariant:** no message shows a value.

use super::sheet::Sheet;
use super::tree::Node;
use super::{Problem, yaml};
use crate::Secret;
use std::collections::BTreeMap;

/// Reads the variables of an environment. A file without any is fine.
#[must_use]
pub fn read(text: &str, path: &str) -> (Option<BTreeMap<String, Secret>>, Vec<Problem>) {
    let mut sheet = Sheet::new(text, path);
    let mut variables = BTreeMap::new();
    match yaml::parse(sheet.text) {
        Err(fault) => sheet.fault(fault),
        Ok(None) => {}
        Ok(Some(root)) if root.is_null() => {}
        Ok(Some(root)) => {
            for member in sheet.members(&root, "the file") {
                if let Some(value) = value(&mut sheet, &member.key, member.at, &member.node) {
                    variables.insert(member.key.clone(), value);
                }
            }
        }
    }
    sheet.finish(variables)
}

fn value(sheet: &mut Sheet<'_>, key: &str, at: usize, node: &Node) -> Option<Secret> {
    let shown = key.escape_debug();
    if !is_name(key) {
        sheet.warning(
            at,
            format!("no template can ask for a variable named `{shown}`"),
            "use letters, digits and `_`, not beginning with a digit",
        );
    }
    if node.is_null() {
        sheet.warning(
            at,
            format!("variable `{shown}` has no value and counts as not set"),
            "write `\"\"` if an empty text is meant",
        );
        return None;
    }
    let Some(scalar) = node.scalar() else {
        sheet.error_with_hint(
            node.at,
            format!("variable `{shown}` must be a text, not a list or a map"),
            "write `KEY: value`, one per line",
        );
        return None;
    };
    Some(Secret::new(scalar.shown()))
}

/// Whether a template can ask for a variable of this name.
#[must_use]
pub fn is_name(key: &str) -> bool {
    key.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Whether a name can be given with a run: what a server file can ask for, and what a prompt can, whose language has
/// names with `-`, too.
#[must_use]
pub fn can_be_given(name: &str) -> bool {
    is_name(&name.replace('-', "_"))
}

/// What is said where a name cannot be given.
pub const NAME_HINT: &str = "use letters, digits, `_` and `-`, not beginning with a digit";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_that_nothing_could_ask_for_cannot_be_given() {
        for (name, can) in [
            ("TOKEN", true),
            ("_x9", true),
            ("log-path", true),
            ("größe", true),
            ("BAD NAME", false),
            ("9lives", false),
            ("a.b", false),
            ("{{x}}", false),
            ("", false),
        ] {
            assert_eq!(can_be_given(name), can, "{name}");
        }
    }

    /// `values` as `KEY=value` lines, `told` as `severity line:column sentence` lines.
    fn check(text: &str, values: &str, told: &[&str]) {
        let (variables, problems) = read(text, "");
        let lines: Vec<String> = problems
            .iter()
            .map(|problem| {
                let at = problem.at.map_or(String::new(), |at| format!("{}:{} ", at.line, at.column));
                format!("{:?} {at}{}", problem.severity, problem.sentence)
            })
            .collect();
        assert_eq!(lines, told, "{text}");
        let shown = variables.map(|variables| {
            let lines: Vec<String> =
                variables.iter().map(|(key, value)| format!("{key}={}", value.expose())).collect();
            lines.join("\n")
        });
        assert_eq!(shown.unwrap_or_else(|| "refused".to_owned()), values, "{text}");
    }

    #[test]
    fn the_variables_of_an_old_home_are_read() {
        check(
            r#"# Environment variables for default
ROOT_DIR: "/home/user/samples"
DATABASE_URL: "postgres://reader:pa\"ss@db.example.com/app"
NOTE: "line one, \"quoted\""
"#,
            "DATABASE_URL=postgres://reader:pa\"ss@db.example.com/app\nNOTE=line one, \"quoted\"\nROOT_DIR=/home/user/samples",
            &[],
        );
        check("# Environment variables for staging\n# Example:\n# API_KEY: \"your-api-key\"\n", "", &[]);
        check("", "", &[]);
        check("---\n", "", &[]);
    }

    #[test]
    fn a_plain_value_is_the_text_it_is_written_as() {
        for text in [
            "0123",
            "1.10",
            "yes",
            "true",
            "2024-01-01",
            "12345678901234567890123",
            "0x1F",
            "1e3",
            "a:b",
            "C:\\x",
        ] {
            check(&format!("KEY: {text}"), &format!("KEY={text}"), &[]);
        }
        check("A: 'it''s'\r\nB: \"a\\tb\"\r\n", "A=it's\nB=a\tb", &[]);
        check("A: |\n  one\n  two\nB: >-\n  one\n  two\n", "A=one\ntwo\n\nB=one two", &[]);
        check("A: &a x\nB: *a\n", "A=x\nB=x", &[]);
        check("\u{feff}A: x", "A=x", &[]);
        check("A: \"\"\nB: \"null\"", "A=\nB=null", &[]);
    }

    #[test]
    fn what_is_wrong_is_said_at_its_line() {
        check(
            "A: x\nB:\nC: ~",
            "A=x",
            &[
                "Warning 2:1 variable `B` has no value and counts as not set",
                "Warning 3:1 variable `C` has no value and counts as not set",
            ],
        );
        check("A-B: x", "A-B=x", &["Warning 1:1 no template can ask for a variable named `A-B`"]);
        check("A: x\nB:\n  C: y", "refused", &["Error 3:3 variable `B` must be a text, not a list or a map"]);
        check("A: x\nB: [y]", "refused", &["Error 2:4 variable `B` must be a text, not a list or a map"]);
        check("A: x\nB: y\nA: z", "refused", &["Error 3:1 `A` stands twice in `the file`"]);
        check("- A", "refused", &["Error 1:1 `the file` must be a map of names to values"]);
        check("just a secret", "refused", &["Error 1:1 `the file` must be a map of names to values"]);
        check("A: x\n---\nB: y", "refused", &["Error 3:1 the file holds more than one YAML document"]);
        check("A: &a [*a]", "refused", &["Error 1:8 an alias stands inside the value that it names"]);
        let doubling: String = (1..40).map(|n| format!("a{n}: &a{n} [*a{}, *a{0}]\n", n - 1)).collect();
        check(
            &format!("a0: &a0 [x]\n{doubling}"),
            "refused",
            &["Error 16:18 the file holds more than 100,000 values"],
        );
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "(\\PC|[\"'\\\\{}:,&*|>\n \t-]|A: ){0,60}") {
            let _problems = read(&text, "").1;
        }

        #[test]
        fn no_message_holds_a_value(text in "A: (canary[:'\"{}\\[\\]&*#|>@`%!\n -]{0,4}){1,3}(\nA: canary)?") {
            let (_, problems) = read(&text, "");
            // A key is shown; a value that broken quotes or indentation turn into a key is not told apart from one.
            let keys: Vec<&Problem> = problems.iter().filter(|p| p.sentence.contains("canary")).collect();
            prop_assert!(keys.iter().all(|p| p.sentence.contains('`')), "{:?}", keys);
        }
    }
}

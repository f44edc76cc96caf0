//! docs/errors.md says of every sentence under it what to do: each must be one that Station can still say, and what it says in
//! the scenes of these tests must stand there.

use regex::Regex;
use std::path::Path;

const PAGE: &str = include_str!("../../../../docs/errors.md");

/// How sentences begin that are clap's own: what was typed cannot be meant, and `--help` says what can.
const USAGE: [&str; 2] = ["invalid value '", "the argument '"];

/// The sentences of the page.
fn headings() -> Vec<&'static str> {
    PAGE.lines().filter_map(|line| line.strip_prefix("### ")).collect()
}

/// The text of every source file below `folder`.
fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            into.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_sentence_of_the_page_is_one_that_is_said() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut said = String::new();
    for entry in std::fs::read_dir(crates).unwrap().map(Result::unwrap) {
        let source = entry.path().join("src");
        if source.is_dir() {
            sources(&source, &mut said);
        }
    }
    // A long sentence goes on behind a backslash; what is filled in is shown as `…`.
    let said = Regex::new(r"\\\n\s*").unwrap().replace_all(&said, "").into_owned();
    let filled = Regex::new(r"\{[^{}\n]*\}").unwrap().replace_all(&said, "…").into_owned();
    let sentences = headings();
    // What a parser or a server says of itself stands behind the last colon.
    let is_said = |sentence: &str| {
        let fixed = sentence.trim_end_matches('…').trim_end();
        said.contains(fixed) || filled.contains(fixed)
    };
    let unknown: Vec<&&str> = sentences.iter().filter(|sentence| !is_said(sentence)).collect();
    assert!(unknown.is_empty(), "nobody says: {unknown:#?}");
    assert!(sentences.len() >= 80, "{}", sentences.len());
    for (sentence, after) in PAGE.split("\n### ").skip(1).filter_map(|part| part.split_once("\n\n")) {
        assert!(!after.trim_start().starts_with('#'), "`{sentence}` has no word of what to do");
    }
}

#[test]
fn every_error_of_a_scene_stands_on_the_page() {
    let mut scenes = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"), &mut scenes);
    let known: Vec<Regex> = headings()
        .into_iter()
        .map(|heading| {
            let fixed = heading.trim_end_matches('…').trim_end();
            let parts: Vec<String> = fixed.split('…').map(regex::escape).collect();
            Regex::new(&format!("^{}", parts.join(".+"))).unwrap()
        })
        .collect();
    // The place in a file, and the run that it ended, stand before the sentence.
    let before = Regex::new(r"^(run \d+ failed: )?(\S+:\d+:\d+: |\S+\.(prompt|ya?ml|json): )?").unwrap();
    let errors = scenes.lines().filter_map(|line| line.trim_start().strip_prefix("error: "));
    let sentences: Vec<_> = errors.map(|error| before.replace(error, "")).collect();
    let is_known = |sentence: &str| known.iter().any(|heading| heading.is_match(sentence));
    let is_usage = |sentence: &str| USAGE.iter().any(|usage| sentence.starts_with(usage));
    let unknown: Vec<_> = sentences.iter().filter(|it| !is_known(it) && !is_usage(it)).collect();
    assert!(unknown.is_empty(), "docs/errors.md has no heading for: {unknown:#?}");
    assert!(sentences.len() >= 200, "{}", sentences.len());
    for usage in USAGE {
        assert!(sentences.iter().any(|it| it.starts_with(usage)), "nobody says `{usage}`");
    }
}

//! docs/errors.md says of every sentence under it what to do: each must be one that Station can still say.

use std::path::Path;

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
    let said = regex::Regex::new(r"\\\n\s*").unwrap().replace_all(&said, "").into_owned();
    let filled = regex::Regex::new(r"\{[^{}\n]*\}").unwrap().replace_all(&said, "…").into_owned();
    let page = include_str!("../../../../docs/errors.md");
    let sentences: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    // What a parser or a server says of itself stands behind the last colon.
    let is_said = |sentence: &str| {
        let fixed = sentence.trim_end_matches('…').trim_end();
        said.contains(fixed) || filled.contains(fixed)
    };
    let unknown: Vec<&&str> = sentences.iter().filter(|sentence| !is_said(sentence)).collect();
    assert!(unknown.is_empty(), "nobody says: {unknown:#?}");
    assert!(sentences.len() >= 80, "{}", sentences.len());
    for (sentence, after) in page.split("\n### ").skip(1).filter_map(|part| part.split_once("\n\n")) {
        assert!(!after.trim_start().starts_with('#'), "`{sentence}` has no word of what to do");
    }
}

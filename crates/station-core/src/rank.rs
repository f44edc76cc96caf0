//! BM25 over tools: the one ranking of Station.
//!
//! The offline model, agent creation and tool search all ask the same question ("which of these fits these words?"),
//! so they get the same answer, with the words that matched as the reason to show. It is lexical on purpose: the
//! result depends on nothing but its input, and a person can see why. **Invariant:** what shares no word with the
//! query is not in the result.

use std::collections::{BTreeMap, BTreeSet};

/// How fast a repeated word stops counting; the usual value.
const K1: f64 = 1.2;
/// How much a long description is held against a tool. Less than the usual 0.75: descriptions are short, and a
/// careful one should not lose to none.
const B: f64 = 0.4;
/// A word in the name says more than one in the description: the name was chosen to be called by.
const NAME_WEIGHT: f64 = 3.0;
/// Parameters say what a tool needs, and only then what it does.
const PARAMETER_WEIGHT: f64 = 0.5;
/// Words read of one query: a task may be a pasted log.
const QUERY_WORDS_MAX: usize = 400;
/// Shortest stem that losing an ending may leave.
const STEM_CHARS_MIN: usize = 3;

/// Words that say nothing about what a tool does.
const STOP_WORDS: &[&str] = &[
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did",
    "do", "does", "for", "from", "had", "has", "have", "how", "i", "if", "in", "into", "is", "it", "its",
    "me", "my", "of", "on", "or", "our", "please", "should", "so", "than", "that", "the", "their", "them",
    "then", "there", "these", "they", "this", "those", "to", "us", "was", "we", "were", "what", "when",
    "where", "which", "who", "why", "will", "with", "would", "you", "your",
];

/// What is ranked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document<'a> {
    /// Its name; weighs most.
    pub name: &'a str,
    /// What it does, in words.
    pub description: &'a str,
    /// The names of its parameters.
    pub parameters: Vec<String>,
}

/// A document that shares words with the query.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// Its place in the documents given.
    pub index: usize,
    /// The higher, the better; comparable within one call only.
    pub score: f64,
    /// The words of the query that matched, as written there (lower case), in its order: the reason to show.
    pub matched: Vec<String>,
}

/// The `documents` that share words with `query`, best first; equal scores keep the order given.
#[must_use]
pub fn rank(query: &str, documents: &[Document<'_>]) -> Vec<Ranked> {
    let asked = query_stems(query);
    let bags: Vec<BTreeMap<String, f64>> = documents.iter().map(bag).collect();
    let lengths: Vec<f64> = bags.iter().map(|bag| bag.values().sum()).collect();
    let average = (lengths.iter().sum::<f64>() / count(documents.len().max(1))).max(1.0);
    let rarity = |stem: &str| {
        let bearers = count(bags.iter().filter(|bag| bag.contains_key(stem)).count());
        (1.0 + (count(documents.len()) - bearers + 0.5) / (bearers + 0.5)).ln()
    };
    let rarities: Vec<f64> = asked.iter().map(|(stem, _)| rarity(stem)).collect();
    let mut ranked: Vec<Ranked> = Vec::new();
    for (index, bag) in bags.iter().enumerate() {
        let mut score = 0.0;
        let mut matched = Vec::new();
        for ((stem, word), rarity) in asked.iter().zip(&rarities) {
            let Some(weight) = bag.get(stem) else { continue };
            let norm = K1 * (1.0 - B + B * lengths[index] / average);
            score += rarity * weight * (K1 + 1.0) / (weight + norm);
            matched.push(word.clone());
        }
        if !matched.is_empty() {
            ranked.push(Ranked { index, score, matched });
        }
    }
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
    ranked
}

/// The words of `text` in order: split at whatever is no letter or digit and at camel case, lower-cased.
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let chars: Vec<char> = text.chars().collect();
    for (at, &letter) in chars.iter().enumerate() {
        if !letter.is_alphanumeric() {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
            continue;
        }
        let before = at.checked_sub(1).map(|at| chars[at]);
        let after = chars.get(at + 1);
        // `readFile` breaks before `F`, `HTTPServer` before `S`.
        let hump = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase() || (before.is_uppercase() && after.is_some_and(|c| c.is_lowercase()))
            });
        if hump {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        }
        word.extend(letter.to_lowercase());
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

/// `word` without its plural and verb endings, so that "errors", "listing" and "named" meet "error", "list", "name".
#[must_use]
pub fn stem(word: &str) -> String {
    let without = |ending: &str| {
        word.strip_suffix(ending).filter(|rest| rest.chars().count() >= STEM_CHARS_MIN && has_vowel(rest))
    };
    let root = if let Some(rest) = without("ies") {
        format!("{rest}y")
    } else if let Some(rest) = without("ing").or_else(|| without("ed")) {
        undoubled(rest)
    } else if let Some(rest) = without("es").filter(|rest| rest.ends_with(['s', 'x', 'z', 'h'])) {
        rest.to_owned()
    } else if let Some(rest) = without("s").filter(|rest| !rest.ends_with(['s', 'u', 'i'])) {
        rest.to_owned()
    } else {
        word.to_owned()
    };
    // "named" has lost its e: so must "name".
    match root.strip_suffix('e') {
        Some(rest) if rest.chars().count() >= STEM_CHARS_MIN => rest.to_owned(),
        _ => root,
    }
}

/// Whether `word` (lower case) says nothing about what is meant.
#[must_use]
pub fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

fn query_stems(query: &str) -> Vec<(String, String)> {
    let mut seen = BTreeSet::new();
    words(query)
        .into_iter()
        .take(QUERY_WORDS_MAX)
        .filter(|word| !is_stop_word(word))
        .map(|word| (stem(&word), word))
        .filter(|(stem, _)| seen.insert(stem.clone()))
        .collect()
}

fn bag(document: &Document<'_>) -> BTreeMap<String, f64> {
    let mut bag = BTreeMap::new();
    let mut add = |text: &str, weight: f64| {
        for word in words(text).into_iter().filter(|word| !is_stop_word(word)) {
            *bag.entry(stem(&word)).or_insert(0.0) += weight;
        }
    };
    add(document.name, NAME_WEIGHT);
    add(document.description, 1.0);
    for parameter in &document.parameters {
        add(parameter, PARAMETER_WEIGHT);
    }
    bag
}

/// `planned` without `ed` is `plann`; `call` keeps both.
fn undoubled(rest: &str) -> String {
    let mut back = rest.chars().rev();
    match (back.next(), back.next()) {
        (Some(last), Some(before)) if last == before && !matches!(last, 'l' | 's' | 'z') => {
            rest.chars().take(rest.chars().count() - 1).collect()
        }
        _ => rest.to_owned(),
    }
}

fn has_vowel(text: &str) -> bool {
    text.chars().any(|c| !c.is_ascii() || matches!(c, 'a' | 'e' | 'i' | 'o' | 'u' | 'y'))
}

#[expect(clippy::cast_precision_loss, reason = "counts of tools are far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOLS: &[(&str, &str, &str)] = &[
        ("read_text_file", "Read the complete contents of a file as text", "path head tail"),
        ("list_directory", "Get a listing of all files and directories in a path", "path"),
        ("search_files", "Recursively search for files matching a pattern", "path pattern"),
        ("get_file_info", "Retrieve metadata about a file: size, times, permissions", "path"),
        ("createIssue", "Open a new issue in a repository", "title body"),
        ("gitLog", "Show commit logs", "repo"),
    ];

    fn check(query: &str, best: Option<&str>, matched: &[&str]) {
        let documents: Vec<Document<'_>> = TOOLS
            .iter()
            .map(|(name, description, parameters)| Document {
                name,
                description,
                parameters: parameters.split(' ').map(str::to_owned).collect(),
            })
            .collect();
        let ranked = rank(query, &documents);
        assert_eq!(ranked.first().map(|first| TOOLS[first.index].0), best, "{query}: {ranked:?}");
        assert_eq!(ranked.first().map_or(&[] as &[String], |first| &first.matched), matched, "{query}");
    }

    #[test]
    fn the_best_tool_for_a_task_and_why() {
        check("list the directories", Some("list_directory"), &["list", "directories"]);
        check("Reading text files, please", Some("read_text_file"), &["reading", "text", "files"]);
        check("search for matching files", Some("search_files"), &["search", "matching", "files"]);
        check("which size has it", Some("get_file_info"), &["size"]);
        check("create issues", Some("createIssue"), &["create", "issues"]);
        check("commits", Some("gitLog"), &["commits"]);
        check("bake a cake", None, &[]);
        check("the of and", None, &[]);
        check("", None, &[]);
    }

    #[test]
    fn the_name_weighs_more_than_the_description() {
        let document = |name, description| Document { name, description, parameters: Vec::new() };
        let ranked =
            rank("deploy", &[document("other", "deploy things"), document("deploy", "other things")]);
        assert_eq!(ranked.iter().map(|ranked| ranked.index).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn equal_scores_keep_the_order_given() {
        let document = || Document { name: "echo", description: "", parameters: Vec::new() };
        let ranked = rank("echo", &[document(), document(), document()]);
        assert_eq!(ranked.iter().map(|ranked| ranked.index).collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn words_and_stems() {
        for (text, expected) in [
            ("read_text_file", "read text file"),
            ("readTextFile", "read text file"),
            ("HTTPServer s3-bucket", "http server s3 bucket"),
            ("Größe: 3", "größe 3"),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text}");
        }
        for (a, b) in [
            ("errors", "error"),
            ("directories", "directory"),
            ("listing", "list"),
            ("named", "name"),
            ("running", "runs"),
            ("calling", "call"),
            ("searches", "search"),
            ("created", "create"),
            ("files", "file"),
        ] {
            assert_eq!(stem(a), stem(b), "{a} and {b}");
        }
        for (a, b) in [("status", "statu"), ("red", "r"), ("string", "str"), ("process", "proces")] {
            assert_ne!(stem(a), b, "{a}");
        }
    }

    #[test]
    fn stop_words_are_sorted_for_the_search() {
        assert!(STOP_WORDS.is_sorted());
    }
}

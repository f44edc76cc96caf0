//! What a task names: paths, patterns, URLs, quotations, numbers.

/// Endings of words that look like a file's but are not.
const NOT_EXTENSIONS: &[&str] = &["com", "org", "net", "e", "g"];
/// Longest ending that counts as a file's: `.properties` is 10.
const EXTENSION_CHARS_MAX: usize = 10;

/// What a task names, each in the order of the text, once.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Named {
    pub(super) paths: Vec<String>,
    /// With `*` or `?`.
    pub(super) patterns: Vec<String>,
    pub(super) urls: Vec<String>,
    /// In quotation marks or backticks, and no path.
    pub(super) quoted: Vec<String>,
    /// Each with the words around it, in lower case.
    pub(super) numbers: Vec<(f64, Vec<String>)>,
}

/// Reads `text`.
pub(super) fn read(text: &str) -> Named {
    let mut named = Named::default();
    let (quoted, bare) = quotations(text);
    for quotation in quoted {
        if !named.sort(&quotation, true) {
            once(&mut named.quoted, &quotation);
        }
    }
    let words: Vec<&str> = bare.split_whitespace().map(trimmed).collect();
    for (at, word) in words.iter().enumerate() {
        if let Ok(number) = word.trim_end_matches('%').parse::<f64>() {
            let around = [at.checked_sub(1).map(|at| words[at]), words.get(at + 1).copied()];
            let around = around.into_iter().flatten().map(str::to_lowercase).collect();
            named.numbers.push((number, around));
        } else {
            named.sort(word, false);
        }
    }
    named
}

impl Named {
    /// Keeps `word` if it is an address, a pattern or a path.
    fn sort(&mut self, word: &str, quoted: bool) -> bool {
        if word.contains("://") {
            once(&mut self.urls, word);
        } else if word.contains(['*', '?']) && !word.contains(' ') && word.len() > 1 {
            once(&mut self.patterns, word);
        } else if is_path(word, quoted) {
            once(&mut self.paths, word);
        } else {
            return false;
        }
        true
    }
}

/// Whether the last part of `path` has a file's ending.
pub(super) fn has_extension(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').is_some_and(|(stem, extension)| {
        !stem.is_empty()
            && extension.len() <= EXTENSION_CHARS_MAX
            && extension.chars().all(|c| c.is_ascii_alphanumeric())
            && extension.chars().any(|c| c.is_ascii_alphabetic())
            && !NOT_EXTENSIONS.contains(&extension)
    })
}

fn is_path(word: &str, quoted: bool) -> bool {
    if word.len() < 2 || word.contains("//") || (word.contains(' ') && !word.contains('/')) {
        return false;
    }
    let starts_as_one = ["/", "./", "../", "~/"].iter().any(|start| word.starts_with(start));
    let has_slash = word.contains('/');
    starts_as_one || has_extension(word) || (has_slash && (quoted || word.ends_with('/')))
}

/// What stands in quotation marks, and the rest of the text.
fn quotations(text: &str) -> (Vec<String>, String) {
    let (mut quoted, mut bare) = (Vec::new(), String::new());
    let mut rest = text;
    while let Some(open) = rest.chars().next() {
        let after = &rest[open.len_utf8()..];
        let close = match open {
            '"' | '`' => Some(open),
            // An apostrophe inside a word opens nothing.
            '\'' if bare.chars().next_back().is_none_or(|c| !c.is_alphanumeric()) => Some('\''),
            '“' => Some('”'),
            '„' => Some('“'),
            '«' => Some('»'),
            _ => None,
        };
        match close.and_then(|close| after.split_once(close)) {
            Some((inside, beyond)) if !inside.trim().is_empty() && !inside.contains('\n') => {
                quoted.push(inside.trim().to_owned());
                bare.push(' ');
                rest = beyond;
            }
            _ => {
                bare.push(open);
                rest = after;
            }
        }
    }
    (quoted, bare)
}

fn trimmed(word: &str) -> &str {
    let word = word.trim_start_matches(|c: char| "([{<\"'`“„«,;".contains(c));
    let word = word.trim_end_matches(|c: char| ")]}>\"'`”“»,;:!?".contains(c));
    word.strip_suffix('.').unwrap_or(word).trim_end_matches([')', ']'])
}

fn once(list: &mut Vec<String>, word: &str) {
    if !list.iter().any(|known| known == word) {
        list.push(word.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let named = read(text);
        let mut shown = Vec::new();
        for (kind, words) in [
            ("path", &named.paths),
            ("pattern", &named.patterns),
            ("url", &named.urls),
            ("quoted", &named.quoted),
        ] {
            shown.extend(words.iter().map(|word| format!("{kind} {word}")));
        }
        shown
            .extend(named.numbers.iter().map(|(number, around)| format!("{number} by {}", around.join("+"))));
        assert_eq!(shown.join("; "), expected, "{text}");
    }

    #[test]
    fn what_a_task_names() {
        check("which errors are in app.log, and how often?", "path app.log");
        check("Read /var/log/app.log and ./b.txt.", "path /var/log/app.log; path ./b.txt");
        check("list logs/ and \"my dir/x\"", "path my dir/x; path logs/");
        check("find *.log with 'disk full' in it, don't stop", "pattern *.log; quoted disk full");
        check("get https://example.com/a.html at example.com, e.g. now", "url https://example.com/a.html");
        check("the last 20 lines, and/or 3.5%", "20 by last+lines; 3.5 by and/or");
        check("say \"hello world\" twice", "quoted hello world");
        check("", "");
    }
}

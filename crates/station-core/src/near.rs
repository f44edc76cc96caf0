//! "Did you mean": the known name that somebody who mistyped one most likely meant.
//!
//! One rule for agents, servers, environments, variables, tools and settings, so that a slip is met the same way
//! everywhere. Commands and options have clap's own.

/// Longest name that is compared: what is longer was not typed.
const NAME_CHARS_MAX: usize = 100;

/// The name of `known` that `typed` is a slip of: the same but for case, blanks, `-` and `_`; or at most a third of
/// its letters wrong, missing, added or swapped with their neighbour. The nearest wins; of equals the one that is nearest
/// as it is written, then the first.
#[must_use]
pub fn nearest<'n>(typed: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let plain = simplified(typed);
    if plain.is_empty() || plain.len() > NAME_CHARS_MAX {
        return None;
    }
    let distances = known.into_iter().filter_map(|name| {
        let other = simplified(name);
        // Names of one or two letters have only neighbours: none of them is meant more than another.
        let allowed = plain.len().max(other.len()) / 3;
        let near = other.len() <= NAME_CHARS_MAX && plain.len().abs_diff(other.len()) <= allowed;
        let distance = if near { distance(&plain, &other) } else { usize::MAX };
        (distance <= allowed).then_some((distance, name))
    });
    let nearest = distances.min_by_key(|(distance, name)| (*distance, as_written(typed, name)));
    nearest.map(|(_, name)| name)
}

/// The hint that names it.
#[must_use]
pub fn hint<'n>(typed: &str, known: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(typed, known).map(|name| format!("did you mean `{name}`?"))
}

fn as_written(typed: &str, name: &str) -> usize {
    let letters = |name: &str| name.chars().collect::<Vec<char>>();
    distance(&letters(typed), &letters(name))
}

fn simplified(name: &str) -> Vec<char> {
    let letters = name.trim().chars().filter(|c| !matches!(c, ' ' | '-' | '_'));
    letters.flat_map(char::to_lowercase).collect()
}

/// Insertions, deletions, substitutions and swaps of neighbours that lead from `a` to `b` (optimal string alignment).
fn distance(a: &[char], b: &[char]) -> usize {
    let (mut before, mut row): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=b.len()).collect());
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let changed = row[j] + usize::from(x != y);
            let mut least = changed.min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(before[j - 1] + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_the_name_that_was_meant() {
        for (typed, known, expected) in [
            ("triage", "triage", Some("triage")),
            ("traige", "triage report", Some("triage")),
            ("Triage", "report triage", Some("triage")),
            ("cost-spike", "cost_spike", Some("cost_spike")),
            ("gihtub", "git github gitlab", Some("github")),
            ("git", "github gitlab", None),
            ("githb", "git github", Some("github")),
            ("gitub", "git__hub github", Some("github")),
            ("triage", "Triage triage", Some("triage")),
            ("produciton", "default production staging", Some("production")),
            ("ai_modle", "ai_model ai_base_url", Some("ai_model")),
            ("reed_file", "read_file write_file", Some("read_file")),
            ("x", "y z", None),
            ("ab", "ac", None),
            ("", "a", None),
            ("nobody", "broken fake", None),
            ("abc", "abd abe", Some("abd")),
        ] {
            assert_eq!(nearest(typed, known.split(' ')), expected, "{typed} of {known}");
        }
        assert_eq!(nearest(&"x".repeat(1000), ["x"]), None);
    }
}

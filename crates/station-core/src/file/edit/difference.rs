//! What an edit changed, for a person who is asked whether it may stay.

/// The lines in which `after` is another text than `before`, each behind `-` or `+`, with two lines around them.
#[must_use]
pub fn difference(before: &str, after: &str) -> String {
    similar::TextDiff::from_lines(before, after).unified_diff().context_radius(2).to_string()
}

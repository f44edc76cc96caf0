//! A number and its noun.

use std::fmt::Display;

/// `1 run`, `2 runs`: `noun` with an `s` where `n` is not one.
#[must_use]
pub fn plural(n: impl Display, noun: &str) -> String {
    let n = n.to_string();
    if n == "1" { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::plural;

    #[test]
    fn one_is_one_and_nothing_is_many() {
        let shown = [plural(0, "run"), plural(1_u64, "run"), plural(2_i64, "run"), plural(1_usize, "run")];
        assert_eq!(shown, ["0 runs", "1 run", "2 runs", "1 run"]);
    }
}

//! Sizes, durations and numbers as people read them.

use station_core::plural;
use station_server::wire;
use std::fmt;

/// `4 ms`, `1.2 s`, `2 min 3 s`.
pub(crate) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// `312 bytes`, `1.2 KB`, `3.4 MB`.
pub(crate) fn size(bytes: u64) -> String {
    match bytes {
        1 => "1 byte".to_owned(),
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{}.{} KB", bytes / 1_000, bytes % 1_000 / 100),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

/// `210 tokens in (100 cached), 14 out`; `None` where a provider counts none.
pub(crate) fn tokens(usage: &wire::Usage) -> Option<String> {
    if usage.input == 0 && usage.output == 0 {
        return None;
    }
    let cached = if usage.cached > 0 { format!(" ({} cached)", usage.cached) } else { String::new() };
    Some(format!("{} tokens in{cached}, {} out", usage.input, usage.output))
}

/// `2026-11-23 17:32:24` (UTC), of a time as it is told everywhere.
pub(crate) fn moment(at: impl fmt::Display) -> String {
    at.to_string().split('.').next().unwrap_or_default().replace('T', " ")
}

/// `text` on one line, with at most `chars` characters.
pub(crate) fn cut(text: &str, chars: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= chars {
        return line;
    }
    line.chars().take(chars.saturating_sub(1)).collect::<String>() + "…"
}

/// The first `lines` lines of `text`, each with at most `chars` characters, and how much was left out.
pub(crate) fn cut_lines(text: &str, lines: usize, chars: usize) -> Vec<String> {
    let all: Vec<&str> = text.trim_end().lines().collect();
    let short = |line: &&str| -> String {
        if line.chars().count() <= chars {
            return (*line).to_owned();
        }
        line.chars().take(chars.saturating_sub(1)).collect::<String>() + "…"
    };
    let mut shown: Vec<String> = all.iter().take(lines).map(short).collect();
    if all.len() > lines {
        let more = all.len() - lines;
        shown.push(format!("… {}", plural(more, "more line")));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use station_core::Micros;

    #[test]
    fn numbers_are_told_as_people_read_them() {
        let spans = [0, 999, 1_000, 59_999, 60_000, 3_723_000].map(duration);
        assert_eq!(spans, ["0 ms", "999 ms", "1.0 s", "59.9 s", "1 min 0 s", "62 min 3 s"]);
        assert_eq!([1, 999, 1_234, 5_600_000].map(size), ["1 byte", "999 bytes", "1.2 KB", "5.6 MB"]);
        assert_eq!([plural(0_u64, "run"), plural(1_u64, "run")], ["0 runs", "1 run"]);
        assert_eq!(cut("a\n b  c", 10), "a b c");
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut_lines("a\nb\nc\n", 2, 9), ["a", "b", "… 1 more line"]);
        assert_eq!(moment(Micros(0)), "1970-01-01 00:00:00");
    }
}

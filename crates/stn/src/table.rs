//! Tables for people, as wide as their terminal.
//!
//! Nothing is dropped and no word is broken, however narrow the terminal is: a last column that is too long is wrapped
//! at blanks, and where that leaves it no room, the columns that fit stay in the table and the others stand below each
//! row, by name. So the columns of a table come in the order of their importance. What is not for a terminal has a row a
//! line: programs cut columns, and they have no width.
//!
//! Not a library's layout, because those at hand break words where columns get narrow.

use unicode_width::UnicodeWidthStr as _;

/// Blanks between two columns.
const GAP: usize = 2;

/// A wrapped column is at least this wide: below, it is a staircase of words and no text.
const WRAPPED_MIN: usize = 24;

/// How far in stands what is below a row.
const INSET: usize = 4;

/// Lays out `rows` under `header`, in lines of at most `width` columns where one is given; a word that is longer than
/// that stands alone on its line.
pub(crate) fn lay_out<const N: usize>(
    header: [&str; N],
    rows: &[[String; N]],
    width: Option<usize>,
) -> Vec<String> {
    let widths: [usize; N] = std::array::from_fn(|at| {
        let cells = rows.iter().map(|row| row[at].width());
        cells.chain([header[at].width()]).max().unwrap_or(0)
    });
    match Layout::of(&widths, rows, width) {
        Layout::Whole => lines(header, rows, &widths, |row| vec![row[N - 1].clone()]),
        Layout::Wrapped(last) => lines(header, rows, &widths, |row| wrap(&row[N - 1], last)),
        Layout::Stacked { kept, width } => stacked(header, rows, &widths, kept, width),
    }
}

enum Layout {
    /// Every row on one line.
    Whole,
    /// The last column wrapped to this width.
    Wrapped(usize),
    /// So many columns beside each other, the others below.
    Stacked { kept: usize, width: usize },
}

impl Layout {
    fn of<const N: usize>(widths: &[usize; N], rows: &[[String; N]], width: Option<usize>) -> Self {
        let to = |n: usize| widths[..n].iter().sum::<usize>() + GAP * n.saturating_sub(1);
        let Some(width) = width.filter(|width| to(N) > *width) else { return Self::Whole };
        let words = rows.iter().flat_map(|row| row[N - 1].split_whitespace());
        let least = words.map(str::width).max().unwrap_or(0).max(WRAPPED_MIN);
        match width.checked_sub(to(N - 1) + GAP) {
            Some(last) if N > 1 && last >= least => Self::Wrapped(last),
            _ => Self::Stacked { kept: (1..N).rev().find(|n| to(*n) <= width).unwrap_or(1), width },
        }
    }
}

/// Header and rows beside each other; `last` gives the lines of a row's last cell.
fn lines<const N: usize>(
    header: [&str; N],
    rows: &[[String; N]],
    widths: &[usize; N],
    last: impl Fn(&[String; N]) -> Vec<String>,
) -> Vec<String> {
    let mut out = vec![line(&header, widths)];
    for row in rows {
        let wrapped = last(row);
        let mut cells: Vec<&str> = row.iter().map(String::as_str).collect();
        for (at, text) in wrapped.iter().enumerate() {
            if at > 0 {
                cells.fill("");
            }
            cells[N - 1] = text;
            out.push(line(&cells, widths));
        }
    }
    out
}

fn stacked<const N: usize>(
    header: [&str; N],
    rows: &[[String; N]],
    widths: &[usize; N],
    kept: usize,
    width: usize,
) -> Vec<String> {
    let labels = header.map(str::to_lowercase);
    let label_width = labels[kept..].iter().map(|label| label.width()).max().unwrap_or(0);
    let inset = INSET + label_width + GAP;
    let mut out = vec![line(&header[..kept], widths)];
    for row in rows {
        let cells: Vec<&str> = row[..kept].iter().map(String::as_str).collect();
        out.push(line(&cells, widths));
        for (label, cell) in labels.iter().zip(row).skip(kept).filter(|(_, cell)| !cell.trim().is_empty()) {
            for (at, text) in wrap(cell, width.saturating_sub(inset)).iter().enumerate() {
                let mut line = " ".repeat(INSET);
                pad(&mut line, if at == 0 { label.as_str() } else { "" }, label_width + GAP);
                out.push(line + text);
            }
        }
    }
    out
}

fn line(cells: &[&str], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        pad(&mut line, cell, width + GAP);
    }
    line.truncate(line.trim_end().len());
    line
}

/// Adds `text` and blanks to `line`, `width` columns in all.
fn pad(line: &mut String, text: &str, width: usize) {
    line.push_str(text);
    line.extend(std::iter::repeat_n(' ', width.saturating_sub(text.width())));
}

/// The lines of `text`, broken at blanks; one at least.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.width() + 1 + word.width() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn agents() -> Vec<[String; 4]> {
        let row = |cells: [&str; 4]| cells.map(str::to_owned);
        vec![
            row(["1", "coordinator", "offline", "Asks the others what is there and what is wrong"]),
            row(["12", "log_reader", "openai/gpt-4o-mini", "Reads one log file"]),
            row(["13", "日本", "offline", ""]),
        ]
    }

    fn check(width: Option<usize>, expected: &Expect) {
        let lines = lay_out(["ID", "NAME", "MODEL", "DESCRIPTION"], &agents(), width);
        expected.assert_eq(&(lines.join("\n") + "\n"));
    }

    #[test]
    fn a_table_is_as_wide_as_it_may_be() {
        let whole = expect![[r"
            ID  NAME         MODEL               DESCRIPTION
            1   coordinator  offline             Asks the others what is there and what is wrong
            12  log_reader   openai/gpt-4o-mini  Reads one log file
            13  日本         offline
        "]];
        check(None, &whole);
        check(Some(120), &whole);
        check(
            Some(80),
            &expect![[r#"
            ID  NAME         MODEL               DESCRIPTION
            1   coordinator  offline             Asks the others what is there and what is
                                                 wrong
            12  log_reader   openai/gpt-4o-mini  Reads one log file
            13  日本         offline
        "#]],
        );
        check(
            Some(60),
            &expect![[r#"
            ID  NAME         MODEL
            1   coordinator  offline
                description  Asks the others what is there and what is
                             wrong
            12  log_reader   openai/gpt-4o-mini
                description  Reads one log file
            13  日本         offline
        "#]],
        );
        check(
            Some(40),
            &expect![[r#"
            ID  NAME         MODEL
            1   coordinator  offline
                description  Asks the others what is
                             there and what is wrong
            12  log_reader   openai/gpt-4o-mini
                description  Reads one log file
            13  日本         offline
        "#]],
        );
        check(
            Some(30),
            &expect![[r#"
            ID  NAME
            1   coordinator
                model        offline
                description  Asks the
                             others what
                             is there and
                             what is wrong
            12  log_reader
                model        openai/gpt-4o-mini
                description  Reads one log
                             file
            13  日本
                model        offline
        "#]],
        );
    }

    #[test]
    fn no_width_breaks_a_word_or_loses_one() {
        let words = |text: &str| {
            let mut words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            words.sort();
            words
        };
        let cells: String = agents().concat().join(" ");
        for width in 1..=120 {
            let lines = lay_out(["ID", "NAME", "MODEL", "DESCRIPTION"], &agents(), Some(width));
            let found = words(&lines.join(" "));
            assert!(words(&cells).iter().all(|word| found.contains(word)), "{width}: {lines:#?}");
            // From here on every word fits, with its label beside it.
            let is_within = lines.iter().all(|line| line.width() <= width);
            assert!(is_within || width < 36, "{width}: {lines:#?}");
        }
    }

    #[test]
    fn a_table_of_one_column_and_one_of_long_words() {
        let path = "/srv/station/environments/production/mcp-servers".to_owned();
        assert_eq!(lay_out(["PATH"], &[[path.clone()]], Some(30)), ["PATH", path.as_str()]);
        let lines = lay_out(["KEY", "VALUE"], &[["workspace".to_owned(), path.clone()]], Some(40));
        assert_eq!(lines, ["KEY", "workspace", &format!("    value  {path}")]);
    }
}

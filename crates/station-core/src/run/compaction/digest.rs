//! What stands in place of results and turns.

use crate::run::slot::State;
use crate::run::turn::Turn;
use std::fmt::Write as _;

/// Characters told of what a model said, of a call's arguments, and of how a result began.
const SAID_CHARS: usize = 300;
const ARGUMENTS_CHARS: usize = 160;
const BEGAN_CHARS: usize = 120;

/// How the results of one turn are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Telling {
    /// As they are in the journal.
    Whole,
    /// As their beginning and their end, so many bytes together.
    Cut(u64),
    /// As one line each.
    LeftOut,
}

impl Telling {
    /// The result `text` of call `handle`, of `bytes` in all. What would not become shorter stays.
    pub(crate) fn tell(self, text: &str, handle: &str, bytes: u64, reader: Option<&str>) -> String {
        let told = match self {
            Self::Whole => return text.to_owned(),
            Self::LeftOut => format!(
                "[Station: left out to save room: {handle}, {bytes} bytes, beginning {:?}{}]",
                first(text, BEGAN_CHARS),
                hint(reader)
            ),
            Self::Cut(bytes_max) => {
                let most = usize::try_from(bytes_max).unwrap_or(usize::MAX).min(text.len());
                let head = &text[..text.floor_char_boundary(most / 4 * 3)];
                let tail = &text[text.ceil_char_boundary(text.len() - most / 4)..];
                let note = format!(
                    "[Station: shortened to save room: {handle}, {bytes} bytes in all{}]",
                    hint(reader)
                );
                format!("{head}\n{note}\n{tail}")
            }
        };
        if told.len() < text.len() { told } else { text.to_owned() }
    }
}

fn hint(reader: Option<&str>) -> String {
    reader.map(|reader| format!("; `{reader}` reads it")).unwrap_or_default()
}

/// What happened in `turns`, the first of the run, in at most about `bytes_max` bytes: the oldest lines go first.
pub(super) fn sum_up(turns: &[Turn], bytes_max: u64, reader: Option<&str>) -> String {
    let mut lines: Vec<String> =
        turns.iter().enumerate().flat_map(|(n, turn)| lines_of(n + 1, turn)).collect();
    let (mut left, mut kept) = (bytes_max, lines.len());
    while kept > 0 && lines[kept - 1].len() as u64 <= left {
        left -= lines[kept - 1].len() as u64;
        kept -= 1;
    }
    let mut text = format!(
        "[Station] To save room, the first {} of this conversation {} summed up here. What was called was done and need not be done again.",
        if turns.len() == 1 { "turn".to_owned() } else { format!("{} turns", turns.len()) },
        if turns.len() == 1 { "is" } else { "are" },
    );
    if kept > 0 {
        write!(text, "\n({kept} older lines are left out)").expect("a text takes all");
    }
    for line in lines.drain(kept..) {
        text.push('\n');
        text.push_str(&line);
    }
    if let Some(reader) = reader {
        write!(text, "\n`{reader}` reads any of these results by its handle.").expect("a text takes all");
    }
    text
}

fn lines_of(n: usize, turn: &Turn) -> Vec<String> {
    let mut lines = vec![format!("Turn {n}:")];
    let said = turn.answer.text.trim();
    if !said.is_empty() {
        lines[0] = format!("Turn {n}: you said {:?}", cut(said, SAID_CHARS));
    }
    for (at, (call, slot)) in turn.answer.calls.iter().zip(&turn.slots).enumerate() {
        let arguments = cut(&call.arguments, ARGUMENTS_CHARS);
        let result = match &slot.state {
            State::Done { text, is_error, whole, .. } => {
                let bytes = whole.as_ref().map_or(text.len() as u64, |whole| whole.bytes);
                let failed = if *is_error { "failed, " } else { "" };
                format!("{failed}{bytes} bytes, beginning {:?}", first(text, BEGAN_CHARS))
            }
            _ => "no result yet".to_owned(),
        };
        lines.push(format!("- {} {arguments} -> r{n}.{}: {result}", call.name, at + 1));
    }
    lines
}

/// The first line of `text` that says something.
fn first(text: &str, chars: usize) -> String {
    cut(text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default(), chars)
}

/// `text` on one line, with at most `chars` characters.
fn cut(text: &str, chars: usize) -> String {
    // A long one is not walked to its end.
    let short: String = text.chars().take(chars + 1).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if short.chars().count() <= chars {
        short
    } else {
        short.chars().take(chars - 1).collect::<String>() + "…"
    }
}

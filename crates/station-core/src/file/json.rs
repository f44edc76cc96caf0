//! A rendered server file to the located tree, with holes where variables stand; and values into these holes.
//!
//! `serde_json` decides what is JSON and says what is wrong; only a text that it accepted is walked here, so the walk
//! need not check again. **Invariant:** a value is put into a parsed scalar, never into text that is parsed later.

use super::Position;
use super::sheet::{Fault, NUL};
use super::template::{Hole, Rendered};
use super::tree::{Member, Node, Piece, Scalar, Value};

/// Parses `rendered`; positions of faults are those of `text`, the file.
pub(super) fn parse(rendered: &Rendered, text: &str) -> Result<Node, Fault> {
    // Also the bound on depth: `serde_json` refuses more than 128 levels.
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&rendered.text) {
        let at = rendered.original(place(&rendered.text, &error));
        return Err(Fault::new(Some(Position::of(text, at)), format!("this is not JSON: {}", told(&error))));
    }
    Walk { rendered, text, at: 0 }.node()
}

/// The byte of `text` that `error` is about; where the text ends too early, the end of its last line that says something:
/// what stands behind it is no line that can be shown.
pub(super) fn place(text: &str, error: &serde_json::Error) -> usize {
    if error.is_eof() {
        return text.trim_end().len();
    }
    let line_at: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    // In column 0 of a line the line's end before it was read last: it is what a string without a closing quote runs into.
    (line_at + error.column()).saturating_sub(1)
}

/// What `error` says, without the place, which is one of what was parsed.
pub(super) fn told(error: &serde_json::Error) -> String {
    let told = error.to_string();
    told.rsplit_once(" at line ").map_or(told.as_str(), |(told, _)| told).to_owned()
}

/// The same tree with the values of its variables, all of which `value_of` must know.
///
/// In quotes a value is any text. Outside quotes it must be a number, `true`, `false` or `null`.
pub(super) fn fill(
    node: &Node,
    value_of: &dyn Fn(&str) -> String,
    faults: &mut Vec<(usize, String)>,
) -> Node {
    let value = match &node.value {
        Value::Scalar(scalar) => Value::Scalar(filled(scalar, value_of, faults)),
        Value::List(items) => Value::List(items.iter().map(|item| fill(item, value_of, faults)).collect()),
        Value::Map(members) => Value::Map(
            members
                .iter()
                .map(|member| Member {
                    key: member.key.clone(),
                    at: member.at,
                    node: fill(&member.node, value_of, faults),
                })
                .collect(),
        ),
    };
    Node { at: node.at, end: node.end, value }
}

fn filled(scalar: &Scalar, value_of: &dyn Fn(&str) -> String, faults: &mut Vec<(usize, String)>) -> Scalar {
    let mut text = String::new();
    for piece in &scalar.pieces {
        match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Hole { variable, at } => {
                let value = value_of(variable);
                if scalar.quoted || is_scalar(value.trim()) {
                    text.push_str(if scalar.quoted { &value } else { value.trim() });
                } else {
                    faults.push((*at, variable.clone()));
                    text.push_str("null");
                }
            }
        }
    }
    Scalar::of(text, scalar.quoted)
}

fn is_scalar(text: &str) -> bool {
    !text.starts_with(['"', '[', '{']) && serde_json::from_str::<serde_json::Value>(text).is_ok()
}

/// A walk over text that is known to be JSON.
struct Walk<'a> {
    rendered: &'a Rendered,
    text: &'a str,
    at: usize,
}

impl Walk<'_> {
    fn node(&mut self) -> Result<Node, Fault> {
        let start = self.token();
        let value = match self.byte() {
            b'{' => self.map()?,
            b'[' => self.list()?,
            b'"' => Value::Scalar(self.string()?),
            _ => {
                let end = self.rendered.text[start..]
                    .find(|c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace())
                    .map_or(self.rendered.text.len(), |length| start + length);
                self.at = end;
                Value::Scalar(Scalar::of(&self.rendered.text[start..end], false))
            }
        };
        let end = self.rendered.original(self.at.saturating_sub(1)) + 1;
        Ok(Node { at: self.rendered.original(start), end, value })
    }

    fn map(&mut self) -> Result<Value, Fault> {
        let mut members = Vec::new();
        self.at += 1;
        while self.goes_on(b'}') {
            let at = self.rendered.original(self.token());
            let key = self.string()?;
            if let Some(Piece::Hole { variable, at }) =
                key.pieces.iter().find(|piece| matches!(piece, Piece::Hole { .. }))
            {
                let sentence =
                    format!("variable `{variable}` stands in a key, where only fixed names may stand");
                return Err(Fault::new(Some(Position::of(self.text, *at)), sentence));
            }
            self.skip(b':');
            let node = self.node()?;
            members.push(Member { key: key.shown(), at, node });
            self.skip(b',');
        }
        self.at += 1;
        Ok(Value::Map(members))
    }

    fn list(&mut self) -> Result<Value, Fault> {
        let mut items = Vec::new();
        self.at += 1;
        while self.goes_on(b']') {
            items.push(self.node()?);
            self.skip(b',');
        }
        self.at += 1;
        Ok(Value::List(items))
    }

    /// The string that begins here.
    fn string(&mut self) -> Result<Scalar, Fault> {
        let start = self.token() + 1;
        let bytes = self.rendered.text.as_bytes();
        let mut end = start;
        while bytes.get(end).is_some_and(|byte| *byte != b'"') {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        self.at = end + 1;
        let holes = &self.rendered.holes;
        let first = holes.partition_point(|hole| hole.rendered.start < start);
        let inside: &[Hole] = &holes[first..];
        let (mut pieces, mut from, mut quoted) = (Vec::new(), start, true);
        for hole in inside.iter().take_while(|hole| hole.rendered.end <= end) {
            pieces.extend(self.literal(from, hole.rendered.start));
            pieces.push(Piece::Hole { variable: hole.variable.clone(), at: hole.at });
            from = hole.rendered.end;
            quoted = !hole.bare;
        }
        pieces.extend(self.literal(from, end));
        if pieces.iter().any(|piece| matches!(piece, Piece::Text(text) if text.contains('\0'))) {
            let at = Position::of(self.text, self.rendered.original(start));
            return Err(Fault::new(Some(at), format!("this text {NUL}")));
        }
        Ok(Scalar { quoted, pieces })
    }

    /// The text between two places inside a string, unescaped.
    fn literal(&self, from: usize, to: usize) -> Option<Piece> {
        let raw = self.rendered.text.get(from..to).filter(|raw| !raw.is_empty())?;
        let text = serde_json::from_str(&format!("\"{raw}\"")).unwrap_or_else(|_| raw.to_owned());
        Some(Piece::Text(text))
    }

    /// The place of the next token.
    fn token(&mut self) -> usize {
        let rest = self.rendered.text.get(self.at..).unwrap_or_default();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
        self.at
    }

    fn goes_on(&mut self, close: u8) -> bool {
        self.token() < self.rendered.text.len() && self.byte() != close
    }

    /// The byte here; zero, which is no JSON, at the end of the text.
    fn byte(&self) -> u8 {
        self.rendered.text.as_bytes().get(self.at).copied().unwrap_or_default()
    }

    fn skip(&mut self, byte: u8) {
        self.token();
        if self.byte() == byte {
            self.at += 1;
        }
    }
}

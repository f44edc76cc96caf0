//! YAML text to the located tree.
//!
//! From the events of serde-saphyr's parser rather than through `serde`: a plain scalar keeps the text it was
//! written with (`0123`, `1.10`, `yes`), a duplicate key is seen, and every node knows its place.

use super::Position;
use super::sheet::{FILE_BYTES_MAX, Fault};
use super::tree::{Member, Node, Scalar, Value};
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, ScanError, Span, StrInput};
use std::collections::BTreeMap;

/// Deepest nesting: the deepest real file, a config.yaml with schemas, has six levels.
const DEPTH_MAX: usize = 64;

/// Most nodes of one file, aliases counted as what they stand for: a file that doubles itself by aliases ends here.
const NODES_MAX: usize = 100_000;

/// Reads `text`; `None` where it holds nothing but comments.
pub(super) fn parse(text: &str) -> Result<Option<Node>, Fault> {
    if text.len() > FILE_BYTES_MAX {
        return Ok(None);
    }
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut reader = Reader {
        text,
        parser: Parser::new_from_str_with_options(text, options),
        anchors: BTreeMap::new(),
        n_nodes: 0,
    };
    let mut document = None;
    loop {
        let (event, span) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(document),
            Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
            _ if document.is_some() => {
                return Err(reader.fault(&span, "the file holds more than one YAML document"));
            }
            event => document = Some(reader.node(event, &span)?),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
    n_nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(scan_fault(&error)),
            None => Err(Fault::new(None, "the YAML ends too early")),
        }
    }

    fn fault(&self, span: &Span, sentence: &str) -> Fault {
        Fault::new(Some(Position::of(self.text, place(span).0)), sentence)
    }

    fn node(&mut self, event: Event<'a>, span: &Span) -> Result<Node, Fault> {
        self.n_nodes += 1;
        if self.n_nodes > NODES_MAX {
            return Err(self.fault(span, "the file holds more than 100,000 values"));
        }
        let (at, end) = place(span);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = Value::Scalar(Scalar::of(text, style != ScalarStyle::Plain));
                Ok(self.keep(anchor, Node { at, end, value }))
            }
            Event::SequenceStart(_, anchor, _) => self.list(anchor, at),
            Event::MappingStart(_, anchor, _) => self.map(anchor, at),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(self.fault(span, "an alias stands inside the value that it names"));
                };
                let (n_nodes, depth) = size(node);
                if depth > DEPTH_MAX {
                    return Err(self.fault(span, "aliases nest values more than 64 levels deep"));
                }
                self.n_nodes += n_nodes;
                Ok(Node { at, end, value: node.value.clone() })
            }
            _ => Err(self.fault(span, "this YAML is not understood")),
        }
    }

    fn list(&mut self, anchor: usize, at: usize) -> Result<Node, Fault> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                let node = Node { at, end: place(&span).1, value: Value::List(items) };
                return Ok(self.keep(anchor, node));
            }
            items.push(self.node(event, &span)?);
        }
    }

    fn map(&mut self, anchor: usize, at: usize) -> Result<Node, Fault> {
        let mut members = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                let node = Node { at, end: place(&span).1, value: Value::Map(members) };
                return Ok(self.keep(anchor, node));
            }
            let key = self.node(event, &span)?;
            let Some(name) = key.scalar().map(Scalar::shown) else {
                return Err(self.fault(&span, "a key must be a text"));
            };
            let (event, span) = self.next()?;
            let node = self.node(event, &span)?;
            members.push(Member { key: name, at: key.at, node });
        }
    }

    fn keep(&mut self, anchor: usize, node: Node) -> Node {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        node
    }
}

/// How many nodes there are at and below `node`, and how many levels.
fn size(node: &Node) -> (usize, usize) {
    let children: Vec<&Node> = match &node.value {
        Value::Scalar(_) => Vec::new(),
        Value::List(items) => items.iter().collect(),
        Value::Map(members) => members.iter().map(|member| &member.node).collect(),
    };
    let (n_nodes, depth) =
        children.into_iter().map(size).fold((0, 0), |(n, deepest), (m, depth)| (n + m, deepest.max(depth)));
    (n_nodes + 1, depth + 1)
}

fn place(span: &Span) -> (usize, usize) {
    let range = span.byte_range().unwrap_or_default();
    (range.start, range.end)
}

fn scan_fault(error: &ScanError) -> Fault {
    let at = Position { line: error.marker().line().max(1), column: error.marker().col() + 1 };
    Fault::new(Some(at), format!("this is not YAML: {}", error.info()))
}

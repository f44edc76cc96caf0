//! One tree for JSON and YAML, in which every node knows its place in the text.
//!
//! `serde` structs would be shorter, but they cannot say where a wrong value stands, lose duplicate keys, and turn
//! `0123` into 123. Here a scalar is its text, and who reads it says what it must be. A scalar of a server file may
//! have holes: places of variables, which have no value until a connection is made.

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// First byte, in the original text.
    pub(super) at: usize,
    /// Byte after the last, in the original text.
    pub(super) end: usize,
    /// What stands there.
    pub(super) value: Value,
}

/// What a node can be.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Member>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Member {
    pub(super) key: String,
    /// First byte of the key, in the original text.
    pub(super) at: usize,
    pub(super) node: Node,
}

/// A text, number, truth value or null.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scalar {
    /// Whether it stands in quotes (or in a YAML block), and so can only be a text.
    pub(super) quoted: bool,
    pub(super) pieces: Vec<Piece>,
}

/// A part of a scalar.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    Text(String),
    /// The place of a variable, in the original text.
    Hole {
        variable: String,
        at: usize,
    },
}

impl Node {
    /// The value of `key`, where this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(members) => members.iter().find(|member| member.key == key).map(|member| &member.node),
            Value::Scalar(_) | Value::List(_) => None,
        }
    }

    /// The scalar, where this is one.
    pub(super) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Whether this is `null`, as JSON and YAML write it.
    pub(super) fn is_null(&self) -> bool {
        self.scalar().is_some_and(|scalar| {
            !scalar.quoted
                && !scalar.is_open()
                && matches!(scalar.shown().as_str(), "" | "~" | "null" | "Null" | "NULL")
        })
    }

    /// Calls `visit` with every hole below, in file order.
    pub(super) fn holes(&self, visit: &mut dyn FnMut(&str, usize)) {
        match &self.value {
            Value::Scalar(scalar) => {
                for piece in &scalar.pieces {
                    if let Piece::Hole { variable, at } = piece {
                        visit(variable, *at);
                    }
                }
            }
            Value::List(items) => items.iter().for_each(|item| item.holes(visit)),
            Value::Map(members) => members.iter().for_each(|member| member.node.holes(visit)),
        }
    }

    /// This node as JSON, with holes written as placeholders: equal for equal definitions, whatever the values are.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Scalar(scalar) if scalar.quoted => scalar.shown().into(),
            Value::Scalar(scalar) if scalar.is_open() => serde_json::json!({ "unquoted": scalar.shown() }),
            Value::Scalar(scalar) => {
                serde_json::from_str(&scalar.shown()).unwrap_or_else(|_| scalar.shown().into())
            }
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            Value::Map(members) => {
                members.iter().map(|member| (member.key.clone(), member.node.to_json())).collect()
            }
        }
    }
}

impl Scalar {
    /// A scalar without holes.
    pub(super) fn of(text: impl Into<String>, quoted: bool) -> Self {
        Self { quoted, pieces: vec![Piece::Text(text.into())] }
    }

    /// Its text, with `{{ .NAME }}` in place of each hole.
    pub(super) fn shown(&self) -> String {
        self.pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.clone(),
                Piece::Hole { variable, .. } => format!("{{{{ .{variable} }}}}"),
            })
            .collect()
    }

    /// Whether it has a hole, so that its value is not known yet.
    pub(super) fn is_open(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Hole { .. }))
    }
}

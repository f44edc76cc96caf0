//! The shape of every list.

use serde::Serialize;
use serde_json::{Map, Value};

/// `{"<nouns>": […], "count": n}`.
///
/// # Panics
/// Never for the structs of this module: they have no maps with keys that are not text.
#[must_use]
pub fn list<T: Serialize>(nouns: &str, items: &[T]) -> Value {
    let rows = serde_json::to_value(items).expect("wire structs serialize");
    let mut body = Map::new();
    body.insert(nouns.to_owned(), rows);
    body.insert("count".to_owned(), Value::from(items.len()));
    Value::Object(body)
}

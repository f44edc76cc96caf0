//! An operation as whoever asks a server for it sends it: the other side of `read`, by the same table.

use super::operation::{Operation, Place};
use super::{BASE, operations};
use axum::http::Method;
use serde_json::{Map, Value};
use station_core::{Error, Result};

/// What is sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// The name of the operation.
    pub operation: &'static str,
    /// Its method.
    pub method: Method,
    /// Its address below the server's, segment by segment, as text that is not encoded.
    pub path: Vec<String>,
    /// What stands in the query.
    pub query: Vec<(String, String)>,
    /// What stands in the body, where there is one.
    pub body: Option<Value>,
    /// Whether it changes nothing, and may be sent again as it is.
    pub only_looks: bool,
    /// Whether it may be sent again under the same `Idempotency-Key`.
    pub heeds_key: bool,
}

/// How `operation` is asked for with what is `given`, of which `null` says nothing.
///
/// # Errors
/// `Invalid` where a part of the address is empty; `Internal` where there is no such operation, or it takes no such thing.
pub fn request(operation: &str, given: Map<String, Value>) -> Result<Request> {
    let unknown = |what: String| Error::internal(format!("asking for `{operation}`"), what);
    let row = operations().find(|it| it.id == operation);
    let row = row.ok_or_else(|| unknown("there is no such operation".to_owned()))?;
    let (mut named, mut query, mut body) = (Map::new(), Vec::new(), Map::new());
    for (name, value) in given.into_iter().filter(|(_, value)| !value.is_null()) {
        let parameter = row.parameters.iter().find(|it| it.name == name);
        let parameter = parameter.ok_or_else(|| unknown(format!("it takes no `{name}`")))?;
        match row.place(parameter) {
            Place::Path => drop(named.insert(name, value)),
            Place::Query => match &value {
                Value::Array(items) => query.extend(items.iter().map(|item| (name.clone(), text(item)))),
                value => query.push((name, text(value))),
            },
            Place::Body => drop(body.insert(name, value)),
        }
    }
    Ok(Request {
        operation: row.id,
        method: row.verb.method(),
        path: path(row, &named)?,
        query,
        body: row.verb.has_body().then_some(Value::Object(body)),
        only_looks: row.only_looks(),
        heeds_key: row.heeds_key(),
    })
}

fn path(operation: &Operation, named: &Map<String, Value>) -> Result<Vec<String>> {
    let segment = |segment: &str| {
        let Some(name) = segment.strip_prefix('{').and_then(|it| it.strip_suffix('}')) else {
            return Ok(segment.to_owned());
        };
        let value = named.get(name).map(text).unwrap_or_default();
        match &*value {
            "" => Err(Error::invalid(format!("`{name}` is empty"))),
            "." | ".." => Err(Error::not_found(format!("there is no {name} `{value}`"))),
            _ => Ok(value),
        }
    };
    let parts = BASE.split('/').chain(operation.path.split('/')).filter(|part| !part.is_empty());
    parts.map(segment).collect()
}

/// A value as it stands in an address.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

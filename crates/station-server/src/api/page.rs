//! Pages of lists: ordered by a key, so many at a time, the next from behind the last one.

use crate::tools::{Arguments, Kind, Parameter};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::Value;

/// Items of a page where nobody says how many.
const LIMIT: i64 = 100;

/// Most items of a page.
pub(super) const LIMIT_MAX: i64 = 1000;

pub(super) const LIMIT_GIVEN: Parameter =
    Parameter::optional("limit", Kind::Whole(1, LIMIT_MAX), "Most items of one page; 100 if left out.");

pub(super) const CURSOR: Parameter = Parameter::optional(
    "cursor",
    Kind::Text,
    "`next` of the page before: the page behind it. What it holds is not to be read.",
);

/// A page that the store reads: one item more than it has says whether another follows.
pub(super) struct Page {
    limit: usize,
}

impl Page {
    pub(super) fn asked(arguments: &Arguments) -> Self {
        Self { limit: limit(arguments) }
    }

    /// How many the store is asked for.
    pub(super) fn and_one(&self) -> u32 {
        u32::try_from(self.limit + 1).unwrap_or(u32::MAX)
    }

    /// What the store gave as a list of `nouns`, with the `place` of its last one as `next` where another follows.
    pub(super) fn told<T, S: Serialize>(
        &self,
        nouns: &str,
        mut items: Vec<T>,
        place: impl Fn(&T) -> i64,
        shown: impl Fn(&T) -> S,
    ) -> Value {
        let is_last = items.len() <= self.limit;
        items.truncate(self.limit);
        let shown: Vec<S> = items.iter().map(shown).collect();
        let mut body = crate::wire::list(nouns, &shown);
        body["next"] = items.last().filter(|_| !is_last).map(|last| place(last).to_string()).into();
        body
    }
}

/// Most items of the page that is asked for.
pub(super) fn limit(arguments: &Arguments) -> usize {
    usize::try_from(arguments.whole("limit").unwrap_or(LIMIT)).unwrap_or(usize::MAX)
}

/// JSON Schema of a page of `nouns`.
pub(super) fn shape<T: JsonSchema>(nouns: &str, generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            nouns: { "type": "array", "items": generator.subschema_for::<T>() },
            "count": { "type": "integer", "minimum": 0, "description": "How many are on this page." },
            "next": {
                "type": ["string", "null"],
                "description": "`cursor` of the next page; `null` on the last.",
            },
        },
        "required": [nouns, "count", "next"],
    })
}

/// As [`of`], in the order of `items`, which no field says.
pub(super) fn in_order<T, S: Serialize>(
    nouns: &str,
    items: Vec<T>,
    arguments: &Arguments,
    shown: impl Fn(&T) -> S,
) -> Value {
    let items = items.into_iter().enumerate().collect();
    of(nouns, items, arguments, |it: &(usize, T)| format!("{:08}", it.0), |it| shown(&it.1))
}

/// The page of `items` that is asked for, as a list of `nouns` with `next`; ordered by `key`, which is no two items'.
pub(super) fn of<T, S: Serialize>(
    nouns: &str,
    mut items: Vec<T>,
    arguments: &Arguments,
    key: impl Fn(&T) -> String,
    shown: impl Fn(&T) -> S,
) -> Value {
    items.sort_by_cached_key(|item| key(item));
    let begin = arguments
        .text("cursor")
        .map_or(0, |cursor| items.partition_point(|item| key(item).as_str() <= cursor));
    let limit = limit(arguments);
    let page: Vec<&T> = items.iter().skip(begin).take(limit).collect();
    let is_last = begin + page.len() >= items.len();
    let next = page.last().filter(|_| !is_last).map(|last| key(last));
    let shown: Vec<S> = page.into_iter().map(shown).collect();
    let mut body = crate::wire::list(nouns, &shown);
    body["next"] = next.into();
    body
}

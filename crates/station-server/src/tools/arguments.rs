//! What a client sends with a call: read by the same rows that its schema was made of, with a sentence for each mistake.

use super::questions::Brought;
use serde_json::{Map, Value, json};
use station_core::{Error, Result, near};
use station_engine::RequestClaim;

/// One parameter of a tool.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) is_required: bool,
    /// For a model: what it means.
    pub(crate) says: &'static str,
    /// For a program: what is asked of it besides, as JSON Schema; of each item where it is a list.
    pub(crate) form: Option<fn() -> Value>,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text; where it is required it must not be empty.
    Text,
    /// A row's number, as a number or as a text, or a name.
    Ref,
    /// A row's number, as a number or as a text.
    Id,
    /// Texts.
    Texts,
    /// True or false, and what holds where nothing is said.
    Truth(bool),
    /// A whole number from the first to the second.
    Whole(i64, i64),
    /// An object.
    Object,
}

impl Parameter {
    /// One that must be given.
    pub(crate) const fn required(name: &'static str, kind: Kind, says: &'static str) -> Self {
        Self { name, kind, is_required: true, says, form: None }
    }

    /// One that may be left out.
    pub(crate) const fn optional(name: &'static str, kind: Kind, says: &'static str) -> Self {
        Self { name, kind, is_required: false, says, form: None }
    }

    /// The same, written in this way.
    pub(crate) const fn like(self, form: fn() -> Value) -> Self {
        Self { form: Some(form), ..self }
    }

    /// Its JSON Schema.
    pub(crate) fn schema(&self) -> Value {
        let mut schema = match self.kind {
            Kind::Text => json!({ "type": "string" }),
            Kind::Ref => json!({ "anyOf": [{ "type": "integer" }, { "type": "string" }] }),
            Kind::Id => json!({ "type": "integer" }),
            Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
            Kind::Truth(default) => json!({ "type": "boolean", "default": default }),
            Kind::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
            Kind::Object => json!({ "type": "object" }),
        };
        schema["description"] = self.says.into();
        schema
    }

    /// Its JSON Schema with all that is asked of it, for programs: a model is told in words.
    pub(crate) fn schema_in_full(&self) -> Value {
        let mut schema = self.schema();
        let form = self.form.map_or_else(|| json!({}), |form| form());
        match self.kind {
            Kind::Text if self.is_required => put(put(&mut schema, &not_empty()), &form),
            Kind::Ref => {
                put(&mut schema["anyOf"][0], &row_number());
                put(put(&mut schema["anyOf"][1], &not_empty()), &form)
            }
            Kind::Id => put(&mut schema, &row_number()),
            Kind::Texts => put(&mut schema["items"], &form),
            Kind::Text | Kind::Truth(_) | Kind::Whole(..) | Kind::Object => put(&mut schema, &form),
        };
        schema
    }

    /// `value` as this parameter takes it; what it must be where it does not fit.
    fn take(&self, value: &Value) -> Result<Value, String> {
        let fits = match (self.kind, value) {
            (Kind::Text, Value::String(text)) => {
                (!self.is_required || !text.trim().is_empty()).then(|| value.clone())
            }
            (Kind::Ref | Kind::Id, Value::Number(_)) => {
                whole(value).filter(|number| *number >= 0).map(|number| number.to_string().into())
            }
            (Kind::Id, Value::String(text)) if text.trim().parse::<i64>().is_ok_and(i64::is_negative) => None,
            (Kind::Ref | Kind::Id, Value::String(text)) => {
                (!text.trim().is_empty()).then(|| text.trim().into())
            }
            (Kind::Texts, Value::Array(items)) => items.iter().all(Value::is_string).then(|| value.clone()),
            (Kind::Truth(_), Value::Bool(_)) | (Kind::Object, Value::Object(_)) => Some(value.clone()),
            // Older clients send these as texts.
            (Kind::Truth(_), Value::String(text)) => text.parse::<bool>().ok().map(Value::from),
            (Kind::Whole(least, most), _) => {
                let number = whole(value).or_else(|| value.as_str().and_then(|text| text.parse().ok()));
                number.filter(|number| (least..=most).contains(number)).map(Value::from)
            }
            _ => None,
        };
        fits.ok_or_else(|| {
            let must_be = match self.kind {
                Kind::Text if self.is_required => "a text that is not empty".to_owned(),
                Kind::Text => "a text".to_owned(),
                Kind::Ref => "an id (a number) or a name".to_owned(),
                Kind::Id => "an id (a number, 0 or more)".to_owned(),
                Kind::Texts => "a list of texts".to_owned(),
                Kind::Truth(_) => "true or false".to_owned(),
                Kind::Whole(least, most) => format!("a whole number from {least} to {most}"),
                Kind::Object => "an object".to_owned(),
            };
            format!("`{}` must be {must_be}", self.name)
        })
    }
}

/// The whole number that `value` is; also where it is written as `16.0`, which JSON Schema calls an integer.
fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let number = value.as_f64().filter(|number| number.fract() == 0.0)?;
        // As digits: a number that an i64 does not have is none.
        format!("{number:.0}").parse().ok()
    })
}

/// A number of a row, as JSON Schema.
fn row_number() -> Value {
    json!({ "format": "int64", "minimum": 0, "maximum": i64::MAX })
}

/// A text with more than blanks in it, as JSON Schema.
fn not_empty() -> Value {
    json!({ "minLength": 1, "pattern": r"\S" })
}

/// Puts what `more` says into `schema`.
fn put<'a>(schema: &'a mut Value, more: &Value) -> &'a mut Value {
    for (name, value) in more.as_object().into_iter().flatten() {
        schema[name] = value.clone();
    }
    schema
}

/// Arguments that fit.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Arguments {
    taken: Map<String, Value>,
    /// Names that no parameter has: passed over, and said so in the result.
    pub(crate) ignored: Vec<String>,
    /// What tells this call from others: what a client brings back is bound to it.
    pub(crate) request: String,
    /// What a client who was asked something brings back.
    pub(crate) resumed: Option<Brought>,
    /// The request that this is, where its sender gave it a key.
    pub(crate) once: Option<RequestClaim>,
}

impl Arguments {
    /// Reads `given` by `parameters`. What no parameter has is passed over, as clients made for other versions send it;
    /// where it looks like a slip, it is refused.
    ///
    /// # Errors
    /// `Invalid`, with every mistake at once.
    pub(crate) fn read(parameters: &[Parameter], given: &Map<String, Value>) -> Result<Self> {
        let given_as = |name: &str| given.get(name).filter(|value| !value.is_null());
        let mut arguments = Self::default();
        let mut mistakes = Vec::new();
        for parameter in parameters {
            match given_as(parameter.name).map(|value| parameter.take(value)) {
                Some(Ok(value)) => drop(arguments.taken.insert(parameter.name.to_owned(), value)),
                Some(Err(mistake)) => mistakes.push(mistake),
                None if parameter.is_required => {
                    let says = parameter.says.trim_end_matches('.');
                    mistakes.push(format!("`{}` is missing: {says}", parameter.name));
                }
                None => {}
            }
        }
        for name in given.keys().filter(|name| parameters.iter().all(|it| it.name != *name)) {
            let free = parameters.iter().map(|it| it.name).filter(|it| given_as(it).is_none());
            match near::nearest(name, free) {
                Some(meant) => mistakes.push(format!("`{name}` is no argument; did you mean `{meant}`?")),
                None => arguments.ignored.push(name.clone()),
            }
        }
        if mistakes.is_empty() { Ok(arguments) } else { Err(Error::invalid(mistakes.join("; "))) }
    }

    /// A text or a reference that may be missing.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.taken.get(name).and_then(Value::as_str)
    }

    /// A text or a reference that was required.
    pub(crate) fn must(&self, name: &str) -> &str {
        self.text(name).unwrap_or_default()
    }

    pub(crate) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let items = self.taken.get(name)?.as_array()?;
        Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    pub(crate) fn whole(&self, name: &str) -> Option<i64> {
        self.taken.get(name).and_then(Value::as_i64)
    }

    pub(crate) fn truth(&self, name: &str) -> Option<bool> {
        self.taken.get(name).and_then(Value::as_bool)
    }

    pub(crate) fn object(&self, name: &str) -> Option<&Map<String, Value>> {
        self.taken.get(name).and_then(Value::as_object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARAMETERS: &[Parameter] = &[
        Parameter::required("agent_id", Kind::Ref, "which agent"),
        Parameter::required("task", Kind::Text, "what to do"),
        Parameter::optional("max_steps", Kind::Whole(1, 25), "most turns"),
        Parameter::optional("async", Kind::Truth(false), "whether to wait"),
        Parameter::optional("tool_names", Kind::Texts, "tools"),
        Parameter::optional("context", Kind::Object, "more"),
        Parameter::optional("run", Kind::Id, "which run"),
    ];

    #[test]
    fn what_fits_is_taken_and_every_mistake_is_told() {
        let check = |given: Value, expected: Result<Value, &str>| {
            let given = given.as_object().cloned().unwrap_or_default();
            let read = Arguments::read(PARAMETERS, &given);
            let read = read.map(|it| Value::Object(it.taken)).map_err(|error| error.to_string());
            assert_eq!(read, expected.map_err(str::to_owned));
        };
        let both = |given: Value, expected: Value| {
            let with = |value: &Value| {
                let mut all = json!({ "agent_id": "7", "task": "x" });
                value.as_object().unwrap().iter().for_each(|(key, value)| all[key] = value.clone());
                all
            };
            check(with(&given), Ok(with(&expected)));
        };
        both(json!({}), json!({}));
        // Ids as numbers, as numeric texts, and an agent by its name.
        both(json!({ "agent_id": 7 }), json!({ "agent_id": "7" }));
        both(json!({ "agent_id": " triage " }), json!({ "agent_id": "triage" }));
        both(json!({ "run": " 12 " }), json!({ "run": "12" }));
        // What JSON Schema calls an integer.
        both(json!({ "agent_id": 7.0, "max_steps": 3.0 }), json!({ "agent_id": "7", "max_steps": 3 }));
        both(json!({ "max_steps": "3", "async": "true" }), json!({ "max_steps": 3, "async": true }));
        both(json!({ "max_steps": null }), json!({}));
        both(
            json!({ "context": { "a": 1 }, "tool_names": [] }),
            json!({ "context": { "a": 1 }, "tool_names": [] }),
        );
        // What another version knows is passed over.
        both(json!({ "user_id": 1 }), json!({}));
        check(json!({}), Err("`agent_id` is missing: which agent; `task` is missing: what to do"));
        check(
            json!({ "agent_id": true, "task": " ", "max_steps": 26, "async": 1, "tool_names": [1], "context": [] }),
            Err("`agent_id` must be an id (a number) or a name; `task` must be a text that is not empty; \
                 `max_steps` must be a whole number from 1 to 25; `async` must be true or false; `tool_names` must be \
                 a list of texts; `context` must be an object"),
        );
        for run in [json!(-1), json!("-1"), json!(1.5)] {
            let given = json!({ "agent_id": 1, "task": "x", "run": run });
            check(given, Err("`run` must be an id (a number, 0 or more)"));
        }
        check(
            json!({ "agent_id": 1, "task": "x", "max_step": 3 }),
            Err("`max_step` is no argument; did you mean `max_steps`?"),
        );
    }
}

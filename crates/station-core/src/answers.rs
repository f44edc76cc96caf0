//! What is answered to a server that asks us something while it is at work, where no person is asked.
//!
//! A server may want a form filled in (elicitation), a model (sampling) or folders (roots). Nobody sits at a run, so the
//! server's file says what is answered: `station.answers`. By default nothing is offered, and whatever is asked all the same
//! is declined. A model is asked by whoever drives the run ([`crate::sampling`]); where there is none, it is refused here.
//! **Invariant:** what is answered fits the schema that was asked with, or it is a no; and no value of a server's
//! file goes anywhere but into a field of its own name.

use crate::sampling::Sampling;
use crate::schema;
use serde_json::{Map, Value, json};

/// What is answered: the key `station.answers` of a server entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// How forms are filled in.
    pub forms: Forms,
    /// Folders that the server is told of, as addresses (`file:///…`).
    pub roots: Vec<String>,
    /// The model that the server is lent, if any.
    pub sampling: Option<Sampling>,
}

/// How forms are filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Forms {
    /// They are declined.
    #[default]
    Decline,
    /// With these values by field, and else with the defaults that the form names. A form that is not full then, or holds
    /// what does not fit, is declined.
    Fill(Map<String, Value>),
}

/// A refusal, as an error of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its code.
    pub code: i64,
    /// Why.
    pub message: &'static str,
}

impl Refused {
    /// A no: with the code of the specification's own example for a person who says it.
    #[must_use]
    pub const fn no(message: &'static str) -> Self {
        Self { code: -1, message }
    }
}

impl Answers {
    /// Whether forms are offered to be filled in.
    #[must_use]
    pub fn takes_forms(&self) -> bool {
        self.forms != Forms::Decline
    }

    /// One unambiguous byte string of it: a connection is made for these answers, which it declares.
    #[must_use]
    pub fn fingerprint(&self) -> Vec<u8> {
        let forms = match &self.forms {
            Forms::Decline => Value::Null,
            Forms::Fill(values) => Value::Object(values.clone()),
        };
        // Which model it is, and how often, is asked at each call.
        json!([forms, self.roots, self.sampling.is_some()]).to_string().into_bytes()
    }

    /// The answer to a request of a server: its result.
    ///
    /// # Errors
    /// What is not answered at all.
    pub fn to(&self, method: &str, params: &Value) -> Result<Value, Refused> {
        match method {
            "elicitation/create" => Ok(self.form(params)),
            "roots/list" => {
                let roots: Vec<Value> = self.roots.iter().map(|uri| json!({ "uri": uri })).collect();
                Ok(json!({ "roots": roots }))
            }
            "sampling/createMessage" => Err(Refused::no(match self.sampling {
                None => "no model is offered to servers",
                Some(_) => "a model is offered only while calls of one run, and of nobody else, are out",
            })),
            _ => Err(Refused { code: -32601, message: "this is not answered here" }),
        }
    }

    fn form(&self, params: &Value) -> Value {
        let declined = || json!({ "action": "decline" });
        let Forms::Fill(values) = &self.forms else { return declined() };
        // An address to visit is for a person alone.
        if !matches!(params["mode"].as_str(), None | Some("form")) {
            return declined();
        }
        let asked = &params["requestedSchema"];
        let Some(fields) = asked["properties"].as_object() else { return declined() };
        let filled: Map<String, Value> = fields
            .iter()
            .filter_map(|(name, field)| {
                let value = values.get(name).or_else(|| field.get("default"))?;
                Some((name.clone(), value.clone()))
            })
            .collect();
        let content = Value::Object(filled);
        match schema::check(asked, &content).is_empty() {
            true => json!({ "action": "accept", "content": content }),
            false => declined(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::Lent;

    #[test]
    fn a_form_is_filled_in_as_the_file_says_or_declined() {
        let check = |values: Option<Value>, schema: Value, expected: Option<Value>| {
            let forms = values.map_or(Forms::Decline, |values| match values {
                Value::Object(values) => Forms::Fill(values),
                _ => Forms::Fill(Map::new()),
            });
            let answers = Answers { forms, ..Answers::default() };
            let params = json!({ "message": "?", "requestedSchema": schema });
            let answer = answers.to("elicitation/create", &params).unwrap();
            let expected = expected.map_or(
                json!({ "action": "decline" }),
                |content| json!({ "action": "accept", "content": content }),
            );
            assert_eq!(answer, expected, "{schema}");
        };
        let form = json!({
            "type": "object",
            "properties": {
                "name": { "type": "string", "default": "Ada" },
                "age": { "type": "integer", "minimum": 1 },
                "note": { "type": "string" },
            },
            "required": ["name", "age"],
        });
        check(None, form.clone(), None);
        check(Some(json!({})), form.clone(), None);
        check(Some(json!({ "age": 3 })), form.clone(), Some(json!({ "name": "Ada", "age": 3 })));
        check(
            Some(json!({ "age": 3, "name": "Bo", "x": 1 })),
            form.clone(),
            Some(json!({ "name": "Bo", "age": 3 })),
        );
        check(Some(json!({ "age": 0 })), form.clone(), None);
        check(Some(json!({ "age": "3" })), form, None);
        let optional = json!({ "type": "object", "properties": { "ok": { "type": "boolean" } } });
        check(Some(json!({})), optional, Some(json!({})));
        check(Some(json!({})), json!("no schema"), None);
        check(Some(json!({})), json!({ "properties": { "a": {} }, "type": 7 }), None);
    }

    #[test]
    fn what_nobody_offers_is_not_given() {
        let sampling = Sampling { model: Lent::Own, tokens_max: 1, requests_max: 1 };
        let roots = vec!["file:///srv".to_owned()];
        let answers = Answers { forms: Forms::Fill(Map::new()), roots, sampling: Some(sampling) };
        let visit =
            json!({ "mode": "url", "url": "https://x.example", "message": "?", "elicitationId": "1" });
        assert_eq!(answers.to("elicitation/create", &visit).unwrap(), json!({ "action": "decline" }));
        assert_eq!(
            answers.to("roots/list", &Value::Null).unwrap(),
            json!({ "roots": [{ "uri": "file:///srv" }] })
        );
        assert_eq!(Answers::default().to("roots/list", &Value::Null).unwrap(), json!({ "roots": [] }));
        // Here is nobody who could ask a model.
        for answers in [&answers, &Answers::default()] {
            assert_eq!(answers.to("sampling/createMessage", &Value::Null).unwrap_err().code, -1);
        }
        assert_eq!(answers.to("tasks/get", &Value::Null).unwrap_err().code, -32601);
    }
}

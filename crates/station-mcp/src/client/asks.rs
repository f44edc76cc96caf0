//! What a server may ask of us: the client capabilities that are declared to it.

use serde_json::{Map, Value, json};
use station_core::answers::Answers;

/// What can be answered. By default nothing: then a server does without, or says what it lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Asks {
    /// Forms for a person (`elicitation/create`).
    pub forms: bool,
    /// Addresses for a person to visit (`elicitation/create`, mode `url`).
    pub addresses: bool,
    /// A model (`sampling/createMessage`).
    pub sampling: bool,
    /// Folders (`roots/list`).
    pub roots: bool,
}

impl Asks {
    /// What a client that declares `capabilities` can be asked.
    #[must_use]
    pub fn of(capabilities: &Value) -> Self {
        let can = |name: &str| capabilities.get(name).filter(|it| it.is_object());
        let elicitation = can("elicitation");
        let mode = |name: &str| elicitation.is_some_and(|it| it.get(name).is_some());
        Self {
            // Before 2025-11-25 there were no modes, and an empty object is forms still.
            forms: mode("form") || (elicitation.is_some() && !mode("url")),
            addresses: mode("url"),
            sampling: can("sampling").is_some(),
            roots: can("roots").is_some(),
        }
    }

    /// What is answered by the file of a server alone.
    pub(super) fn answered_by(answers: &Answers) -> Self {
        Self {
            forms: answers.takes_forms(),
            addresses: false,
            sampling: answers.sampling.is_some(),
            roots: !answers.roots.is_empty(),
        }
    }

    /// As client capabilities of the protocol.
    #[must_use]
    pub fn to_json(self) -> Value {
        let mut capabilities = Map::new();
        let mut elicitation = Map::new();
        for (mode, is_on) in [("form", self.forms), ("url", self.addresses)] {
            if is_on {
                elicitation.insert(mode.to_owned(), json!({}));
            }
        }
        for (name, is_on, value) in [
            ("elicitation", self.forms || self.addresses, Value::Object(elicitation)),
            ("sampling", self.sampling, json!({})),
            ("roots", self.roots, json!({})),
        ] {
            if is_on {
                capabilities.insert(name.to_owned(), value);
            }
        }
        Value::Object(capabilities)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_declares_is_declared_on() {
        let check = |declared: Value, on: Value| assert_eq!(Asks::of(&declared).to_json(), on, "{declared}");
        check(json!({}), json!({}));
        check(Value::Null, json!({}));
        check(json!({ "elicitation": {} }), json!({ "elicitation": { "form": {} } }));
        check(json!({ "elicitation": { "url": {} } }), json!({ "elicitation": { "url": {} } }));
        check(
            json!({ "elicitation": { "form": {}, "url": {} }, "roots": { "listChanged": true }, "x": {} }),
            json!({ "elicitation": { "form": {}, "url": {} }, "roots": {} }),
        );
        check(json!({ "sampling": { "tools": {} } }), json!({ "sampling": {} }));
        check(json!({ "sampling": true }), json!({}));
    }
}

//! How what is sent must be written, as JSON Schema: so that whoever makes requests of the document makes such as are taken.
//!
//! What is taken is decided where it is read, and refused there with a sentence; here the same rule is said once more for programs,
//! and a test holds the two against each other. What this is not: whole. What no schema can say (a model that exists, a template that
//! can be filled) is refused with 400 all the same.

use serde_json::{Value, json};
use station_core::budget::Period;
use station_core::file::edit::Unset;
use station_core::run::Status;
use station_core::{Role, Scope, approval};
use station_engine::Settled;

/// Digits alone, which would be read as an id.
macro_rules! not_digits_alone {
    ($($pattern:literal),+) => {
        concat!("^(?![0-9]+$)", $($pattern,)+ "$")
    };
}

/// The name of an environment.
pub(super) fn environment() -> Value {
    json!({ "pattern": not_digits_alone!(r"[\p{L}\p{N}][\p{L}\p{N}_.\-]*"), "maxLength": 64 })
}

/// An environment by id or name, as a text.
pub(super) fn environment_or_id() -> Value {
    json!({ "pattern": r"^[\p{L}\p{N}][\p{L}\p{N}_.\-]*$", "minLength": 1, "maxLength": 64 })
}

/// The name of a new agent, which is a file name too; of 200 bytes, which no schema can count: 50 characters of any, or 200 of one byte.
pub(super) fn agent() -> Value {
    let pattern = not_digits_alone!(
        r"([^\s./\\\x00-\x1f\x7f-\x9f]([^/\\\x00-\x1f\x7f-\x9f]{0,48}[^\s/\\\x00-\x1f\x7f-\x9f])?",
        r"|[!-\-0-\[\]-~]([ -.0-\[\]-~]{0,198}[!-.0-\[\]-~])?)"
    );
    json!({ "pattern": pattern, "maxLength": 200 })
}

/// The name of a model.
pub(super) fn model() -> Value {
    json!({ "minLength": 1, "pattern": r"\S" })
}

/// The name of a user, or of an API key.
pub(super) fn user() -> Value {
    let pattern =
        not_digits_alone!(r"[^\s\x00-\x1f\x7f-\x9f]([^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f])?");
    json!({ "pattern": pattern, "maxLength": 64 })
}

/// The name of a variable of an environment.
pub(super) fn variable() -> Value {
    json!({ "pattern": r"^[\p{L}_][\p{L}\p{N}_]*$" })
}

/// Values by the names of variables that a prompt asks for.
pub(super) fn values() -> Value {
    json!({ "propertyNames": { "pattern": r"^[\p{L}_\-][\p{L}\p{N}_\-]*$" } })
}

/// A new password; of 1,024 bytes at most.
pub(super) fn password() -> Value {
    json!({ "minLength": 15, "maxLength": 1024, "format": "password" })
}

/// What became of a call.
pub(super) fn outcome() -> Value {
    json!({ "enum": Settled::ALL.map(Settled::as_str) })
}

pub(super) fn role() -> Value {
    json!({ "enum": Role::ALL.map(Role::as_str) })
}

pub(super) fn scope() -> Value {
    json!({ "enum": Scope::ALL.map(Scope::as_str) })
}

pub(super) fn status() -> Value {
    json!({ "enum": Status::ALL.map(Status::as_str) })
}

pub(super) fn approval_status() -> Value {
    json!({ "enum": approval::Status::ALL.map(approval::Status::as_str) })
}

pub(super) fn period() -> Value {
    json!({ "enum": [Period::Run.as_str(), Period::Day.as_str()] })
}

/// A field of an agent that can be taken out.
pub(super) fn unset() -> Value {
    json!({ "enum": Unset::ALL.map(|(word, _)| word) })
}

/// A point in time; a day alone is taken as well.
pub(super) fn time() -> Value {
    json!({ "format": "date-time" })
}

/// A time like `30s` or `1h30m`, or seconds.
pub(super) fn duration() -> Value {
    json!({ "pattern": "^(?=.*[1-9])([0-9]+|([0-9]+(ms|s|m|h|d))+)$" })
}

/// Cron of 5 or 6 fields.
pub(super) fn cron() -> Value {
    json!({ "format": "cron" })
}

/// The place of the last row, as it is told.
pub(super) fn row() -> Value {
    json!({ "pattern": "^[0-9]{1,18}$" })
}

/// Amounts by measure, of which one at least is there.
pub(super) fn limits() -> Value {
    let mut amounts = amounts();
    amounts["minProperties"] = 1.into();
    amounts
}

/// Amounts by measure.
pub(super) fn amounts() -> Value {
    let count = json!({ "type": "integer", "minimum": 1, "maximum": i64::MAX });
    let mut time = duration();
    time["type"] = json!(["string", "integer"]);
    time["minimum"] = 1.into();
    json!({
        "properties": {
            "tokens": count,
            "usd": {
                "type": ["number", "string"], "exclusiveMinimum": 0, "maximum": 9_223_372_036_854_i64, "multipleOf": 0.000_001,
                "pattern": r"^(?=.*[1-9])[0-9]{1,12}(\.[0-9]{1,6})?$",
            },
            "calls": count,
            "time": time,
        },
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use station_core::file::config::duration_ms;
    use station_core::file::variables::{can_be_given, is_name};
    use station_core::{AgentName, EnvironmentName, schema};

    #[test]
    fn what_the_document_says_of_a_text_is_what_is_taken() {
        let texts = [
            "a", "7", "42", "a7", "7a", "größe", "日本", "a.b", "a-b", "a_b", ".a", "-a", "_a", "a b", " a",
            "a ", "", " ", "a/b", "a\\b", "a\nb", "a\u{85}", "é", "9lives", "{{x}}", "30s", "1h30m", "0",
            "0s", "10", "5x", "a\u{7f}", "½", "٣",
        ];
        let check = |form: Value, is_taken: fn(&str) -> bool| {
            for text in texts {
                let fits = schema::check(&form, &text.into()).is_empty();
                assert_eq!(fits, is_taken(text), "{form}: {text:?}");
            }
        };
        check(environment(), |text| EnvironmentName::parse(text).is_ok());
        check(agent(), |text| AgentName::parse(text).is_ok());
        check(model(), |text| !text.trim().is_empty());
        check(variable(), is_name);
        check(values()["propertyNames"].clone(), can_be_given);
        check(duration(), |text| duration_ms(text).is_some_and(|ms| ms > 0));
    }
}

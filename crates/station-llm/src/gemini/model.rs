//! What Gemini models take, by their names. A name without a number is taken for one of the newest.

use crate::history::version;
use serde_json::{Value, json};
use station_core::run::Effort;

/// Whether `model` is of the third generation or later: its calls have ids and need signatures, its results take images,
/// and a schema goes along with tools.
pub(super) fn is_third(model: &str) -> bool {
    version(model, "gemini").is_none_or(|version| version >= (3, 0))
}

/// Whether `model` can be held to a schema, with tools or without.
pub(crate) fn takes_schema(model: &str, has_tools: bool) -> bool {
    is_third(model) || (!has_tools && version(model, "gemini") >= Some((2, 5)))
}

/// Whether `model` thinks.
pub(crate) fn thinks_at_all(model: &str) -> bool {
    version(model, "gemini").is_none_or(|version| version >= (2, 5))
}

/// How `model` is told to think; `None` where it cannot be told.
pub(super) fn thinking(model: &str, effort: Effort) -> Option<Value> {
    if is_third(model) {
        // The first of that generation knows no medium.
        let medium_is_high = model.contains("gemini-3-pro") && effort == Effort::Medium;
        let effort = if medium_is_high { Effort::High } else { effort };
        return Some(json!({"thinkingLevel": effort.word()}));
    }
    let budget = match effort {
        Effort::Low => 1_024,
        Effort::Medium => 8_192,
        // The most that all of the generation take.
        Effort::High => 24_576,
    };
    (version(model, "gemini") >= Some((2, 5))).then(|| json!({"thinkingBudget": budget}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_models_take() {
        let check = |model: &str, third: bool, schema: (bool, bool), thinks: Option<Value>| {
            let told = (takes_schema(model, false), takes_schema(model, true));
            assert_eq!(
                (is_third(model), told, thinking(model, Effort::Medium)),
                (third, schema, thinks),
                "{model}"
            );
        };
        check("gemini-2.0-flash", false, (false, false), None);
        check("gemini-2.5-pro", false, (true, false), Some(json!({"thinkingBudget": 8_192})));
        check("gemini-3-pro-preview", true, (true, true), Some(json!({"thinkingLevel": "high"})));
        check("gemini-3.1-pro", true, (true, true), Some(json!({"thinkingLevel": "medium"})));
        check("gemini-flash-latest", true, (true, true), Some(json!({"thinkingLevel": "medium"})));
    }
}

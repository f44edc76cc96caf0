//! What Claude models take, by their names. A name without a number is taken for one of the newest.

use crate::history::version;
use station_core::run::{Effort, Settings};

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinks {
    /// It cannot.
    Never,
    /// Within so many tokens.
    Budget(u32),
    /// As it sees fit, with an effort.
    Adaptive(Effort),
}

/// Tokens of the smallest budget that is taken.
const BUDGET_MIN: u32 = 1_024;

/// How `model` is told to think under `settings`; `None` where they do not say.
pub(super) fn thinks(model: &str, settings: &Settings) -> Option<Thinks> {
    let effort = settings.effort?;
    Some(match version(model, "claude") {
        Some(version) if version < (3, 7) => Thinks::Never,
        Some(version) if version < (4, 6) => {
            let wanted = match effort {
                Effort::Low => 2_048,
                Effort::Medium => 8_192,
                Effort::High => 16_384,
            };
            // The budget is part of what the model may write.
            let budget = settings.max_output_tokens.map_or(wanted, |most| wanted.min(most / 2));
            if budget < BUDGET_MIN { Thinks::Never } else { Thinks::Budget(budget) }
        }
        _ => Thinks::Adaptive(effort),
    })
}

/// Whether `model` thinks where it is told to.
pub(crate) fn thinks_at_all(model: &str) -> bool {
    version(model, "claude").is_none_or(|version| version >= (3, 7))
}

/// Tokens that `model` may write where nobody says: the dialect wants a number. All of a generation can write so much.
pub(super) fn output_tokens(model: &str, thinks: Option<Thinks>) -> u32 {
    let answer = match version(model, "claude") {
        Some(version) if version < (3, 5) => 4_096,
        Some(version) if version < (3, 7) => 8_192,
        _ => 16_384,
    };
    match thinks {
        Some(Thinks::Budget(budget)) => answer + budget,
        // High effort is for long thoughts, which count.
        Some(Thinks::Adaptive(Effort::High)) => 2 * answer,
        Some(Thinks::Adaptive(_) | Thinks::Never) | None => answer,
    }
}

/// Whether `model` can be told how to sample.
pub(super) fn samples(model: &str) -> bool {
    version(model, "claude").is_some_and(|version| version < (4, 7))
}

/// Whether `model` can be held to a schema.
pub(crate) fn takes_schema(model: &str) -> bool {
    version(model, "claude").is_none_or(|version| version >= (4, 5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_models_take() {
        let check = |model: &str, most: Option<u32>, expected: (Option<Thinks>, u32, bool, bool)| {
            let effort = Some(Effort::Medium);
            let settings = Settings { effort, max_output_tokens: most, ..Settings::default() };
            let thinks = thinks(model, &settings);
            let told = (thinks, output_tokens(model, thinks), samples(model), takes_schema(model));
            assert_eq!(told, expected, "{model}");
        };
        let adaptive = Some(Thinks::Adaptive(Effort::Medium));
        check("claude-3-haiku-20240307", None, (Some(Thinks::Never), 4_096, true, false));
        check("claude-3-5-sonnet-latest", None, (Some(Thinks::Never), 8_192, true, false));
        check("claude-3-7-sonnet-latest", None, (Some(Thinks::Budget(8_192)), 24_576, true, false));
        check("claude-sonnet-4-20250514", None, (Some(Thinks::Budget(8_192)), 24_576, true, false));
        check("claude-sonnet-4-5", Some(4_096), (Some(Thinks::Budget(2_048)), 18_432, true, true));
        check("claude-sonnet-4-5", Some(1_000), (Some(Thinks::Never), 16_384, true, true));
        check("claude-opus-4-6", None, (adaptive, 16_384, true, true));
        check("claude-opus-4-7", None, (adaptive, 16_384, false, true));
        check("claude-sonnet-5", None, (adaptive, 16_384, false, true));
        check("claude-next", None, (adaptive, 16_384, false, true));
    }
}

//! What OpenAI's own models take, by their names.

/// Models without eyes, by the beginning of their names.
const BLIND: &[&str] = &["gpt-3.5", "gpt-4-0", "gpt-4-1", "gpt-oss", "o1-mini", "o1-preview", "o3-mini"];

/// Whether `model` thinks before it answers. Such models refuse sampling parameters, and give their thoughts sealed.
/// Names of what is new are taken for thinking models, as all since GPT-5 are.
pub(crate) fn reasons(model: &str) -> bool {
    let name = model.to_ascii_lowercase();
    let is_older = ["gpt-3", "gpt-4", "chatgpt"].iter().any(|prefix| name.starts_with(prefix));
    let is_o = name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    is_o || (name.starts_with("gpt-") && !is_older && !name.contains("-chat")) || name.starts_with("codex")
}

/// Whether `model` looks at images.
pub(crate) fn sees(model: &str) -> bool {
    model != "gpt-4" && !BLIND.iter().any(|prefix| model.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_models_take() {
        for (model, thinks, looks) in [
            ("gpt-4o-mini", false, true),
            ("gpt-4.1", false, true),
            ("gpt-4", false, false),
            ("gpt-4-0613", false, false),
            ("gpt-4-turbo", false, true),
            ("gpt-3.5-turbo", false, false),
            ("gpt-5", true, true),
            ("gpt-5.2-codex", true, true),
            ("gpt-5-chat-latest", false, true),
            ("o3-mini", true, false),
            ("o4-mini", true, true),
            ("chatgpt-4o-latest", false, true),
        ] {
            assert_eq!((reasons(model), sees(model)), (thinks, looks), "{model}");
        }
    }
}

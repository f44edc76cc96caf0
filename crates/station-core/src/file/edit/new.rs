//! The text of a new agent's file.

use super::quote::{flow_list, plain_or_quoted, quoted};
use crate::file::render;

/// A new `.prompt` file in the shape of the documentation; reading it gives back every value given.
///
/// A prompt that speaks dotprompt (it has a tag `{{role …}}`, `{{history}}` or `{{userInput}}`, and is a sound
/// template) is the body as it is. Any other prompt is plain text: it becomes the system prompt, its `{{` escaped so
/// that they stay text, and the task follows as the user's turn. An empty model is left out.
#[expect(
    clippy::too_many_arguments,
    reason = "one for each key of the file; a struct would be built in one place only"
)]
#[must_use]
pub fn new_agent(
    name: &str,
    description: &str,
    tags: &[String],
    model: Option<&str>,
    max_steps: Option<i64>,
    tools: &[String],
    agents: &[String],
    prompt: &str,
) -> String {
    let mut out =
        format!("---\nmetadata:\n  name: {}\n  description: {}\n", quoted(name), quoted(description));
    if !tags.is_empty() {
        out.push_str(&format!("  tags: {}\n", flow_list(tags)));
    }
    if let Some(model) = model.filter(|model| !model.trim().is_empty()) {
        out.push_str(&format!("model: {}\n", plain_or_quoted(model)));
    }
    if let Some(max_steps) = max_steps {
        out.push_str(&format!("max_steps: {max_steps}\n"));
    }
    for (key, items) in [("tools", tools), ("agents", agents)] {
        if !items.is_empty() {
            out.push_str(&format!("{key}:\n"));
            items.iter().for_each(|item| out.push_str(&format!("  - {}\n", quoted(item))));
        }
    }
    out.push_str("---\n");
    out.push_str(&body_of(prompt));
    out
}

/// A prompt as the body of a file.
pub(super) fn body_of(prompt: &str) -> String {
    if is_template(prompt) {
        let end = if prompt.ends_with('\n') { "" } else { "\n" };
        return format!("{prompt}{end}");
    }
    format!("{}{{{{role \"user\"}}}}\n{{{{userInput}}}}\n", system(prompt))
}

/// A plain prompt as the system turn; `None` for one with marks of its own, which is a whole body.
pub(super) fn system_of(prompt: &str) -> Option<String> {
    (!is_template(prompt)).then(|| system(prompt))
}

fn system(prompt: &str) -> String {
    format!("{{{{role \"system\"}}}}\n{}\n\n", literal(prompt))
}

fn is_template(prompt: &str) -> bool {
    let has_word = prompt.match_indices("{{").any(|(at, _)| {
        let tag = prompt[at..].trim_start_matches(['{', '~', ' ']);
        let word = tag.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        matches!(word, "role" | "history" | "userInput")
    });
    has_word && render::check(prompt).is_ok()
}

/// A text as a template that renders to it. Handlebars drops one backslash of a run that stands before a tag, so a
/// run before `{{` is made one longer and ended by an empty comment.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let before = &rest[..at];
        out.push_str(before);
        if before.ends_with('\\') {
            out.push_str("\\{{!}}");
        }
        out.push_str("\\{{");
        rest = &rest[at + 2..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::prompt;
    use crate::file::render::render;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn a_new_file_is_the_documented_shape() {
        let text = new_agent(
            "logs",
            "Finds \"errors\"",
            &["logs".to_owned()],
            Some("gpt-4o-mini"),
            Some(8),
            &["__read_text_file".to_owned()],
            &["metrics".to_owned()],
            "You read logs.",
        );
        assert_eq!(
            text,
            "---\nmetadata:\n  name: \"logs\"\n  description: \"Finds \\\"errors\\\"\"\n  tags: [\"logs\"]\n\
             model: gpt-4o-mini\nmax_steps: 8\ntools:\n  - \"__read_text_file\"\nagents:\n  - \"metrics\"\n---\n\
             {{role \"system\"}}\nYou read logs.\n\n{{role \"user\"}}\n{{userInput}}\n"
        );
        let (read, problems) = prompt::read(&text, "environments/default/agents/logs.prompt");
        assert_eq!(problems, []);
        assert_eq!(read.expect("it is sound").description, "Finds \"errors\"");
    }

    #[test]
    fn a_prompt_that_speaks_dotprompt_is_the_body() {
        for (prompt, is_body) in [
            ("{{role \"system\"}}\nYou are {{who}}.\n{{role \"user\"}}{{userInput}}", true),
            ("Answer {{ userInput }}", true),
            ("Use ${{ secrets.TOKEN }}", false),
            ("{{role", false),
            ("a role is {{#if}}", false),
        ] {
            let text = new_agent("a", "", &[], None, None, &[], &[], prompt);
            let (read, _) = prompt::read(&text, "a.prompt");
            assert_eq!(read.expect("it is sound").body.trim_end() == prompt, is_body, "{prompt:?}");
        }
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(any::<String>(), 0..4)
    }

    fn braces() -> impl Strategy<Value = String> {
        let pieces = prop::sample::select(vec![
            "{{", "}}", "{", "\\", "---\n", "\n", " ", "role", "a", "#if ", "!--", "~", "/", "é",
        ]);
        prop::collection::vec(pieces, 0..20).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn any_text_reads_back(
            name in any::<String>(), description in any::<String>(), tags in texts(), model in any::<Option<String>>(),
            max_steps in any::<Option<i64>>(), tools in texts(), agents in texts(), prompt in any::<String>(),
        ) {
            let text = new_agent(&name, &description, &tags, model.as_deref(), max_steps, &tools, &agents, &prompt);
            let (read, problems) = prompt::read(&text, "");
            let read = read.unwrap_or_else(|| panic!("{problems:?}"));
            prop_assert_eq!(read.name, Some(name));
            prop_assert_eq!(read.description, description);
            prop_assert_eq!(read.tags, tags);
            prop_assert_eq!(read.models, model.into_iter().filter(|model| !model.trim().is_empty()).collect::<Vec<_>>());
            prop_assert_eq!(read.max_steps, max_steps);
            prop_assert_eq!(read.tools, tools);
            prop_assert_eq!(read.agents, agents);
        }

        #[test]
        fn a_plain_prompt_is_rendered_as_it_is(prompt in prop_oneof![any::<String>(), braces()]) {
            prop_assume!(!is_template(&prompt));
            let text = new_agent("a", "", &[], None, None, &[], &[], &prompt);
            let (read, problems) = prompt::read(&text, "");
            let read = read.unwrap_or_else(|| panic!("{problems:?}"));
            let rendered = render(&read, "the task", &BTreeMap::new()).map_err(|problem| TestCaseError::fail(problem.to_string()))?;
            prop_assert_eq!(rendered.system, prompt.trim());
            prop_assert_eq!(rendered.turns, vec![crate::Message::User { text: "the task".to_owned() }]);
        }
    }
}

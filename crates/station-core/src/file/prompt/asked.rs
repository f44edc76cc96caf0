//! Which variables a prompt asks for, found without filling it in.
//!
//! Found by looking at words and not by following the template: which of its parts are reached depends on values. So
//! there are two answers, for two questions: the names that are certainly variables, for "did you mean"; and whether a
//! name may be one, where a no must be right.

use super::Prompt;
use crate::file::render::tags;
use std::collections::BTreeSet;

impl Prompt {
    /// The names that it certainly asks for: those of its input, and tags that are nothing but a name.
    #[must_use]
    pub fn variables(&self) -> BTreeSet<String> {
        let asked = tagged(&self.body).filter_map(|tag| match words(tag).collect::<Vec<_>>()[..] {
            [name] if name == tag.trim_matches(['{', '~', ' ']) && name != "else" => Some(name.to_owned()),
            _ => None,
        });
        asked.chain(self.input_names().map(str::to_owned)).collect()
    }

    /// Whether it may ask for the variable `name`: somewhere in a tag, or in its input.
    #[must_use]
    pub fn may_ask_for(&self, name: &str) -> bool {
        self.input_names().any(|it| it == name)
            || tagged(&self.body).flat_map(words).any(|word| word == name || word == "this" || word == "root")
    }

    fn input_names(&self) -> impl Iterator<Item = &str> {
        let schema = self.input_schema.as_ref().and_then(|schema| schema["properties"].as_object());
        schema
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
            .chain(self.input_defaults.keys())
            .map(String::as_str)
    }
}

/// What stands between braces.
fn tagged(body: &str) -> impl Iterator<Item = &str> {
    tags::of(body).filter_map(|tag| tag.inside)
}

fn words(tag: &str) -> impl Iterator<Item = &str> {
    tag.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-')).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::file::prompt::read;

    #[test]
    fn what_a_prompt_asks_for_is_found_without_filling_it() {
        let check = |front: &str, body: &str, certain: &str, may: &[&str], never: &[&str]| {
            let (prompt, _) = read(&format!("---\nname: a\n{front}---\n{body}\n"), "agents/a.prompt");
            let prompt = prompt.expect("it can be read");
            let found: Vec<String> = prompt.variables().into_iter().collect();
            assert_eq!(found.join(" "), certain, "{body}");
            assert!(may.iter().all(|name| prompt.may_ask_for(name)), "{body}: {may:?}");
            assert!(!never.iter().any(|name| prompt.may_ask_for(name)), "{body}: {never:?}");
        };
        check(
            "",
            "Hello {{who}}, {{~ team_name }}. who else?",
            "team_name who",
            &["who"],
            &["Hello", "whom"],
        );
        check("", "{{#if calm}}x{{else}}{{json log-path}}{{/if}}", "", &["calm", "log-path"], &["x", "log"]);
        check("input: {schema: {region: string}}\n", "plain", "region", &["region"], &["plain", "userInput"]);
        check("input: {default: {mood: calm}}\n", "{{mood}} {{who.name}}", "mood", &["who", "name"], &["x"]);
        check("", "{{#each this}}{{@key}}{{/each}}", "", &["anything"], &[]);
        check("", "", "", &[], &["x"]);
    }
}

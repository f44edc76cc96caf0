//! Several fields of an agent's file changed at once, each where it stands.

use super::body::set_body;
use super::page::Form;
use super::set::{Field, set_field};
use super::unset::unset_field;
use crate::file::prompt::{self, CRON_HINT, Prompt, is_cron};
use crate::file::tree::Node;
use crate::file::{Problem, Severity};
use crate::near;

/// What is to change; what is `None` or unchanged stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentEdit {
    /// One line.
    pub description: Option<String>,
    /// The prompt whole.
    pub prompt: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Its limit of steps.
    pub max_steps: Option<i64>,
    /// Its granted tools.
    pub tools: Names,
    /// Agents it may call.
    pub agents: Names,
    /// Its tags.
    pub tags: Names,
    /// When it is to run, as cron.
    pub schedule: Option<String>,
    /// Fields that are taken out.
    pub unset: Vec<Unset>,
}

/// A change to a list of names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The list is to be this, before the two below.
    pub be: Option<Vec<String>>,
    /// Put behind it, where it is not there yet.
    pub add: Vec<String>,
    /// Taken out; each must be there.
    pub remove: Vec<String>,
}

/// A field that can be taken out of an agent's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// The configured model is asked.
    Model,
    /// The limit is computed for each run.
    MaxSteps,
    /// Nothing is granted.
    Tools,
    /// No other agent may be called.
    Agents,
    /// No tags.
    Tags,
    /// It runs when it is told to.
    Schedule,
}

impl Unset {
    /// All of them, with the words that people type.
    pub const ALL: [(&'static str, Self); 6] = [
        ("model", Self::Model),
        ("max_steps", Self::MaxSteps),
        ("tools", Self::Tools),
        ("agents", Self::Agents),
        ("tags", Self::Tags),
        ("schedule", Self::Schedule),
    ];

    /// Reads its name, with `-` as well; the error lists all of them.
    ///
    /// # Errors
    /// Where it is none.
    pub fn from_word(word: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == word.replace('-', "_"));
        found.map(|(_, field)| *field).ok_or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|(name, _)| *name).collect();
            format!("it is one of {}", words.join(", "))
        })
    }

    fn key(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::MaxSteps => "max_steps",
            Self::Tools => "tools",
            Self::Agents => "agents",
            Self::Tags => "metadata.tags",
            Self::Schedule => "schedule",
        }
    }
}

impl AgentEdit {
    /// Why this cannot be done to any file: an empty name, no cron, or a field that is changed and taken out at once.
    ///
    /// # Errors
    /// A problem without a path.
    pub fn check(&self) -> Result<(), Problem> {
        let named =
            |names: &Names| names.be.iter().flatten().chain(&names.add).any(|name| name.trim().is_empty());
        let empty = [
            ("model", self.model.as_deref().is_some_and(|model| model.trim().is_empty())),
            ("tools", named(&self.tools)),
            ("agents", named(&self.agents)),
            ("tags", named(&self.tags)),
        ];
        if let Some((field, _)) = empty.iter().find(|(_, is_empty)| *is_empty) {
            let hint = format!("to have none, take `{field}` out");
            return Err(problem(format!("an empty text is nothing that `{field}` could name"), Some(hint)));
        }
        if let Some(cron) = self.schedule.as_deref().filter(|cron| !is_cron(cron)) {
            let sentence = format!("`{}` is no cron expression", cron.escape_debug());
            return Err(problem(sentence, Some(CRON_HINT.to_owned())));
        }
        let is_changed = |names: &Names| *names != Names::default();
        let changed = |field: &Unset| match field {
            Unset::Model => self.model.is_some(),
            Unset::MaxSteps => self.max_steps.is_some(),
            Unset::Tools => is_changed(&self.tools),
            Unset::Agents => is_changed(&self.agents),
            Unset::Tags => is_changed(&self.tags),
            Unset::Schedule => self.schedule.is_some(),
        };
        match self.unset.iter().find(|field| changed(field)) {
            None => Ok(()),
            Some(field) => {
                let word = Unset::ALL.iter().find(|(_, known)| known == field).map_or("it", |(word, _)| word);
                let sentence = format!("`{word}` is to be changed and to be taken out");
                Err(problem(sentence, Some("say one of the two".to_owned())))
            }
        }
    }

    /// Whether nothing is to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// `text`, an agent's file, changed as `edit` says. All of it or none.
///
/// # Errors
/// A problem without a path: the file is broken, a field cannot be changed alone, or a name to remove is not there.
pub fn edit_agent(text: &str, edit: &AgentEdit) -> Result<String, Problem> {
    let was = Was::read(text)?;
    let mut edited = text.to_owned();
    for (key, field) in fields(&was, edit)? {
        edited = set_field(&edited, key, &field.as_field())?;
    }
    for field in &edit.unset {
        edited = unset_field(&edited, field.key())?;
    }
    match &edit.prompt {
        Some(prompt) => set_body(&edited, prompt),
        None => Ok(edited),
    }
}

/// `text`, an agent's file, as that of the agent `name`: where it says a name, it says this one.
///
/// # Errors
/// As [`edit_agent`].
pub fn rename_agent(text: &str, name: &str) -> Result<String, Problem> {
    let was = Was::read(text)?;
    match &was.prompt.name {
        Some(written) if written != name => set_field(text, was.key_of("name"), &Field::Text(name)),
        _ => Ok(text.to_owned()),
    }
}

/// A file before it is changed.
struct Was {
    prompt: Prompt,
    front: Option<Node>,
}

impl Was {
    fn read(text: &str) -> Result<Self, Problem> {
        let (prompt, problems) = prompt::read(text, "");
        let Some(prompt) = prompt else {
            let broken = problems.into_iter().find(|problem| problem.severity == Severity::Error);
            return Err(broken.unwrap_or_else(|| problem("the file cannot be read".to_owned(), None)));
        };
        let bare = text.strip_prefix('\u{feff}').unwrap_or(text);
        // What could be read a moment ago can be read again.
        Ok(Self { prompt, front: Form::Prompt.read(bare).ok().flatten() })
    }

    /// Where `name` and `description` stand: under `metadata`, except where the file has them at the top alone.
    fn key_of(&self, key: &'static str) -> &'static str {
        let below = |front: &Node| front.get("metadata").is_some_and(|metadata| metadata.get(key).is_some());
        match (key, &self.front) {
            (_, Some(front)) if front.get(key).is_some() && !below(front) => key,
            ("name", _) => "metadata.name",
            _ => "metadata.description",
        }
    }

    fn key_of_schedule(&self) -> &'static str {
        let node = self.front.as_ref().and_then(|front| front.get("schedule"));
        if node.is_some_and(|node| !node.is_null() && node.scalar().is_some()) {
            "schedule"
        } else {
            "schedule.cron"
        }
    }
}

/// A field's new value, owned.
enum New {
    Text(String),
    Number(i64),
    List(Vec<String>),
}

impl New {
    fn as_field(&self) -> Field<'_> {
        match self {
            Self::Text(text) => Field::Text(text),
            Self::Number(number) => Field::Number(*number),
            Self::List(items) => Field::List(items),
        }
    }
}

fn fields(was: &Was, edit: &AgentEdit) -> Result<Vec<(&'static str, New)>, Problem> {
    let text = |key, text: &Option<String>| text.clone().map(|text| (key, New::Text(text)));
    let mut fields = Vec::new();
    fields.extend(text(was.key_of("description"), &edit.description));
    fields.extend(text("model", &edit.model));
    fields.extend(edit.max_steps.map(|n| ("max_steps", New::Number(n))));
    for (key, noun, was, names) in [
        ("tools", "grant", &was.prompt.tools, &edit.tools),
        ("agents", "agent", &was.prompt.agents, &edit.agents),
        ("metadata.tags", "tag", &was.prompt.tags, &edit.tags),
    ] {
        fields.extend(changed(noun, was, names)?.map(|list| (key, New::List(list))));
    }
    fields.extend(text(was.key_of_schedule(), &edit.schedule));
    Ok(fields)
}

/// The list after the change; `None` where it stays.
fn changed(noun: &str, was: &[String], names: &Names) -> Result<Option<Vec<String>>, Problem> {
    let mut list = names.be.clone().unwrap_or_else(|| was.to_vec());
    for name in &names.remove {
        let Some(at) = list.iter().position(|known| known == name) else {
            let hint = near::hint(name, list.iter().map(String::as_str));
            return Err(problem(format!("the agent has no {noun} `{name}` to remove"), hint));
        };
        list.remove(at);
    }
    for name in &names.add {
        if !list.contains(name) {
            list.push(name.clone());
        }
    }
    Ok((list != was).then_some(list))
}

fn problem(sentence: String, hint: Option<String>) -> Problem {
    Problem { severity: Severity::Error, path: String::new(), at: None, sentence, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "---\n# who\nmetadata:\n  name: \"a\" # n\n  description: \"old\"\nmodel: x # m\ntools:\n  - \"__read\" # r\n  - \"__write\"\nharness: {kept: 1}\n---\n\n{{role \"system\"}}\nOld.\n";

    #[track_caller]
    fn check(edit: &AgentEdit, changes: &[(&str, &str)]) {
        let expected = changes.iter().fold(TEXT.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        assert_eq!(edit_agent(TEXT, edit), Ok(expected));
    }

    fn names(add: &[&str], remove: &[&str]) -> Names {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Names { be: None, add: owned(add), remove: owned(remove) }
    }

    #[test]
    fn only_what_is_named_changes() {
        let edit = AgentEdit::default;
        check(&edit(), &[]);
        check(
            &AgentEdit { description: Some("new".to_owned()), model: Some("z".to_owned()), ..edit() },
            &[("\"old\"", "new"), ("x # m", "z # m")],
        );
        check(&AgentEdit { max_steps: Some(3), ..edit() }, &[("1}\n", "1}\nmax_steps: 3\n")]);
        check(&AgentEdit { tools: names(&["__ls"], &["__write"]), ..edit() }, &[("\"__write\"", "\"__ls\"")]);
        check(&AgentEdit { tools: names(&["__read"], &[]), ..edit() }, &[]);
        check(&AgentEdit { unset: vec![Unset::Model, Unset::Schedule], ..edit() }, &[("model: x # m\n", "")]);
        check(
            &AgentEdit { schedule: Some("0 9 * * *".to_owned()), ..edit() },
            &[("1}\n", "1}\nschedule:\n  cron: \"0 9 * * *\"\n")],
        );
        check(
            &AgentEdit { prompt: Some("New {{userInput}}".to_owned()), ..edit() },
            &[("\n{{role \"system\"}}\nOld.\n", "New {{userInput}}\n")],
        );
    }

    #[test]
    fn a_name_that_is_not_there_is_not_removed() {
        let edit = AgentEdit { tools: names(&[], &["__wriet"]), ..AgentEdit::default() };
        let problem = edit_agent(TEXT, &edit).expect_err("there is none");
        assert_eq!(problem.to_string(), "the agent has no grant `__wriet` to remove");
        assert_eq!(problem.hint.as_deref(), Some("did you mean `__write`?"));
        assert!(edit_agent("---\nmodel: [\n---\n", &AgentEdit::default()).is_err());
    }

    #[test]
    fn a_name_is_changed_where_it_is_said() {
        assert_eq!(rename_agent(TEXT, "b"), Ok(TEXT.replace("\"a\" # n", "b # n")));
        let top = "---\nname: a\n---\nx\n";
        assert_eq!(rename_agent(top, "b").as_deref(), Ok("---\nname: b\n---\nx\n"));
        let none = "---\nmodel: a\n---\nx\n";
        assert_eq!(rename_agent(none, "b").as_deref(), Ok(none));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let edit = AgentEdit::default;
        let text = |text: &str| Some(text.to_owned());
        for (edit, expected) in [
            (AgentEdit { model: text(""), ..edit() }, "an empty text is nothing that `model` could name"),
            (
                AgentEdit { tools: names(&[" "], &[]), ..edit() },
                "an empty text is nothing that `tools` could name",
            ),
            (AgentEdit { schedule: text("zz"), ..edit() }, "`zz` is no cron expression"),
            (
                AgentEdit { max_steps: Some(3), unset: vec![Unset::MaxSteps], ..edit() },
                "`max_steps` is to be changed and to be taken out",
            ),
            (
                AgentEdit { tools: names(&[], &["__read"]), unset: vec![Unset::Tools], ..edit() },
                "`tools` is to be changed and to be taken out",
            ),
        ] {
            assert_eq!(edit.check().map_err(|it| it.sentence), Err(expected.to_owned()));
        }
        assert!(
            AgentEdit { schedule: text("0 9 * * *"), unset: vec![Unset::Model], ..edit() }.check().is_ok()
        );
    }
}

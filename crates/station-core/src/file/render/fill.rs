//! Template, task and variables to messages.

use super::compile::compile;
use super::words::{Unset, registry};
use crate::Message;
use crate::file::prompt::Prompt;
use crate::file::sheet::Fault;
use crate::file::{Position, Problem, Severity};
use crate::schema;
use handlebars::{Context, Output, RenderContext, RenderError, RenderErrorReason, Renderable, Template};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::io;

/// Longest rendered prompt: no model takes more, and a loop in a template could write without end.
const RENDERED_BYTES_MAX: usize = 1024 * 1024;

/// The variable that holds the task.
const TASK: &str = "userInput";

/// What the model is told first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The system prompt; may be empty.
    pub system: String,
    /// The turns after it, users' and assistants' alone. The last is a user's, and a user's turn holds the task.
    pub turns: Vec<Message>,
    /// Variables that the body asks for and that nobody set, in the order of asking: they were left empty.
    pub unset: Vec<String>,
    /// How the variables do not fit the input schema, in sentences. The prompt is rendered all the same.
    pub misfits: Vec<String>,
}

/// Fills the body of `prompt` with `task` and `variables`; defaults of the file stand behind them.
///
/// A body without role marks is the system prompt. Where no user's turn holds the task, or the last turn is not a
/// user's, the task is added as the last turn. Text before the first role mark, and after `{{history}}` without a mark
/// of its own, is the user's.
///
/// # Errors
/// A problem with its place in the file: the template is broken, a word is unknown, or the result is too long.
pub fn render(prompt: &Prompt, task: &str, variables: &BTreeMap<String, Value>) -> Result<Rendered, Problem> {
    let mut input = prompt.input_defaults.clone();
    input.extend(variables.iter().map(|(name, value)| (name.clone(), value.clone())));
    let misfits = misfits(prompt, &input, task);
    fill(&prompt.body, task, input).map(|rendered| Rendered { misfits, ..rendered }).map_err(|fault| {
        Problem {
            severity: Severity::Error,
            path: prompt.path.clone(),
            at: fault.at.map(|at| Position { line: at.line + prompt.body_line, ..at }),
            sentence: fault.sentence,
            hint: fault.hint,
        }
    })
}

fn misfits(prompt: &Prompt, input: &Map<String, Value>, task: &str) -> Vec<String> {
    let Some(schema) = &prompt.input_schema else {
        return Vec::new();
    };
    let mut instance = input.clone();
    if schema.pointer(&format!("/properties/{TASK}")).is_some() {
        instance.insert(TASK.to_owned(), Value::from(task));
    }
    schema::check(schema, &Value::Object(instance))
}

fn fill(body: &str, task: &str, mut input: Map<String, Value>) -> Result<Rendered, Fault> {
    let template = compile(body)?;
    let [mark, probe] = unused_chars(body, task, &input)?;
    let unset = Unset::default();
    input.insert(TASK.to_owned(), Value::from(task));
    let (system, mut turns) = cut(&run(&template, &input, mark, &unset)?, mark);
    if !(ends_with_user(&turns) && holds_task(&template, body, input, [mark, probe])?) {
        turns.push(Message::User { text: task.trim().to_owned() });
    }
    Ok(Rendered { system, turns, unset: unset.into_names(), misfits: Vec::new() })
}

fn ends_with_user(turns: &[Message]) -> bool {
    matches!(turns.last(), Some(Message::User { .. }))
}

/// Whether a user's turn holds the task: asked by rendering once more with a task of one character that is nowhere
/// else, because the task itself may be a word that the body has anyway.
fn holds_task(
    template: &Template,
    body: &str,
    mut input: Map<String, Value>,
    [mark, probe]: [char; 2],
) -> Result<bool, Fault> {
    if !body.contains(TASK) {
        return Ok(false);
    }
    input.insert(TASK.to_owned(), Value::from(probe.to_string()));
    let (_, turns) = cut(&run(template, &input, mark, &Unset::default())?, mark);
    Ok(turns.iter().any(|turn| matches!(turn, Message::User { text } if text.contains(probe))))
}

/// Two characters that are in no input. What no input holds, no joining of inputs can make.
fn unused_chars(body: &str, task: &str, input: &Map<String, Value>) -> Result<[char; 2], Fault> {
    let mut used: HashSet<char> = body.chars().chain(task.chars()).collect();
    input.iter().for_each(|(name, value)| collect_chars(name, value, &mut used));
    // Private use first: nobody gives these a meaning, and no escape of four digits can write them.
    let mut free = ('\u{f0000}'..=char::MAX).chain('\u{100}'..'\u{f0000}').filter(|c| !used.contains(c));
    match (free.next(), free.next()) {
        (Some(mark), Some(probe)) => Ok([mark, probe]),
        _ => Err(Fault::new(None, "the task and the variables use every character there is")),
    }
}

fn collect_chars(name: &str, value: &Value, used: &mut HashSet<char>) {
    used.extend(name.chars());
    match value {
        Value::String(text) => used.extend(text.chars()),
        Value::Array(items) => items.iter().for_each(|item| collect_chars("", item, used)),
        Value::Object(fields) => fields.iter().for_each(|(name, value)| collect_chars(name, value, used)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn run(template: &Template, input: &Map<String, Value>, mark: char, unset: &Unset) -> Result<String, Fault> {
    let registry = registry(mark, unset);
    let context = Context::wraps(input).map_err(|error| fault(&error))?;
    let mut out = Bounded::default();
    match template.render(&registry, &context, &mut RenderContext::new(None), &mut out) {
        Ok(()) => Ok(out.text),
        Err(_) if out.is_full => Err(Fault::new(None, "the rendered prompt is longer than 1 MiB")
            .with_hint("give a shorter task or variable")),
        Err(error) => Err(fault(&error)),
    }
}

fn fault(error: &RenderError) -> Fault {
    let at = match (error.line_no, error.column_no) {
        (Some(line), Some(column)) => Some(Position { line: line.max(1), column: column.max(1) }),
        _ => None,
    };
    match error.reason() {
        RenderErrorReason::HelperNotFound(name) => {
            Fault::new(at, format!("`{name}` is neither a variable nor a word of templates"))
                .with_hint("a variable stands alone: `{{name}}`")
        }
        reason => Fault::new(at, format!("the template cannot be filled: {reason}")),
    }
}

/// Output that ends at the limit.
#[derive(Default)]
struct Bounded {
    text: String,
    is_full: bool,
}

impl Output for Bounded {
    fn write(&mut self, text: &str) -> io::Result<()> {
        if self.text.len() + text.len() > RENDERED_BYTES_MAX {
            self.is_full = true;
            return Err(io::Error::other("full"));
        }
        self.text.push_str(text);
        Ok(())
    }
}

/// Who speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    System,
    User,
    Assistant,
}

/// Cuts the output at its marks: `mark`, a role, `mark`.
fn cut(text: &str, mark: char) -> (String, Vec<Message>) {
    let mut pieces = text.split(mark);
    let first = pieces.next().unwrap_or_default();
    let mut said = vec![(Role::User, first)];
    let mut has_role = false;
    while let (Some(word), Some(text)) = (pieces.next(), pieces.next()) {
        has_role |= word != "history";
        let role = match word {
            "system" => Role::System,
            "model" | "assistant" => Role::Assistant,
            _ => Role::User,
        };
        said.push((role, text));
    }
    if !has_role {
        said.iter_mut().for_each(|(role, _)| *role = Role::System);
    }
    let mut system: Vec<&str> = Vec::new();
    let mut turns = Vec::new();
    for (role, text) in
        said.into_iter().map(|(role, text)| (role, text.trim())).filter(|(_, text)| !text.is_empty())
    {
        match role {
            Role::System => system.push(text),
            Role::User => turns.push(Message::User { text: text.to_owned() }),
            Role::Assistant => {
                turns.push(Message::Assistant { text: text.to_owned(), calls: Vec::new(), thinking: None });
            }
        }
    }
    (system.join("\n\n"), turns)
}

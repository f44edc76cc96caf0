//! Front matter to a [`Prompt`], with everything there is to say about the file.

use super::schema::schema_of;
use super::split;
use crate::budget::Limits;
use crate::file::sheet::Sheet;
use crate::file::tree::{Member, Node, Value as Tree};
use crate::file::{Position, Problem, render, yaml};
use crate::run::{Effort, STEPS_MAX, Settings, UnknownPolicy};
use croner::parser::{CronParser, Seconds};
use serde_json::{Map, Value};

/// What an agent's file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prompt {
    /// The name as written; the file's name counts.
    pub name: Option<String>,
    /// One line for people and for models; empty where none is written.
    pub description: String,
    /// Tags, in file order.
    pub tags: Vec<String>,
    /// Models as written, in the order in which they are tried; empty means the configured one.
    pub models: Vec<String>,
    /// `max_steps` as written, also outside of 1–25.
    pub max_steps: Option<i64>,
    /// Grants as written, in file order.
    pub tools: Vec<String>,
    /// Other agents as written, in file order.
    pub agents: Vec<String>,
    /// JSON Schema of the variables, `userInput` included where it names it.
    pub input_schema: Option<Value>,
    /// Values of variables that nobody gives.
    pub input_defaults: Map<String, Value>,
    /// JSON Schema of the answer.
    pub output_schema: Option<Value>,
    /// Model settings.
    pub settings: Settings,
    /// The schedule as written; nothing fires it in this release.
    pub schedule: Option<Schedule>,
    /// Longest time of one run, in seconds.
    pub timeout_s: Option<u64>,
    /// What its runs may spend.
    pub limits: Limits,
    /// What to do with an unknown effect that must not be repeated.
    pub unknown: UnknownPolicy,
    /// Tools that a person must approve, as patterns.
    pub approve: Vec<String>,
    /// The Handlebars body, byte for byte.
    pub body: String,
    /// Lines of the file before the body, so that a place in the body is a place in the file.
    pub body_line: usize,
    /// The file as shown to people.
    pub path: String,
}

/// When an agent runs by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Five or six fields.
    pub cron: String,
    /// Whether it is on.
    pub enabled: bool,
    /// Variables of the runs it starts.
    pub variables: Map<String, Value>,
}

/// Reads an agent's file; `None` where a problem is an error. Problems are in file order.
#[must_use]
pub fn read(text: &str, path: &str) -> (Option<Prompt>, Vec<Problem>) {
    let mut sheet = Sheet::new(text, path);
    if sheet.is_broken() {
        return (None, sheet.into_problems());
    }
    let text = sheet.text;
    let parts = match split(text) {
        Ok(parts) => parts,
        Err(fault) => {
            sheet.fault(fault);
            return (None, sheet.into_problems());
        }
    };
    let mut draft =
        Draft { prompt: Prompt { path: path.to_owned(), ..Prompt::default() }, ..Draft::default() };
    match yaml::parse(&text[..parts.front.end]) {
        Ok(Some(root)) if !root.is_null() => draft.take_root(&mut sheet, &root),
        Ok(_) => {}
        Err(fault) => sheet.fault(fault),
    }
    let mut prompt = draft.finish();
    prompt.body = text[parts.body..].to_owned();
    prompt.body_line = text[..parts.body].matches('\n').count();
    if let Err(mut fault) = render::check(&prompt.body) {
        fault.at = fault.at.map(|at| Position { line: at.line + prompt.body_line, ..at });
        sheet.fault(fault);
    }
    let (prompt, mut problems) = sheet.finish(prompt);
    problems.sort_by_key(|problem| problem.at);
    (prompt, problems)
}

/// A prompt while its keys are read: what the top level says waits for what `metadata` says.
#[derive(Default)]
struct Draft {
    prompt: Prompt,
    top_name: Option<String>,
    top_description: Option<String>,
    description: Option<String>,
    bare_output_schema: Option<Value>,
}

impl Draft {
    fn finish(self) -> Prompt {
        let mut prompt = self.prompt;
        prompt.name = prompt.name.or(self.top_name);
        prompt.description = self.description.or(self.top_description).unwrap_or_default();
        prompt.output_schema = prompt.output_schema.or(self.bare_output_schema);
        prompt
    }

    fn take_root(&mut self, sheet: &mut Sheet<'_>, root: &Node) {
        for member in sheet.members(root, "the front matter") {
            self.take(sheet, member);
        }
    }

    fn take(&mut self, sheet: &mut Sheet<'_>, member: &Member) {
        let (node, prompt) = (&member.node, &mut self.prompt);
        if node.is_null() && is_known(&member.key) {
            return;
        }
        match member.key.as_str() {
            "metadata" => self.take_metadata(sheet, node),
            "name" => self.top_name = name(sheet, node, "name", &prompt.path),
            "description" => self.top_description = sheet.text(node, "description"),
            "model" => prompt.models = models(sheet, node),
            "max_steps" => prompt.max_steps = max_steps(sheet, node),
            "tools" => prompt.tools = sheet.texts(node, "tools"),
            "agents" => prompt.agents = sheet.texts(node, "agents"),
            "config" => take_config(sheet, node, &mut prompt.settings),
            "input" => take_input(sheet, node, prompt),
            "output" => take_output(sheet, node, prompt),
            "output_schema" => self.bare_output_schema = schema_of(sheet, node, "output_schema"),
            "schedule" => {
                sheet.without_effect(member.at, "schedule");
                prompt.schedule = schedule(sheet, node);
            }
            "station" => take_station(sheet, node, prompt),
            key => sheet.unknown(member.at, key, &KEYS),
        }
    }

    fn take_metadata(&mut self, sheet: &mut Sheet<'_>, node: &Node) {
        for member in sheet.members(node, "metadata") {
            let node = &member.node;
            match member.key.as_str() {
                "name" | "description" | "tags" if node.is_null() => {}
                "name" => self.prompt.name = name(sheet, node, "metadata.name", &self.prompt.path),
                "description" => self.description = sheet.text(node, "metadata.description"),
                "tags" => self.prompt.tags = sheet.texts(node, "metadata.tags"),
                key => {
                    sheet.unknown(member.at, &format!("metadata.{key}"), &["name", "description", "tags"]);
                }
            }
        }
    }
}

/// The keys of the front matter that have effect, or will have.
const KEYS: [&str; 13] = [
    "metadata",
    "name",
    "description",
    "model",
    "max_steps",
    "tools",
    "agents",
    "config",
    "input",
    "output",
    "output_schema",
    "schedule",
    "station",
];

fn is_known(key: &str) -> bool {
    KEYS.contains(&key)
}

fn name(sheet: &mut Sheet<'_>, node: &Node, what: &str, path: &str) -> Option<String> {
    let name = sheet.text(node, what)?;
    let file = path.rsplit('/').next().and_then(|file| file.strip_suffix(".prompt"));
    if let Some(file) = file
        && file != name
    {
        sheet.warning(
            node.at,
            format!("the file's name is the agent's name: `{file}`, not `{}`", name.escape_debug()),
            format!("rename the file, or write `{file}` here"),
        );
    }
    Some(name)
}

fn models(sheet: &mut Sheet<'_>, node: &Node) -> Vec<String> {
    let models = sheet.texts(node, "model");
    models.into_iter().filter(|model| !model.trim().is_empty()).collect()
}

fn max_steps(sheet: &mut Sheet<'_>, node: &Node) -> Option<i64> {
    let steps = sheet.value(node, "max_steps", "a whole number", |text| text.parse::<i64>().ok())?;
    let used = steps.clamp(1, i64::from(STEPS_MAX));
    if used != steps {
        let hint = format!("a run takes {used}; write a number from 1 to {STEPS_MAX}");
        sheet.warning(node.at, format!("`max_steps` is {steps}, outside of 1 to {STEPS_MAX}"), hint);
    }
    Some(steps)
}

/// The keys of `config`, one spelling each: another way to write one is no slip.
const CONFIG: [&str; 5] = ["temperature", "top_p", "max_output_tokens", "reasoning_effort", "stop_sequences"];

fn take_config(sheet: &mut Sheet<'_>, node: &Node, settings: &mut Settings) {
    for member in sheet.members(node, "config") {
        let (node, what) = (&member.node, format!("config.{}", member.key));
        match member.key.as_str() {
            "temperature" => settings.temperature = float(sheet, node, &what),
            "top_p" | "topP" => settings.top_p = float(sheet, node, &what),
            "max_tokens" | "maxTokens" | "max_output_tokens" | "maxOutputTokens" => {
                settings.max_output_tokens = sheet.number(node, &what, 1);
            }
            "reasoning_effort" | "reasoningEffort" | "effort" => {
                settings.effort = sheet.value(node, &what, "`low`, `medium` or `high`", Effort::of);
            }
            "stop" | "stop_sequences" | "stopSequences" => settings.stop = sheet.texts(node, &what),
            // A setting of others, and no slip of `topP`.
            "top_k" | "topK" => sheet.without_effect(member.at, &what),
            _ => sheet.unknown(member.at, &what, &CONFIG),
        }
    }
}

fn float(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Option<f64> {
    sheet.value(node, what, "a number of 0 or more", |text| {
        text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
    })
}

fn take_input(sheet: &mut Sheet<'_>, node: &Node, prompt: &mut Prompt) {
    for member in sheet.members(node, "input") {
        match member.key.as_str() {
            "schema" => prompt.input_schema = schema_of(sheet, &member.node, "input.schema"),
            "default" => prompt.input_defaults = fields(sheet, &member.node, "input.default"),
            key => sheet.unknown(member.at, &format!("input.{key}"), &["schema", "default"]),
        }
    }
}

fn take_output(sheet: &mut Sheet<'_>, node: &Node, prompt: &mut Prompt) {
    let mut format = None;
    for member in sheet.members(node, "output") {
        match member.key.as_str() {
            "schema" => prompt.output_schema = schema_of(sheet, &member.node, "output.schema"),
            "format" => format = Some(member),
            key => sheet.unknown(member.at, &format!("output.{key}"), &["schema", "format"]),
        }
    }
    let Some(member) = format else { return };
    let Some(is_json) = sheet.value(&member.node, "output.format", "json or text", output_format) else {
        return;
    };
    match (is_json, &prompt.output_schema) {
        (true, None) => {
            sheet.warning(
                member.at,
                "`output.format: json` has no effect without a schema",
                "add `output.schema`",
            );
        }
        (false, Some(_)) => {
            let hint = "the answer is JSON that fits the schema; remove one of the two";
            sheet.warning(member.at, "`output.format: text` has no effect beside a schema", hint);
        }
        (true, Some(_)) | (false, None) => {}
    }
}

/// Whether it is JSON.
fn output_format(word: &str) -> Option<bool> {
    match word {
        "json" => Some(true),
        "text" => Some(false),
        _ => None,
    }
}

fn schedule(sheet: &mut Sheet<'_>, node: &Node) -> Option<Schedule> {
    let mut schedule = Schedule { cron: String::new(), enabled: true, variables: Map::new() };
    let mut cron_at = node;
    if node.scalar().is_some() {
        schedule.cron = sheet.text(node, "schedule")?;
    } else {
        for member in sheet.members(node, "schedule") {
            let (node, what) = (&member.node, format!("schedule.{}", member.key));
            match member.key.as_str() {
                "cron" => {
                    schedule.cron = sheet.text(node, &what)?;
                    cron_at = node;
                }
                "enabled" => {
                    schedule.enabled = sheet.value(node, &what, "true or false", truth).unwrap_or(true);
                }
                "variables" => schedule.variables = fields(sheet, node, &what),
                _ => sheet.unknown(member.at, &what, &["cron", "enabled", "variables"]),
            }
        }
    }
    if !is_cron(&schedule.cron) {
        sheet.warning(cron_at.at, "this cron expression is not understood", CRON_HINT);
    }
    Some(schedule)
}

/// What a cron expression is.
pub(in crate::file) const CRON_HINT: &str = "write five fields, or six with seconds first, e.g. `0 9 * * *`";

/// Whether `text` is one.
pub(in crate::file) fn is_cron(text: &str) -> bool {
    CronParser::builder().seconds(Seconds::Optional).build().parse(text).is_ok()
}

fn truth(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

fn take_station(sheet: &mut Sheet<'_>, node: &Node, prompt: &mut Prompt) {
    for member in sheet.members(node, "station") {
        let (node, what) = (&member.node, format!("station.{}", member.key));
        match member.key.as_str() {
            "timeout_s" => prompt.timeout_s = sheet.number(node, &what, 1),
            "unknown" => {
                prompt.unknown = sheet.value(node, &what, "tell or park", policy).unwrap_or_default();
            }
            "approve" => prompt.approve = sheet.texts(node, &what),
            "limits" => {
                for limit in sheet.members(node, &what) {
                    match limit.key.as_str() {
                        "timeout_s" => {
                            let what = format!("{what}.{}", limit.key);
                            prompt.timeout_s = sheet.number(&limit.node, &what, 1);
                        }
                        _ => sheet.limit(limit, &what, &mut prompt.limits),
                    }
                }
            }
            _ => sheet.unknown(member.at, &what, &["timeout_s", "unknown", "approve", "limits"]),
        }
    }
}

fn policy(word: &str) -> Option<UnknownPolicy> {
    match word {
        "tell" => Some(UnknownPolicy::Tell),
        "park" => Some(UnknownPolicy::Park),
        _ => None,
    }
}

fn fields(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Map<String, Value> {
    if node.is_null() {
        return Map::new();
    }
    sheet.members(node, what).iter().map(|member| (member.key.clone(), to_json(&member.node))).collect()
}

/// A value by YAML 1.2's core schema. What JSON cannot hold (`.inf`) stays a text.
pub(in crate::file) fn to_json(node: &Node) -> Value {
    match &node.value {
        Tree::Scalar(scalar) if !scalar.quoted => match scalar.shown().as_str() {
            _ if node.is_null() => Value::Null,
            "True" | "TRUE" => Value::Bool(true),
            "False" | "FALSE" => Value::Bool(false),
            _ => node.to_json(),
        },
        Tree::Scalar(_) => node.to_json(),
        Tree::List(items) => items.iter().map(to_json).collect(),
        Tree::Map(members) => {
            members.iter().map(|member| (member.key.clone(), to_json(&member.node))).collect()
        }
    }
}

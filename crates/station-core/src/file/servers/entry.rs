//! One server entry: how the server is reached, and the settings under `station`.

use super::answers::answers;
use super::oauth::oauth;
use super::sandbox::sandbox;
use crate::file::sheet::Sheet;
use crate::file::tree::{Member, Node, Scalar, Value};
use crate::is_number;
use crate::{Definition, Isolation, Role, ServerSettings};
use std::collections::{BTreeMap, BTreeSet};

/// Keys of an entry that need no effect here.
const QUIET: &[&str] = &[
    "$schema",
    "category",
    "description",
    "logoUrl",
    "metadata",
    "name",
    "tags",
    "title",
    "type",
    "version",
];

/// Keys of an entry that have effect.
const KEYS: &[&str] = &["command", "url", "args", "env", "headers", "cwd", "station"];

/// Keys of its `station` block.
const SETTINGS: &[&str] = &[
    "isolation",
    "cwd",
    "timeout_s",
    "concurrency",
    "output_bytes_max",
    "result_bytes_max",
    "allow_agents",
    "allow_roles",
    "answers",
    "sandbox",
    "oauth",
    "tools",
];

/// What an entry says. Holes are still shown as `{{ .NAME }}` where no values were filled in.
pub(super) fn entry(sheet: &mut Sheet<'_>, entry: &Member) -> Option<(Definition, ServerSettings)> {
    let name = entry.key.escape_debug().to_string();
    let mut parts = Parts::default();
    let mut settings = (ServerSettings::default(), None);
    for member in sheet.members(&entry.node, &name) {
        let what = format!("{name}.{}", member.key.escape_debug());
        let node = &member.node;
        match member.key.as_str() {
            "command" => parts.command = Some((member, sheet.text(node, &what))),
            "url" => parts.url = Some((member, sheet.text(node, &what))),
            "args" => parts.args = Some((member, sheet.texts(node, &what))),
            "env" => {
                parts.env = Some((member, map(sheet, node, &what)));
                check_env(sheet, node);
            }
            "headers" => parts.headers = Some((member, map(sheet, node, &what))),
            "cwd" if !node.is_null() => parts.cwd = sheet.text(node, &what),
            "station" => settings = station(sheet, node, &what),
            key if QUIET.contains(&key) || node.is_null() => {}
            _ => sheet.unknown(member.at, &what, KEYS),
        }
    }
    if is_number(&entry.key) {
        sheet.error_with_hint(
            entry.at,
            format!("`{name}` cannot be the name of a server: digits alone would be read as an id"),
            "give it another name, with a letter in it",
        );
        return None;
    }
    let (settings, cwd) = settings;
    parts.cwd = cwd.or(parts.cwd);
    if !matches!(entry.node.value, Value::Map(_)) {
        return None;
    }
    let definition = parts.definition(sheet, &name, entry.at)?;
    Some((definition, settings))
}

#[derive(Default)]
struct Parts<'n> {
    command: Option<(&'n Member, Option<String>)>,
    url: Option<(&'n Member, Option<String>)>,
    args: Option<(&'n Member, Vec<String>)>,
    env: Option<(&'n Member, BTreeMap<String, String>)>,
    headers: Option<(&'n Member, BTreeMap<String, String>)>,
    cwd: Option<String>,
}

impl Parts<'_> {
    fn definition(self, sheet: &mut Sheet<'_>, name: &str, at: usize) -> Option<Definition> {
        match (self.command, self.url) {
            (Some((member, command)), None) => {
                if let Some((headers, _)) = self.headers {
                    sheet.without_effect(headers.at, &format!("{name}.headers"));
                }
                let command = command?;
                if command.trim().is_empty() {
                    sheet.error(member.node.at, format!("`{name}.command` is empty"));
                    return None;
                }
                Some(Definition::Stdio {
                    command,
                    args: self.args.map(|(_, args)| args).unwrap_or_default(),
                    env: self.env.map(|(_, env)| env).unwrap_or_default(),
                    cwd: self.cwd,
                    filled: Vec::new(),
                })
            }
            (None, Some((member, url))) => {
                let idle = [self.args.map(|args| args.0), self.env.map(|env| env.0)];
                for member in idle.into_iter().flatten() {
                    sheet.without_effect(member.at, &format!("{name}.{}", member.key));
                }
                let url = url?;
                check_url(sheet, &member.node, name, &url);
                let headers = self.headers.map(|(_, headers)| headers).unwrap_or_default();
                Some(Definition::Http { url, headers, filled: Vec::new() })
            }
            (Some(_), Some((url, _))) => {
                sheet.error_with_hint(
                    url.at,
                    format!("server `{name}` has both `command` and `url`"),
                    "keep `command` for a program that is started here, `url` for a server that runs elsewhere",
                );
                None
            }
            (None, None) => {
                sheet.error_with_hint(
                    at,
                    format!("server `{name}` has neither `command` nor `url`"),
                    "add `command` for a program that is started here, or `url` for a server that runs elsewhere",
                );
                None
            }
        }
    }
}

fn check_url(sheet: &mut Sheet<'_>, node: &Node, name: &str, url: &str) {
    let known = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    let fits = known.is_some_and(|scheme| scheme == "http" || scheme == "https");
    if !fits && !node.scalar().is_some_and(Scalar::is_open) {
        sheet.error(node.at, format!("`{name}.url` must begin with `http://` or `https://`"));
    }
}

/// What the system would refuse when the program is started is said before.
fn check_env(sheet: &mut Sheet<'_>, node: &Node) {
    let Value::Map(members) = &node.value else { return };
    for member in members.iter().filter(|member| member.key.is_empty() || member.key.contains(['=', '\0'])) {
        let name = member.key.escape_debug();
        sheet.error(member.at, format!("`{name}` cannot be the name of a variable of a process"));
    }
}

fn map(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> BTreeMap<String, String> {
    if node.is_null() { BTreeMap::new() } else { sheet.map_of_texts(node, what).into_iter().collect() }
}

/// The settings under `station`, and the working directory, which belongs to the definition.
fn station(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> (ServerSettings, Option<String>) {
    let mut settings = ServerSettings::default();
    let mut cwd = None;
    for member in sheet.members(node, what) {
        let what = format!("{what}.{}", member.key.escape_debug());
        let node = &member.node;
        match member.key.as_str() {
            "cwd" | "sandbox" | "allow_agents" | "allow_roles" if node.is_null() => {}
            "isolation" => settings.isolation = isolation(sheet, node, &what),
            "cwd" => cwd = sheet.text(node, &what),
            "timeout_s" => settings.timeout_s = sheet.number(node, &what, 1),
            "concurrency" => settings.concurrency = sheet.number(node, &what, 1),
            "output_bytes_max" => settings.output_bytes_max = sheet.number(node, &what, 1),
            "result_bytes_max" => settings.result_bytes_max = sheet.number(node, &what, 1),
            "allow_agents" => settings.allow_agents = Some(sheet.texts(node, &what)),
            "allow_roles" => settings.allow_roles = Some(roles(sheet, node, &what)),
            "sandbox" => settings.sandbox = sandbox(sheet, node, &what),
            "answers" if node.is_null() => {}
            "answers" => settings.answers = answers(sheet, node, &what),
            "oauth" if node.is_null() => {}
            "oauth" => settings.oauth = oauth(sheet, node, &what),
            "tools" => settings.tools = sheet.tool_rules(node, &what),
            _ => sheet.unknown(member.at, &what, SETTINGS),
        }
    }
    (settings, cwd)
}

fn roles(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> BTreeSet<Role> {
    let mut roles = BTreeSet::new();
    for word in sheet.texts(node, what) {
        match word.parse() {
            Ok(role) => drop(roles.insert(role)),
            Err(error) => sheet.error(node.at, format!("`{what}`: {error}")),
        }
    }
    roles
}

fn isolation(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Isolation {
    sheet
        .value(node, what, "`environment` or `run`", |word| match word {
            "environment" => Some(Isolation::Environment),
            "run" => Some(Isolation::Run),
            _ => None,
        })
        .unwrap_or_default()
}

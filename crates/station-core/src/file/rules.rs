//! `environment.yml`: what holds for all servers and agents of an environment.

use super::sheet::Sheet;
use super::{Problem, yaml};
use crate::ToolRules;
use crate::budget::Limits;
use crate::lock::Policy;

/// The rules of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentRules {
    /// One line for people.
    pub description: Option<String>,
    /// Rules over the tools of all its servers.
    pub rules: ToolRules,
    /// What its runs may spend.
    pub limits: Limits,
    /// What becomes of a tool that is not as it is pinned.
    pub lock: Policy,
    /// Whether its gateway offers its agents as tools too.
    pub agents_as_tools: bool,
}

/// What the store keeps in place of rules whose file is there and could not be read at all. It is no rules: who reads it
/// is refused, as by a text that is no YAML.
pub const UNREAD: &str = "# environment.yml is there and could not be read\n? [";

/// Keys that have an effect.
const KEYS: &[&str] = &["description", "tools", "limits", "lock", "agents_as_tools"];

/// Reads the rules. A file without any is fine; an unknown key is kept and named.
#[must_use]
pub fn read(text: &str, path: &str) -> (Option<EnvironmentRules>, Vec<Problem>) {
    let mut sheet = Sheet::new(text, path);
    let mut environment = EnvironmentRules::default();
    if text == UNREAD {
        sheet.error(0, "the file is there, but it could not be read");
        return sheet.finish(environment);
    }
    match yaml::parse(sheet.text) {
        Err(fault) => sheet.fault(fault),
        Ok(None) => {}
        Ok(Some(root)) if root.is_null() => {}
        Ok(Some(root)) => {
            for member in sheet.members(&root, "the file") {
                match member.key.as_str() {
                    _ if member.node.is_null() => {}
                    "description" => environment.description = sheet.text(&member.node, "description"),
                    "tools" => environment.rules = sheet.tool_rules(&member.node, "tools"),
                    "limits" => environment.limits = sheet.limits(&member.node, "limits"),
                    "lock" => match sheet.text(&member.node, "lock").as_deref() {
                        Some("hold") => environment.lock = Policy::Hold,
                        Some("warn") => environment.lock = Policy::Warn,
                        Some(_) => sheet.error_with_hint(
                            member.node.at,
                            "`lock` must be `hold` or `warn`",
                            "`hold` keeps back tools that are not as `mcp.lock` pins them, `warn` only says so",
                        ),
                        None => {}
                    },
                    "agents_as_tools" => {
                        environment.agents_as_tools =
                            sheet.truth(&member.node, "agents_as_tools").unwrap_or_default();
                    }
                    key => {
                        let key = key.escape_debug().to_string();
                        sheet.unknown(member.at, &key, KEYS);
                    }
                }
            }
        }
    }
    sheet.finish(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_and_unknown_keys_named() {
        let text = "description: prod\ntools:\n  allow: [\"read_*\"]\n  deny: write_*\n  approve: [x]\n  speed: {}\nowner: me\nlimits: {day: {usd: 5}}\nlock: warn\nagents_as_tools: true\n";
        let (environment, problems) = read(text, "environment.yml");
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "environment.yml:6:3: `tools.speed` is kept, but has no effect here",
                "environment.yml:7:1: `owner` is kept, but has no effect here",
            ]
        );
        let environment = environment.unwrap();
        assert_eq!(environment.description.as_deref(), Some("prod"));
        assert_eq!(environment.rules.allow.as_deref(), Some(&["read_*".to_owned()][..]));
        assert_eq!(environment.rules.deny, ["write_*"]);
        assert_eq!(environment.rules.approve, ["x"]);
        assert_eq!(environment.limits.day.micro_usd, Some(5_000_000));
        assert_eq!((environment.lock, environment.agents_as_tools), (Policy::Warn, true));
    }

    #[test]
    fn broken_rules_are_refused_and_empty_ones_are_not() {
        for (text, expected) in [
            ("", None),
            ("# nothing yet\n", None),
            ("tools:\n", None),
            ("tools: [x]\n", Some("f:1:8: `tools` must be a map of names to values")),
            ("tools:\n  deny:\n    - {}\n", Some("f:3:7: `tools.deny.0` must be a text")),
            ("agents_as_tools: some\n", Some("f:1:18: `agents_as_tools` must be `true` or `false`")),
            ("lock: never\n", Some("f:1:7: `lock` must be `hold` or `warn`")),
            ("tools: {deny: [a}\n", Some("f:1:15: this is not YAML: mismatched bracket '[' closed by '}'")),
        ] {
            let (environment, problems) = read(text, "f");
            let told = problems.first().map(ToString::to_string);
            assert_eq!((environment.is_none(), told.as_deref()), (expected.is_some(), expected), "{text}");
        }
    }
}

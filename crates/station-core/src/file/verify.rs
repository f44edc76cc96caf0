//! `tools.verify`: for each tool, the tool that can tell whether a call took effect.

use super::prompt::to_json;
use super::sheet::Sheet;
use super::tree::{Node, Value};
use crate::verify::VerifyRule;
use serde_json::{Map, Value as Json};

/// Reads `{tool: {tool, args, done_when}}`, in file order.
pub(super) fn read(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Vec<(String, VerifyRule)> {
    let mut rules = Vec::new();
    for member in sheet.members(node, what) {
        let what = format!("{what}.{}", member.key.escape_debug());
        if let Some(rule) = rule(sheet, &member.node, &what) {
            rules.push((member.key.clone(), rule));
        }
    }
    rules
}

fn rule(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> Option<VerifyRule> {
    let mut tool = None;
    let mut args = Map::new();
    let mut done_when = None;
    for member in sheet.members(node, what) {
        let (node, what) = (&member.node, format!("{what}.{}", member.key.escape_debug()));
        match member.key.as_str() {
            "tool" => tool = sheet.text(node, &what).filter(|name| !name.trim().is_empty()),
            "args" if node.is_null() => {}
            "args" => {
                sheet.members(node, &what);
                // What is looked for is kept in the run's journal, where no secret may stand.
                if let Some(at) = variable_in(node) {
                    let hint = "what is looked for is kept with the run; write it without secrets";
                    sheet.error_with_hint(at, format!("`{what}` may not ask for variables"), hint);
                }
                if let Json::Object(read) = to_json(node) {
                    args = read;
                }
            }
            "done_when" => done_when = sheet.text(node, &what).filter(|text| !text.is_empty()),
            _ => sheet.unknown(member.at, &what, &["tool", "args", "done_when"]),
        }
    }
    if tool.is_none() && matches!(node.value, Value::Map(_)) {
        let hint = "name the tool of the same server that tells whether the call took effect";
        sheet.error_with_hint(node.at, format!("`{what}` needs `tool`"), hint);
    }
    Some(VerifyRule { tool: tool?, args, done_when })
}

/// Where the first variable stands that has no value yet.
fn variable_in(node: &Node) -> Option<usize> {
    match &node.value {
        Value::Scalar(scalar) => scalar.is_open().then_some(node.at),
        Value::List(items) => items.iter().find_map(variable_in),
        Value::Map(members) => members.iter().find_map(|member| variable_in(&member.node)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules;
    use serde_json::json;

    fn read(block: &str) -> (Vec<String>, Vec<String>) {
        let text = format!("tools:\n  verify: {block}\n");
        let (environment, problems) = rules::read(&text, "f");
        let shown = environment.into_iter().flat_map(|it| it.rules.verify).map(|(pattern, rule)| {
            format!("{pattern} by {} {} {:?}", rule.tool, json!(rule.args), rule.done_when)
        });
        (shown.collect(), problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_verify_tool_is_read_with_what_it_is_given() {
        let (rules, problems) = read(
            "{\"create_*\": {tool: find, args: {q: $effect_id, n: 2}, done_when: found}, put: {tool: get}}",
        );
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(
            rules,
            [r#"create_* by find {"q":"$effect_id","n":2} Some("found")"#, "put by get {} None"]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (block, expected) in [
            ("{put: {}}", "f:2:17: `tools.verify.put` needs `tool`"),
            ("{put: find}", "f:2:17: `tools.verify.put` must be a map of names to values"),
            (
                "{put: {tool: get, args: [x]}}",
                "f:2:35: `tools.verify.put.args` must be a map of names to values",
            ),
            (
                "{put: {tool: get, when: x}}",
                "f:2:29: `tools.verify.put.when` is kept, but has no effect here",
            ),
        ] {
            let (_, problems) = read(block);
            assert_eq!(problems.first().map(String::as_str), Some(expected), "{block}");
        }
    }
}

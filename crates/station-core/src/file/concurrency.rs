//! `execution.environment_max`, `agent_max` and `model_max` of config.yaml.

use super::sheet::Sheet;
use super::tree::{Node, Value};
use crate::{Concurrency, ModelMax};
use std::collections::BTreeMap;

/// Takes the value of `what`, where that is one of these keys.
pub(super) fn take(limits: &mut Concurrency, sheet: &mut Sheet<'_>, what: &str, node: &Node) -> bool {
    match what {
        "execution.environment_max" => limits.environment_max = sheet.number(node, what, 1),
        "execution.agent_max" => limits.agent_max = sheet.number(node, what, 1),
        "execution.model_max" => limits.model_max = model_max(sheet, node, what),
        _ => return false,
    }
    true
}

/// One number for every model, or numbers by name: a model that is not named then has no limit.
fn model_max(sheet: &mut Sheet<'_>, node: &Node, what: &str) -> ModelMax {
    if !matches!(node.value, Value::Map(_)) {
        let must_be = "a whole number of 1 or more, or a map of models to such numbers";
        let each = sheet.value(node, what, must_be, |text| text.parse().ok().filter(|n| *n >= 1));
        return ModelMax { each, ..ModelMax::default() };
    }
    let mut named = BTreeMap::new();
    for member in sheet.members(node, what) {
        let limit = sheet.number(&member.node, &format!("{what}.{}", member.key), 1);
        named.extend(limit.map(|limit| (member.key.clone(), limit)));
    }
    ModelMax { each: None, named }
}

#[cfg(test)]
mod tests {
    use crate::file::config;
    use crate::{Concurrency, ModelMax};

    #[track_caller]
    fn check(execution: &str, expected: Result<Concurrency, &str>) {
        let (config, problems) = config::read(&format!("execution: {{{execution}}}"), "c");
        let told = problems.first().map(ToString::to_string);
        let expected = expected.map_err(|sentence| Some(sentence.to_owned()));
        assert_eq!(config.map(|config| config.execution.concurrency).ok_or(told), expected, "{execution}");
    }

    #[test]
    fn limits_are_read() {
        let unlimited = Concurrency::UNLIMITED;
        check("workers: 3", Ok(unlimited.clone()));
        check("agent_max: 4", Ok(Concurrency { agent_max: Some(4), ..unlimited.clone() }));
        check("environment_max: 4", Ok(Concurrency { environment_max: Some(4), ..unlimited.clone() }));
        let each = ModelMax { each: Some(2), ..ModelMax::default() };
        check("model_max: 2", Ok(Concurrency { model_max: each, ..unlimited.clone() }));
        let named = [("a".to_owned(), 1), ("openai/b".to_owned(), 20)].into();
        let named = ModelMax { each: None, named };
        check("model_max: {a: 1, openai/b: 20}", Ok(Concurrency { model_max: named, ..unlimited }));
    }

    #[test]
    fn a_limit_of_nothing_is_refused() {
        check("agent_max: 0", Err("c:1:24: `execution.agent_max` must be a whole number of 1 or more"));
        check(
            "model_max: many",
            Err(
                "c:1:24: `execution.model_max` must be a whole number of 1 or more, or a map of models to such numbers",
            ),
        );
        check(
            "model_max: {a: 0}",
            Err("c:1:28: `execution.model_max.a` must be a whole number of 1 or more"),
        );
    }
}

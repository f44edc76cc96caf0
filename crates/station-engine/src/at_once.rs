//! How much may be driven at a time: the limits of config.yaml as a claim takes them, and in words where one keeps a run.

use station_core::{Concurrency, ModelMax, plural};
use station_llm::Models;
use station_store::Bound;
use std::collections::BTreeMap;

/// Limits with the names of models that runs' rows have. Of two names of one model the stricter holds.
pub(crate) fn by_full_names(at_once: &Concurrency, models: &Models) -> Concurrency {
    let mut named = BTreeMap::new();
    for (written, most) in &at_once.model_max.named {
        let name = match models.named(written) {
            Ok(model) => model.to_string(),
            Err(error) => {
                tracing::warn!(model = %written, %error, "a limit names a model that is not known");
                written.clone()
            }
        };
        named.entry(name).and_modify(|other: &mut u32| *other = (*other).min(*most)).or_insert(*most);
    }
    let model_max = ModelMax { each: at_once.model_max.each, named };
    Concurrency { model_max, ..at_once.clone() }
}

/// What a run waits for that is kept by a limit.
pub(crate) fn in_words(bound: &Bound, most: u32) -> String {
    let (of, key) = match bound {
        Bound::Environment => ("in its environment".to_owned(), "execution.environment_max"),
        Bound::Agent => ("of its agent".to_owned(), "execution.agent_max"),
        Bound::Model(model) => (format!("with model {model}"), "execution.model_max"),
    };
    let runs = plural(most, "run");
    let verb = if most == 1 { "is" } else { "are" };
    format!("{runs} {of} {verb} driven already, and no more may be at a time ({key})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_kept_by_a_limit_is_told_by_which() {
        for (bound, most, expected) in [
            (
                Bound::Environment,
                2,
                "2 runs in its environment are driven already, and no more may be at a time (execution.environment_max)",
            ),
            (
                Bound::Agent,
                1,
                "1 run of its agent is driven already, and no more may be at a time (execution.agent_max)",
            ),
            (
                Bound::Model("p/m".to_owned()),
                3,
                "3 runs with model p/m are driven already, and no more may be at a time (execution.model_max)",
            ),
        ] {
            assert_eq!(in_words(&bound, most), expected);
        }
    }
}

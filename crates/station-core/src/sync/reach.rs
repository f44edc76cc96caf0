//! Rules that reach nothing: patterns over tools that no tool is called by.
//!
//! A slip in a rule is silent: what was to be denied is not. So a pattern that names nothing is told at each sync, once
//! all servers have said what they offer.

use super::Plan;
use super::plan::View;
use crate::file::Severity;
use crate::grant::{self, DESTRUCTIVE};
use crate::{ToolRules, near};

/// The rules of one place.
pub(super) struct Rules {
    /// The file.
    pub(super) path: String,
    /// The server they are of; `None` for those of the environment.
    pub(super) server: Option<String>,
    pub(super) rules: ToolRules,
}

pub(super) fn plan(plan: &mut Plan, view: &View<'_>, places: &[Rules]) {
    for Rules { path, server, rules } in places {
        let lists = [
            ("allow", rules.allow.as_deref().unwrap_or_default()),
            ("deny", &rules.deny),
            ("approve", &rules.approve),
            ("read_only", &rules.read_only),
            ("idempotent", &rules.idempotent),
            ("secret", &rules.secret),
        ];
        let tools =
            || view.catalog.iter().filter(|it| server.as_ref().is_none_or(|of| *of == it.server_name));
        for (list, patterns) in lists {
            for pattern in patterns.iter().filter(|pattern| *pattern != DESTRUCTIVE) {
                if tools().any(|it| grant::names(pattern, &it.server_name, &it.name)) {
                    continue;
                }
                let whose =
                    server.as_ref().map(|server| format!(" of server `{server}`")).unwrap_or_default();
                let sentence =
                    format!("`tools.{list}`{whose} names `{pattern}`, and no tool known there is called so");
                let hint = near::hint(grant::bare(pattern), tools().map(|it| it.name.as_str()));
                let hint = hint.unwrap_or_else(|| {
                    "write a tool's name, `server__tool`, or a pattern with `*`".to_owned()
                });
                plan.say(Severity::Warning, path, sentence, &hint);
            }
        }
    }
}

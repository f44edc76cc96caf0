//! Names that are almost names of definitions: what an environment's folder holds and a sync passes over.
//!
//! A sync reads a handful of names and nothing else. A file that was meant and is named a little otherwise would have no
//! effect without a word, so each entry that is passed over and looks meant is named, with the name that it should have.
//! Notes, backups and what tools leave behind are not.

use super::{Problem, Severity};

/// Where in a workspace an entry lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// `environments/<env>/`.
    Environment,
    /// `environments/<env>/agents/`.
    Agents,
    /// `environments/<env>/mcp-servers/`.
    Servers,
}

/// Endings of files that lie beside definitions and are none.
const BESIDE: [&str; 8] = [".md", ".txt", ".bak", ".orig", ".rej", ".swp", ".tmp", "~"];

/// What there is to say of an entry named `name` at `path`, in case it was meant to be a definition.
#[must_use]
pub fn over(within: Within, name: &str, is_folder: bool, path: &str) -> Option<Problem> {
    let lower = name.to_lowercase();
    if BESIDE.iter().any(|ending| lower.ends_with(ending)) || lower == "readme" || lower == "license" {
        return None;
    }
    let (severity, expected) = match within {
        Within::Environment => in_environment(&lower, is_folder)?,
        Within::Agents if is_folder => {
            (Severity::Warning, "a `.prompt` file: folders are not looked into".into())
        }
        Within::Servers if is_folder => {
            (Severity::Warning, "a `.json` file: folders are not looked into".into())
        }
        Within::Agents => (Severity::Warning, format!("`{}.prompt`", stem(name))),
        Within::Servers => (Severity::Warning, format!("`{}.json`", stem(name))),
    };
    // What has the very name it should have is no near miss.
    if expected == format!("`{name}`") {
        return None;
    }
    let what = if is_folder { "folder" } else { "file" };
    Some(Problem {
        severity,
        path: path.to_owned(),
        at: None,
        sentence: format!("this {what} is passed over and has no effect: it should be {expected}"),
        hint: None,
    })
}

fn in_environment(lower: &str, is_folder: bool) -> Option<(Severity, String)> {
    if is_folder {
        let expected = match lower {
            "agents" | "agent" | "prompts" => "agents",
            "mcp-servers" | "mcp-server" | "mcp_servers" | "mcpservers" | "servers" => "mcp-servers",
            _ => return None,
        };
        return Some((Severity::Warning, format!("`{expected}`")));
    }
    match lower.rsplit_once('.') {
        // Rules that are thought to hold and do not: said before each run, too.
        Some(("environment" | "environments", "yml" | "yaml")) => {
            Some((Severity::Error, "`environment.yml`".into()))
        }
        Some(("variables" | "variable", "yml" | "yaml")) => {
            Some((Severity::Warning, "`variables.yml`".into()))
        }
        Some((stem, "json")) => Some((Severity::Warning, format!("`{stem}.json`"))),
        Some((stem, "prompt")) => Some((Severity::Warning, format!("`agents/{stem}.prompt`"))),
        _ => None,
    }
}

/// The name without a last ending that looks like one.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() && ending.len() <= 8 => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_almost_right_is_told_with_the_right_one() {
        use Within::{Agents, Environment, Servers};
        for (within, name, is_folder, expected) in [
            (Environment, "environment.yaml", false, Some("`environment.yml`")),
            (Environment, "Variables.yml", false, Some("`variables.yml`")),
            (Environment, "variables.yaml", false, Some("`variables.yml`")),
            (Environment, "servers.JSON", false, Some("`servers.json`")),
            (Environment, "triage.prompt", false, Some("`agents/triage.prompt`")),
            (Environment, "mcp_servers", true, Some("`mcp-servers`")),
            (Environment, "environment.yml", false, None),
            (Environment, "agents", true, None),
            (Environment, "notes.md", false, None),
            (Environment, "docs", true, None),
            (Environment, "Makefile", false, None),
            (Agents, "triage.PROMPT", false, Some("`triage.prompt`")),
            (Agents, "triage.yaml", false, Some("`triage.prompt`")),
            (Agents, "old", true, Some("a `.prompt` file: folders are not looked into")),
            (Agents, "README.md", false, None),
            (Agents, "triage.prompt~", false, None),
            (Servers, "git.JSON", false, Some("`git.json`")),
            (Servers, "git", false, Some("`git.json`")),
        ] {
            let told = over(within, name, is_folder, "p").map(|problem| problem.sentence);
            let expected = expected.map(|expected| {
                let what = if is_folder { "folder" } else { "file" };
                format!("this {what} is passed over and has no effect: it should be {expected}")
            });
            assert_eq!(told, expected, "{name}");
        }
    }
}

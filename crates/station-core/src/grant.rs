//! Which tools an agent may see and call.
//!
//! A grant is a written name. It is kept as written, and linked to a catalogued tool where one fits; a server that is
//! down or not discovered yet takes no grant away. The same rules decide what is listed and what may be called.
//! **Invariant:** a grant never links into another environment: the caller passes one environment's catalog.

use crate::approval::{Level, Rule};
use crate::tool::matches;
use crate::tool_names::qualified;
use crate::verify::VerifyRule;
use crate::{Role, ServerSettings, Tool, ToolId, ToolName, ToolNames, ToolRules, near};
use std::collections::BTreeMap;

/// A written grant and what it means now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The grant as written in the agent's file.
    pub written: String,
    /// The tool it means, where one offers it.
    pub tool: Option<ToolId>,
    /// Other servers that offer the same short name; what a warning names.
    pub also_offered_by: Vec<String>,
}

/// Links `written` grants to the `catalog` of the agent's environment, which is in file order.
///
/// A grant stays with the tool in `previous` if that is still offered; else `server__tool` is exact, and a short name
/// goes to the first in file order. A leading `__` is dropped. `*` grants every tool of the environment, `server__*`
/// all of one server; each is one link per tool, or one without a tool while none is offered: a grant is never lost.
#[must_use]
pub fn link(written: &[String], catalog: &ToolNames, previous: &BTreeMap<String, ToolId>) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for grant in written {
        let name = bare(grant);
        if name.contains('*') {
            let link = |tool| Link { written: grant.clone(), tool, also_offered_by: Vec::new() };
            let meant = catalog
                .iter()
                .filter(|tool| matches(name, &tool.name) || matches(name, &tool.qualified()))
                .map(|tool| link(Some(tool.id)));
            let before = links.len();
            links.extend(meant);
            if links.len() == before {
                links.push(link(None));
            }
            continue;
        }
        let exact = catalog.exact(name);
        let candidates = || catalog.short(name).chain(exact);
        let kept = previous.get(grant).and_then(|id| candidates().find(|tool| tool.id == *id));
        // What is exact is meant exactly: another server may call a tool of its own `server__tool`.
        let chosen = kept.or(exact).or_else(|| catalog.short(name).next());
        let is_exact = chosen.is_some_and(|tool| tool.qualified() == name);
        let others = candidates().filter(|_| !is_exact);
        let also_offered_by = others
            .filter(|tool| Some(tool.id) != chosen.map(|chosen| chosen.id))
            .map(|tool| tool.server_name.clone())
            .collect();
        links.push(Link { written: grant.clone(), tool: chosen.map(|tool| tool.id), also_offered_by });
    }
    links
}

/// The written name without the leading `__` that older files use.
#[must_use]
pub fn bare(written: &str) -> &str {
    written.strip_prefix("__").filter(|rest| !rest.is_empty()).unwrap_or(written)
}

/// The grant that somebody who wrote `written` most likely meant, in the form they wrote it in: with `__` where that had
/// it, and with its server where that named one or several servers offer the tool.
#[must_use]
pub fn nearest(written: &str, catalog: &ToolNames) -> Option<String> {
    let name = bare(written);
    let lead = &written[..written.len() - name.len()];
    let names: Vec<String> = match server_of(name) {
        Some(_) => catalog.iter().map(ToolName::qualified).collect(),
        None => catalog.iter().map(|tool| tool.name.clone()).collect(),
    };
    let meant = near::nearest(name, names.iter().map(String::as_str))?;
    let mut bearers = catalog.short(meant);
    match (bearers.next(), bearers.next()) {
        (Some(first), Some(_)) => Some(first.qualified()),
        _ => Some(format!("{lead}{meant}")),
    }
}

/// Which of `servers` an agent with a grant `written` has use for, where nothing stands behind it yet: the one whose
/// name it begins with, else each, since any may offer it.
#[must_use]
pub fn may_come_from<'a>(written: &str, servers: &[&'a str]) -> Vec<&'a str> {
    let name = bare(written);
    let named = |server: &&&str| name.strip_prefix(**server).is_some_and(|rest| rest.starts_with("__"));
    let exact: Vec<&str> = servers.iter().filter(named).copied().collect();
    if exact.is_empty() { servers.to_vec() } else { exact }
}

/// The server that a written grant names, where it names one.
#[must_use]
pub fn server_of(written: &str) -> Option<&str> {
    bare(written).split_once("__").map(|(server, _)| server).filter(|server| !server.is_empty())
}

/// What the rules of server and environment make of one tool for one agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may be seen and called; if not, why.
    pub allowed: Result<(), Denied>,
    /// It changes nothing.
    pub read_only: bool,
    /// Calling it twice is calling it once.
    pub idempotent: bool,
    /// The rule that makes it wait for a person's approval.
    pub approval: Option<Rule>,
    /// What it answers is kept from models, and from what is stored of a run.
    pub secret: bool,
    /// How it is found out whether a call took effect.
    pub verify: Option<VerifyRule>,
}

/// The pattern that stands for every tool that may destroy something.
pub(crate) const DESTRUCTIVE: &str = "@destructive";

/// Why a tool may not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Whoever started the run was removed, or the environment is not assigned to them any more.
    User,
    /// The server is not for this role.
    Role,
    /// The server is not for this agent.
    Agent,
    /// It is not among the allowed tools.
    NotAllowed,
    /// It is among the denied tools.
    Denied,
    /// It is not as it is pinned in `mcp.lock`.
    Held,
}

impl Denied {
    /// Half a sentence: "… because …".
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::User => "whoever started the run may not use this environment any more",
            Self::Role => "its server is not open to this role (`allow_roles`)",
            Self::Agent => "its server is not open to this agent (`allow_agents`)",
            Self::NotAllowed => "it is not among the tools allowed there (`tools.allow`)",
            Self::Denied => "it is denied there (`tools.deny`)",
            Self::Held => {
                "it is held back: it is not as `mcp.lock` pins it (`stn mcp lock` shows the difference)"
            }
        }
    }
}

/// For whom a tool is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who<'a> {
    /// The agent that calls; `None` for a person, whom rules about agents do not concern.
    pub agent: Option<&'a str>,
    /// The role of whoever calls, or started the run that does; `None` where that user may use the environment no more.
    pub role: Option<Role>,
}

impl Who<'_> {
    /// A person of this role.
    #[must_use]
    pub fn person(role: Role) -> Self {
        Self { agent: None, role: Some(role) }
    }

    /// Why a server with such settings is not open to them, where it is not. Roles contain each other: what is open to one is
    /// open to those above it.
    #[must_use]
    pub fn kept_from(self, server: &ServerSettings) -> Option<Denied> {
        let Some(role) = self.role else { return Some(Denied::User) };
        if server.allow_roles.as_ref().is_some_and(|roles| !roles.iter().any(|least| role >= *least)) {
            return Some(Denied::Role);
        }
        let (agent, agents) = (self.agent?, server.allow_agents.as_ref()?);
        (!agents.iter().any(|pattern| matches(pattern, agent))).then_some(Denied::Agent)
    }
}

/// Judges `tool` for `who`: the strictest of the server's settings, the environment's rules and the agent's own
/// `approve` patterns wins.
#[must_use]
pub fn judge(
    tool: &Tool,
    who: Who<'_>,
    server: &ServerSettings,
    environment: &ToolRules,
    approve: &[String],
) -> Verdict {
    let levels = [&server.tools, environment];
    let any = |pick: fn(&ToolRules) -> &Vec<String>| levels.iter().any(|rules| hit(pick(rules), tool));
    let allowed = if let Some(denied) = who.kept_from(server) {
        Err(denied)
    } else if any(|rules| &rules.deny) {
        Err(Denied::Denied)
    } else if levels.iter().any(|rules| rules.allow.as_ref().is_some_and(|allow| !hit(allow, tool))) {
        Err(Denied::NotAllowed)
    } else {
        Ok(())
    };
    let read_only = tool.annotations.read_only == Some(true) || any(|rules| &rules.read_only);
    Verdict {
        allowed,
        read_only,
        idempotent: read_only || tool.annotations.idempotent == Some(true) || any(|rules| &rules.idempotent),
        approval: [
            (Level::Environment, &environment.approve[..]),
            (Level::Server, &server.tools.approve),
            (Level::Agent, approve),
        ]
        .into_iter()
        .find_map(|(level, patterns)| asks(level, patterns, tool, read_only)),
        secret: any(|rules| &rules.secret),
        verify: levels.iter().find_map(|rules| {
            rules.verify.iter().find(|(pattern, _)| hits(pattern, tool)).map(|(_, rule)| rule.clone())
        }),
    }
}

/// The first of `patterns` that makes `tool` wait. A tool that says nothing of itself may destroy: that is what the
/// specification of MCP says of a missing `destructiveHint`.
fn asks(level: Level, patterns: &[String], tool: &Tool, read_only: bool) -> Option<Rule> {
    let destroys = !read_only && tool.annotations.destructive != Some(false);
    let asks = |pattern: &&String| (*pattern == DESTRUCTIVE && destroys) || hits(pattern, tool);
    patterns.iter().find(asks).map(|pattern| Rule { level, pattern: pattern.clone() })
}

fn hit(patterns: &[String], tool: &Tool) -> bool {
    patterns.iter().any(|pattern| hits(pattern, tool))
}

fn hits(pattern: &str, tool: &Tool) -> bool {
    names(pattern, &tool.server_name, &tool.name)
}

/// Whether `pattern`, as rules write it, names this tool of this server.
#[must_use]
pub fn names(pattern: &str, server: &str, tool: &str) -> bool {
    let pattern = bare(pattern);
    matches(pattern, tool) || matches(pattern, &qualified(server, tool))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Annotations, ServerId};

    fn tool(id: i64, server: &str, name: &str) -> Tool {
        Tool {
            id: ToolId(id),
            server: ServerId(id),
            server_name: server.to_owned(),
            name: name.to_owned(),
            title: String::new(),
            description: String::new(),
            input_schema: serde_json::json!({"type": "object"}),
            output_schema: None,
            annotations: Annotations::default(),
        }
    }

    fn by_name(tools: &[Tool]) -> ToolNames {
        tools.iter().map(ToolName::from).collect()
    }

    fn check(written: &str, previous: Option<i64>, expected: &[Option<i64>]) {
        let catalog =
            [tool(1, "fs", "read"), tool(2, "git", "read"), tool(3, "git", "log"), tool(4, "github", "star")];
        let previous = previous.map(|id| (written.to_owned(), ToolId(id))).into_iter().collect();
        let ids: Vec<Option<i64>> = link(&[written.to_owned()], &by_name(&catalog), &previous)
            .iter()
            .map(|link| link.tool.map(|id| id.0))
            .collect();
        assert_eq!(ids, expected, "{written}");
    }

    #[test]
    fn a_grant_asks_of_the_server_it_names() {
        for (written, expected) in [
            ("g__echo", vec!["g"]),
            ("__g__echo", vec!["g"]),
            ("g__*", vec!["g"]),
            ("echo", vec!["g", "slow"]),
            ("*", vec!["g", "slow"]),
            ("gone__echo", vec!["g", "slow"]),
        ] {
            assert_eq!(may_come_from(written, &["g", "slow"]), expected, "{written}");
        }
    }

    #[test]
    fn a_written_name_finds_its_tool() {
        check("log", None, &[Some(3)]);
        check("__log", None, &[Some(3)]);
        check("git__read", None, &[Some(2)]);
        check("nothing_offers_this", None, &[None]);
        check("git__*", None, &[Some(2), Some(3)]);
        check("kube__*", None, &[None]);
        check("*", None, &[Some(1), Some(2), Some(3), Some(4)]);
    }

    #[test]
    fn a_slip_finds_the_tool_that_was_meant() {
        let catalog = [
            tool(1, "files", "read_text_file"),
            tool(2, "files", "list_directory"),
            tool(3, "git", "log"),
            tool(4, "svn", "log"),
        ];
        for (written, expected) in [
            ("__read_txt_file", Some("__read_text_file")),
            ("read-text-file", Some("read_text_file")),
            ("fils__list_directory", Some("files__list_directory")),
            ("files__lst_directory", Some("files__list_directory")),
            ("__lg", Some("git__log")),
            ("lgo", Some("git__log")),
            ("send_mail", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, &by_name(&catalog)).as_deref(), expected, "{written}");
        }
    }

    #[test]
    fn an_exact_name_is_not_taken_over_by_a_tool_of_that_name() {
        let (evil, git) = (tool(1, "evil", "git__read"), tool(2, "git", "read"));
        let written = ["git__read".to_owned()];
        for (catalog, previous, expected, others) in [
            (vec![evil.clone(), git.clone()], None, 2, vec![]),
            (vec![evil.clone(), git.clone()], Some(2), 2, vec![]),
            (vec![evil.clone(), git.clone()], Some(99), 2, vec![]),
            // Nor does a server that comes later take over the tool that was meant until then; both are named.
            (vec![evil.clone(), git], Some(1), 1, vec!["git"]),
            (vec![evil], None, 1, vec![]),
        ] {
            let previous = previous.map(|id| (written[0].clone(), ToolId(id))).into_iter().collect();
            let links = link(&written, &by_name(&catalog), &previous);
            assert_eq!((links.len(), links[0].tool), (1, Some(ToolId(expected))), "{previous:?}");
            assert_eq!(links[0].also_offered_by, others, "{previous:?}");
        }
    }

    #[test]
    fn a_short_name_stays_with_the_server_it_had() {
        check("read", None, &[Some(1)]);
        check("read", Some(2), &[Some(2)]);
        check("read", Some(99), &[Some(1)]);
    }

    #[test]
    fn an_approval_names_the_rule_that_asks_for_it() {
        let told = |destructive, read_only| Tool {
            annotations: Annotations { destructive, read_only, ..Annotations::default() },
            ..tool(1, "git", "push")
        };
        let unsaid = told(None, None);
        for (tool, environment, server, agent, expected) in [
            (&unsaid, "", "", "", None),
            (&unsaid, "pu*", "push", "*", Some((Level::Environment, "pu*"))),
            (&unsaid, "pull", "git__push", "*", Some((Level::Server, "git__push"))),
            (&unsaid, "", "", "__push", Some((Level::Agent, "__push"))),
            (&unsaid, "@destructive", "", "", Some((Level::Environment, "@destructive"))),
            (&told(Some(true), None), "", "@destructive", "", Some((Level::Server, "@destructive"))),
            (&told(Some(false), None), "@destructive", "@destructive", "@destructive", None),
            (&told(None, Some(true)), "@destructive", "", "", None),
        ] {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let server = ServerSettings {
                tools: ToolRules { approve: words(server), ..ToolRules::default() },
                ..ServerSettings::default()
            };
            let rules = ToolRules { approve: words(environment), ..ToolRules::default() };
            let rule = judge(tool, TRIAGE, &server, &rules, &words(agent)).approval;
            let found = rule.as_ref().map(|rule| (rule.level, rule.pattern.as_str()));
            assert_eq!(found, expected, "{:?} {environment}", tool.annotations);
        }
    }

    const TRIAGE: Who<'static> = Who { agent: Some("triage"), role: Some(Role::Admin) };

    #[test]
    fn a_server_is_open_to_its_roles_and_those_above() {
        let read = tool(1, "fs", "read");
        let check = |roles: &[Role], role: Option<Role>, expected: Result<(), Denied>| {
            let allow_roles = Some(roles.iter().copied().collect());
            let server = ServerSettings { allow_roles, ..ServerSettings::default() };
            for agent in [None, Some("triage")] {
                let who = Who { agent, role };
                let found = judge(&read, who, &server, &ToolRules::default(), &[]).allowed;
                assert_eq!(found, expected, "{roles:?} {who:?}");
            }
        };
        check(&[Role::User], Some(Role::Viewer), Err(Denied::Role));
        check(&[Role::User], Some(Role::User), Ok(()));
        check(&[Role::User], Some(Role::Admin), Ok(()));
        check(&[Role::Admin], Some(Role::User), Err(Denied::Role));
        check(&[], Some(Role::Admin), Err(Denied::Role));
        check(&Role::ALL, None, Err(Denied::User));
    }

    #[test]
    fn the_strictest_level_wins() {
        let rules = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let read = tool(1, "fs", "read");
        for (allow, deny, allow_agents, expected) in [
            (None, "", None, Ok(())),
            (Some("re*"), "", None, Ok(())),
            (Some("write"), "", None, Err(Denied::NotAllowed)),
            (Some("read"), "fs__*", None, Err(Denied::Denied)),
            (None, "", Some("triage"), Ok(())),
            (None, "", Some("other*"), Err(Denied::Agent)),
            // A list without anything in it allows nothing.
            (Some(""), "", None, Err(Denied::NotAllowed)),
            (None, "", Some(""), Err(Denied::Agent)),
        ] {
            let allow_agents = allow_agents.map(rules);
            let server = ServerSettings { allow_agents: allow_agents.clone(), ..ServerSettings::default() };
            let allow = allow.map(rules);
            let environment = ToolRules { allow: allow.clone(), deny: rules(deny), ..ToolRules::default() };
            assert_eq!(
                judge(&read, TRIAGE, &server, &environment, &[]).allowed,
                expected,
                "{allow:?}/{deny}/{allow_agents:?}"
            );
        }
    }
}

//! Rows over agents: cycles, sub-agents, grants.

use super::scene::{Scene, agent, scene, server, text, tool};
use crate::ToolId;
use crate::lock::Lock;
use crate::sync::{Discovery, Removals};
use std::collections::BTreeMap;

#[test]
fn an_agent_never_calls_itself() {
    let cycle = |path: &str, way: &str| {
        format!("Error agents/{path}.prompt: agent `{path}` would call itself: {way}")
    };
    let check = |scene: Scene, changes: &[&str], problems: &[String]| {
        scene.check(changes, &problems.iter().map(String::as_str).collect::<Vec<_>>());
    };
    check(
        scene(&[
            ("agents/a.prompt", &agent("", "b")),
            ("agents/b.prompt", &agent("", "c")),
            ("agents/c.prompt", &agent("", "a")),
            ("agents/d.prompt", &agent("", "d2")),
            ("agents/d2.prompt", &agent("", "")),
            ("agents/self.prompt", &agent("", "self")),
        ]),
        &["create environment", "agent d new []", "agent d2 new []"],
        &[
            cycle("a", "a → b → c → a"),
            cycle("b", "b → c → a → b"),
            cycle("c", "c → a → b → c"),
            cycle("self", "self → self"),
        ],
    );
    // What is stored of a refused agent stays, and may close another circle with a sibling that changes.
    let stored = scene(&[
        ("agents/a.prompt", &agent("", "c")),
        ("agents/b.prompt", &agent("", "")),
        ("agents/c.prompt", &agent("", "")),
    ])
    .applied();
    check(
        stored.with_files(&[
            ("agents/a.prompt", &agent("", "b")),
            ("agents/b.prompt", &agent("", "a")),
            ("agents/c.prompt", &agent("", "a")),
        ]),
        &[],
        &[cycle("a", "a → b → a"), cycle("b", "b → a → b"), cycle("c", "c → a → c")],
    );
}

#[test]
fn sub_agents_exist_and_can_be_told_apart() {
    scene(&[
        ("agents/boss.prompt", &agent("", "A b, a-b")),
        ("agents/lead.prompt", &agent("", "gone, lead2")),
        ("agents/lead2.prompt", &agent("", "")),
    ])
    .check(
        &["create environment", "agent lead new []", "agent lead2 new []"],
        &[
            "Error agents/boss.prompt: agents `A b` and `a-b` would both be the tool `__agent_a_b`",
            "Warning agents/lead.prompt: there is no agent `gone` in this environment: `lead` works without it",
        ],
    );
}

#[test]
fn grants_are_linked_and_never_taken_away() {
    let mut scene =
        scene(&[("agents/one.prompt", &agent("read, git__read, \"x*\", \"g*\", read, later", ""))]);
    scene.catalog = vec![tool(1, "fs", "read"), tool(2, "git", "read"), tool(3, "git", "gone")];
    scene.discovery = Discovery::Complete;
    let shared = |server: &str, other: &str| {
        format!(
            "Warning agents/one.prompt: tool `read` means the one of server `{server}`; `{other}` offers one of this name too"
        )
    };
    let nothing = |tool: &str| {
        format!("Warning agents/one.prompt: nothing offers the tool `{tool}`: agent `one` works without it")
    };
    scene.check(
        &["create environment", "agent one new [read=1 git__read=2 x*=0 g*=2 g*=3 later=0]"],
        &[&shared("fs", "git"), &nothing("x*"), &nothing("later")],
    );
    // It stays with the server it had; and while a server is not discovered, nothing is said of what is not there.
    scene.links = BTreeMap::from([("one".to_owned(), BTreeMap::from([("read".to_owned(), ToolId(2))]))]);
    scene.discovery = Discovery::Partial;
    scene.check(
        &["create environment", "agent one new [read=2 git__read=2 x*=0 g*=2 g*=3 later=0]"],
        &[&shared("git", "fs")],
    );
    // A server that this very plan brings in is not discovered either.
    scene.files.configs.insert("a".to_owned(), text("a.json", &server(&["new"])));
    scene.discovery = Discovery::Complete;
    assert_eq!(scene.plan().problems.len(), 1);
}

#[test]
fn a_rule_that_names_no_tool_is_told() {
    let rules = "tools: {deny: [\"fs/read\", reed, read, \"git__*\", \"kube__*\"], approve: [\"@destructive\"], allow: []}\n";
    let mut scene = scene(&[("environment.yml", rules)]);
    scene.catalog = vec![tool(1, "fs", "read"), tool(2, "git", "log")];
    let told = |pattern: &str| {
        format!(
            "Warning environment.yml: `tools.deny` names `{pattern}`, and no tool known there is called so"
        )
    };
    let changed = format!("rules {rules:?}");
    let changes = ["create environment", changed.as_str()];
    scene.check(&changes, &[]);
    scene.discovery = Discovery::Complete;
    scene.check(&changes, &[&told("fs/read"), &told("reed"), &told("kube__*")]);
}

#[test]
fn a_lock_file_pins_and_one_that_cannot_be_read_holds_everything() {
    let pinned = Lock::of(&[tool(1, "fs", "read")]).text();
    let other = Lock::of(&[tool(1, "fs", "read"), tool(2, "git", "log")]).text();
    let broken = "Error mcp.lock:1:1: this is not a lock file as Station writes it";
    let unlocked = scene(&[]);
    unlocked.check(&["create environment"], &[]);
    let locked = scene(&[("mcp.lock", &pinned)]);
    locked.check(&["create environment", "lock 1"], &[]);
    let locked = locked.applied();
    locked.check(&[], &[]);
    // Pins that hold stay while the file cannot be read.
    let locked = locked.with_files(&[("mcp.lock", "oh")]);
    locked.check(&[], &[broken]);
    let locked = locked.with_files(&[("mcp.lock", &other)]);
    locked.check(&["lock 2"], &[]);
    let mut locked = locked.applied().with_files(&[]);
    locked.check(&["unlock"], &[]);
    locked.removals = Removals::Keep;
    locked.check(&[], &[]);
    // Where there were none, everything is held, and the file is told again each time.
    let held = unlocked.applied().with_files(&[("mcp.lock", "oh")]);
    held.check(&["lock 0 unread"], &[broken]);
    let held = held.applied();
    held.check(&[], &[broken]);
    held.with_files(&[("mcp.lock", &pinned)]).check(&["lock 1"], &[]);
}

#[test]
fn a_slip_in_a_grant_or_a_sub_agent_is_met_with_what_was_meant() {
    let mut scene =
        scene(&[("agents/boss.prompt", &agent("c__ecoh", "tipo")), ("agents/typo.prompt", &agent("", ""))]);
    scene.catalog = vec![tool(1, "c", "echo")];
    scene.discovery = Discovery::Complete;
    let hints: Vec<String> = scene.plan().problems.into_iter().filter_map(|problem| problem.hint).collect();
    assert_eq!(hints, ["did you mean `c__echo`?", "did you mean `typo`?"]);
}

#[test]
fn a_file_that_was_renamed_keeps_its_agent() {
    let named = |name: &str| format!("---\nmetadata: {{name: \"{name}\"}}\ntools: [read]\n---\nRead.\n");
    let other = agent("", "");
    let before = || {
        let mut before = scene(&[
            ("agents/old.prompt", &named("old")),
            ("agents/twin1.prompt", &other),
            ("agents/twin2.prompt", &other),
        ])
        .applied();
        before.stored.removed_agents.insert("buried".to_owned());
        before
    };
    let (twin1, twin2) = (("agents/twin1.prompt", other.as_str()), ("agents/twin2.prompt", other.as_str()));
    let old = named("old");
    let new = named("new");
    // The text as it was, or with the name that it says changed along.
    let differs = "Warning agents/new.prompt:2:18: the file's name is the agent's name: `new`, not `old`";
    for (text, problems) in [(&old, &[differs][..]), (&new, &[])] {
        before()
            .with_files(&[("agents/new.prompt", text), twin1, twin2])
            .check(&["agent new changed [read=0] from old"], problems);
    }
    // Also where nothing may be removed: a renamed agent is not.
    let mut kept = before().with_files(&[("agents/new.prompt", &new), twin1, twin2]);
    kept.removals = Removals::Keep;
    kept.check(&["agent new changed [read=0] from old"], &[]);
    // The grant keeps the tool that it had under the old name.
    kept.catalog = vec![tool(1, "fs", "read"), tool(2, "git", "read")];
    kept.links = BTreeMap::from([("old".to_owned(), BTreeMap::from([("read".to_owned(), ToolId(2))]))]);
    assert_eq!(super::scene::shown(&kept.plan().changes[0]), "agent new changed [read=2] from old");
    for (files, changes) in [
        // Anything else changed, too.
        (
            vec![("agents/new.prompt", new.replace("Read.", "Write.")), twins(&other, 1), twins(&other, 2)],
            vec!["agent new new [read=0]", "remove agent old"],
        ),
        // Which of the two it is cannot be known.
        (
            vec![("agents/old.prompt", old.clone()), ("agents/twin3.prompt", other.clone())],
            vec!["agent twin3 new []", "remove agent twin1", "remove agent twin2"],
        ),
        // The old one is still there: this is a copy.
        (
            vec![
                ("agents/old.prompt", old.clone()),
                twins(&other, 1),
                twins(&other, 2),
                ("agents/new.prompt", new.clone()),
            ],
            vec!["agent new new [read=0]"],
        ),
        // A name that returns has the row that it had.
        (
            vec![("agents/buried.prompt", named("buried")), twins(&other, 1), twins(&other, 2)],
            vec!["agent buried new [read=0]", "remove agent old"],
        ),
    ] {
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        before().with_files(&files).check(&changes, &[]);
    }
    // One that cannot be read may still be there under its old name.
    let scene = before().with_files(&[("agents/new.prompt", &new), twin1, twin2]);
    let mut plan = scene.plan();
    plan.spare(&["old".to_owned()].into(), &scene.stored);
    assert_eq!(
        plan.changes.iter().map(super::scene::shown).collect::<Vec<_>>(),
        ["agent new changed [read=0]"]
    );
}

fn twins(text: &str, n: u8) -> (&'static str, String) {
    (if n == 1 { "agents/twin1.prompt" } else { "agents/twin2.prompt" }, text.to_owned())
}

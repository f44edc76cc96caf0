//! Rows over whole environments: every kind of change, broken siblings, removals, whose a row is.

use super::scene::{SPIKE, TEMPLATE, TRIAGE, agent, old_home, scene, server, shown, tool};
use crate::EnvironmentName;
use crate::file::servers;
use crate::sync::{Change, Discovery, Removals};
use std::collections::BTreeSet;

#[test]
fn an_old_home_comes_in_whole_and_a_second_sync_changes_nothing() {
    let old_home = old_home();
    old_home.check(
        &[
            "create environment",
            "set DATABASE_URL new",
            "set NOTE new",
            "set ROOT_DIR new",
            "config template new [filesystem memory] -[]",
            "agent Cost Spike Investigator new [__read_text_file=0 __list_directory=0]",
            "agent coordinator new []",
            "agent triage new [read_text_file=0 __does_not_exist=0]",
        ],
        &[],
    );
    // A dry run is the plan itself: asked twice, it is the same twice.
    assert_eq!(old_home.plan(), old_home.plan());
    let plan = old_home.plan();
    let Some(Change::PutConfig { servers, .. }) = plan.changes.get(4) else { panic!("{plan:?}") };
    assert_eq!(servers[0].variables, ["ROOT_DIR"]);
    assert_eq!(servers[1].variables, ["DATABASE_URL", "NOTE"]);
    let row = plan.changes.iter().find_map(|change| match change {
        Change::PutAgent(row) if row.name.as_str() == "Cost Spike Investigator" => Some(row),
        _ => None,
    });
    let row = row.unwrap();
    assert_eq!(row.model.as_deref(), Some("gpt-4o-mini"));
    assert_eq!((row.tags.len(), row.source.as_str()), (2, SPIKE));
    assert_eq!(row.path.as_deref(), Some("environments/default/agents/Cost Spike Investigator.prompt"));
    let mut again = old_home.applied();
    again.check(&[], &[]);
    assert_eq!(again.plan().unchanged, 7);
    // Once everything is discovered, a name that nothing offers is worth a word.
    again.catalog = vec![tool(1, "filesystem", "read_text_file"), tool(2, "filesystem", "list_directory")];
    again.discovery = Discovery::Complete;
    again.check(
        &[],
        &["Warning agents/triage.prompt: nothing offers the tool `__does_not_exist`: agent `triage` works without it"],
    );
}

#[test]
fn staging_comes_in_without_its_variables() {
    let files =
        [("template.json", TEMPLATE), ("variables.yml", "# nothing\n"), ("agents/triage.prompt", TRIAGE)];
    scene(&files).check(
        &[
            "create environment",
            "config template new [filesystem memory] -[]",
            "agent triage new [read_text_file=0 __does_not_exist=0]",
        ],
        &[],
    );
}

#[test]
fn two_environments_with_equal_names_never_see_each_other() {
    let mut staging = old_home().with_files(&[("template.json", TEMPLATE), ("agents/triage.prompt", TRIAGE)]);
    staging.files.environment = EnvironmentName::parse("staging").unwrap();
    let plan = staging.plan();
    assert!(!format!("{:?}", plan.changes).contains("Cost Spike"));
    assert!(plan.changes.iter().all(|change| !matches!(change, Change::SetVariable { .. })));
    // The same definition in both has the same hash, but what it is resolved with belongs to each.
    let value_of = |_: &str| None;
    assert!(matches!(
        servers::resolve(TEMPLATE, "", "filesystem", &value_of),
        Err(servers::Unresolved::Missing(_))
    ));
}

#[test]
fn each_change_is_planned_alone() {
    let before = || {
        old_home()
            .with_files(&[
                ("environment.yml", "description: a\n"),
                ("variables.yml", "A: 1\nB: 2\n"),
                ("a.json", &server(&["git", "github"])),
                ("mcp-servers/b.json", &server(&["fs"])),
                ("agents/one.prompt", &agent("read", "")),
                ("agents/two.prompt", &agent("", "one")),
            ])
            .applied()
    };
    let rows: &[(&str, Option<&str>, &[&str])] = &[
        ("environment.yml", Some("description: b\n"), &["rules \"description: b\\n\""]),
        ("environment.yml", None, &["rules \"\""]),
        ("variables.yml", Some("A: 1\nB: 3\nC: 4\n"), &["set B changed", "set C new"]),
        ("variables.yml", Some("B: 2\n"), &["unset A"]),
        // Fault 13: deleting `git` never touches `github`.
        ("a.json", Some(&server(&["github"])), &["config a changed [github] -[git]"]),
        ("a.json", Some(&server(&["git", "github", "x"])), &["config a changed [git github x] -[]"]),
        ("a.json", None, &["remove config a -[git github]"]),
        ("agents/one.prompt", Some(&agent("write", "")), &["agent one changed [write=0]"]),
        ("agents/two.prompt", None, &["remove agent two"]),
    ];
    for (path, body, expected) in rows {
        let before = before();
        let files: Vec<(String, String)> = [
            ("environment.yml", "description: a\n".to_owned()),
            ("variables.yml", "A: 1\nB: 2\n".to_owned()),
            ("a.json", server(&["git", "github"])),
            ("mcp-servers/b.json", server(&["fs"])),
            ("agents/one.prompt", agent("read", "")),
            ("agents/two.prompt", agent("", "one")),
        ]
        .into_iter()
        .filter_map(|(name, old)| {
            let body = if name == *path { (*body)?.to_owned() } else { old };
            Some((name.to_owned(), body))
        })
        .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let mut after = before.with_files(&files);
        after.check(expected, &[]);
        // The apply before a run never removes.
        after.removals = Removals::Keep;
        let kept = after.plan();
        let removes = |change: &Change| match change {
            Change::RemoveVariable { .. } | Change::RemoveConfig { .. } | Change::RemoveAgent { .. } => true,
            Change::PutConfig { dropped, .. } => !dropped.is_empty(),
            Change::SetRules { source } => source.is_empty(),
            Change::SetLock { hash, .. } => hash.is_none(),
            Change::CreateEnvironment
            | Change::SetVariable { .. }
            | Change::PutAgent(_)
            | Change::RenameAgent { .. } => false,
        };
        assert!(!kept.changes.iter().any(removes), "{path}: {:?}", kept.changes);
    }
    before().check(&[], &[]);
}

#[test]
fn a_missing_variables_file_removes_no_secret() {
    let stored = scene(&[("variables.yml", "A: 1\n")]).applied();
    stored
        .with_files(&[])
        .check(&[], &["Warning variables.yml: the file is missing: its 1 stored variables stay"]);
}

#[test]
fn a_broken_file_refuses_itself_alone() {
    let good = [
        ("variables.yml", "A: 1\n"),
        ("a.json", &*server(&["git"])),
        ("b.json", &*server(&["fs"])),
        ("environment.yml", "description: a\n"),
        ("agents/one.prompt", &*agent("", "")),
        ("agents/two.prompt", &*agent("", "")),
    ];
    scene(&good).applied().check(&[], &[]);
    let broken = [
        ("variables.yml", "A: 2\nA: 3\n"),
        ("a.json", "{\"mcpServers\": oops}"),
        ("b.json", &*server(&["fs", "more"])),
        ("environment.yml", "tools: 1\n"),
        ("agents/one.prompt", "no front matter: {{"),
        ("agents/two.prompt", &*agent("read", "")),
        ("agents/42.prompt", &*agent("", "")),
    ];
    let after = scene(&good).applied().with_files(&broken);
    let plan = after.plan();
    let changes: Vec<String> = plan.changes.iter().map(shown).collect();
    assert_eq!(changes, ["config b changed [fs more] -[]", "agent two changed [read=0]"]);
    let paths: BTreeSet<&str> = plan.problems.iter().map(|problem| problem.path.as_str()).collect();
    let expected = ["agents/42.prompt", "agents/one.prompt", "a.json", "environment.yml", "variables.yml"];
    assert_eq!(
        paths,
        expected.map(|path| ["environments/default/", path].concat()).iter().map(String::as_str).collect()
    );
}

#[test]
fn what_is_not_ours_is_neither_changed_nor_removed() {
    let mut scene = scene(&[("a.json", &server(&["x"])), ("agents/one.prompt", &agent("", ""))]).applied();
    for config in scene.stored.configs.values_mut() {
        config.ours = false;
    }
    for agent in scene.stored.agents.values_mut() {
        agent.ours = false;
    }
    scene.check(&[], &[]);
    let scene = scene.with_files(&[]);
    scene.check(&[], &[]);
    scene.with_files(&[("a.json", &server(&["x", "y"])), ("agents/one.prompt", &agent("read", ""))]).check(
        &[],
        &[
            "Error a.json: server file `a` exists already, and this workspace does not own it",
            "Error agents/one.prompt: agent `one` exists already, and this workspace does not own it",
        ],
    );
}

#[test]
fn a_sync_from_another_workspace_leaves_variables_and_rules_alone() {
    let theirs = [("variables.yml", "A: 1\nB: 2\n"), ("environment.yml", "description: a\n")];
    let stored = || {
        let mut scene = scene(&theirs).applied();
        scene.stored.foreign = true;
        scene
    };
    let told = |file: &str| {
        format!(
            "Error {file}: environment `default` belongs to another workspace, so this file changes nothing"
        )
    };
    let (variables, rules) = (&*told("variables.yml"), &*told("environment.yml"));
    type Row<'a> = (&'a [(&'a str, &'a str)], &'a [&'a str], &'a [&'a str]);
    let rows: [Row<'_>; 7] = [
        (&[], &[], &[]),
        (&theirs, &[], &[]),
        (&[("variables.yml", "")], &[], &[variables]),
        (&[("variables.yml", "A: 3\nC: 4\n")], &[], &[variables]),
        (&[("environment.yml", "description: b\n")], &[], &[rules]),
        (&[("variables.yml", "B: 2\n"), ("environment.yml", "")], &[], &[rules, variables]),
        (
            &[("variables.yml", "A: 3\n"), ("agents/one.prompt", &agent("", ""))],
            &["agent one new []"],
            &[variables],
        ),
    ];
    for (files, changes, problems) in rows {
        let scene = stored().with_files(files);
        scene.check(changes, problems);
        assert!(scene.plan().problems.iter().all(|problem| problem.hint.is_some()), "{files:?}");
    }
    // The apply before a run would remove nothing, so it has nothing to say of what is gone.
    let mut kept = stored().with_files(&[("variables.yml", "B: 2\n")]);
    kept.removals = Removals::Keep;
    kept.check(&[], &[]);
    // A condition in a server file sees the values that hold, not those of a file that is not applied.
    let conditional =
        "{\"mcpServers\": {\"y\": {\"command\": \"c\"}{{ if .NEW }}, \"x\": {\"command\": \"c\"}{{ end }}}}";
    stored()
        .with_files(&[("variables.yml", "A: 1\nB: 2\nNEW: 1\n"), ("a.json", conditional)])
        .check(&["config a new [y] -[]"], &[variables]);
}

#[test]
fn no_plan_shows_a_value() {
    let scene = scene(&[
        ("variables.yml", "A: canary-1\n"),
        ("a.json", "{\"servers\": {\"x\": {\"command\": \"c\", \"env\": {\"K\": \"canary-2\"}}}}"),
    ]);
    assert!(!format!("{:?}", scene.plan()).contains("canary"));
    assert_eq!(scene.applied().stored.variables["A"].expose(), "canary-1");
}

#[test]
fn rules_that_could_never_be_read_take_the_place_of_none() {
    let broken = "tools: {deny: [a}\n";
    let told = ["Error environment.yml:1:15: this is not YAML: mismatched bracket '[' closed by '}'"];
    let new = scene(&[("environment.yml", broken)]);
    new.check(&["create environment", &format!("rules {broken:?}")], &told);
    // Again nothing to change, and what is mended counts.
    let stored = scene(&[("environment.yml", broken)]).applied();
    stored.check(&[], &told);
    let mended = stored.with_files(&[("environment.yml", "description: a\n")]);
    mended.check(&["rules \"description: a\\n\""], &[]);
}

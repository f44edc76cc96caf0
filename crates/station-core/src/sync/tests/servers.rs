//! Rows over server files: whose a server is, and which are discovered anew.

use super::scene::{Scene, TEMPLATE, VARIABLES, old_home, scene, server};
use crate::sync::changed_servers;

#[test]
fn a_server_belongs_to_one_file() {
    // New: the first in file order has it, and `mcp-servers/` comes first.
    let both = [("a.json", &*server(&["x", "y"])), ("mcp-servers/z.json", &*server(&["x"]))];
    scene(&both).check(
        &["create environment", "config z new [x] -[]"],
        &["Error a.json:1:17: server `x` is defined in `mcp-servers/z.json` already"],
    );
    // Stored: the file that has it keeps it, and one added later takes nothing over.
    scene(&both[..1])
        .applied()
        .with_files(&both)
        .check(&[], &["Error mcp-servers/z.json:1:17: server `x` is defined in `a.json` already"]);
    // A file that is renamed, and a server that moves, take it along.
    let renamed = [("b.json", &*server(&["x", "y"]))];
    scene(&both[..1])
        .applied()
        .with_files(&renamed)
        .check(&["config b new [x y] -[]", "remove config a -[]"], &[]);
    // What is stored of a broken file stands in the way too.
    let broken = [("a.json", "{"), ("b.json", &*server(&["y"]))];
    let after = scene(&both[..1]).applied().with_files(&broken);
    let plan = after.plan();
    assert!(plan.is_empty(), "{plan:?}");
    assert!(
        plan.problems
            .iter()
            .any(|p| p.sentence == "server `y` is defined in `environments/default/a.json` already")
    );
}

#[test]
fn servers_change_with_their_definition_and_their_variables() {
    let check = |scene: &Scene, expected: &[&str]| {
        let changed = changed_servers(&scene.plan(), &scene.stored);
        assert_eq!(changed.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    };
    let with_variables = |variables: &str| {
        old_home().applied().with_files(&[("template.json", TEMPLATE), ("variables.yml", variables)])
    };
    check(&old_home(), &["filesystem", "memory"]);
    check(&old_home().applied(), &[]);
    check(&with_variables(&VARIABLES.replace("samples", "other")), &["filesystem"]);
    check(&with_variables(&VARIABLES.replace("NOTE", "NOTICE")), &["memory"]);
    check(&with_variables(&format!("{VARIABLES}UNUSED: 1\n")), &[]);
    let moved = TEMPLATE.replace("2025.8.4", "2025.9.1");
    check(
        &old_home().applied().with_files(&[("template.json", &moved), ("variables.yml", VARIABLES)]),
        &["memory"],
    );
    let spaced = TEMPLATE.replace("  ", "    ");
    check(&old_home().applied().with_files(&[("template.json", &spaced), ("variables.yml", VARIABLES)]), &[]);
}

#[test]
fn a_condition_brings_a_server_in_without_an_edit() {
    let conditional =
        "{\"servers\": {\"a\": {\"command\": \"c\"}{{ if .B }}, \"b\": {\"command\": \"c\"}{{ end }}}}";
    let before = scene(&[("x.json", conditional), ("variables.yml", "")]).applied();
    before.check(&[], &[]);
    let on = before.with_files(&[("x.json", conditional), ("variables.yml", "B: 1")]);
    on.check(&["set B new", "config x changed [a b] -[]"], &[]);
    let off = on.applied().with_files(&[("x.json", conditional), ("variables.yml", "")]);
    off.check(&["unset B", "config x changed [a] -[b]"], &[]);
}

#[test]
fn a_json_file_of_another_kind_is_passed_over() {
    scene(&[("manifest.json", "{\"version\": \"1.0\"}"), ("a.json", &server(&["x"]))]).check(
        &["create environment", "config a new [x] -[]"],
        &["Note manifest.json: the file is passed over: it has neither `mcpServers` nor `servers`"],
    );
    scene(&[("mcp-servers/manifest.json", "{}")]).check(
        &["create environment"],
        &["Error mcp-servers/manifest.json:1:1: the file defines no servers: it has neither `mcpServers` nor `servers`"],
    );
}

//! `stn runs list` with filters, `stn runs export`

use crate::home::Home;
use expect_test::expect;

#[test]
fn runs_are_selected_and_exported() {
    let home = Home::with_init();
    home.agent("default", "a", "model: offline\n");
    home.agent("default", "b", "model: offline\n");
    home.stn(&["sync", "--quiet"]).done();
    for agent in ["a", "b", "a"] {
        home.stn(&["agent", "run", agent, "hello", "--quiet"]).done();
    }
    let ids = |args: &[&str]| {
        let args: Vec<&str> = ["runs", "list"].iter().chain(args).copied().collect();
        let listed = home.json(&args);
        let ids: Vec<i64> =
            listed["runs"].as_array().unwrap().iter().map(|run| run["id"].as_i64().unwrap()).collect();
        (ids, listed["next"].as_i64())
    };
    assert_eq!(ids(&[]), (vec![3, 2, 1], None));
    assert_eq!(ids(&["--agent", "a"]), (vec![3, 1], None));
    assert_eq!(ids(&["--limit", "2"]), (vec![3, 2], Some(2)));
    assert_eq!(ids(&["--limit", "2", "--cursor", "2"]), (vec![1], None));
    assert_eq!(ids(&["--since", "1h", "--status", "completed"]), (vec![3, 2, 1], None));
    assert_eq!(ids(&["--until", "1h"]), (vec![], None));
    assert_eq!(ids(&["--since", "2020-01-01", "--until", "2020-01-02T00:00:00Z"]), (vec![], None));
    home.stn(&["runs", "list", "--agent", "c"]).is(&expect![[r#"
        --- stderr
        error: agent `c` does not exist
        hint: `stn agent list` shows them
        --- exit 1
    "#]]);
    home.stn(&["runs", "list", "--env", "defualt"]).is(&expect![[r#"
        --- stderr
        error: environment `defualt` does not exist
        hint: did you mean `default`?
        --- exit 1
    "#]]);
    home.stn(&["runs", "list", "--since", "yesterday"]).is(&expect![[r#"
        --- stderr
        error: invalid value 'yesterday' for '--since <TIME>': write a time ago like 30m, 2h or 7d, a day like 2026-11-26, or a time like [time]Z

        For more information, try '--help'.
        --- exit 2
    "#]]);
    home.stn(&["runs", "list", "--status", "complete"]).is(&expect![[r#"
        --- stderr
        error: invalid value 'complete' for '--status <STATUS>': did you mean `completed`? it is one of queued, running, waiting, completed, failed, cancelled, timed_out, interrupted

        For more information, try '--help'.
        --- exit 2
    "#]]);
    let said = home.stn(&["approvals", "list", "--status", "aproved"]);
    assert!(
        said.exits(2).stderr.contains("did you mean `approved`? it is one of pending, approved"),
        "{}",
        said.shown()
    );
    let lines = home.stn(&["runs", "export", "--agent", "a"]).done().stdout.clone();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["run"]["id"], &lines[1]["run"]["id"]), (&3.into(), &1.into()));
    assert!(lines[0]["journal"].as_array().is_some_and(|journal| !journal.is_empty()));
    home.stn(&["runs", "export", "2", "-o", "runs.jsonl"]).is(&expect![[r#"
        --- stderr
        Wrote 1 run to runs.jsonl.
    "#]]);
    home.stn(&["runs", "export", "2", "-o", "runs.jsonl"]).is(&expect![[r#"
        --- stderr
        error: the file runs.jsonl is there already, and stays as it is
        hint: name another
        --- exit 1
    "#]]);
    // Each of it that was taken out is told, and what was refused is not.
    home.stn(&["runs", "export", "1", "99"]).is(&expect![[r#"
        --- stderr
        error: run 99 does not exist
        hint: `stn runs list` shows them
        --- exit 1
    "#]]);
    let audit = home.json(&["audit", "list"])["audit"].clone();
    let rows = audit.as_array().unwrap().iter().filter(|row| row["action"] == "export_runs");
    let told: Vec<&serde_json::Value> = rows.map(|row| &row["detail"]["runs"]).collect();
    assert_eq!(told, [&serde_json::json!([2]), &serde_json::json!([3, 1])], "{audit}");
}

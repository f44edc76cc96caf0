//! Who decided what: listed, and seen to be whole.

use crate::approvals::{Scene, posts};
use serde_json::{Value, json};

#[test]
fn decisions_are_kept_with_who_made_them() {
    let scene = Scene::new(&json!({"approve": ["post"]}), posts).agent("");
    scene.home.stn(&["audit", "verify"]).done();
    scene.home.stn(&["agent", "run", "clerk", "post it"]).exits(5);
    scene.home.stn(&["approvals", "deny", "1", "--reason", "no"]).done();
    let audit = scene.home.json(&["audit", "list"]);
    let entry = &audit["audit"][0];
    assert_eq!((&entry["action"], &entry["subject"]), (&json!("deny"), &json!("approval 1")));
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
    assert_eq!(entry["actor"], user, "the user of the operating system");
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    assert_eq!(entry["from"], host, "the machine");
    assert_eq!((&entry["detail"]["tool"], &entry["detail"]["reason"]), (&json!("post"), &json!("no")));
    // What the scene is made of was there before it.
    let made = |action: &str| audit["audit"].as_array().unwrap().iter().any(|row| row["action"] == action);
    assert!(made("create_agent") && made("add_server"), "{audit}");
    let whole = scene.home.json(&["audit", "verify"]);
    assert_eq!((&whole["head"]["seq"], &whole["head"]["hash"]), (&entry["seq"], &entry["hash"]), "{whole}");
    let exported = scene.home.stn(&["audit", "export"]).done().stdout.clone();
    let rows: Vec<Value> = exported.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!((rows.last(), &json!(rows.len())), (Some(entry), &audit["count"]));
    // What comes after it is that it was exported.
    let after = entry["seq"].to_string();
    let next: Value = scene.home.stn(&["audit", "export", "--after", &after]).done().stdout.parse().unwrap();
    assert_eq!((&next["action"], &next["detail"]["to"]), (&json!("export_audit"), &entry["seq"]), "{next}");
    let newest = scene.home.json(&["audit", "list"])["audit"][0].clone();
    let told = scene.home.stn(&["audit", "verify"]).done().stdout.clone();
    let noted = format!("{} {}", newest["seq"], newest["hash"].as_str().unwrap());
    assert!(told.contains(&noted), "{told}");
}

#[test]
fn what_was_decided_about_a_run_stays_when_the_run_is_removed() {
    let scene = Scene::new(&json!({"approve": ["post"]}), posts).agent("");
    scene.home.stn(&["agent", "run", "clerk", "post it"]).exits(5);
    scene.home.stn(&["approvals", "deny", "1", "--reason", "not on a Friday"]).done();
    scene.home.stn(&["runs", "resume", "1"]).done();
    let rows = || scene.home.json(&["audit", "list"])["audit"].as_array().unwrap().clone();
    let before = rows();
    assert_eq!(before[0]["detail"]["reason"], "not on a Friday", "{}", before[0]);
    scene.home.stn(&["runs", "prune", "--keep-days", "0", "--yes"]).done();
    scene.home.stn(&["runs", "inspect", "1"]).exits(1);
    scene.home.stn(&["approvals", "show", "1"]).exits(1);
    let after = rows();
    assert_eq!(after[0]["action"], "prune_runs", "who removed it is told after what was there");
    assert_eq!(after[1..], before[..]);
    assert_eq!(scene.home.json(&["audit", "verify"])["head"]["seq"], after[0]["seq"]);
}

#[test]
fn a_setting_that_a_command_writes_is_in_the_audit() {
    let home = crate::home::Home::with_init();
    home.stn(&["sync", "--quiet"]).done();
    home.stn(&["settings", "set", "execution.workers", "11"]).done();
    home.stn(&["config", "set", "execution.workers", "--unset"]).done();
    let rows = home.json(&["audit", "list"])["audit"].clone();
    let told = |at: usize| (rows[at]["action"].clone(), rows[at]["subject"].clone());
    let subject = json!("setting execution.workers");
    assert_eq!(told(1), (json!("set_setting"), subject.clone()), "{rows}");
    assert_eq!(told(0), (json!("unset_setting"), subject), "{rows}");
}

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
    assert_eq!(audit["count"], 1, "{audit}");
    let entry = &audit["audit"][0];
    assert_eq!((&entry["action"], &entry["subject"]), (&json!("deny"), &json!("approval 1")));
    let user = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
    assert_eq!(entry["actor"], user, "the user of the operating system");
    assert_eq!((&entry["detail"]["tool"], &entry["detail"]["reason"]), (&json!("post"), &json!("no")));
    let whole = scene.home.json(&["audit", "verify"]);
    assert_eq!((&whole["head"]["seq"], &whole["head"]["hash"]), (&json!(1), &entry["hash"]), "{whole}");
    let exported = scene.home.stn(&["audit", "export"]).done().stdout.clone();
    let rows: Vec<Value> = exported.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(rows.iter().collect::<Vec<_>>(), [entry]);
    assert_eq!(scene.home.stn(&["audit", "export", "--after", "1"]).done().stdout, "");
    let told = scene.home.stn(&["audit", "verify"]).done().stderr.clone();
    assert!(told.contains(&format!("1 {}", entry["hash"].as_str().unwrap())), "{told}");
}

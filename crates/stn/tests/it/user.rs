//! Users and API keys at the command line.

use crate::home::Home;
use crate::http::{Answer, Served};
use expect_test::expect;
use serde_json::{Value, json};

#[test]
fn users_are_made_changed_and_removed() {
    let home = Home::with_init();
    home.stn(&["user", "list"]).is(&expect![[r#"
        --- stderr
        hint: there is none, so HTTP lets in the local administrator alone; `stn user create <name> --role admin` makes the first
    "#]]);
    home.stn(&["user", "create", "eve"]).is(&expect![[r#"
        --- stderr
        error: the first user must be an administrator
        hint: make one: `stn user create <name> --admin`
        --- exit 1
    "#]]);
    // A key is told once, on stdout, and a password never.
    let root = home.stn(&["user", "create", "root", "--admin"]).done().stdout.trim().to_owned();
    assert!(root.starts_with("stn_1_") && root.len() == "stn_1_".len() + 64, "{root}");
    let typed = &["user", "create", "ann", "--role", "viewer", "--env", "default", "--password"];
    home.stn_reading(typed, "too short\n").is(&expect![[r#"
        --- stderr
        error: the password has 9 characters: it must have 15 at least, and 1024 bytes at most
        hint: a few words in a row make a good one
        --- exit 1
    "#]]);
    home.stn_reading(typed, "correct horse battery\n").is(&expect![[r#"
        --- stderr
        Made user `ann` (viewer), for environments: default.
    "#]]);
    home.stn(&["user", "create", "ann"]).is(&expect![[r#"
        --- stderr
        error: user `ann` exists already
        hint: `stn user update` changes it
        --- exit 1
    "#]]);
    home.stn(&["user", "create", "7"]).is(&expect![[r#"
        --- stderr
        error: `7` cannot be the name of a user
        hint: use 1 to 64 characters, not digits alone, without blanks around them
        --- exit 1
    "#]]);
    home.stn(&["user", "create", "bob", "--role", "boss"]).is(&expect![[r#"
        --- stderr
        error: invalid value 'boss' for '--role <ROLE>': `boss` is no role: it is one of viewer, user, admin

        For more information, try '--help'.
        --- exit 2
    "#]]);
    home.stn(&["user", "create", "bob", "--env", "stagin"]).is(&expect![[r#"
        --- stderr
        error: environment `stagin` does not exist
        hint: there are `default`; make one with `stn env create stagin`
        --- exit 1
    "#]]);
    home.stn(&["user", "update", "ann", "--role", "user", "--no-env"]).is(&expect![[r#"
        --- stderr
        User `ann` is user now, for environments: none.
    "#]]);
    home.stn(&["user", "update", "anm", "--role", "user"]).is(&expect![[r#"
        --- stderr
        error: user `anm` does not exist
        hint: did you mean `ann`?
        --- exit 1
    "#]]);
    home.stn(&["user", "update", "root", "--role", "user"]).is(&expect![[r#"
        --- stderr
        error: user 2 is the last administrator
        hint: make another one first: `stn user update <name> --role admin`
        --- exit 1
    "#]]);
    home.stn(&["user", "delete", "root", "--yes"]).is(&expect![[r#"
        --- stderr
        User `root` (admin) is removed; what it did stays told.
        API keys that are revoked with it: 1.
        error: user 2 is the last administrator
        hint: make another one first: `stn user update <name> --role admin`
        --- exit 1
    "#]]);
    let listed = home.json(&["user", "list"]);
    let rows: Vec<(&str, &str)> = listed["users"]
        .as_array()
        .unwrap()
        .iter()
        .map(|user| (user["name"].as_str().unwrap(), user["role"].as_str().unwrap()))
        .collect();
    assert_eq!(rows, [("ann", "user"), ("root", "admin")]);
    home.stn(&["user", "delete", "ann"]).is(&expect![[r#"
        --- stderr
        User `ann` (user) is removed; what it did stays told.
        API keys that are revoked with it: 0.
        error: nobody can be asked: remove user `ann`?
        hint: say yes with `--yes`
        --- exit 1
    "#]]);
    home.stn(&["user", "delete", "ann", "--yes"]).is(&expect![[r#"
        --- stderr
        User `ann` (user) is removed; what it did stays told.
        API keys that are revoked with it: 0.
        Removed user `ann`.
    "#]]);
    home.stn(&["user", "delete", "root", "--yes"]).done();
}

#[test]
fn keys_are_made_listed_and_revoked() {
    let home = Home::with_init();
    home.stn(&["user", "create", "root", "--admin"]).done();
    let made =
        home.json(&["user", "key", "create", "root", "--name", "ci", "--scope", "run", "--days", "30"]);
    assert_eq!(made["api_key"]["scopes"], serde_json::json!(["read", "run"]), "{made}");
    assert!(made["secret"].as_str().unwrap().starts_with("stn_2_"), "{made}");
    home.stn(&["user", "key", "create", "root", "--scope", "aprove"]).is(&expect![[r#"
        --- stderr
        error: invalid value 'aprove' for '--scope <SCOPE>': `aprove` is no scope: it is one of read, run, edit, approve, admin

        For more information, try '--help'.
        --- exit 2
    "#]]);
    home.stn(&["user", "key", "create", "nobody"]).is(&expect![[r#"
        --- stderr
        error: user `nobody` does not exist
        hint: `stn user list` shows them
        --- exit 1
    "#]]);
    home.stn(&["user", "key", "revoke", "2"]).is(&expect![[r#"
        --- stderr
        Revoked API key 2.
    "#]]);
    home.stn(&["user", "key", "revoke", "2"]).is(&expect![[r#"
        --- stderr
        error: API key 2 does not exist, or was revoked already
        hint: `stn user key list` shows those that hold
        --- exit 1
    "#]]);
    let listed = home.json(&["user", "key", "list", "root"]);
    assert_eq!((&listed["count"], &listed["api_keys"][0]["id"]), (&1.into(), &1.into()), "{listed}");
}

#[test]
fn a_fresh_container_makes_its_first_administrator_and_serves_others_only_then() {
    let home = Home::with_init().set("STN_API_HOST", "0.0.0.0");
    let refused = home.stn(&["serve"]).exits(1).stderr.clone();
    assert!(
        refused.contains("HTTP on 0.0.0.0 would be open to others, and there is no user yet"),
        "{refused}"
    );
    let key = format!("stn_first_{}\n", "5".repeat(64));
    let path = home.work("admin-key");
    std::fs::write(&path, &key).unwrap();
    let wrong = Home::with_init().set("STN_ADMIN_KEY", "hunter2");
    wrong.stn(&["serve"]).is(&expect![[r#"
        --- stderr
        Listening on http://127.0.0.1:[port]: MCP at /mcp.
        error: the administrator's key is none of Station's
        hint: it is `stn_`, a word, `_` and 64 hex digits, e.g. `stn_first_$(openssl rand -hex 32)`
        --- exit 1
    "#]]);
    // Given by itself it does the same.
    let by_itself = Home::with_init().set("STN_API_HOST", "0.0.0.0").set("STN_ADMIN_KEY", key.trim());
    let served = Served::start(&by_itself);
    let caller = served.send_as(key.trim(), "/api/v1/caller", "GET", "");
    assert_eq!((caller.status, &caller.json()["role"]), (200, &json!("admin")), "{}", caller.body);
    assert_eq!(served.send_to("/api/v1/caller", "GET", &[], "").status, 401);
    served.stop();
    assert!(!by_itself.stn(&["audit", "export"]).done().stdout.contains(key.trim()));
    // A second start finds its user there, and makes none.
    Served::start(&by_itself).stop();
    assert_eq!(by_itself.json(&["user", "list"])["count"], 1);

    let home = home.set("STN_ADMIN_KEY_FILE", path.to_str().unwrap());
    let served = crate::http::Served::start(&home);
    let bearer = format!("Bearer {}", key.trim());
    let known = |headers: &[(&str, &str)]| served.send_to("/api/v1/caller", "GET", headers, "").status;
    assert_eq!(known(&[("authorization", &bearer)]), 200);
    assert_eq!(known(&[]), 401, "nobody is known by a socket beyond this machine");
    assert_eq!(known(&[("authorization", &bearer), ("host", "station.example.com")]), 200);
    served.stop();
    assert!(!home.stn(&["audit", "export"]).done().stdout.contains(key.trim()));
}

#[test]
fn an_invited_user_chooses_a_password_by_a_link_that_is_good_once() {
    let home = Home::with_init().set("STN_API_PORT", "0");
    let made = home.json(&["user", "create", "root", "--admin", "--invite"]);
    assert!(made["secret"].is_null() && made["user"]["has_password"] == false, "{made}");
    let link = |made: &Value| made["invitation"]["url"].as_str().unwrap().to_owned();
    let secret = |link: &str| link.split_once("/welcome#").unwrap().1.to_owned();
    let first = link(&made);
    assert!(first.starts_with("http://127.0.0.1:0/welcome#") && secret(&first).len() == 64, "{first}");
    // Another one takes its place.
    let second = link(&home.json(&["user", "invite", "root", "--hours", "48"]));
    home.stn(&["user", "invite", "rooot"]).is(&expect![[r#"
        --- stderr
        error: user `rooot` does not exist
        hint: did you mean `root`?
        --- exit 1
    "#]]);

    let served = Served::start(&home);
    let page = served.send_to("/welcome", "GET", &[], "");
    assert!(page.status == 200 && page.body.contains("Choose your password"), "{}", page.head);
    assert!(
        page.head.contains("content-security-policy: default-src 'none'; script-src 'self'"),
        "{}",
        page.head
    );
    for file in ["/welcome.js", "/welcome.css"] {
        assert_eq!(served.send_to(file, "GET", &[], "").status, 200, "{file}");
    }
    let accept = |link: &str, password: &str| {
        let body = json!({ "invitation": secret(link), "password": password }).to_string();
        served.send_to("/api/v1/invitations/accept", "POST", &[], &body)
    };
    let message = |answer: &Answer| answer.json()["error"]["message"].as_str().unwrap().to_owned();
    let replaced = accept(&first, "correct horse battery");
    assert_eq!(replaced.status, 401);
    expect!["the invitation was used, replaced by another, or is over"].assert_eq(&message(&replaced));
    let short = accept(&second, "too short");
    assert_eq!(short.status, 400, "{}", short.body);
    let accepted = accept(&second, "correct horse battery");
    assert_eq!((accepted.status, &accepted.json()["name"]), (201, &json!("root")), "{}", accepted.body);
    assert!(accepted.head.contains("set-cookie: __host-station="), "{}", accepted.head);
    assert_eq!(accept(&second, "correct horse battery").status, 401);
    let sign_in = json!({ "name": "root", "password": "correct horse battery" }).to_string();
    assert_eq!(served.send_to("/api/v1/sessions", "POST", &[], &sign_in).status, 201);
    served.stop();

    let audit = home.stn(&["audit", "export"]).done().stdout.clone();
    let rows: Vec<Value> = audit.lines().map(|line| line.parse().unwrap()).collect();
    let accepted = rows.iter().find(|row| row["action"] == "accept_invitation").unwrap();
    assert_eq!((&accepted["actor"], &accepted["from"]), (&json!("root"), &json!("127.0.0.1")), "{accepted}");
    assert!(!audit.contains(&secret(&second)) && !audit.contains("correct horse"));
}

//! Keys of servers: kept, used, and told to nobody.

use crate::at_server::url;
use crate::home::Home;
use crate::http::Served;
use expect_test::expect;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A Station with users, served, and the key of its administrator.
pub(crate) fn served() -> (Home, Served, String) {
    let home = Home::with_init();
    let key = home.stn(&["user", "create", "root", "--admin"]).done().stdout.trim().to_owned();
    let typed = &["user", "create", "ann", "--role", "user", "--env", "default", "--password"];
    home.stn_reading(typed, "correct horse battery\n").done();
    let served = Served::start(&home);
    (home, served, key)
}

pub(crate) fn logins(home: &Path) -> Vec<PathBuf> {
    let folder = home.join(".config/stn/logins");
    let entries =
        std::fs::read_dir(folder).map(|all| all.map(|entry| entry.unwrap().path()).collect::<Vec<_>>());
    entries.unwrap_or_default()
}

#[test]
fn a_key_is_checked_kept_for_its_owner_alone_and_used() {
    let (_home, served, key) = served();
    let address = url(&served);
    // Another machine's user, who has no Station.
    let mine = Home::new();
    let said = mine.stn_reading(&["login", &address], &format!("{key}\n"));
    let name = address.replace(':', "%3A").replace('/', "%2F");
    let shown = said.shown().replace(&address, "URL").replace(&name, "NAME");
    expect![[r#"
        --- stderr
        You are `root` at URL: admin, and may read, run, edit, approve, admin.
        The key is kept in $HOME/.config/stn/logins/NAME.json
        hint: `stn --server URL agent list`; STN_SERVER says it for all commands
    "#]]
    .assert_eq(&shown);
    let kept = logins(mine.path());
    assert_eq!(kept.len(), 1, "{kept:?}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&kept[0]), mode(kept[0].parent().unwrap())), (0o600, 0o700));
    mine.stn(&["agent", "list", "--server", &address]).done();
    // Asking a server makes nothing here.
    assert!(!mine.config("station.db").exists() && !mine.config("").exists());
    // A key is for its server alone.
    let other = Home::with_init();
    other.stn(&["user", "create", "root", "--admin"]).done();
    let elsewhere = Served::start(&other);
    mine.stn(&["agent", "list", "--server", &url(&elsewhere)]).exits(1);
    // What is wrong is not kept.
    let wrong = mine.stn_reading(&["login", &url(&elsewhere)], &key);
    assert!(wrong.code == Some(1) && !wrong.stderr.contains(&key), "{}", wrong.shown());
    assert_eq!(logins(mine.path()).len(), 1);
    std::fs::write(mine.path().join("key.txt"), format!("{key}\n")).unwrap();
    let told = mine.json(&["login", &address, "--key-file", "key.txt"]);
    assert_eq!(
        (&told["login"]["caller"]["name"], &told["login"]["caller"]["role"]),
        (&"root".into(), &"admin".into())
    );
    assert!(!told.to_string().contains(&key));
    mine.stn_reading(&["login", &address], "hunter2\n").is(&expect![[r#"
        --- stderr
        error: what was given is no API key: that begins with `stn_`
        hint: `stn user key create` makes one where the server is; `--user NAME` takes a password instead
        --- exit 1
    "#]]);
    mine.stn_reading(&["login", &address], "").is(&expect![[r#"
        --- stderr
        error: API key was not given
        hint: pipe it in, or name its file with `--key-file`
        --- exit 1
    "#]]);
    mine.stn(&["login"]).is(&expect![[r#"
        --- stderr
        error: name the server: `stn login https://station.example.com`
        --- exit 1
    "#]]);
    mine.stn_reading(&["login", "http://station.example.com"], &key).is(&expect![[r#"
        --- stderr
        error: http://station.example.com is spoken to without TLS: whoever is in between would read the key
        hint: write `https://…`; `--plain-http` allows it, for a network that is yours alone
        --- exit 1
    "#]]);
    std::fs::write(&kept[0], "{}").unwrap();
    let broken = mine.stn(&["agent", "list", "--server", &address]);
    assert!(broken.stderr.contains("is no login, from line 1 on"), "{}", broken.shown());
}

#[test]
fn a_password_makes_a_key_for_this_machine() {
    let (home, served, _) = served();
    let address = url(&served);
    let mine = Home::new();
    let wrong = mine.stn_reading(&["login", &address, "--user", "ann"], "wrong horse battery\n");
    wrong.exits(1);
    assert!(logins(mine.path()).is_empty(), "{}", wrong.shown());
    mine.stn_reading(&["login", &address, "--user", "ann"], "correct horse battery\n").done();
    let keys = home.json(&["user", "key", "list"]);
    let made = keys["api_keys"].as_array().unwrap().iter().find(|key| key["user"] == "ann").cloned().unwrap();
    assert!(
        made["name"].as_str().unwrap().starts_with("stn on ") && made["expires_at"].is_string(),
        "{made}"
    );
    // With it, and no more: no session stays.
    let told = mine.json(&["agent", "list", "--server", &address]);
    assert_eq!(told["count"], 0, "{told}");
    mine.stn(&["logout"]).done();
    assert!(logins(mine.path()).is_empty());
    let keys = home.json(&["user", "key", "list"]);
    assert!(keys["api_keys"].as_array().unwrap().iter().all(|key| key["user"] != "ann"), "{keys}");
}

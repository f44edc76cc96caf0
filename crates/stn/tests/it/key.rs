//! `stn key …`, and what a store says to the wrong key.

use crate::home::Home;
use expect_test::expect;

const OTHER: &str = "ab12cd34ab12cd34ab12cd34ab12cd34ab12cd34ab12cd34ab12cd34ab12cd34";

#[test]
fn a_key_is_made_once() {
    let home = Home::new();
    home.stn(&["key", "status"]).is(&expect![[r#"
        No key is configured.
        --- stderr
        hint: `stn init` makes one, or the first command that needs the database does
    "#]]);
    home.stn(&["key", "generate"]).is(&expect![[r#"
        Made key [id] in $HOME/.config/station/station.key
        --- stderr
        hint: back it up: without it nobody can open the database, and it is kept nowhere else
    "#]]);
    home.stn(&["key", "status"]).is(&expect![[r#"
        Key [id] in $HOME/.config/station/station.key
          there is no database yet
    "#]]);
    home.stn(&["key", "generate"]).is(&expect![[r#"
        --- stderr
        error: there is a key already: $HOME/.config/station/station.key
        hint: a second key would open nothing; `stn key status` shows the first
        --- exit 1
    "#]]);
}

#[test]
fn a_key_that_does_not_open_the_database_is_refused() {
    let home = Home::with_init();
    let key = home.read("station.key");
    home.stn_reading(&["key", "set"], OTHER).is(&expect![[r#"
        --- stderr
        error: the key in use ($HOME/.config/station/station.key) opens the database, this one is another
        --- exit 1
    "#]]);
    home.stn_reading(&["key", "set"], "abc").is(&expect![[r#"
        --- stderr
        error: the encryption key cannot be read: it has 3 hex digits instead of 64
        hint: a key is 64 hex digits; `stn key generate` makes one
        --- exit 1
    "#]]);
    home.stn_reading(&["key", "set"], "").is(&expect![[r#"
        --- stderr
        error: the encryption key cannot be read: it is empty
        hint: a key is 64 hex digits; `stn key generate` makes one
        --- exit 1
    "#]]);
    assert_eq!(home.read("station.key"), key, "nothing was changed");
    home.stn_reading(&["key", "set"], &key).is(&expect![[r#"
        Key [id] is in use: $HOME/.config/station/station.key
    "#]]);
    std::fs::remove_file(home.config("station.key")).unwrap();
    home.stn(&["agent", "list"]).is(&expect![[r#"
        --- stderr
        error: $HOME/.config/station/station.db exists, and no key is configured to open it
        hint: put its key into $HOME/.config/station/station.key with `stn key set`, or into STATION_ENCRYPTION_KEY
        hint: a new key would not open it, so none was made
        --- exit 1
    "#]]);
    home.stn(&["key", "generate"]).exits(1);
    home.write("key.txt", &key);
    home.stn(&["key", "set", "--from-file", home.config("key.txt").to_str().unwrap()]).is(&expect![[r#"
        Key [id] is in use: $HOME/.config/station/station.key
    "#]]);
    home.stn(&["agent", "list"]).done();
}

#[test]
fn the_wrong_key_and_no_database_are_sentences() {
    let home = Home::with_init();
    std::fs::write(home.config("station.key"), OTHER).unwrap();
    home.stn(&["agent", "list"]).is(&expect![[r#"
        --- stderr
        error: `$HOME/.config/station/station.db` cannot be opened: wrong key, or not a Station database
        hint: nothing was changed; `stn key status` shows which key is used
        --- exit 1
    "#]]);
    home.stn(&["key", "status"]).is(&expect![[r#"
        Key [id] in $HOME/.config/station/station.key
          it does not open the database: `$HOME/.config/station/station.db` cannot be opened: wrong key, or not a Station database
        --- exit 1
    "#]]);
    std::fs::write(home.config("station.db"), "this is a text file, and a rather short one").unwrap();
    home.stn(&["agent", "list"]).is(&expect![[r#"
        --- stderr
        error: `$HOME/.config/station/station.db` is no database, but something else
        hint: nothing was changed; move it away, or name another place for the database
        --- exit 1
    "#]]);
    assert_eq!(home.read("station.db"), "this is a text file, and a rather short one");
}

#[test]
fn a_key_of_the_environment_or_of_the_configuration_works() {
    let home = Home::new().set("STATION_ENCRYPTION_KEY", OTHER);
    home.stn(&["init", "--quiet"]).done();
    assert!(!home.config("station.key").exists());
    home.stn(&["key", "status"]).is(&expect![[r#"
        Key [id] in the environment variable STATION_ENCRYPTION_KEY
          it opens the database
    "#]]);
    let other = Home::new();
    other.write("config.yaml", &format!("encryption_key: {OTHER}\n"));
    other.stn(&["key", "status"]).is(&expect![[r#"
        Key [id] in encryption_key in config.yaml
          there is no database yet
        --- stderr
        hint: the key is in config.yaml, which people commit: move it with `stn key set`, then take that line out
    "#]]);
    other.stn_reading(&["key", "set"], OTHER).is(&expect![[r#"
        Key [id] is in use: $HOME/.config/station/station.key
        --- stderr
        hint: the key file wins: take `encryption_key` out of config.yaml now
    "#]]);
    assert_eq!(other.read("station.key").trim(), OTHER);
}

#[test]
fn a_key_on_the_command_line_is_not_repeated() {
    let home = Home::new();
    for args in [vec!["key", "set", OTHER], vec!["key", "set", OTHER, "--json"]] {
        let said = home.stn(&args);
        assert!(!said.exits(2).shown().contains("ab12cd34"), "{}", said.shown());
    }
}

#[test]
fn no_key_is_said_to_be_made_where_a_database_is() {
    let home = Home::with_init();
    std::fs::remove_file(home.config("station.key")).unwrap();
    home.stn(&["key", "status"]).is(&expect![[r#"
        No key is configured.
        --- stderr
        hint: there is a database: give its key with `stn key set`, or in STATION_ENCRYPTION_KEY
        hint: a new key would not open it, so none is made
    "#]]);
    let server = station_testkit::postgres::cluster().database();
    let home = Home::new().set("STATION_DATABASE", &server);
    home.stn(&["key", "status"]).done();
    home.stn(&["init", "--yes"]).done();
    std::fs::remove_file(home.config("station.key")).unwrap();
    for args in [["agent", "list"], ["key", "generate"]] {
        let said = home.stn(&args);
        assert!(
            said.exits(1).stderr.contains("exists, and no key is configured to open it"),
            "{}",
            said.shown()
        );
        assert!(!home.config("station.key").exists(), "{args:?}");
    }
}

#[test]
fn the_database_of_another_program_stays_where_it_is() {
    let home = Home::new();
    home.write("app.sqlite", "SQLite format 3\0and what some other program keeps");
    let path = home.config("app.sqlite");
    let before = std::fs::read(&path).unwrap();
    let home = home.set("STATION_DATABASE", path.to_str().unwrap());
    home.stn(&["agent", "list"]).is(&expect![[r#"
        --- stderr
        error: `$HOME/.config/station/app.sqlite` is the database of another program: unencrypted SQLite
        hint: nothing was changed; name another path in STATION_DATABASE or `database_url`, or move it aside
        --- exit 1
    "#]]);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let left: Vec<_> =
        std::fs::read_dir(home.config("")).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(left.len(), 1, "neither a key nor a renamed file: {left:?}");
    // The Go program's own is renamed, whatever it is called.
    let old = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/old-home/station.db");
    std::fs::copy(old, &path).unwrap();
    let said = home.stn(&["agent", "list"]);
    assert!(
        said.done().stderr.contains("is a database of the Go program: it is kept as"),
        "{}",
        said.shown()
    );
}

//! Each state in which a database can be has a sentence of its own, and is left as it is.

use crate::home::Home;
use station_testkit::postgres::cluster;
use std::path::Path;

const OTHER: &str = "ab12cd34ab12cd34ab12cd34ab12cd34ab12cd34ab12cd34ab12cd34ab12cd34";

/// What becomes of a home in which a run was done: how it is spoilt, and the first line on stderr.
type Row = (&'static str, fn(&Home), &'static str, i32);

fn database(home: &Home) -> std::path::PathBuf {
    home.config("station.db")
}

fn cut(path: &Path, bytes: u64) {
    std::fs::File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

const ROWS: [Row; 7] = [
    ("whole", |_| {}, "", 0),
    (
        "cut in the middle",
        |home| cut(&database(home), 2 * 4096),
        "error: the database `$HOME/.config/station/station.db` is damaged: a part of it is missing or broken",
        1,
    ),
    (
        "emptied",
        |home| cut(&database(home), 0),
        "warning: the database was an empty file although there is a key: a new one is made in it",
        0,
    ),
    (
        "with another key",
        |home| std::fs::write(home.config("station.key"), OTHER).unwrap(),
        "error: `$HOME/.config/station/station.db` cannot be opened: wrong key, or not a Station database",
        1,
    ),
    (
        "without a key",
        |home| std::fs::remove_file(home.config("station.key")).unwrap(),
        "error: $HOME/.config/station/station.db exists, and no key is configured to open it",
        1,
    ),
    (
        "no database",
        |home| std::fs::write(database(home), "this is a text file, and a rather short one").unwrap(),
        "error: `$HOME/.config/station/station.db` is no database, but something else",
        1,
    ),
    (
        "the Go program's",
        |home| {
            let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/old-home/station.db");
            std::fs::copy(old, database(home)).unwrap();
        },
        "$HOME/.config/station/station.db is a database of the Go program: it is kept as $HOME/.config/station/station.go.db.",
        0,
    ),
];

#[test]
fn every_state_of_the_database_is_said_in_its_own_words() {
    for (state, spoil, sentence, code) in ROWS {
        let home = Home::with_init();
        home.agent("default", "one", "model: offline\n");
        home.stn(&["agent", "run", "one", "anything", "--quiet"]).done();
        spoil(&home);
        let before = std::fs::read(database(&home)).unwrap();
        let said = home.stn(&["agent", "list"]);
        let shown = said.shown();
        let first =
            shown.split("--- stderr\n").nth(1).and_then(|told| told.lines().next()).unwrap_or_default();
        assert_eq!((first, said.code), (sentence, Some(code)), "{state}: {shown}");
        // What was refused says what to try, and nothing was changed.
        if code != 0 {
            assert!(said.stderr.contains("hint: "), "{state}: {shown}");
            assert!(std::fs::read(database(&home)).unwrap() == before, "{state}: the file was changed");
        }
    }
}

#[test]
fn a_database_of_a_newer_station_is_said_to_be_one() {
    let url = cluster().database();
    let home = Home::new().set("STATION_DATABASE", &url);
    home.stn(&["init", "--yes"]).done();
    cluster().set_version(&url, 99);
    let said = home.stn(&["agent", "list"]);
    let told = "was made by a newer Station: its schema is 99, this one knows";
    assert!(said.exits(1).stderr.contains(told), "{}", said.shown());
    assert!(said.stderr.contains("update this Station"), "{}", said.shown());
}

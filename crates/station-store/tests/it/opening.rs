//! Opening: made once, and each thing that can be wrong with the place said in its own sentence.

use crate::fixture::{Engine, Home, NOW, on_both, seed};
use station_core::{Kind, Secret};
use station_store::{FileState, Key, Location, Options, Store, inspect};
use station_testkit::postgres::cluster;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

fn sqlite(path: &Path, key: &Key) -> Options {
    Options {
        location: Location::Sqlite(path.to_owned()),
        keys: key.clone().into(),
        lease_clock: station_store::LeaseClock::System,
    }
}

async fn refusal(options: Options) -> (Kind, String) {
    let error = Store::open(options).await.expect_err("this must not open");
    assert!(!error.hints().is_empty(), "{error} does not say what to try");
    (error.kind(), error.sentence().to_owned())
}

#[tokio::test]
async fn a_file_that_is_no_store_of_ours_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("station.db");
    let key = Key::generate().unwrap();
    let ours = {
        let store = Store::open(sqlite(&path, &key)).await.unwrap();
        seed(&store).await;
        store.close().await;
        std::fs::read(&path).unwrap()
    };
    let noise: Vec<u8> = (0_u32..20_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let plain = [b"SQLite format 3\0".as_slice(), &noise].concat();
    let shown = path.display();
    let not_ours = format!("`{shown}` cannot be opened: wrong key, or not a Station database");
    let something_else = format!("`{shown}` is no database, but something else");
    let text = b"a text, and a long one at that. ".repeat(200);
    let go = format!("`{shown}` is the database of another program: unencrypted SQLite");
    for (name, bytes, key, kind, sentence) in [
        ("wrong key", &ours, Key::generate().unwrap(), Kind::Invalid, &not_ours),
        ("garbage", &noise, key.clone(), Kind::Invalid, &not_ours),
        ("short garbage", &noise[..100].to_vec(), key.clone(), Kind::Invalid, &something_else),
        ("a text", &text, key.clone(), Kind::Invalid, &something_else),
        (
            "cut in half",
            &ours[..ours.len() / 2 + 100].to_vec(),
            Key::generate().unwrap(),
            Kind::Invalid,
            &not_ours,
        ),
        ("the Go program's", &plain, key.clone(), Kind::Conflict, &go),
    ] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(refusal(sqlite(&path, &key)).await, (kind, sentence.clone()), "{name}");
        assert!(std::fs::read(&path).unwrap() == *bytes, "{name}: the file was changed");
        let wal = folder.path().join("station.db-wal");
        assert!(!wal.exists() || wal.metadata().unwrap().len() == 0, "{name}: something was written");
    }
    std::fs::write(&path, &ours).unwrap();
    let store = Store::open(sqlite(&path, &key)).await.unwrap();
    assert_eq!(store.agents(None).await.unwrap().len(), 1);
    store.close().await;
}

#[tokio::test]
async fn a_database_that_is_taken_away_while_it_is_open_takes_no_more_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key) = (folder.path().join("station.db"), Key::generate().unwrap());
    let store = Store::open(sqlite(&path, &key)).await.unwrap();
    seed(&store).await;
    assert!(store.standing().await.unwrap().is_migrated);
    let aside = folder.path().join("aside.db");
    std::fs::rename(&path, &aside).unwrap();
    let sentence = format!(
        "the database `{}` was removed, or another put in its place, while it was in use",
        path.display()
    );
    let note = || store.note_deed("export_audit", "the audit", serde_json::json!({}), "ada", NOW);
    assert_eq!(note().await.unwrap_err().sentence(), sentence);
    assert_eq!(store.standing().await.unwrap_err().sentence(), sentence);
    // Nobody makes another one beside what was written last.
    let (kind, refused) = refusal(sqlite(&path, &key)).await;
    assert_eq!(kind, Kind::Conflict);
    let wal = format!("{}-wal", path.display());
    assert_eq!(
        refused,
        format!("the database `{}` is missing, and `{wal}` is there, which belongs to it", path.display())
    );
    // Brought back, it goes on.
    std::fs::rename(&aside, &path).unwrap();
    note().await.unwrap();
    store.close().await;
}

#[tokio::test]
async fn a_place_where_no_file_can_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate().unwrap();
    let missing = folder.path().join("missing");
    let (kind, sentence) = refusal(sqlite(&missing.join("station.db"), &key)).await;
    assert_eq!((kind, sentence), (Kind::Invalid, format!("there is no folder `{}`", missing.display())));

    let (kind, sentence) = refusal(sqlite(folder.path(), &key)).await;
    assert_eq!(kind, Kind::Conflict);
    assert_eq!(sentence, format!("the database `{}` cannot be read", folder.path().display()));
}

/// Root may write everywhere, so this thread, and the threads that it starts, look at files as `nobody` for a while.
fn as_nobody() -> Option<nix::unistd::Uid> {
    let root = nix::unistd::Uid::effective();
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap().uid;
    root.is_root().then(|| {
        nix::unistd::setfsuid(nobody);
        nobody
    })
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named_and_nothing_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("station.db");
    let key = Key::generate().unwrap();
    let store = Store::open(sqlite(&path, &key)).await.unwrap();
    seed(&store).await;
    store.close().await;
    let before = std::fs::read(&path).unwrap();
    let read_only = std::fs::Permissions::from_mode(0o555);
    std::fs::set_permissions(folder.path(), read_only).unwrap();

    let owner = std::fs::metadata(&path).unwrap().uid();
    let nobody = as_nobody();
    if let Some(nobody) = nobody {
        std::os::unix::fs::chown(&path, Some(nobody.as_raw()), None).err();
    }
    let new = refusal(sqlite(&folder.path().join("new.db"), &key)).await;
    let existing = refusal(sqlite(&path, &key)).await;
    if nobody.is_some() {
        nix::unistd::setfsuid(owner.into());
    }
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();

    let shown = folder.path().display();
    assert_eq!(new, (Kind::Conflict, format!("the folder `{shown}` cannot be written")));
    assert_eq!(existing.0, Kind::Conflict, "{existing:?}");
    assert!(existing.1.starts_with(&format!("the database `{}` cannot be ", path.display())), "{existing:?}");
    assert!(std::fs::read(&path).unwrap() == before);
    let store = Store::open(sqlite(&path, &key)).await.unwrap();
    assert_eq!(store.agents(None).await.unwrap().len(), 1);
    store.close().await;
}

#[tokio::test]
async fn a_postgresql_that_refuses_says_why_without_the_password() {
    let key = Key::generate().unwrap();
    let cluster = cluster();
    let nowhere = "postgres://me:hunter2@localhost/x?host=/tmp/no-such-folder".to_owned();
    for (url, kind, sentence) in [
        (nowhere, Kind::Upstream, "cannot be reached"),
        (cluster.url_with_password("hunter2"), Kind::Invalid, "refuses this user or password"),
        (cluster.url("station", "not_there"), Kind::Invalid, "there is no database"),
        ("postgres://me:hunter2@[".to_owned(), Kind::Invalid, "the database URL cannot be read"),
    ] {
        let location = Location::Postgres(Secret::new(url.clone()));
        let options =
            Options { location, keys: key.clone().into(), lease_clock: station_store::LeaseClock::System };
        let error = Store::open(options).await.expect_err("this must not open");
        assert_eq!(error.kind(), kind, "{url}: {error:?}");
        assert!(error.sentence().contains(sentence), "{url}: {error:?}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert!(!error.hints().is_empty(), "{error:?}");
    }
    let right = cluster.url_with_password("right");
    let location = Location::Postgres(Secret::new(right));
    let store =
        Store::open(Options { location, keys: key.into(), lease_clock: station_store::LeaseClock::System })
            .await
            .unwrap();
    store.close().await;
}

#[tokio::test]
async fn another_key_is_refused_on_postgresql_too() {
    let home = Home::new(Engine::Postgres);
    home.open().await.close().await;
    let other = Key::generate().unwrap();
    let (kind, sentence) = refusal(Options { keys: other.clone().into(), ..home.options() }).await;
    assert_eq!(kind, Kind::Invalid);
    assert!(sentence.starts_with("wrong key: "), "{sentence}");
    assert!(sentence.contains(&other.id()) && sentence.contains(&home.key.id()), "{sentence}");
    assert!(!sentence.contains(other.to_hex().expose()), "{sentence}");
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let home = Home::new(Engine::Postgres);
    home.open().await.close().await;
    let Location::Postgres(url) = &home.location else { panic!("a PostgreSQL home") };
    cluster().query(url.expose(), "update station.store set version = 99");
    let (kind, sentence) = refusal(home.options()).await;
    assert_eq!(kind, Kind::Conflict);
    let told = "was made by a newer Station: its schema is 99, this one knows ";
    assert!(sentence.contains(told), "{sentence}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_store_is_made_once_however_many_make_it() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let home = Home::new(engine);
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let options = home.options();
            tasks.spawn(async move { Store::open(options).await });
        }
        for opened in tasks.join_all().await {
            let store = opened.unwrap();
            assert!(store.environments().await.unwrap().is_empty());
            store.close().await;
        }
        let again = home.open().await;
        seed(&again).await;
        again.close().await;
        let once_more = home.open().await;
        assert_eq!(once_more.agents(None).await.unwrap().len(), 1, "{engine:?}");
        assert_eq!(once_more.commits(), 0, "opening writes nothing");
        once_more.close().await;
    }
}

#[tokio::test]
async fn a_closed_store_says_so() {
    on_both(async |_, store| {
        seed(&store).await;
        store.close().await;
        store.close().await;
        for error in [
            store.environments().await.unwrap_err(),
            store.renew(station_core::RunId(1), station_core::Fence(1), 1).await.unwrap_err(),
            store.record_discovery_failure(station_core::ServerId(1), "x", NOW).await.unwrap_err(),
        ] {
            assert_eq!((error.kind(), error.sentence()), (Kind::Conflict, "the store is closed"));
        }
    })
    .await;
}

#[test]
fn a_file_is_told_by_its_first_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("station.db");
    assert_eq!(inspect(&path).unwrap(), FileState::Missing);
    for (bytes, expected) in [
        (b"".as_slice(), FileState::Missing),
        (b"SQLite format 3\0 and more", FileState::Plain),
        (b"SQLite format 3", FileState::Opaque),
        (b"x", FileState::Opaque),
    ] {
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(inspect(&path).unwrap(), expected, "{bytes:?}");
    }
}

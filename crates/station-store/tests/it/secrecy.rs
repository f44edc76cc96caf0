//! What can be read from outside: no text in SQLite's files, no secret in PostgreSQL's rows.

use crate::fixture::{
    Engine, Home, LEASE_MS, NOW, WORKSPACE, entry, env_name, new_run, on_both, owner, put_config, seed,
    started,
};
use station_core::once::Key;
use station_core::sync::Change;
use station_core::{BlobHash, Caller, Kind, Micros, Secret};
use station_store::{Append, BegunRequest, Location, NewRequest, NewRun, Store};
use station_testkit::postgres::cluster;
use std::os::unix::fs::PermissionsExt as _;

/// Texts that must not be readable from outside; the first five are secrets, sealed even from those who read rows.
const CANARIES: [&str; 9] = [
    "canary-variable",
    "canary-run-variable",
    "canary of files",
    "canary-of-what-was-asked",
    "canary-of-what-was-answered",
    "canary-task",
    "canary-journal",
    "canary-blob",
    "does triage",
];
const SEALED: usize = 5;

async fn fill(store: &Store) {
    let seed = seed(store).await;
    let changes = [
        put_config("files", &["fs"]),
        Change::SetVariable { name: "TOKEN".to_owned(), value: Secret::new(CANARIES[0]), existed: false },
    ];
    store.apply(&env_name("default"), WORKSPACE, &changes, "ada", NOW).await.unwrap();
    let variables = [("TOKEN".to_owned(), Secret::new(CANARIES[1]))].into();
    let new = NewRun { variables, ..new_run(&seed, CANARIES[5]) };
    store.enqueue(&new, None, NOW).await.unwrap();
    let (run, fence) = started(store, &seed, CANARIES[5]).await;
    let blob = CANARIES[7].as_bytes().to_vec();
    let input = Append {
        blobs: vec![(BlobHash::of(&blob), blob)],
        ..Append::new(run, fence, vec![entry(1, CANARIES[6])])
    };
    store.append(input).await.unwrap();
    let request = NewRequest {
        user: Caller::LOCAL_USER,
        key: Key::parse("k").unwrap(),
        print: CANARIES[3].to_owned(),
        owner: owner("one"),
        lease_ms: LEASE_MS,
    };
    let BegunRequest::New(claim) = store.begin_request(request, Micros(0), NOW).await.unwrap() else {
        panic!("it was known");
    };
    store.settle_request(&claim, 200, Some(Secret::new(CANARIES[4]))).await.unwrap();
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test]
async fn the_files_of_an_sqlite_store_tell_nothing() {
    let home = Home::new(Engine::Sqlite);
    let store = home.open().await;
    fill(&store).await;
    let check = |when: &str| {
        let mut seen = Vec::new();
        for file in std::fs::read_dir(home.folder.path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let bytes = std::fs::read(&path).unwrap();
            assert!(!contains(&bytes, b"SQLite format 3"), "{when}: {name} has SQLite's header");
            assert!(!contains(&bytes, b"create table"), "{when}: {name} shows the schema");
            for canary in CANARIES {
                assert!(!contains(&bytes, canary.as_bytes()), "{when}: {name} shows {canary}");
            }
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{when}: others may read {name}");
            seen.push((name, bytes.len()));
        }
        seen
    };
    let open = check("open");
    assert!(open.iter().any(|(name, bytes)| name == "station.db-wal" && *bytes > 0), "no WAL: {open:?}");
    store.close().await;
    let closed = check("closed");
    assert_eq!(closed.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["station.db"]);
}

#[tokio::test]
async fn whoever_reads_the_rows_reads_no_secret() {
    let home = Home::new(Engine::Postgres);
    let store = home.open().await;
    fill(&store).await;
    let Location::Postgres(url) = &home.location else { panic!("a PostgreSQL home") };
    let url = url.expose();
    let tables = cluster().query(url, "select tablename from pg_tables where schemaname = 'station'");
    assert!(tables.lines().count() > 10, "{tables}");
    let rows: String = tables
        .lines()
        .map(|table| cluster().query(url, &format!("select t::text from station.{table} t")))
        .collect();
    assert!(rows.contains("canary-task"), "this would see what is readable");
    for canary in &CANARIES[..SEALED] {
        let hex: String = canary.bytes().map(|byte| format!("{byte:02x}")).collect();
        assert!(!rows.contains(canary) && !rows.contains(&hex), "{canary} is readable");
    }
    let elsewhere = cluster().query(url, "select count(*) from pg_tables where schemaname = 'public'");
    assert_eq!(elsewhere, "0", "everything is in schema station");
    store.close().await;
}

#[tokio::test]
async fn a_sealed_value_that_was_moved_does_not_open() {
    let home = Home::new(Engine::Postgres);
    let store = home.open().await;
    let set = |value: &str| {
        let value = Secret::new(value);
        [
            Change::CreateEnvironment,
            put_config("files", &["fs"]),
            Change::SetVariable { name: "TOKEN".to_owned(), value, existed: false },
        ]
    };
    let dev = store.apply(&env_name("dev"), WORKSPACE, &set("of dev"), "ada", NOW).await.unwrap();
    let prod = store.apply(&env_name("prod"), WORKSPACE, &set("of prod"), "ada", NOW).await.unwrap();
    let Location::Postgres(url) = &home.location else { panic!("a PostgreSQL home") };
    for statement in [
        format!(
            "update station.variables set value = (select value from station.variables where environment_id = {prod})
                where environment_id = {dev}"
        ),
        format!(
            "update station.mcp_configs set source = (select value from station.variables where environment_id = {prod})
                where environment_id = {dev}"
        ),
    ] {
        cluster().query(url.expose(), &statement);
    }
    let server = store.servers(Some(dev)).await.unwrap()[0].id;
    for error in [store.variables(dev).await.unwrap_err(), store.config_source(server).await.unwrap_err()] {
        assert_eq!(error.kind(), Kind::Conflict);
        assert!(error.sentence().ends_with("it was changed, or moved here from another place"), "{error}");
    }
    assert_eq!(store.variables(prod).await.unwrap()["TOKEN"], Secret::new("of prod"));
    store.close().await;
}

#[tokio::test]
async fn no_debug_of_ours_shows_a_secret() {
    on_both(async |home, store| {
        fill(&store).await;
        let shown = format!("{store:?} {:?}", home.options());
        assert!(!shown.contains(home.key.to_hex().expose()), "{shown}");
        assert!(!shown.contains("postgres:///"), "{shown}");
    })
    .await;
}

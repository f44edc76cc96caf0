//! The key of an SQLite store, rotated and cut off anywhere.
//!
//! What a killed process leaves is what its files say at that moment, so each moment is a copy of the folder: between the
//! steps, within the commit that encrypts every page anew (the WAL ends at any of its bytes), and while SQLite moves that
//! commit into the file (any of its pages are the new ones, the WAL is whole).

use super::{NOW, append, options, started};
use crate::failure::{Cause, Failure};
use crate::reseal::sealed_columns;
use crate::{Deed, Exclusive, Key, KeyRing, NewRun, Options, Store, sqlite};
use station_core::oauth::{Client, ClientAuth, Login};
use station_core::sync::{Change, ServerOutline};
use station_core::{Caller, EnvironmentName, RunId, Secret, ServerId, Transport};
use tempfile::TempDir;

const PAGE: usize = 4096;

/// A WAL's header, and that of a frame (sqlite.org/fileformat2.html, section 4.1).
const WAL_HEAD: usize = 32;
const FRAME_HEAD: usize = 24;

fn deed() -> Deed {
    let (actor, subject) = ("ada".into(), "the key".to_owned());
    Deed { at: NOW, actor, action: "rotate_key", subject, detail: "{}".to_owned() }
}

/// What is in the store, of each sealed column something.
struct Content {
    run: RunId,
    server: ServerId,
}

async fn fill(store: &Store) -> Content {
    let outline = ServerOutline {
        name: "fs".to_owned(),
        transport: Transport::Stdio,
        definition_hash: "hash".to_owned(),
        variables: Vec::new(),
    };
    let (run, fence) = started(store).await;
    let file = Change::PutConfig {
        name: "files".to_owned(),
        path: "environments/default/mcp-servers/files.json".to_owned(),
        source: Secret::new("a server file"),
        servers: vec![outline],
        existed: false,
        dropped: Vec::new(),
    };
    let many = (0..450).map(|n| Change::SetVariable {
        name: format!("V{n:03}"),
        value: Secret::new(format!("value {n}")),
        existed: false,
    });
    let changes: Vec<Change> = many.chain([file]).collect();
    let environment = store.apply(&EnvironmentName::default(), "w", &changes, "ada", NOW).await.unwrap();
    let server = store.servers(Some(environment)).await.unwrap()[0].id;
    let client = client();
    store.put_oauth_client(server, "https://issuer", &client, NOW).await.unwrap();
    let login = Login {
        url: "https://server".to_owned(),
        issuer: "https://issuer".to_owned(),
        resource: "https://server".to_owned(),
        token_endpoint: "https://issuer/token".to_owned(),
        revocation_endpoint: None,
        client,
        access: Secret::new("access"),
        refresh: None,
        scope: None,
        expires_at: None,
    };
    store.put_login(server, &login, "ada", NOW).await.unwrap();
    store.append(append(run, fence, 1)).await.unwrap();
    let agent = store.agents(None).await.unwrap()[0].id;
    let variables = [("TOKEN".to_owned(), Secret::new("of the run"))].into();
    let new = NewRun::new(agent, environment, Caller::LOCAL_USER, "with a value");
    let new = NewRun { variables, ..new };
    let run = store.enqueue(&new, None, NOW).await.unwrap();
    store.note_deeds(vec![Deed { action: "before", ..deed() }]).await.unwrap();
    Content { run, server }
}

fn client() -> Client {
    let secret = Some(Secret::new("of the client"));
    Client { id: "station".to_owned(), secret, auth: ClientAuth::None, redirect: None, scope: None }
}

/// Everything is there, can be opened, and more can be sealed.
async fn check(store: &Store, content: &Content, when: &str) {
    let environment = store.environments().await.unwrap()[0].id;
    let variables = store.variables(environment).await.unwrap();
    assert_eq!((variables.len(), &variables["V007"]), (450, &Secret::new("value 7")), "{when}");
    let source = store.config_source(content.server).await.unwrap();
    assert!(format!("{source:?}").contains("files"), "{when}: {source:?}");
    let given = store.run_variables(content.run).await.unwrap();
    assert_eq!(given["TOKEN"], Secret::new("of the run"), "{when}");
    let login = store.login(content.server).await.unwrap().unwrap();
    assert_eq!(login.login.access, Secret::new("access"), "{when}");
    let kept = store.oauth_client(content.server, "https://issuer").await.unwrap();
    assert_eq!(kept, Some(client()), "{when}");
    store.note_deeds(vec![Deed { action: "after", ..deed() }]).await.unwrap();
    let audit = store.check_audit().await.unwrap();
    assert!(audit.is_ok(), "{when}: {audit:?}");
}

fn copy(from: &TempDir) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for name in ["station.db", "station.db-wal"] {
        if from.path().join(name).exists() {
            std::fs::copy(from.path().join(name), to.path().join(name)).unwrap();
        }
    }
    to
}

async fn opens(folder: &TempDir, (old, new): (&Key, &Key), content: &Content, when: &str) {
    let ring = KeyRing::new(old.clone()).with(new.clone());
    let store = match Store::open(Options { keys: ring.clone(), ..options(folder, old) }).await {
        Ok(store) => store,
        Err(error) => panic!("{when}: {error:?}"),
    };
    check(&store, content, when).await;
    store.close().await;
    // And what was cut off is gone on with.
    let mut alone = Exclusive::open(&folder.path().join("station.db"), &ring).await.unwrap();
    alone.reseal(new, &deed()).await.unwrap();
    alone.rekey(new).await.unwrap();
    alone.close().await;
    let store = Store::open(options(folder, new)).await.unwrap();
    check(&store, content, when).await;
    let told = store.audit(&crate::AuditFilter::default(), 100).await.unwrap();
    assert_eq!(told.iter().filter(|it| it.action == "rotate_key").count(), 1, "{when}");
    store.close().await;
    let refused = Store::open(options(folder, old)).await.unwrap_err();
    assert!(refused.sentence().contains("wrong key"), "{when}: {refused}");
}

#[tokio::test]
async fn a_rotation_that_is_cut_off_anywhere_leaves_a_store_that_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("station.db");
    let (old, new) = (Key::generate().unwrap(), Key::generate().unwrap());
    let keys = (&old, &new);
    let store = Store::open(options(&folder, &old)).await.unwrap();
    let content = fill(&store).await;
    store.close().await;
    opens(&copy(&folder), keys, &content, "before").await;

    let ring = KeyRing::new(old.clone()).with(new.clone());
    let mut alone = Exclusive::open(&path, &ring).await.unwrap();
    opens(&copy(&folder), keys, &content, "held").await;
    let done = alone.reseal(&new, &deed()).await.unwrap();
    assert_eq!((done.values, done.unopened.len()), (450 + 1 + 1 + 2, 0));
    opens(&copy(&folder), keys, &content, "sealed anew").await;
    cut_wal(&folder, keys, &content, "sealed anew").await;

    let before = std::fs::read(&path).unwrap();
    alone.conn_for_tests().rekey(&new).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before, "the commit is in the WAL alone");
    cut_wal(&folder, keys, &content, "encrypted anew").await;
    alone.rekey(&new).await.unwrap();
    alone.close().await;
    moved_in_part(&before, keys, &content).await;
    opens(&copy(&folder), keys, &content, "done").await;
}

/// The WAL ends after any of its frames, or within one.
async fn cut_wal(folder: &TempDir, keys: (&Key, &Key), content: &Content, when: &str) {
    let wal = std::fs::read(folder.path().join("station.db-wal")).unwrap();
    let frames = (wal.len() - WAL_HEAD) / (FRAME_HEAD + PAGE);
    assert!(frames > 10, "{when}: {frames} frames");
    for frame in (0..=frames).step_by(7).chain([frames - 1, frames]) {
        for more in [0, FRAME_HEAD + PAGE / 2] {
            let cut = copy(folder);
            let end = (WAL_HEAD + frame * (FRAME_HEAD + PAGE) + more).min(wal.len());
            std::fs::write(cut.path().join("station.db-wal"), &wal[..end]).unwrap();
            opens(&cut, keys, content, &format!("{when}, cut after frame {frame} of {frames}")).await;
        }
    }
}

/// Pages of the file are those of the new key up to one, and the WAL, whole, is still there.
async fn moved_in_part(before: &[u8], keys: (&Key, &Key), content: &Content) {
    let (old, new) = keys;
    let pages = before.len() / PAGE;
    for moved in (0..=pages).step_by(9) {
        let part = tempfile::tempdir().unwrap();
        let path = part.path().join("station.db");
        let ring = KeyRing::new(old.clone()).with(new.clone());
        std::fs::write(&path, before).unwrap();
        let mut alone = Exclusive::open(&path, &ring).await.unwrap();
        alone.conn_for_tests().rekey(new).await.unwrap();
        let left = copy(&part);
        alone.close().await;
        let after = std::fs::read(&path).unwrap();
        let mut mixed = after[..moved * PAGE].to_vec();
        mixed.extend_from_slice(&before[moved * PAGE..]);
        std::fs::write(left.path().join("station.db"), &mixed).unwrap();
        opens(&left, keys, content, &format!("{moved} pages of {pages} moved")).await;
    }
}

#[tokio::test]
async fn a_store_that_somebody_has_open_is_not_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("station.db");
    let key = Key::generate().unwrap();
    let store = Store::open(options(&folder, &key)).await.unwrap();
    let refused = Exclusive::open(&path, &key.clone().into()).await.map(drop).unwrap_err();
    assert_eq!(refused.kind(), station_core::Kind::Busy);
    assert!(refused.sentence().ends_with("is open in another process"), "{refused}");
    store.close().await;
    let alone = Exclusive::open(&path, &key.clone().into()).await.unwrap();
    let mut other = sqlite::Options::new(&path, &key);
    other.busy_timeout = std::time::Duration::ZERO;
    let shut_out = Cause::Sqlite(sqlite::open(&other).unwrap_err());
    assert_eq!(Failure::of(&shut_out), Failure::Locked);
    alone.close().await;
    Store::open(options(&folder, &key)).await.unwrap().close().await;
}

#[tokio::test]
async fn every_column_of_bytes_is_sealed_anew_or_known_to_need_no_key() {
    const SQL: &str = "select m.name || '.' || c.name from sqlite_schema m, pragma_table_info(m.name) c
        where m.type = 'table' and lower(c.type) = 'blob' order by 1";
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(options(&folder, &Key::generate().unwrap())).await.unwrap();
    let rows = store.read().await.unwrap().rows(SQL, Vec::new()).await.unwrap();
    let found: Vec<String> = rows.into_iter().map(|mut row| row.text().unwrap()).collect();
    let mut expected: Vec<String> =
        sealed_columns().chain(["audit_head.head", "blobs.body"].map(str::to_owned)).collect();
    expected.sort();
    assert_eq!(found, expected);
    store.close().await;
}

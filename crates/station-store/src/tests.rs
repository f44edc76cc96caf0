//! Trouble that only the inside can cause: a full disk, a lock that stays, a schema from the future.

mod audit;
mod rotation;

use crate::connect::Target;
use crate::db::{Blocking, Value};
use crate::queue::{claim_on_sqlite, claim_sql};
use crate::sqlite;
use crate::writer::Place;
use crate::{Append, Claim, Key, LeaseClock, Location, NewRun, Options, Owner, RunUpdate, Store, Wanted};
use station_core::run::{Entry, Event, Inputs, Status, StepLimit, WaitKind, WaitsOn};
use station_core::sync::{AgentRow, Change};
use station_core::{
    AgentName, BlobHash, Caller, Concurrency, EnvironmentName, Fence, Kind, Micros, Origin, RunId, Secret,
};
use std::time::Duration;
use tempfile::TempDir;

const NOW: Micros = Micros(1_700_000_000_000_000);

fn options(folder: &TempDir, key: &Key) -> Options {
    Options {
        location: Location::Sqlite(folder.path().join("station.db")),
        keys: key.clone().into(),
        lease_clock: LeaseClock::System,
    }
}

async fn open_with(options: Options, change: impl Fn(&mut sqlite::Options)) -> Store {
    let mut target = Target::prepare(&options.location, options.keys.current()).unwrap();
    match &mut target {
        Target::Sqlite { options, .. } => change(options),
        Target::Postgres { .. } => panic!("a path became a URL"),
    }
    Store::open_at(target, options, Place::OwnThread).await.unwrap()
}

async fn started(store: &Store) -> (RunId, Fence) {
    let row = AgentRow {
        name: AgentName::parse("triage").unwrap(),
        description: String::new(),
        model: None,
        tags: Vec::new(),
        source: String::new(),
        path: None,
        tools: Vec::new(),
        agents: Vec::new(),
        existed: false,
    };
    let changes = [Change::CreateEnvironment, Change::PutAgent(Box::new(row))];
    let environment = store.apply(&EnvironmentName::default(), "w", &changes, "ada", NOW).await.unwrap();
    let agent = store.agents(None).await.unwrap()[0].id;
    let new = NewRun::new(agent, environment, Caller::LOCAL_USER, "task");
    let run = store.enqueue(&new, None, NOW).await.unwrap();
    let owner = Owner { worker: "one".to_owned(), host: "here".to_owned(), pid: 1, pid_start: 1 };
    match store.claim(run, &owner, 1_000_000, None, NOW).await.unwrap() {
        Claim::Claimed { fence, .. } => (run, fence),
        other => panic!("not claimed: {other:?}"),
    }
}

fn append(run: RunId, fence: Fence, seq: i64) -> Append {
    let sentence = "x".repeat(10_000);
    let event = Event::Refused { slot: 0, sentence };
    Append::new(run, fence, vec![Entry { seq, at: NOW, event }])
}

#[tokio::test]
async fn a_full_disk_refuses_the_append_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate().unwrap();
    let store =
        open_with(options(&folder, &key), |sqlite| sqlite.setup.push_str("pragma max_page_count = 100;"))
            .await;
    let (run, fence) = started(&store).await;
    let mut kept = 0;
    let error = loop {
        match store.append(append(run, fence, kept + 1)).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 1_000, "the limit of pages does not hold");
    };
    assert_eq!(error.kind(), Kind::Busy, "{error:?}");
    assert!(error.sentence().starts_with("no space is left for the database `"), "{error:?}");
    assert!(kept > 0);

    // What was answered is there, and with space the very same append works.
    assert_eq!(store.journal(run, 0, 1_000).await.unwrap().len(), usize::try_from(kept).unwrap());
    store.close().await;
    let store = Store::open(options(&folder, &key)).await.unwrap();
    store.append(append(run, fence, kept + 1)).await.unwrap();
    assert_eq!(store.journal(run, 0, 1_000).await.unwrap().len(), usize::try_from(kept + 1).unwrap());
    store.close().await;
}

#[tokio::test]
async fn a_lock_that_stays_is_named_and_readers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate().unwrap();
    let impatient = |sqlite: &mut sqlite::Options| sqlite.busy_timeout = Duration::ZERO;
    let store = open_with(options(&folder, &key), impatient).await;
    let (run, fence) = started(&store).await;

    let location = options(&folder, &key).location;
    let mut other = Target::prepare(&location, &key).unwrap().connect(Blocking::Elsewhere).await.unwrap();
    other.begin().await.unwrap();
    let error = store.append(append(run, fence, 1)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Busy, "{error:?}");
    assert!(error.sentence().ends_with("is locked by another process"), "{error:?}");
    assert!(store.run(run).await.unwrap().is_some());
    other.rollback().await;
    store.append(append(run, fence, 1)).await.unwrap();
    other.close().await;
    store.close().await;
}

#[tokio::test]
async fn a_schema_from_the_future_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate().unwrap();
    Store::open(options(&folder, &key)).await.unwrap().close().await;
    let target = Target::prepare(&options(&folder, &key).location, &key).unwrap();
    let mut conn = target.connect(Blocking::Elsewhere).await.unwrap();
    conn.script("update store set version = 99").await.unwrap();
    conn.close().await;

    let before = std::fs::read(folder.path().join("station.db")).unwrap();
    let error = Store::open(options(&folder, &key)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.sentence().contains("was made by a newer Station: its schema is 99"), "{error:?}");
    assert!(std::fs::read(folder.path().join("station.db")).unwrap() == before);
}

#[tokio::test]
async fn foreign_keys_hold_on_the_writers_connection() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate().unwrap();
    let store = Store::open(options(&folder, &key)).await.unwrap();
    let (run, fence) = started(&store).await;
    let mut orphan = append(run, fence, 1);
    orphan.spawns = vec![(
        station_core::EffectId(Default::default()),
        NewRun {
            depth: 1,
            ..NewRun::new(
                station_core::AgentId(404),
                station_core::EnvironmentId(404),
                Caller::LOCAL_USER,
                String::new(),
            )
        },
    )];
    let error = store.append(orphan).await.unwrap_err();
    assert!(error.causes().join(" ").contains("FOREIGN KEY constraint failed"), "{error:?}");
    assert!(store.journal(run, 0, 10).await.unwrap().is_empty(), "half of an append was kept");
    store.close().await;
}

#[tokio::test]
async fn a_claim_reads_no_run_that_is_parked_or_over() {
    const PLAN: &str = concat!("explain query plan ", claim_on_sqlite!());
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate().unwrap();
    Store::open(options(&folder, &key)).await.unwrap().close().await;
    let target = Target::prepare(&options(&folder, &key).location, &key).unwrap();
    let mut conn = target.connect(Blocking::Elsewhere).await.unwrap();
    let values = vec![Value::Int(None); 13];
    let mut runs_read = 0;
    for mut row in conn.rows(PLAN, values).await.unwrap() {
        let (_, _, _, step) =
            (row.int().unwrap(), row.int().unwrap(), row.int().unwrap(), row.text().unwrap());
        // `c`, `q` and `agent_runs` are the runs.
        if ["SCAN c", "SCAN q", "SCAN agent_runs", "SEARCH c", "SEARCH q", "SEARCH agent_runs"]
            .iter()
            .any(|read| step == *read || step.starts_with(&format!("{read} ")))
        {
            runs_read += 1;
            let allowed = ["agent_runs_queued", "agent_runs_running", "INTEGER PRIMARY KEY"];
            assert!(allowed.iter().any(|index| step.contains(index)), "{step}");
        }
    }
    assert_eq!(runs_read, 4, "the plan is not the expected one");
    conn.close().await;
}

#[tokio::test]
async fn runs_of_the_first_schema_wait_only_for_what_is_still_to_end() {
    const ON_SQLITE: &str = include_str!("../migrations/sqlite/0001_initial.sql");
    const ON_POSTGRES: &str = include_str!("../migrations/postgres/0001_initial.sql");
    const ROWS: &str = "insert into environments (id, name, description, origin, workspace_id, rules, created_at, updated_at)
            values (1, 'default', '', 'file', '', '', 1, 1);
        insert into agents (id, environment_id, name, description, tags, origin, workspace_id, enabled, user_id,
            created_at, updated_at) values (1, 1, 'triage', '', '[]', 'file', '', 1, 1, 1, 1);
        insert into agent_runs (id, agent_id, environment_id, user_id, task, request, parent_id, depth, status, created_at)
            values (1, 1, 1, 1, '', '', null, 0, 'waiting', 1), (2, 1, 1, 1, '', '', 1, 1, 'queued', 1),
                (3, 1, 1, 1, '', '', null, 0, 'waiting', 1), (4, 1, 1, 1, '', '', 3, 1, 'failed', 1);";
    const NEXT: &str = "alter table environments alter column id restart with 2;
        alter table agents alter column id restart with 2;
        alter table agent_runs alter column id restart with 5;";
    const STORE: &str = "insert into store (id, version, key_id) values (1, 1, $1)";
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate().unwrap();
    let postgres = Secret::new(station_testkit::postgres::cluster().database());
    for location in [options(&folder, &key).location, Location::Postgres(postgres)] {
        let options = Options { location, ..options(&folder, &key) };
        let target = Target::prepare(&options.location, &key).unwrap();
        let mut conn = target.connect(Blocking::Here).await.unwrap();
        if conn.is_sqlite() {
            conn.script(ON_SQLITE).await.unwrap();
            conn.script(ROWS).await.unwrap();
        } else {
            conn.script("create schema station").await.unwrap();
            conn.script(ON_POSTGRES).await.unwrap();
            conn.script(ROWS).await.unwrap();
            conn.script(NEXT).await.unwrap();
        }
        conn.exec(STORE, vec![key.id().into()]).await.unwrap();
        conn.close().await;

        let store = Store::open(options).await.unwrap();
        let owner = Owner { worker: "one".to_owned(), host: "here".to_owned(), pid: 1, pid_start: 1 };
        let wanted = Wanted { n: 9, at_once: Concurrency::UNLIMITED };
        for expected in [vec![2, 3], vec![1]] {
            let claimed = store.claim_next(&owner, 1_000_000, &wanted, NOW).await.unwrap();
            assert_eq!(claimed.iter().map(|(run, _)| run.id.0).collect::<Vec<_>>(), expected);
            for (run, fence) in claimed {
                let ended = RunUpdate::new(Status::Completed);
                let last = Append { entries: Vec::new(), row: Some(ended), ..append(run.id, fence, 1) };
                store.append(last).await.unwrap();
            }
        }
        // What comes after the old rows is numbered after them.
        let agent = store.agents(None).await.unwrap()[0].clone();
        let new = NewRun::new(agent.id, agent.environment, Caller::LOCAL_USER, "task");
        assert_eq!(store.enqueue(&new, None, NOW).await.unwrap(), RunId(5));
        store.close().await;
    }
}

/// During a rolling update an older Station parks a run for this one, and knows no kinds.
#[tokio::test]
async fn a_run_that_an_older_station_parked_for_a_newer_one_is_called_back() {
    const OLD: &str =
        "update agent_runs set status = 'waiting', waiting_on = 'a newer Station: entry 3 is new'";
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate().unwrap();
    let postgres = Secret::new(station_testkit::postgres::cluster().database());
    for location in [options(&folder, &key).location, Location::Postgres(postgres)] {
        let options = Options { location, ..options(&folder, &key) };
        let store = Store::open(options.clone()).await.unwrap();
        let (run, fence) = started(&store).await;
        let budget = WaitsOn::new(WaitKind::Budget, "budget");
        assert!(store.let_go(run, fence, Some(&budget), NOW).await.unwrap());
        assert_eq!(store.call_back(WaitKind::Budget, NOW).await.unwrap(), 1);
        let mut conn =
            Target::prepare(&options.location, &key).unwrap().connect(Blocking::Elsewhere).await.unwrap();
        conn.script(OLD).await.unwrap();
        conn.close().await;
        assert_eq!(store.call_back(WaitKind::Budget, NOW).await.unwrap(), 0, "that was another wait");
        assert_eq!(store.call_back(WaitKind::NewerStation, NOW).await.unwrap(), 1);
        store.close().await;
    }
}

/// An environment named by digits, from before they were refused.
#[tokio::test]
async fn an_environment_of_digits_alone_keeps_no_other_from_being_read() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate().unwrap();
    let options = options(&folder, &key);
    let store = Store::open(options.clone()).await.unwrap();
    let name = EnvironmentName::parse("old").unwrap();
    let id = store.create_environment(&name, "", (Origin::Store, ""), "ada", NOW).await.unwrap();
    let mut conn =
        Target::prepare(&options.location, &key).unwrap().connect(Blocking::Elsewhere).await.unwrap();
    conn.script("update environments set name = '2025' where name = 'old'").await.unwrap();
    conn.close().await;
    assert!(store.environments().await.unwrap().iter().any(|it| it.name.as_str() == "2025"));
    assert_eq!(store.environment_by_id(id).await.unwrap().map(|it| it.id), Some(id));
    store.close().await;
}

/// What runs named before there was `run_blobs` is found in their journals, also beside texts that PostgreSQL's JSON
/// does not take.
#[tokio::test]
async fn bodies_of_old_runs_are_known_after_the_migration() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::generate().unwrap();
    let postgres = Secret::new(station_testkit::postgres::cluster().database());
    for location in [options(&folder, &key).location, Location::Postgres(postgres)] {
        let options = Options { location, ..options(&folder, &key) };
        let store = Store::open(options.clone()).await.unwrap();
        let (run, fence) = started(&store).await;
        let body = |text: &str| (BlobHash::of(text.as_bytes()), text.as_bytes().to_vec());
        let bodies: Vec<_> = ["system", "tools", "settings", "schema"].map(body).into();
        let inputs = Inputs {
            agent: "a \0 \"system\":\"".to_owned(),
            environment: "default".to_owned(),
            system: bodies[0].0.clone(),
            tools: bodies[1].0.clone(),
            settings: bodies[2].0.clone(),
            output_schema: Some(bodies[3].0.clone()),
            opening: Vec::new(),
            models: Vec::new(),
            steps: StepLimit { steps: 1, reason: String::new() },
            deadline: NOW,
            warnings: vec!["\0".to_owned()],
            depth: 0,
            limits: Vec::new(),
            above: Vec::new(),
            context: station_core::run::Context::default(),
            forked_from: None,
            unknown: Default::default(),
            interruptions_max: station_core::run::INTERRUPTIONS_MAX,
        };
        let event = Event::RunStarted(Box::new(inputs));
        let entries = vec![Entry { seq: 1, at: NOW, event }];
        let mut names: Vec<String> = bodies.iter().map(|(hash, _)| hash.to_string()).collect();
        names.sort();
        let first = Append { entries, blobs: bodies, row: None, ..append(run, fence, 1) };
        store.append(first).await.unwrap();
        store.close().await;

        let mut conn =
            Target::prepare(&options.location, &key).unwrap().connect(Blocking::Here).await.unwrap();
        conn.script("delete from run_blobs").await.unwrap();
        conn.script(backfill(conn.is_sqlite())).await.unwrap();
        let rows = conn.rows("select hash from run_blobs order by hash", Vec::new()).await.unwrap();
        let found: Vec<String> = rows.into_iter().map(|mut row| row.text().unwrap()).collect();
        assert_eq!(found, names);
        conn.close().await;
    }
}

/// The statement of the migration that looks into journals.
fn backfill(is_sqlite: bool) -> &'static str {
    let script = if is_sqlite {
        include_str!("../migrations/sqlite/0008_retention.sql")
    } else {
        include_str!("../migrations/postgres/0008_retention.sql")
    };
    let statement = script.split(';').find(|statement| statement.contains("insert ")).unwrap();
    &statement[statement.find("insert ").unwrap()..]
}

//! The key of a store on PostgreSQL, rotated while others have it open.

use crate::fixture::{Engine, Home, NOW, WORKSPACE, env_name, put_config, seed};
use station_core::sync::Change;
use station_core::{EnvironmentId, Kind, Secret};
use station_store::{AuditFilter, Deed, Key, KeyNames, KeyRing, Location, Options, Store};
use station_testkit::postgres::cluster;

/// A store, the next key, and the file in which others find it.
struct Scene {
    home: Home,
    next: Key,
}

impl Scene {
    fn new() -> Self {
        Self { home: Home::new(Engine::Postgres), next: Key::generate().unwrap() }
    }

    /// A process that has the key alone, and looks into the file for others.
    async fn instance(&self) -> Store {
        let file = self.home.folder.path().join("station.key.next");
        let keys = KeyRing::new(self.home.key.clone()).with_files(vec![file]);
        Store::open(Options { keys, ..self.home.options() }).await.unwrap()
    }

    fn hand_out_the_next_key(&self) {
        let file = self.home.folder.path().join("station.key.next");
        std::fs::write(file, self.next.to_hex().expose()).unwrap();
    }

    /// The process that rotates.
    async fn rotator(&self) -> Store {
        let keys = KeyRing::new(self.home.key.clone()).with(self.next.clone());
        Store::open(Options { keys, ..self.home.options() }).await.unwrap()
    }

    /// How many values are sealed under `key`.
    fn sealed_under(&self, key: &Key) -> u32 {
        let Location::Postgres(url) = &self.home.location else { panic!("a PostgreSQL home") };
        let count = |column: &str, table: &str| {
            let sql = format!(
                "select count(*) from station.{table} where encode(substr({column}, 2, 4), 'hex') = '{}'",
                key.id()
            );
            cluster().query(url.expose(), &sql).trim().parse::<u32>().unwrap()
        };
        [
            ("value", "variables"),
            ("source", "mcp_configs"),
            ("value", "run_variables"),
            ("head", "audit_head"),
        ]
        .map(|(column, table)| count(column, table))
        .iter()
        .sum()
    }
}

fn deed(action: &'static str) -> Deed {
    let (actor, subject) = ("ada".into(), "the key".to_owned());
    Deed { at: NOW, actor, action, subject, detail: "{}".to_owned() }
}

async fn set(store: &Store, name: &str, value: &str) -> station_core::Result<EnvironmentId> {
    let value = Secret::new(value);
    let changes = [Change::SetVariable { name: name.to_owned(), value, existed: false }];
    store.apply(&env_name("default"), WORKSPACE, &changes, "ada", NOW).await
}

#[tokio::test]
async fn who_has_the_store_open_goes_on_under_the_next_key_once_it_is_handed_out() {
    let scene = Scene::new();
    let instance = scene.instance().await;
    seed(&instance).await;
    let env = set(&instance, "OLD", "under the old key").await.unwrap();
    instance
        .apply(&env_name("default"), WORKSPACE, &[put_config("files", &["fs"])], "ada", NOW)
        .await
        .unwrap();
    instance.note_deeds(vec![deed("before")]).await.unwrap();
    let given = instance.seal_text(&["ada"], "given out before").unwrap();

    let rotator = scene.rotator().await;
    rotator.begin_rotation(&scene.next.id(), deed("rotate_key")).await.unwrap();
    let names = KeyNames { key: scene.next.id(), old: Some(scene.home.key.id()) };
    assert_eq!(rotator.key_names().await.unwrap(), names);
    // It was not told the next key: it reads on, and seals nothing that the pass over the rows would miss.
    assert_eq!(instance.variables(env).await.unwrap()["OLD"], Secret::new("under the old key"));
    let refused = set(&instance, "NEW", "x").await.unwrap_err();
    let expected =
        format!("the store is sealed under key `{}`, which this Station does not have", scene.next.id());
    assert_eq!((refused.kind(), refused.sentence()), (Kind::Invalid, expected.as_str()));
    assert!(refused.hints()[0].contains("station.key.next"), "{refused}");
    let untold = instance.note_deeds(vec![deed("during")]).await.unwrap_err();
    assert_eq!(untold.sentence(), expected);
    assert!(!instance.standing().await.unwrap().fits_key, "/ready says so");

    scene.hand_out_the_next_key();
    set(&instance, "NEW", "under the next key").await.unwrap();
    instance.note_deeds(vec![deed("during")]).await.unwrap();
    assert!(instance.standing().await.unwrap().fits_key);
    let done = rotator.end_rotation().await.unwrap();
    assert_eq!(
        (done.values, done.unopened.len()),
        (2, 0),
        "OLD and the server file; NEW is under the next key"
    );
    assert_eq!(scene.sealed_under(&scene.home.key), 0);
    assert_eq!(instance.variables(env).await.unwrap().len(), 2);
    assert_eq!(instance.open_text(&["ada"], &given).unwrap(), "given out before");
    rotator.close().await;
    instance.close().await;

    let keys = scene.next.clone().into();
    let store = Store::open(Options { keys, ..scene.home.options() }).await.unwrap();
    assert_eq!(store.key_names().await.unwrap(), KeyNames { key: scene.next.id(), old: None });
    assert_eq!(store.variables(env).await.unwrap()["OLD"], Secret::new("under the old key"));
    assert!(store.check_audit().await.unwrap().is_ok());
    store.close().await;
    let refused = Store::open(scene.home.options()).await.unwrap_err();
    assert!(refused.sentence().starts_with("wrong key: the database"), "{refused}");
}

#[tokio::test]
async fn nothing_is_left_under_the_old_key_by_those_who_write_meanwhile() {
    let scene = Scene::new();
    let instance = scene.instance().await;
    seed(&instance).await;
    for n in 0..450 {
        set(&instance, &format!("V{n}"), "before").await.unwrap();
    }
    scene.hand_out_the_next_key();
    let rotator = scene.rotator().await;
    let writing = async {
        for n in 0..300 {
            set(&instance, &format!("V{}", n * 3 % 450), &format!("during {n}")).await.unwrap();
            instance.note_deeds(vec![deed("during")]).await.unwrap();
        }
    };
    let rotating = async {
        rotator.begin_rotation(&scene.next.id(), deed("rotate_key")).await.unwrap();
        rotator.end_rotation().await.unwrap()
    };
    let ((), done) = tokio::join!(writing, rotating);
    assert!(done.values > 0 && done.unopened.is_empty(), "{done:?}");
    assert_eq!(scene.sealed_under(&scene.home.key), 0);
    let env = instance.environments().await.unwrap()[0].id;
    let found = instance.variables(env).await.unwrap();
    assert_eq!(found["V447"], Secret::new("during 299"), "a newer value was put back");
    assert!(instance.check_audit().await.unwrap().is_ok());
    rotator.close().await;
    instance.close().await;
}

#[tokio::test]
async fn a_rotation_that_was_cut_off_is_ended_with_its_own_key_and_with_no_other() {
    let scene = Scene::new();
    let store = scene.rotator().await;
    seed(&store).await;
    set(&store, "OLD", "x").await.unwrap();
    store.begin_rotation(&scene.next.id(), deed("rotate_key")).await.unwrap();
    store.close().await;

    let third = Key::generate().unwrap();
    let keys = KeyRing::new(scene.next.clone()).with(scene.home.key.clone()).with(third.clone());
    let store = Store::open(Options { keys, ..scene.home.options() }).await.unwrap();
    let refused = store.begin_rotation(&third.id(), deed("rotate_key")).await.unwrap_err();
    assert!(refused.sentence().starts_with("the key is being rotated to"), "{refused}");
    store.begin_rotation(&scene.next.id(), deed("rotate_key")).await.unwrap();
    assert_eq!(store.end_rotation().await.unwrap().values, 1);
    let told = store.audit(&AuditFilter::default(), 100).await.unwrap();
    assert_eq!(told.iter().filter(|it| it.action == "rotate_key").count(), 1, "{told:?}");
    store.begin_rotation(&third.id(), deed("rotate_key")).await.unwrap();
    assert_eq!(store.end_rotation().await.unwrap().values, 1);
    store.close().await;
}

#[tokio::test]
async fn a_value_that_no_key_opens_is_left_as_it_is_and_counted() {
    let scene = Scene::new();
    let store = scene.rotator().await;
    seed(&store).await;
    let env = set(&store, "GOOD", "x").await.unwrap();
    set(&store, "BROKEN", "y").await.unwrap();
    let Location::Postgres(url) = &scene.home.location else { panic!("a PostgreSQL home") };
    let broken = "update station.variables set value = value || '\\x00'::bytea where name = 'BROKEN'";
    cluster().query(url.expose(), broken);
    store.begin_rotation(&scene.next.id(), deed("rotate_key")).await.unwrap();
    let done = store.end_rotation().await.unwrap();
    assert_eq!((done.values, done.unopened), (1, [("variables", 1)].into()));
    assert!(store.variables(env).await.is_err());
    store.close().await;
}

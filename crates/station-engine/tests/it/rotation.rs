//! The key of a store and its files: what a rotation that was cut off leaves, and who ends it.

use station_core::sync::Change;
use station_core::{Caller, EnvironmentName, Kind, Micros, Secret};
use station_engine::{Key, KeyPlace, Keys, Location};
use station_store::{Deed, Exclusive, Instance, KeyRing, LeaseClock, Options, Owner, Store};
use station_testkit::postgres::cluster;
use std::time::Duration;
use tempfile::TempDir;

const NOW: Micros = Micros(1_700_000_000_000_000);

/// A configuration folder whose store has a sealed value.
struct Scene {
    folder: TempDir,
    keys: Keys,
    location: Location,
    old: Key,
    next: Key,
}

impl Scene {
    /// The key is in its file, or in the environment.
    async fn new(location: Option<Location>, is_in_file: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let location = location.unwrap_or(Location::Sqlite(folder.path().join("station.db")));
        let (old, next) = (Key::generate().expect("a key"), Key::generate().expect("a key"));
        let hex = old.to_hex();
        let environment = (!is_in_file).then(|| ("STATION_ENCRYPTION_KEY".to_owned(), hex.clone()));
        let keys = Keys { folder: folder.path().to_owned(), environment, config: None, next: None };
        if is_in_file {
            std::fs::write(keys.path(), hex.expose()).expect("a key file");
        }
        let it = Self { folder, keys, location, old, next };
        let store = it.open(it.old.clone().into()).await;
        let value = Secret::new("a value");
        let set = Change::SetVariable { name: "TOKEN".to_owned(), value, existed: false };
        let changes = [Change::CreateEnvironment, set];
        store.apply(&EnvironmentName::default(), "w", &changes, "ada", NOW).await.expect("it is stored");
        store.close().await;
        it
    }

    async fn open(&self, keys: KeyRing) -> Store {
        let location = self.location.clone();
        Store::open(Options { location, keys, lease_clock: LeaseClock::System }).await.expect("it opens")
    }

    fn both(&self) -> KeyRing {
        KeyRing::new(self.old.clone()).with(self.next.clone())
    }

    fn write_next(&self) {
        std::fs::write(self.keys.next_path(), self.next.to_hex().expose()).expect("a key file");
    }

    /// As the next command opens it; the id of the key that is in use then.
    async fn reopen(&self) -> String {
        let (ring, _, made) = self.keys.find_or_make(&self.location).await.expect("a key is there");
        assert!(!made);
        let id = ring.current().id();
        let store = self.open(ring).await;
        let environment = store.environments().await.expect("it can be read")[0].id;
        assert_eq!(
            store.variables(environment).await.expect("it can be read")["TOKEN"],
            Secret::new("a value")
        );
        assert!(store.check_audit().await.expect("it can be read").is_ok());
        store.close().await;
        id
    }

    fn deed(&self) -> Deed {
        let (actor, subject) = ("ada".into(), format!("key {}", self.next.id()));
        Deed { at: NOW, actor, action: "rotate_key", subject, detail: "{}".to_owned() }
    }

    fn has_next(&self) -> bool {
        self.keys.next_path().exists()
    }

    async fn rotate(&self, given: Option<&Key>) -> station_core::Result<station_engine::Rotated> {
        let when = (NOW, Duration::ZERO);
        self.keys.rotate(&Caller::local(), &self.location, given.cloned(), when).await
    }
}

#[tokio::test]
async fn a_rotation_of_sqlite_that_was_killed_between_any_two_steps_is_ended_by_the_next_command() {
    // Before the next key was on the disk, and before anything was sealed under it: it is as it was.
    let scene = Scene::new(None, true).await;
    assert_eq!(scene.reopen().await, scene.old.id());
    scene.write_next();
    assert_eq!(scene.reopen().await, scene.old.id());
    assert!(scene.has_next(), "the next rotation takes it");

    // Sealed anew, and the file still under the old key; while somebody has it open, it stays so.
    let Location::Sqlite(path) = scene.location.clone() else { panic!("a file") };
    let mut alone = Exclusive::open(&path, &scene.both()).await.unwrap();
    alone.reseal(&scene.next, &scene.deed()).await.unwrap();
    alone.close().await;
    let somebody = scene.open(scene.both()).await;
    assert_eq!(scene.reopen().await, scene.old.id());
    somebody.close().await;
    assert_eq!(scene.reopen().await, scene.next.id());
    assert!(!scene.has_next());

    // All of it, but the key file.
    let scene = Scene::new(None, true).await;
    let Location::Sqlite(path) = scene.location.clone() else { panic!("a file") };
    scene.write_next();
    let mut alone = Exclusive::open(&path, &scene.both()).await.unwrap();
    alone.reseal(&scene.next, &scene.deed()).await.unwrap();
    alone.rekey(&scene.next).await.unwrap();
    alone.close().await;
    assert_eq!(scene.reopen().await, scene.next.id());
    // The key file has the new key already, and the other file was left.
    scene.write_next();
    assert_eq!(scene.reopen().await, scene.next.id());
    assert!(!scene.has_next());
}

#[tokio::test]
async fn a_rotation_goes_on_with_the_key_that_was_begun_with() {
    let scene = Scene::new(None, true).await;
    scene.write_next();
    let other = Key::generate().unwrap();
    let refused = scene.rotate(Some(&other)).await.unwrap_err();
    assert!(refused.sentence().starts_with("another next key is there already"), "{refused}");
    let done = scene.rotate(None).await.unwrap();
    assert_eq!((done.was, done.id.clone(), done.resealed.values), (scene.old.id(), scene.next.id(), 1));
    assert_eq!(scene.reopen().await, scene.next.id());
    // And once more, with a key that is made.
    let again = scene.rotate(None).await.unwrap();
    assert_eq!((again.was, again.to_change), (done.id, None));
    assert_eq!(scene.reopen().await, again.id);
}

#[tokio::test]
async fn a_key_of_the_environment_stays_ours_to_open_with_until_it_is_changed_there() {
    let scene = Scene::new(None, false).await;
    let refused = scene.rotate(None).await.unwrap_err();
    assert!(refused.sentence().starts_with("the new key has to be given"), "{refused}");
    let refused = scene.rotate(Some(&scene.old)).await.unwrap_err();
    assert!(refused.sentence().ends_with("is the one in use"), "{refused}");
    let done = scene.rotate(Some(&scene.next)).await.unwrap();
    let place = KeyPlace::Environment("STATION_ENCRYPTION_KEY".to_owned());
    assert_eq!(done.to_change, Some((place, KeyPlace::File(scene.keys.next_path()))));
    assert_eq!(scene.reopen().await, scene.old.id());
    assert!(scene.has_next());
    let environment = Some(("STATION_ENCRYPTION_KEY".to_owned(), scene.next.to_hex()));
    let scene = Scene { keys: Keys { environment, ..scene.keys.clone() }, ..scene };
    assert_eq!(scene.reopen().await, scene.next.id());
    assert!(!scene.has_next(), "{:?}", scene.folder);
}

#[tokio::test]
async fn nobody_but_an_administrator_rotates_and_nothing_is_rotated_before_it_is_there() {
    let scene = Scene::new(None, true).await;
    let when = (NOW, Duration::ZERO);
    let refused = scene.keys.rotate(&Caller::nobody(), &scene.location, None, when).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Forbidden);
    assert!(!scene.has_next());
    let nowhere = Location::Sqlite(scene.folder.path().join("other.db"));
    let refused = scene.keys.rotate(&Caller::local(), &nowhere, None, when).await.unwrap_err();
    assert!(refused.sentence().starts_with("there is no database yet"), "{refused}");
    assert!(!scene.has_next());
}

#[tokio::test]
async fn a_worker_that_does_not_have_the_next_key_holds_a_rotation_up_and_is_named() {
    let location = Location::Postgres(Secret::new(cluster().database()));
    let scene = Scene::new(Some(location), true).await;
    let elsewhere = scene.folder.path().join("elsewhere");
    let worker = scene.open(KeyRing::new(scene.old.clone()).with_files(vec![elsewhere.clone()])).await;
    let owner = Owner { worker: "pod-2:1".to_owned(), host: "there".to_owned(), pid: 1, pid_start: 1 };
    let instance = Instance { id: "one".to_owned(), owner, started_at: NOW };
    worker.renew_instance(&instance).await.unwrap();
    let refused = scene.rotate(None).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict);
    assert!(refused.sentence().ends_with("is not known to pod-2:1"), "{refused}");
    assert_eq!(scene.reopen().await, scene.old.id());

    std::fs::copy(scene.keys.next_path(), &elsewhere).unwrap();
    worker.renew_instance(&instance).await.unwrap();
    let done = scene.rotate(None).await.unwrap();
    assert_eq!(done.resealed.values, 1);
    let value = Secret::new("sealed by the worker");
    let set = Change::SetVariable { name: "MORE".to_owned(), value, existed: false };
    worker.apply(&EnvironmentName::default(), "w", &[set], "ada", NOW).await.unwrap();
    worker.close().await;
    assert_eq!(scene.reopen().await, done.id);
}

#[tokio::test]
async fn a_rotation_of_postgresql_that_was_killed_between_any_two_steps_is_gone_on_with() {
    let location = Location::Postgres(Secret::new(cluster().database()));
    let scene = Scene::new(Some(location), true).await;
    scene.write_next();
    assert_eq!(scene.reopen().await, scene.old.id());
    let store = scene.open(scene.both()).await;
    store.begin_rotation(&scene.next.id(), scene.deed()).await.unwrap();
    store.close().await;
    assert_eq!(scene.reopen().await, scene.old.id());
    assert!(scene.has_next(), "values are left under the old key");
    let store = scene.open(scene.both()).await;
    store.end_rotation().await.unwrap();
    store.close().await;
    assert_eq!(scene.reopen().await, scene.next.id());
    assert!(!scene.has_next());
}

//! Users, their keys and their sessions.

use crate::fixture::{NOW, Seed, env_name, new_run, on_both, seed};
use station_core::{Caller, Kind, Micros, Realm, Role, Scope, Secret, UserId};
use station_store::{Acceptance, ApprovalFilter, Last, NewApiKey, NewUser, RunFilter, Store, UserEdit};
use std::collections::BTreeSet;

fn new(name: &str, role: Role) -> NewUser {
    NewUser { name: name.to_owned(), role, environments: Vec::new(), password_hash: None, key_hash: None }
}

async fn make(store: &Store, name: &str, role: Role) -> UserId {
    store.create_user(new(name, role), "root", NOW).await.unwrap()
}

async fn key(store: &Store, user: UserId, hash: &str) -> i64 {
    let scopes = BTreeSet::from([Scope::Read, Scope::Run]);
    let new =
        NewApiKey { user, name: "ci".to_owned(), hash: hash.to_owned(), scopes, expires_at: Some(Micros(7)) };
    store.create_api_key(new, "root", NOW).await.unwrap()
}

#[tokio::test]
async fn where_there_are_users_an_administrator_is_among_them() {
    on_both(async |_, store| {
        assert!(!store.has_users().await.unwrap(), "the local one is nobody who signs in");
        let refused = store.create_user(new("eve", Role::Viewer), "root", NOW).await.unwrap_err();
        assert_eq!(refused.to_string(), "the first user must be an administrator");
        let ann = make(&store, "ann", Role::Admin).await;
        let bob = make(&store, "bob", Role::User).await;
        assert_eq!(
            store.create_user(new("bob", Role::Admin), "root", NOW).await.unwrap_err().kind(),
            Kind::Conflict
        );
        let less = || UserEdit { role: Some(Role::User), ..UserEdit::default() };
        assert_eq!(store.update_user(ann, less(), "root", NOW).await.unwrap_err().kind(), Kind::Conflict);
        for last in [Last::MayGo, Last::Stays] {
            assert_eq!(store.remove_user(ann, last, "root", NOW).await.unwrap_err().kind(), Kind::Conflict);
        }
        let more = UserEdit { role: Some(Role::Admin), ..UserEdit::default() };
        store.update_user(bob, more, "root", NOW).await.unwrap();
        store.remove_user(ann, Last::Stays, "root", NOW).await.unwrap();
        assert_eq!(
            store.remove_user(bob, Last::Stays, "root", NOW).await.unwrap_err().kind(),
            Kind::Conflict
        );
        store.remove_user(bob, Last::MayGo, "root", NOW).await.unwrap();
        assert!(!store.has_users().await.unwrap());
        assert_eq!(
            store.remove_user(bob, Last::MayGo, "root", NOW).await.unwrap_err().kind(),
            Kind::NotFound
        );
        assert!(store.check_audit().await.unwrap().is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_removed_user_is_nobody_and_its_name_is_somebody_elses() {
    on_both(async |_, store| {
        make(&store, "root", Role::Admin).await;
        let ann = make(&store, "ann", Role::User).await;
        key(&store, ann, "h1").await;
        store.create_session(ann, "s1".to_owned(), Micros(NOW.0 + 9), "ann", NOW).await.unwrap();
        store.remove_user(ann, Last::Stays, "root", NOW).await.unwrap();
        assert_eq!(store.user(ann).await.unwrap(), None);
        assert_eq!(store.api_key("h1").await.unwrap(), None);
        assert_eq!(store.session("s1", NOW).await.unwrap(), None);
        let again = make(&store, "ann", Role::User).await;
        assert_ne!(again, ann, "what the first did is not hers");
        assert_eq!(store.users().await.unwrap().len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_user_sees_what_is_in_the_environments_assigned_to_it() {
    on_both(async |_, store| {
        make(&store, "root", Role::Admin).await;
        let ours = seed(&store).await;
        let changes = [
            station_core::sync::Change::CreateEnvironment,
            crate::fixture::put_agent(crate::fixture::agent_row("triage")),
        ];
        let env =
            store.apply(&env_name("other"), crate::fixture::WORKSPACE, &changes, "ada", NOW).await.unwrap();
        let agent = store.agents_named("triage", Some(env)).await.unwrap()[0].id;
        let other = Seed { env, agent };
        for seed in [&ours, &other] {
            store.enqueue(&new_run(seed, "look"), None, NOW).await.unwrap();
        }
        let before = store.generation().await.unwrap();
        let ann = store
            .create_user(NewUser { environments: vec![ours.env], ..new("ann", Role::User) }, "root", NOW)
            .await
            .unwrap();
        assert!(store.generation().await.unwrap() > before, "gates read anew what she may");
        let user = store.user(ann).await.unwrap().unwrap();
        assert_eq!(user.realm(), Realm::Of(BTreeSet::from([ours.env])));
        let seen = async |seen_by: Option<UserId>| {
            let filter = RunFilter { seen_by, ..RunFilter::default() };
            let runs = store.runs(&filter, 10).await.unwrap();
            assert_eq!(store.count_runs(&filter).await.unwrap(), runs.len() as u64);
            runs.into_iter().map(|run| (run.environment, run.user)).collect::<Vec<_>>()
        };
        assert_eq!(seen(Some(ann)).await, [(ours.env, Caller::LOCAL_USER)]);
        assert_eq!(seen(None).await.len(), 2);
        for all in [ApprovalFilter::pending(), ApprovalFilter::default()] {
            let of_ann = ApprovalFilter { seen_by: Some(ann), ..all };
            assert!(store.approvals(&of_ann, 10).await.unwrap().is_empty());
        }
        assert!(store.standing_approvals(Some(ann)).await.unwrap().is_empty());
        let both = UserEdit { environments: Some(vec![ours.env, other.env]), ..UserEdit::default() };
        store.update_user(ann, both, "root", NOW).await.unwrap();
        assert_eq!(seen(Some(ann)).await.len(), 2);
        let names: Vec<String> = store.users().await.unwrap()[0].environments.values().cloned().collect();
        assert_eq!(names, ["default", "other"]);
    })
    .await;
}

#[tokio::test]
async fn a_key_is_found_by_its_hash_until_it_is_revoked_and_a_session_until_it_is_over() {
    on_both(async |_, store| {
        let with_key = NewUser { key_hash: Some("h0".to_owned()), ..new("root", Role::Admin) };
        let root = store.create_user(with_key, "root", NOW).await.unwrap();
        assert_eq!(store.api_key("h0").await.unwrap().unwrap().scopes, Scope::all());
        let ann = make(&store, "ann", Role::User).await;
        let id = key(&store, ann, "h1").await;
        let found = store.api_key("h1").await.unwrap().unwrap();
        assert_eq!((found.id, found.user, found.user_name.as_str()), (id, ann, "ann"));
        assert_eq!((found.expires_at, found.last_used_at), (Some(Micros(7)), None));
        assert_eq!(store.api_key("h2").await.unwrap(), None);
        store.use_api_key(&found, "root", "192.0.2.7", NOW).await.unwrap();
        let used = store.api_key("h1").await.unwrap().unwrap();
        assert_eq!(used.last_used_at, Some(NOW));
        store.use_api_key(&used, "root", "192.0.2.7", Micros(NOW.0 + 1)).await.unwrap();
        assert_eq!(store.api_key("h1").await.unwrap().unwrap().last_used_at, Some(NOW), "not for each use");
        assert_eq!(store.api_keys(Some(ann)).await.unwrap().len(), 1);
        assert_eq!(store.api_keys(None).await.unwrap().len(), 2);
        store.revoke_api_key(id, "root", NOW).await.unwrap();
        assert_eq!(store.api_key("h1").await.unwrap(), None);
        assert_eq!(store.revoke_api_key(id, "root", NOW).await.unwrap_err().kind(), Kind::NotFound);
        // A key that was used before makes no administrator again.
        let again = NewUser { key_hash: Some("h0".to_owned()), ..new("admin", Role::Admin) };
        assert_eq!(store.create_user(again, "root", NOW).await.unwrap_err().kind(), Kind::Conflict);
        assert_eq!(store.users().await.unwrap().len(), 2, "nor half of one");

        store.create_session(ann, "s1".to_owned(), Micros(NOW.0 + 9), "ann", NOW).await.unwrap();
        assert_eq!(store.session("s1", Micros(NOW.0 + 8)).await.unwrap(), Some(ann));
        assert_eq!(store.session("s1", Micros(NOW.0 + 9)).await.unwrap(), None);
        let password_hash = Some(Secret::new("$argon2id$"));
        store.update_user(ann, UserEdit { password_hash, ..UserEdit::default() }, "ann", NOW).await.unwrap();
        assert_eq!(store.session("s1", NOW).await.unwrap(), None, "another password ends it");
        let named = store.user_named("ann").await.unwrap().unwrap();
        assert_eq!((named.0, named.1.unwrap().expose()), (ann, "$argon2id$"));
        for hash in ["s2", "s3"] {
            store.create_session(root, hash.to_owned(), Micros(NOW.0 + 9), "root", NOW).await.unwrap();
        }
        store.delete_session("s2").await.unwrap();
        assert_eq!(store.delete_sessions(root, "root", NOW).await.unwrap(), 1);
        assert_eq!(store.session("s3", NOW).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn an_invitation_is_used_once_by_whoever_is_first() {
    on_both(async |_, store| {
        let ann = make(&store, "ann", Role::Admin).await;
        let until = Micros(NOW.0 + 10);
        let invite = async |hash: &str| {
            store.create_invitation(ann, hash.to_owned(), until, "root", NOW).await.unwrap();
        };
        let accept = async |hash: &str, session: &str, now: Micros| {
            let accepted = Acceptance {
                invitation: hash.to_owned(),
                password: Secret::new("$argon2id$"),
                session: session.to_owned(),
                until: Micros(NOW.0 + 99),
                from: None,
            };
            store.accept_invitation(accepted, now).await.unwrap()
        };
        invite("i1").await;
        invite("i2").await;
        assert_eq!(store.invitation("i1", NOW).await.unwrap(), None, "another took its place");
        assert_eq!(store.invitation("i2", NOW).await.unwrap(), Some(ann));
        assert_eq!(store.invitation("i2", until).await.unwrap(), None, "it is over");
        assert_eq!(accept("i2", "s0", until).await, None);
        store.create_session(ann, "old".to_owned(), until, "ann", NOW).await.unwrap();
        let (one, other) = futures::join!(accept("i2", "s1", NOW), accept("i2", "s2", NOW));
        assert_eq!([one, other].into_iter().flatten().collect::<Vec<_>>(), [ann], "one of them");
        assert_eq!(store.session("old", NOW).await.unwrap(), None, "who knew the old password is out");
        assert!(store.user(ann).await.unwrap().unwrap().has_password);
        // Neither outlives another password, nor its user.
        invite("i3").await;
        let edit = UserEdit { password_hash: Some(Secret::new("$argon2id$")), ..UserEdit::default() };
        store.update_user(ann, edit, "root", NOW).await.unwrap();
        assert_eq!(store.invitation("i3", NOW).await.unwrap(), None);
        invite("i4").await;
        store.remove_user(ann, Last::MayGo, "root", NOW).await.unwrap();
        assert_eq!(store.invitation("i4", NOW).await.unwrap(), None);
    })
    .await;
}

//! Who is known by an access token, and for whom a run acts; and for how long.

use crate::home::Home;
use station_core::oauth::AccessToken;
use station_core::{Caller, Kind, Micros, Role, RunId, RunToken, Scope};
use station_engine::{Clock, Config, NewUser, UserEdit, UserRef};
use station_llm::Script;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

#[tokio::test]
async fn a_token_is_its_users_until_it_ends_and_no_more_than_its_scopes() {
    let home = Home::new();
    let clock = Arc::new(AtomicI64::new(1_000));
    let config = Config { clock: Clock::Manual(Arc::clone(&clock)), ..home.config() };
    let open = home.open_with(config, Script::new(Vec::new())).await;
    let (station, local) = (&open.station, Caller::local());
    for (name, role) in [("root", Role::Admin), ("ann", Role::User)] {
        let new = NewUser { name: name.to_owned(), role, environments: Vec::new(), password: None };
        station.create_user(&local, new).await.expect("there is none of that name");
    }
    let token = |user: &str, scopes: &[Scope]| AccessToken {
        user: user.to_owned(),
        scopes: scopes.iter().copied().collect(),
        expires_at: Micros(2_000),
    };
    let ann = station.know_token(&token("ann", &[Scope::Read, Scope::Run])).await.expect("she is known");
    assert_eq!((ann.name.as_str(), ann.role, ann.until), ("ann", Role::User, Some(Micros(2_000))));
    assert_eq!(ann.scopes, BTreeSet::from([Scope::Read, Scope::Run]));

    // Looked at again it is as much as it was, and not the whole user.
    let now = station.caller_now(&ann).await.expect("it goes on");
    assert_eq!((now.scopes, now.until), (ann.scopes.clone(), ann.until));
    let edit = UserEdit { role: Some(Role::Viewer), ..UserEdit::default() };
    station.update_user(&local, &UserRef::Name("ann".to_owned()), edit).await.expect("it is changed");
    assert_eq!(station.caller_now(&ann).await.expect("it goes on").role, Role::Viewer);
    clock.store(2_000, Ordering::SeqCst);
    let over = station.caller_now(&ann).await.expect_err("it has ended");
    assert_eq!(over.kind(), Kind::Unauthenticated);

    // The local administrator is nobody's to name, nor is whoever has no user.
    for name in ["local", "eve", "1", "", &"a".repeat(10_000)] {
        let refused = station.know_token(&token(name, &[Scope::Read])).await.expect_err("it is nobody");
        assert_eq!(refused.kind(), Kind::Unauthenticated, "{name}");
    }
    let refused = station.know_token(&token("ann", &[])).await.expect_err("it is for something else");
    assert_eq!((refused.kind(), refused.lacks()), (Kind::Forbidden, Some(Scope::Read)));
}

#[tokio::test]
async fn a_run_acts_for_whoever_started_it_until_its_time_is_over_the_local_user_too() {
    let home = Home::new();
    let clock = Arc::new(AtomicI64::new(1_000));
    let config = Config { clock: Clock::Manual(Arc::clone(&clock)), ..home.config() };
    let open = home.open_with(config, Script::new(Vec::new())).await;
    let (station, local) = (&open.station, Caller::local());
    let new = NewUser { name: "ann".to_owned(), role: Role::Admin, environments: Vec::new(), password: None };
    let ann = station.create_user(&local, new).await.expect("there is none of that name");
    for user in [Caller::LOCAL_USER, ann.id] {
        clock.store(1_000, Ordering::SeqCst);
        let (verbs, scopes) = (BTreeSet::from(["list_agents".to_owned()]), Scope::all());
        let token = RunToken { run: RunId(1), user, verbs, scopes, depth: 0, expires_at: Micros(2_000) };
        let acting = station.act_for(&local, token.clone()).await.expect("its time is not over");
        assert_eq!(acting.user, user);
        station.caller_now(&acting).await.expect("it goes on");
        clock.store(2_000, Ordering::SeqCst);
        for over in [station.caller_now(&acting).await, station.act_for(&local, token).await] {
            let over = over.expect_err("it is over");
            assert_eq!(
                (over.kind(), over.sentence()),
                (Kind::Unauthenticated, "the token of run 1 has expired")
            );
        }
    }
}

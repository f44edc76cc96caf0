//! Logins at remote servers: kept for one place, renewed by one at a time, and never by what is old.

use crate::fixture::{NOW, Seed, WORKSPACE, env_name, on_both, put_config, seed};
use station_core::oauth::{Challenge, Client, ClientAuth, Login};
use station_core::{Micros, Secret, ServerId};
use station_store::{AuditFilter, KeptLogin, Store};

async fn server(store: &Store, seed: &Seed) -> ServerId {
    store.apply(&env_name("default"), WORKSPACE, &[put_config("far", &["far"])], "ada", NOW).await.unwrap();
    let servers = store.servers(Some(seed.env)).await.unwrap();
    servers.iter().find(|server| server.name == "far").unwrap().id
}

fn client() -> Client {
    Client {
        id: "c".to_owned(),
        secret: Some(Secret::new("canary-of-a-client")),
        auth: ClientAuth::Post,
        redirect: Some("http://127.0.0.1:4711/callback".to_owned()),
        scope: Some("read".to_owned()),
    }
}

fn login(access: &str) -> Login {
    Login {
        url: "https://h/mcp".to_owned(),
        issuer: "https://as.example".to_owned(),
        resource: "https://h/mcp".to_owned(),
        token_endpoint: "https://as.example/token".to_owned(),
        revocation_endpoint: None,
        client: client(),
        access: Secret::new(access),
        refresh: Some(Secret::new("again")),
        scope: Some("read".to_owned()),
        expires_at: Some(Micros(NOW.0 + 5)),
    }
}

#[tokio::test]
async fn a_login_is_renewed_by_one_at_a_time_and_over_what_it_was() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let server = server(&store, &seed).await;
        assert_eq!(store.login(server).await.unwrap(), None);
        store.put_login(server, &login("one"), "ada", NOW).await.unwrap();
        let kept = store.login(server).await.unwrap().unwrap();
        assert_eq!(kept.login, login("one"));

        assert!(store.claim_login(server, kept.revision).await.unwrap());
        assert!(!store.claim_login(server, kept.revision).await.unwrap(), "two renew it at once");
        store.unclaim_login(server, kept.revision).await.unwrap();
        assert!(store.claim_login(server, kept.revision).await.unwrap());
        let renewed = KeptLogin { login: login("two"), revision: kept.revision };
        store.renew_login(server, &renewed, NOW).await.unwrap();

        // What was read before it was renewed neither claims nor writes.
        assert!(!store.claim_login(server, kept.revision).await.unwrap());
        let late = KeptLogin { login: login("late"), revision: kept.revision };
        store.renew_login(server, &late, NOW).await.unwrap();
        let now = store.login(server).await.unwrap().unwrap();
        assert_eq!((now.login.access.expose(), now.revision), ("two", kept.revision + 1));

        let rows = store.logins(None).await.unwrap();
        assert_eq!((rows[&server].renews, rows[&server].scope.as_deref()), (true, Some("read")));
        let asked = Challenge { scope: Some("write".to_owned()), needs_more: true, ..Challenge::default() };
        store.put_challenge(server, &asked, NOW).await.unwrap();
        assert!(store.remove_login(server, "bob", NOW).await.unwrap());
        assert_eq!(
            (store.login(server).await.unwrap(), store.challenge(server).await.unwrap()),
            (None, None)
        );
        store.put_challenge(server, &asked, NOW).await.unwrap();
        assert!(!store.remove_login(server, "eve", NOW).await.unwrap(), "nobody is logged in");
        assert_eq!(store.challenge(server).await.unwrap(), Some(asked), "so nothing is done");

        // What was done is told once, by who did it, and what was not done is not.
        let rows = store.audit(&AuditFilter::default(), 10).await.unwrap();
        let of_logins =
            rows.iter().filter(|row| row.action.ends_with("_server") && row.action.starts_with("log"));
        let told: Vec<(&str, &str, &str)> =
            of_logins.map(|row| (row.action.as_str(), row.actor.as_str(), row.detail.as_str())).collect();
        let out = r#"{"server":"far","issuer":"https://as.example"}"#;
        let into = r#"{"server":"far","issuer":"https://as.example","scope":"read"}"#;
        assert_eq!(told, [("logout_server", "bob", out), ("login_server", "ada", into)]);
        store.check_audit().await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_client_is_kept_for_its_issuer_and_what_was_asked_for_until_it_is_answered() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let server = server(&store, &seed).await;
        store.put_oauth_client(server, "https://one", &client(), NOW).await.unwrap();
        assert_eq!(store.oauth_client(server, "https://one").await.unwrap(), Some(client()));
        assert_eq!(store.oauth_client(server, "https://two").await.unwrap(), None);

        let asked = Challenge { scope: Some("write".to_owned()), needs_more: true, ..Challenge::default() };
        store.put_challenge(server, &Challenge::default(), NOW).await.unwrap();
        store.put_challenge(server, &asked, NOW).await.unwrap();
        assert_eq!(store.challenge(server).await.unwrap(), Some(asked));
        store.put_login(server, &login("one"), "ada", NOW).await.unwrap();
        assert_eq!(store.challenge(server).await.unwrap(), None);
    })
    .await;
}

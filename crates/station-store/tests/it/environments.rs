//! Environments, and what belongs to one of them.

use crate::fixture::{NOW, WORKSPACE, agent_row, env_name, on_both, put_agent};
use station_core::sync::Change;
use station_core::{Kind, Micros, Origin, Secret};

#[tokio::test]
async fn an_environment_is_made_once_and_listed_by_name() {
    on_both(async |_, store| {
        let mut ids = Vec::new();
        for name in ["staging", "Prod", "dev", "ünï"] {
            let made =
                store.create_environment(&env_name(name), "for tests", (Origin::Store, ""), "ada", NOW).await;
            ids.push(made.unwrap());
        }
        let names: Vec<String> =
            store.environments().await.unwrap().iter().map(|env| env.name.to_string()).collect();
        assert_eq!(names, ["Prod", "dev", "staging", "ünï"], "both engines order by bytes");

        let dev = store.environment("dev").await.unwrap().unwrap();
        assert_eq!(dev.id, ids[2]);
        assert_eq!((dev.description.as_str(), dev.origin, dev.created_at), ("for tests", Origin::Store, NOW));
        assert_eq!(store.environment_by_id(dev.id).await.unwrap(), Some(dev));
        assert_eq!(store.environment("DEV").await.unwrap(), None);

        let again =
            store.create_environment(&env_name("dev"), "", (Origin::File, WORKSPACE), "ada", NOW).await;
        let error = again.unwrap_err();
        assert_eq!((error.kind(), error.sentence()), (Kind::Conflict, "environment `dev` exists already"));
    })
    .await;
}

#[tokio::test]
async fn rules_and_variables_belong_to_one_environment() {
    on_both(async |_, store| {
        let set = |value: &str| {
            [
                Change::CreateEnvironment,
                Change::SetRules { source: format!("tools: {value}") },
                Change::SetVariable { name: "TOKEN".to_owned(), value: Secret::new(value), existed: false },
            ]
        };
        let dev = store.apply(&env_name("dev"), WORKSPACE, &set("canary-dev"), "ada", NOW).await.unwrap();
        let prod = store.apply(&env_name("prod"), WORKSPACE, &set("canary-prod"), "ada", NOW).await.unwrap();
        for (env, value) in [(dev, "canary-dev"), (prod, "canary-prod")] {
            assert_eq!(store.rules(env).await.unwrap(), format!("tools: {value}"));
            let variables = store.variables(env).await.unwrap();
            assert_eq!(variables.into_iter().collect::<Vec<_>>(), [("TOKEN".to_owned(), Secret::new(value))]);
        }
        let remove = [Change::RemoveVariable { name: "TOKEN".to_owned() }];
        store.apply(&env_name("dev"), WORKSPACE, &remove, "ada", Micros(NOW.0 + 1)).await.unwrap();
        assert!(store.variables(dev).await.unwrap().is_empty());
        assert_eq!(store.variables(prod).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn files_that_were_seen_are_remembered_by_environment() {
    on_both(async |_, store| {
        let dev = store
            .create_environment(&env_name("dev"), "", (Origin::File, WORKSPACE), "ada", NOW)
            .await
            .unwrap();
        let prod = store
            .create_environment(&env_name("prod"), "", (Origin::File, WORKSPACE), "ada", NOW)
            .await
            .unwrap();
        assert_eq!(store.files_seen(dev).await.unwrap(), None);
        store.see_files(dev, "one").await.unwrap();
        store.see_files(dev, "two").await.unwrap();
        assert_eq!(store.files_seen(dev).await.unwrap().as_deref(), Some("two"));
        assert_eq!(store.files_seen(prod).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn environments_with_agents_are_those_that_have_one_now() {
    on_both(async |_, store| {
        let with_agent = [Change::CreateEnvironment, put_agent(agent_row("triage"))];
        for name in ["prod", "dev"] {
            store.apply(&env_name(name), WORKSPACE, &with_agent, "ada", NOW).await.unwrap();
        }
        store.create_environment(&env_name("empty"), "", (Origin::Store, ""), "ada", NOW).await.unwrap();
        let names = async || -> Vec<String> {
            let with_agents = store.environments_with_agents().await.unwrap();
            with_agents.iter().map(|env| env.name.to_string()).collect()
        };
        assert_eq!(names().await, ["dev", "prod"]);
        let triage = &store.agents_named("triage", None).await.unwrap()[0];
        store.remove_agent(triage.id, "ada", NOW).await.unwrap();
        assert_eq!(names().await, ["prod"]);
    })
    .await;
}

//! What a person takes out: gone from lists, kept with its history, back with its id.

use crate::fixture::{NOW, WORKSPACE, agent_row, env_name, on_both, put_agent, put_config, seed, started};
use serde_json::json;
use station_core::sync::Change;
use station_core::{Kind, Micros, Secret};
use station_store::{AuditFilter, AuditHead, Deed};

const LATER: Micros = Micros(NOW.0 + 1);

#[tokio::test]
async fn an_agent_with_runs_that_did_not_end_stays() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let mut boss = agent_row("boss");
        boss.agents = vec!["triage".to_owned()];
        store.apply(&env_name("default"), WORKSPACE, &[put_agent(boss)], "ada", NOW).await.unwrap();
        assert_eq!(store.callers_of(seed.agent).await.unwrap(), ["boss"]);

        started(&store, &seed, "look").await;
        let error = store.remove_agent(seed.agent, "ada", LATER).await.unwrap_err();
        let sentence = format!("agent {} has 1 run that did not end yet", seed.agent);
        assert_eq!((error.kind(), error.sentence()), (Kind::Conflict, sentence.as_str()));
        assert!(store.agent(seed.agent).await.unwrap().is_some());
        let error = store.remove_environment(seed.env, "ada", LATER).await.unwrap_err();
        let sentence = format!("environment {} has 1 run that did not end yet", seed.env);
        assert_eq!((error.kind(), error.sentence()), (Kind::Conflict, sentence.as_str()));
    })
    .await;
}

#[tokio::test]
async fn what_was_removed_is_in_no_list_and_its_name_returns_with_its_id() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        store.remove_agent(seed.agent, "ada", LATER).await.unwrap();
        assert!(store.agents(Some(seed.env)).await.unwrap().is_empty());
        let back = [put_agent(agent_row("triage"))];
        store.apply(&env_name("default"), WORKSPACE, &back, "ada", LATER).await.unwrap();
        assert_eq!(store.agents_named("triage", Some(seed.env)).await.unwrap()[0].id, seed.agent);
        let told = store.audit(&AuditFilter::default(), 3).await.unwrap();
        let told: Vec<&str> = told.iter().rev().map(|row| row.action.as_str()).collect();
        assert_eq!(told, ["create_agent", "delete_agent", "create_agent"]);
    })
    .await;
}

#[tokio::test]
async fn an_environment_goes_with_all_that_is_in_it_and_no_other_does() {
    on_both(async |_, store| {
        let fill = [
            Change::CreateEnvironment,
            put_agent(agent_row("triage")),
            put_config("files", &["fs"]),
            Change::SetVariable { name: "TOKEN".to_owned(), value: Secret::new("canary"), existed: false },
        ];
        let dev = store.apply(&env_name("dev"), WORKSPACE, &fill, "ada", NOW).await.unwrap();
        let prod = store.apply(&env_name("prod"), WORKSPACE, &fill, "ada", NOW).await.unwrap();
        store.remove_environment(dev, "ada", LATER).await.unwrap();
        for (env, left) in [(dev, 0), (prod, 1)] {
            assert_eq!(store.agents(Some(env)).await.unwrap().len(), left);
            assert_eq!(store.servers(Some(env)).await.unwrap().len(), left);
            assert_eq!(store.variables(env).await.unwrap().len(), left);
        }
        assert_eq!(store.environment("dev").await.unwrap(), None);
        let again = store.apply(&env_name("dev"), WORKSPACE, &fill, "ada", LATER).await.unwrap();
        assert_eq!(again, dev);
        assert_eq!(store.agents(Some(dev)).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_deed_is_in_the_audit_before_it_is_done() {
    on_both(async |_, store| {
        store.note_deed("call_tool", "tool post of book", json!({"by": "hand"}), "ada\0", NOW).await.unwrap();
        let rows = store.audit(&AuditFilter::default(), 10).await.unwrap();
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].action.as_str(), rows[0].subject.as_str()), ("call_tool", "tool post of book"));
        assert!(!rows[0].actor.contains('\0'), "no engine stores it: {:?}", rows[0].actor);
    })
    .await;
}

#[tokio::test]
async fn deeds_that_are_written_together_are_links_of_one_chain() {
    on_both(async |_, store| {
        let deed = |n: i64| Deed {
            at: Micros(NOW.0 + n),
            actor: "ada\0".into(),
            action: "call_tool",
            subject: format!("tool {n}"),
            detail: "{}".to_owned(),
        };
        store.note_deeds(Vec::new()).await.unwrap();
        assert_eq!(store.check_audit().await.unwrap(), Ok(AuditHead::default()));
        store.note_deeds((0..3).map(deed).collect()).await.unwrap();
        store.note_deed("call_tool", "tool alone", json!({}), "ada", NOW).await.unwrap();
        store.note_deeds((3..5).map(deed).collect()).await.unwrap();
        let rows = store.audit(&AuditFilter::default(), 10).await.unwrap();
        let told: Vec<&str> = rows.iter().rev().map(|row| row.subject.as_str()).collect();
        assert_eq!(told, ["tool 0", "tool 1", "tool 2", "tool alone", "tool 3", "tool 4"]);
        let head = AuditHead { seq: 6, hash: rows[0].hash.clone() };
        assert_eq!(store.check_audit().await.unwrap(), Ok(head));
    })
    .await;
}

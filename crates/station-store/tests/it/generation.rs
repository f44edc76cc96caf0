//! The number that says whether anything that was read is still so.

use crate::fixture::{
    NOW, WORKSPACE, agent_row, entry, env_name, on_both, put_agent, put_config, seed, started,
};
use station_core::discovery::Discovery;
use station_core::sync::{Change, Grant};
use station_core::{Era, Secret};
use station_store::{Append, Store};

/// What moves the number, and what does not.
async fn check(store: &Store, what: &str, counts: bool, change: impl AsyncFnOnce()) {
    let before = store.generation().await.unwrap();
    change().await;
    let after = store.generation().await.unwrap();
    assert_eq!(after > before, counts, "{what}: {before} became {after}");
}

#[tokio::test]
async fn every_change_of_a_definition_is_counted_and_a_run_is_not() {
    on_both(async |_, store| {
        let seed = seed(&store).await;
        let apply = async |change: Change| {
            store.apply(&env_name("default"), WORKSPACE, &[change], "ada", NOW).await.unwrap();
        };
        let variable = |value: &str| Change::SetVariable {
            name: "TOKEN".to_owned(),
            value: Secret::new(value),
            existed: false,
        };
        check(&store, "a variable", true, || apply(variable("one"))).await;
        check(&store, "its value", true, || apply(variable("two"))).await;
        check(&store, "its end", true, || apply(Change::RemoveVariable { name: "TOKEN".to_owned() })).await;
        check(&store, "rules", true, || apply(Change::SetRules { source: "tools: {}".to_owned() })).await;
        check(&store, "a server file", true, || apply(put_config("files", &["fs"]))).await;
        let changed = agent_row("triage");
        check(&store, "an agent", true, || apply(put_agent(changed))).await;

        let server = store.servers(Some(seed.env)).await.unwrap()[0].id;
        let found = Discovery {
            era: Era::Modern,
            tools: Vec::new(),
            resources: Vec::new(),
            prompts: Vec::new(),
            capabilities: serde_json::json!({}),
            instructions: None,
        };
        check(&store, "a discovery", true, async || {
            store.record_discovery(server, &found, NOW).await.unwrap();
        })
        .await;
        let links = [(seed.agent, vec![Grant { written: "read".to_owned(), tool: None }])];
        check(&store, "a grant", true, async || store.relink(seed.env, &links).await.unwrap()).await;

        check(&store, "a run", false, async || {
            let (run, fence) = started(&store, &seed, "task").await;
            store.append(Append::new(run, fence, vec![entry(1, "one")])).await.unwrap();
        })
        .await;
    })
    .await;
}

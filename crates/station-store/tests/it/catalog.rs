//! What servers offer: recorded, kept through failures, and seen by one environment alone.

use crate::fixture::{NOW, WORKSPACE, agent_row, env_name, on_both, outline, put_agent, put_config};
use serde_json::json;
use station_core::discovery::{DiscoveredPrompt, DiscoveredResource, DiscoveredTool, Discovery};
use station_core::sync::{Change, Grant};
use station_core::{Annotations, EnvironmentId, Era, Kind, Micros, Secret, ServerId};
use station_store::Store;

const LATER: Micros = Micros(NOW.0 + 1_000_000);

fn tool(name: &str) -> DiscoveredTool {
    DiscoveredTool {
        name: name.to_owned(),
        title: String::new(),
        description: format!("does {name}"),
        input_schema: json!({"type": "object", "properties": {"z": {}, "a": {}}}),
        output_schema: None,
        annotations: Annotations { read_only: Some(true), ..Annotations::default() },
        more: serde_json::Map::new(),
    }
}

fn found(tools: &[&str]) -> Discovery {
    Discovery {
        era: Era::Legacy,
        tools: tools.iter().map(|name| tool(name)).collect(),
        resources: Vec::new(),
        prompts: Vec::new(),
        capabilities: json!({"tools": {}}),
        instructions: None,
    }
}

async fn servers_of(
    store: &Store,
    env: &str,
    config: &str,
    servers: &[&str],
) -> (EnvironmentId, Vec<ServerId>) {
    let changes = [Change::CreateEnvironment, put_config(config, servers), put_agent(agent_row("triage"))];
    let env = store.apply(&env_name(env), WORKSPACE, &changes, "ada", NOW).await.unwrap();
    let ids = store.servers(Some(env)).await.unwrap().iter().map(|server| server.id).collect();
    (env, ids)
}

async fn names(store: &Store, env: EnvironmentId) -> Vec<String> {
    let catalog = store.catalog(env).await.unwrap();
    catalog.iter().map(|tool| format!("{}__{}", tool.server_name, tool.name)).collect()
}

#[tokio::test]
async fn the_catalog_is_in_file_order_and_of_one_environment() {
    on_both(async |_, store| {
        let (env, ids) = servers_of(&store, "dev", "files", &["zeta", "alpha"]).await;
        let (other, other_ids) = servers_of(&store, "prod", "files", &["zeta"]).await;
        store.record_discovery(ids[1], &found(&["read"]), LATER).await.unwrap();
        store.record_discovery(ids[0], &found(&["write", "read"]), LATER).await.unwrap();
        store.record_discovery(other_ids[0], &found(&["canary"]), LATER).await.unwrap();
        assert_eq!(names(&store, env).await, ["zeta__write", "zeta__read", "alpha__read"]);
        assert_eq!(names(&store, other).await, ["zeta__canary"]);

        let read = &store.catalog(env).await.unwrap()[1];
        let expected = tool("read");
        assert_eq!(
            (&read.description, &read.input_schema, &read.output_schema, read.annotations),
            (&expected.description, &expected.input_schema, &expected.output_schema, expected.annotations)
        );
    })
    .await;
}

#[tokio::test]
async fn a_tool_that_vanished_returns_with_its_id_and_a_failure_removes_nothing() {
    on_both(async |_, store| {
        let (env, ids) = servers_of(&store, "dev", "files", &["fs"]).await;
        store.record_discovery(ids[0], &found(&["read", "write"]), LATER).await.unwrap();
        let write = store.catalog(env).await.unwrap()[1].id;
        let agent = store.agents(Some(env)).await.unwrap()[0].id;
        let grants = vec![Grant { written: "write".to_owned(), tool: Some(write) }];
        store.relink(env, &[(agent, grants.clone())]).await.unwrap();

        store.record_discovery(ids[0], &found(&["read"]), LATER).await.unwrap();
        assert_eq!(names(&store, env).await, ["fs__read"]);
        assert_eq!(store.grants(agent).await.unwrap(), grants, "a grant outlives its tool");
        store.record_discovery_failure(ids[0], "it ended: \0 code 1", LATER).await.unwrap();
        assert_eq!(names(&store, env).await, ["fs__read"]);
        let server = store.server(ids[0]).await.unwrap().unwrap();
        assert_eq!(server.problem.as_deref(), Some("it ended: \u{fffd} code 1"));
        assert_eq!((server.era, server.discovered_at), (Some(Era::Legacy), Some(LATER)));
        assert_eq!(store.offered_by_all(env).await.unwrap()[&ids[0]].problem_at, Some(LATER));
        // Down is since the first failure in a row, whatever came of the later ones.
        let later = LATER.plus_ms(1_000);
        store.record_discovery_failure(ids[0], "it ended again", later).await.unwrap();
        let server = store.server(ids[0]).await.unwrap().unwrap();
        assert_eq!((server.problem_at, server.down_since), (Some(later), Some(LATER)));
        store.record_reached(ids[0]).await.unwrap();
        let server = store.server(ids[0]).await.unwrap().unwrap();
        assert_eq!((server.problem, server.problem_at, server.down_since), (None, None, None));
        store.record_discovery_failure(ids[0], "and again", later).await.unwrap();
        assert_eq!(store.server(ids[0]).await.unwrap().unwrap().down_since, Some(later));

        store.record_discovery(ids[0], &found(&["write", "read"]), LATER).await.unwrap();
        assert_eq!(store.catalog(env).await.unwrap()[0].id, write);
        assert_eq!(store.server(ids[0]).await.unwrap().unwrap().problem, None);
    })
    .await;
}

#[tokio::test]
async fn a_definition_that_changed_is_to_be_discovered_again() {
    on_both(async |_, store| {
        let (env, ids) = servers_of(&store, "dev", "files", &["fs"]).await;
        store.record_discovery(ids[0], &found(&["read"]), LATER).await.unwrap();
        for (hash, known) in [("hash-1", true), ("hash-2", false)] {
            let change = Change::PutConfig {
                name: "files".to_owned(),
                path: "files.json".to_owned(),
                source: Secret::new("{}"),
                servers: vec![outline("fs", hash)],
                existed: true,
                dropped: Vec::new(),
            };
            store.apply(&env_name("dev"), WORKSPACE, &[change], "ada", LATER).await.unwrap();
            let server = store.server(ids[0]).await.unwrap().unwrap();
            assert_eq!((server.discovered_at.is_some(), server.era.is_some()), (known, known), "{hash}");
            assert_eq!(names(&store, env).await, ["fs__read"], "tools stay until the next discovery");
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_server_says_of_a_tool_besides_is_kept_apart() {
    on_both(async |_, store| {
        let (env, ids) = servers_of(&store, "dev", "files", &["fs"]).await;
        let more = json!({ "icons": [{ "src": "https://a/b.png" }], "_meta": { "a/b": 1 } });
        let mut said = found(&["read", "write"]);
        said.tools[0].more = more.as_object().unwrap().clone();
        store.record_discovery(ids[0], &said, LATER).await.unwrap();
        let tools = store.catalog(env).await.unwrap();
        let kept = store.more_of_tools(env).await.unwrap();
        assert_eq!(kept.into_iter().collect::<Vec<_>>(), [(tools[0].id, said.tools[0].more.clone())]);
        // What it says no more is gone, and so is what it says of a tool that is gone.
        said.tools[0].more.clear();
        store.record_discovery(ids[0], &said, LATER).await.unwrap();
        assert!(store.more_of_tools(env).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_a_server_offers_beside_tools_is_kept_in_its_order() {
    on_both(async |_, store| {
        let (env, ids) = servers_of(&store, "dev", "files", &["fs"]).await;
        let more = serde_json::json!({ "title": "One", "_meta": { "a/b": 1 } });
        let more = more.as_object().unwrap();
        let resource = |uri: &str, is_template| DiscoveredResource {
            more: more.clone(),
            uri: uri.to_owned(),
            name: "n".to_owned(),
            description: String::new(),
            mime: None,
            is_template,
        };
        let everything = Discovery {
            era: Era::Modern,
            resources: vec![resource("z://1", false), resource("a://{id}", true)],
            prompts: vec![DiscoveredPrompt {
                more: more.clone(),
                name: "p".to_owned(),
                description: "d".to_owned(),
                arguments: json!([{"name": "x"}]),
            }],
            instructions: Some("be kind\0".to_owned()),
            ..found(&[])
        };
        for _ in 0..2 {
            store.record_discovery(ids[0], &everything, LATER).await.unwrap();
        }
        let all = store.offered_by_all(env).await.unwrap();
        let offered = &all[&ids[0]];
        assert_eq!(offered.resources, everything.resources);
        assert_eq!(offered.prompts, everything.prompts);
        assert_eq!(offered.capabilities, everything.capabilities);
        assert_eq!(offered.instructions.as_deref(), Some("be kind\u{fffd}"));
        assert!(store.catalog(env).await.unwrap().is_empty());

        let nobody = ServerId(999);
        assert!(!all.contains_key(&nobody));
        for refused in [
            store.record_discovery(nobody, &everything, LATER).await.unwrap_err(),
            store.record_discovery_failure(nobody, "x", LATER).await.unwrap_err(),
        ] {
            assert_eq!(
                (refused.kind(), refused.sentence()),
                (Kind::NotFound, "MCP server 999 does not exist")
            );
        }
    })
    .await;
}

#[tokio::test]
async fn a_grant_never_links_into_another_environment() {
    on_both(async |_, store| {
        let (dev, dev_servers) = servers_of(&store, "dev", "files", &["fs"]).await;
        let (prod, prod_servers) = servers_of(&store, "prod", "files", &["fs"]).await;
        store.record_discovery(dev_servers[0], &found(&["read"]), LATER).await.unwrap();
        store.record_discovery(prod_servers[0], &found(&["read"]), LATER).await.unwrap();
        let foreign = store.catalog(prod).await.unwrap()[0].id;
        let agent = store.agents(Some(dev)).await.unwrap()[0].id;
        let stranger = store.agents(Some(prod)).await.unwrap()[0].id;
        let links = vec![Grant { written: "read".to_owned(), tool: Some(foreign) }];
        store.relink(dev, &[(agent, links.clone()), (stranger, links)]).await.unwrap();
        assert_eq!(store.grants(agent).await.unwrap(), [Grant { written: "read".to_owned(), tool: None }]);
        assert!(store.grants(stranger).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn server_files_are_listed_without_their_text() {
    on_both(async |_, store| {
        let (dev, _) = servers_of(&store, "dev", "files", &["zeta"]).await;
        servers_of(&store, "prod", "other", &["alpha"]).await;
        let shown = |files: Vec<station_store::ServerFile>| {
            files.into_iter().map(|file| format!("{} {}", file.environment, file.name)).collect::<Vec<_>>()
        };
        let all = store.server_files(None).await.unwrap();
        assert_eq!(shown(all.clone()), [format!("{dev} files"), format!("{} other", all[1].environment)]);
        assert_eq!(shown(store.server_files(Some(dev)).await.unwrap()), [format!("{dev} files")]);
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_was_switched_off_stays_off_when_its_file_is_applied_anew() {
    on_both(async |_, store| {
        let (dev, _) = servers_of(&store, "dev", "files", &["zeta"]).await;
        let triage = store.agents_named("triage", Some(dev)).await.unwrap().remove(0);
        assert!(triage.enabled);
        store.enable_agent(triage.id, false, "ada", LATER).await.unwrap();
        servers_of(&store, "dev", "files", &["zeta"]).await;
        assert!(!store.agent(triage.id).await.unwrap().unwrap().enabled);
        store.enable_agent(triage.id, true, "ada", LATER).await.unwrap();
        assert!(store.agent(triage.id).await.unwrap().unwrap().enabled);
        let nobody = store.enable_agent(station_core::AgentId(999), true, "ada", LATER).await.unwrap_err();
        assert_eq!(nobody.kind(), Kind::NotFound);
    })
    .await;
}

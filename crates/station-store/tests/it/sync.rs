//! Plans, applied whole or not at all, and what is stored after them.

use crate::fixture::{
    NOW, WORKSPACE, agent_row, env_name, granted, on_both, outline, put_agent, put_config, seed,
};
use station_core::lock::Pin;
use station_core::sync::{AgentRow, Change, Stored};
use station_core::{Actor, Kind, Micros, Origin, Secret, Transport};

const LATER: Micros = Micros(NOW.0 + 1_000_000);

#[tokio::test]
async fn what_was_applied_is_what_is_stored() {
    on_both(async |_, store| {
        let name = env_name("default");
        assert_eq!(store.stored(&name, WORKSPACE).await.unwrap(), Stored::default());
        let row = AgentRow {
            model: Some("gpt-4o-mini".to_owned()),
            tools: vec![granted("__read_text_file"), granted("nothing_offers_this")],
            agents: vec!["metrics".to_owned(), "not_there".to_owned()],
            source: "---\r\nname: x\r\n---\n\u{1f680} {{userInput}} '; drop table agents; --".to_owned(),
            ..agent_row("triage")
        };
        let changes = [
            Change::CreateEnvironment,
            Change::SetVariable { name: "A".to_owned(), value: Secret::new(""), existed: false },
            put_config("files", &["fs", "git"]),
            put_agent(row.clone()),
            put_agent(agent_row("metrics")),
        ];
        let env = store.apply(&name, WORKSPACE, &changes, "ada", NOW).await.unwrap();

        let stored = store.stored(&name, WORKSPACE).await.unwrap();
        assert_eq!(stored.environment, Some(env));
        assert_eq!(stored.variables["A"], Secret::new(""));
        let config = &stored.configs["files"];
        assert!(config.ours);
        assert_eq!(config.source, Secret::new("{\"mcpServers\": \"canary of files\"}"));
        assert_eq!(config.servers.keys().collect::<Vec<_>>(), ["fs", "git"]);
        assert_eq!(config.servers["fs"].1, "hash-1");
        let agent = &stored.agents["triage"];
        assert_eq!((agent.source.as_str(), agent.ours), (row.source.as_str(), true));
        assert!(!store.stored(&name, "another").await.unwrap().agents["triage"].ours);

        let listed = store.agents(Some(env)).await.unwrap();
        assert_eq!(listed.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>(), ["metrics", "triage"]);
        assert_eq!(listed[1].tags, row.tags);
        assert_eq!(listed[1].model.as_deref(), Some("gpt-4o-mini"));
        assert_eq!(store.agent(agent.id).await.unwrap().as_ref(), Some(&listed[1]));
        assert_eq!(store.agent_source(agent.id).await.unwrap(), row.source);
        assert_eq!(store.grants(agent.id).await.unwrap(), row.tools);
        let by_agent = store.grants_by_agent(env).await.unwrap();
        assert_eq!(by_agent.into_iter().collect::<Vec<_>>(), [("triage".to_owned(), row.tools.clone())]);
        let subs = store.sub_agents(agent.id).await.unwrap();
        assert_eq!((subs[0].written.as_str(), subs[0].agent), ("metrics", Some(listed[0].id)));
        assert_eq!((subs[1].written.as_str(), subs[1].agent), ("not_there", None));
    })
    .await;
}

#[tokio::test]
async fn a_removed_name_returns_with_its_id() {
    on_both(async |_, store| {
        let name = env_name("default");
        let first = seed(&store).await;
        store.apply(&name, WORKSPACE, &[put_config("files", &["fs"])], "ada", NOW).await.unwrap();
        let server = store.servers(Some(first.env)).await.unwrap()[0].id;

        let remove = [
            Change::RemoveAgent { id: first.agent, name: "triage".to_owned() },
            Change::RemoveConfig { name: "files".to_owned(), servers: vec!["fs".to_owned()] },
        ];
        store.apply(&name, WORKSPACE, &remove, "ada", LATER).await.unwrap();
        assert!(store.agents(None).await.unwrap().is_empty());
        assert!(store.servers(None).await.unwrap().is_empty());
        assert_eq!(store.agent(first.agent).await.unwrap(), None);
        assert_eq!(store.agent_source(first.agent).await.unwrap_err().kind(), Kind::NotFound);
        assert_eq!(store.config_source(server).await.unwrap_err().kind(), Kind::NotFound);
        let left = store.stored(&name, WORKSPACE).await.unwrap();
        assert!(left.agents.is_empty() && left.configs.is_empty());

        let back = [put_agent(agent_row("triage")), put_config("files", &["fs"])];
        store.apply(&name, WORKSPACE, &back, "ada", LATER).await.unwrap();
        let agent = &store.agents(None).await.unwrap()[0];
        assert_eq!((agent.id, agent.created_at, agent.updated_at), (first.agent, NOW, LATER));
        assert_eq!(store.servers(None).await.unwrap()[0].id, server);
    })
    .await;
}

#[tokio::test]
async fn a_renamed_agent_keeps_its_row() {
    on_both(async |_, store| {
        let name = env_name("default");
        let first = seed(&store).await;
        let rename = |to: &str| Change::RenameAgent {
            id: first.agent,
            from: "triage".to_owned(),
            row: Box::new(agent_row(to)),
        };
        // Of another workspace it is not: nothing of ours is renamed.
        store.apply(&name, "another", &[rename("stolen")], "ada", LATER).await.unwrap();
        assert_eq!(store.agent(first.agent).await.unwrap().unwrap().name.as_str(), "triage");
        store.apply(&name, WORKSPACE, &[rename("finder")], "ada", LATER).await.unwrap();
        let agent = store.agent(first.agent).await.unwrap().unwrap();
        assert_eq!((agent.name.as_str(), agent.created_at, agent.updated_at), ("finder", NOW, LATER));
        // A name that was an agent's returns with the row that it had, whatever the plan knew.
        let stolen = store.agents_named("stolen", Some(first.env)).await.unwrap()[0].id;
        let remove = Change::RemoveAgent { id: stolen, name: "stolen".to_owned() };
        store.apply(&name, "another", &[remove], "ada", LATER).await.unwrap();
        assert!(store.stored(&name, WORKSPACE).await.unwrap().removed_agents.contains("stolen"));
        store.apply(&name, WORKSPACE, &[rename("stolen")], "ada", LATER).await.unwrap();
        assert_eq!(store.agent(first.agent).await.unwrap(), None);
        assert_eq!(store.agents_named("stolen", Some(first.env)).await.unwrap()[0].id, stolen);
    })
    .await;
}

#[tokio::test]
async fn sync_removes_no_row_of_the_store_or_of_another_workspace() {
    on_both(async |_, store| {
        let theirs = seed(&store).await;
        let ours = [put_agent(agent_row("made_here"))];
        store.apply_without_files(&env_name("default"), &ours, "ada", NOW).await.unwrap();
        let made = store.agents_named("made_here", Some(theirs.env)).await.unwrap()[0].id;
        store
            .apply(&env_name("default"), WORKSPACE, &[put_config("files", &["fs"])], "ada", NOW)
            .await
            .unwrap();
        let remove = [
            Change::RemoveAgent { id: theirs.agent, name: "triage".to_owned() },
            Change::RemoveAgent { id: made, name: "made_here".to_owned() },
            Change::RemoveConfig { name: "files".to_owned(), servers: vec!["fs".to_owned()] },
        ];
        store.apply(&env_name("default"), "an-empty-laptop", &remove, "ada", LATER).await.unwrap();
        assert_eq!(store.agents(None).await.unwrap().len(), 2);
        assert_eq!(store.servers(None).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn variables_and_rules_are_changed_by_the_workspace_of_the_environment_alone() {
    let set = |name: &str, value: &str| Change::SetVariable {
        name: name.to_owned(),
        value: Secret::new(value),
        existed: false,
    };
    let rules = |source: &str| Change::SetRules { source: source.to_owned() };
    on_both(async |_, store| {
        let ours = env_name("default");
        let made = [Change::CreateEnvironment, set("A", "1"), rules("description: a\n")];
        store.apply(&ours, WORKSPACE, &made, "ada", NOW).await.unwrap();
        // What `stn env create` makes is its workspace's, too; what is made in the store is nobody's.
        let created = env_name("created");
        store.create_environment(&created, "", (Origin::File, WORKSPACE), "ada", NOW).await.unwrap();
        let stored_only = env_name("stored");
        store.create_environment(&stored_only, "", (Origin::Store, ""), "ada", NOW).await.unwrap();
        for (name, workspace, foreign) in [
            (&ours, WORKSPACE, false),
            (&ours, "another", true),
            (&ours, "", true),
            (&created, WORKSPACE, false),
            (&created, "another", true),
            (&stored_only, WORKSPACE, true),
            (&stored_only, "", true),
            (&env_name("new"), WORKSPACE, false),
        ] {
            assert_eq!(store.stored(name, workspace).await.unwrap().foreign, foreign, "{name} {workspace:?}");
        }

        // Both workspaces planned while the environment was not there: the second one's plan is refused whole.
        for change in [set("A", "2"), Change::RemoveVariable { name: "A".to_owned() }, rules("")] {
            let changes = [Change::CreateEnvironment, put_agent(agent_row("late")), change];
            let error = store.apply(&ours, "another", &changes, "ada", LATER).await.unwrap_err();
            assert_eq!(error.kind(), Kind::Conflict);
            assert_eq!(error.sentence(), "environment `default` belongs to another workspace");
        }
        let stored = store.stored(&ours, WORKSPACE).await.unwrap();
        assert_eq!((stored.variables["A"].expose(), stored.rules.as_str()), ("1", "description: a\n"));
        assert!(stored.agents.is_empty());

        store.apply(&created, WORKSPACE, &[set("B", "2")], "ada", LATER).await.unwrap();
        store.apply(&ours, "another", &[put_agent(agent_row("theirs"))], "ada", LATER).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_plan_that_fails_changes_nothing() {
    on_both(async |_, store| {
        let changes = [
            Change::CreateEnvironment,
            put_agent(agent_row("first")),
            put_agent(AgentRow { source: "a\0b".to_owned(), ..agent_row("second") }),
        ];
        let error = store.apply(&env_name("default"), WORKSPACE, &changes, "ada", NOW).await.unwrap_err();
        assert_eq!(error.sentence(), "a text with a NUL character (U+0000) cannot be stored");
        assert!(store.environments().await.unwrap().is_empty());
        assert!(store.agents(None).await.unwrap().is_empty());

        let error = store.apply(&env_name("nowhere"), WORKSPACE, &[], "ada", NOW).await.unwrap_err();
        assert_eq!(error.sentence(), "environment `nowhere` does not exist");
    })
    .await;
}

#[tokio::test]
async fn a_changed_server_is_listed_anew_and_one_that_moved_stays() {
    on_both(async |_, store| {
        let name = env_name("default");
        let changes = [Change::CreateEnvironment, put_config("a", &["fs", "git"])];
        let env = store.apply(&name, WORKSPACE, &changes, "ada", NOW).await.unwrap();
        let ids: Vec<_> = store.servers(Some(env)).await.unwrap().iter().map(|server| server.id).collect();

        // `git` moves to another file, `fs` is dropped, and `new` comes.
        let moved = [
            put_config("b", &["git"]),
            Change::PutConfig {
                name: "a".to_owned(),
                path: "a.json".to_owned(),
                source: Secret::new("{}"),
                servers: vec![outline("new", "hash-1")],
                existed: true,
                dropped: vec!["fs".to_owned(), "git".to_owned()],
            },
        ];
        store.apply(&name, WORKSPACE, &moved, "ada", LATER).await.unwrap();
        let servers = store.servers(Some(env)).await.unwrap();
        let seen: Vec<_> =
            servers.iter().map(|server| (server.config.as_str(), server.name.as_str())).collect();
        assert_eq!(seen, [("a", "new"), ("b", "git")]);
        assert_eq!(servers[1].id, ids[1]);
        assert_eq!(servers[1].transport, Transport::Stdio);
        assert_eq!(store.server(ids[0]).await.unwrap(), None);
        assert_eq!(store.config_source(ids[1]).await.unwrap().name, "b");
    })
    .await;
}

#[tokio::test]
async fn environments_with_equal_names_in_them_never_see_each_other() {
    on_both(async |_, store| {
        let mut seen = Vec::new();
        for name in ["dev", "prod"] {
            let coordinator = AgentRow {
                agents: vec!["worker".to_owned()],
                source: format!("canary of {name}"),
                ..agent_row("coordinator")
            };
            let changes = [
                Change::CreateEnvironment,
                put_config("files", &["fs"]),
                put_agent(coordinator),
                put_agent(agent_row("worker")),
            ];
            let env = store.apply(&env_name(name), WORKSPACE, &changes, "ada", NOW).await.unwrap();
            let agents = store.agents(Some(env)).await.unwrap();
            let subs = store.sub_agents(agents[0].id).await.unwrap();
            assert_eq!(subs[0].agent, Some(agents[1].id), "a coordinator of {name} reaches into another");
            assert_eq!(store.agent_source(agents[0].id).await.unwrap(), format!("canary of {name}"));
            assert_eq!(store.servers(Some(env)).await.unwrap().len(), 1);
            seen.push((env, agents));
        }
        assert_eq!(store.agents_named("worker", None).await.unwrap().len(), 2);
        assert_eq!(store.agents_named("worker", Some(seen[1].0)).await.unwrap(), [seen[1].1[1].clone()]);

        // A worker that goes away in one environment is not replaced by the other's.
        let gone = [Change::RemoveAgent { id: seen[0].1[1].id, name: "worker".to_owned() }];
        store.apply(&env_name("dev"), WORKSPACE, &gone, "ada", LATER).await.unwrap();
        assert_eq!(store.sub_agents(seen[0].1[0].id).await.unwrap()[0].agent, None);
        assert_eq!(store.sub_agents(seen[1].1[0].id).await.unwrap()[0].agent, Some(seen[1].1[1].id));
    })
    .await;
}

#[tokio::test]
async fn pins_are_of_one_environment_and_raise_the_number_of_definitions() {
    on_both(async |_, store| {
        let lock = |hash: Option<&str>, tools: &[(&str, &str)]| {
            let pin = |(tool, hash): &(&str, &str)| Pin {
                server: "fs".to_owned(),
                tool: (*tool).to_owned(),
                hash: (*hash).to_owned(),
            };
            let pins = tools.iter().map(pin).collect();
            [Change::CreateEnvironment, Change::SetLock { hash: hash.map(str::to_owned), pins }]
        };
        let two = lock(Some("file"), &[("read", "r1"), ("write", "w1")]);
        let dev = store.apply(&env_name("dev"), WORKSPACE, &two, "ada", NOW).await.unwrap();
        let prod = store
            .apply(&env_name("prod"), WORKSPACE, &[Change::CreateEnvironment], "ada", NOW)
            .await
            .unwrap();
        assert_eq!(store.stored(&env_name("dev"), WORKSPACE).await.unwrap().lock.as_deref(), Some("file"));
        for (env, is_locked, pin) in [(dev, true, Some("r1")), (prod, false, None)] {
            assert_eq!(store.is_locked(env).await.unwrap(), is_locked);
            assert_eq!(store.pins(env, "fs").await.unwrap().get("read").map(String::as_str), pin);
        }
        let before = store.generation().await.unwrap();
        store
            .apply(&env_name("dev"), WORKSPACE, &lock(Some("new"), &[("read", "r2")]), "ada", NOW)
            .await
            .unwrap();
        assert!(store.generation().await.unwrap() > before, "whoever read rights must read them again");
        let pins = store.pins(dev, "fs").await.unwrap();
        assert_eq!(pins.into_iter().collect::<Vec<_>>(), [("read".to_owned(), "r2".to_owned())]);
        assert!(store.pins(dev, "git").await.unwrap().is_empty());
        store.apply(&env_name("dev"), WORKSPACE, &lock(None, &[]), "ada", NOW).await.unwrap();
        assert!(!store.is_locked(dev).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn the_audit_tells_of_each_change_by_whom_and_from_where_and_of_no_value() {
    on_both(async |_, store| {
        let ann = Actor { name: "ann".to_owned(), from: Some("192.0.2.7, API key 4".to_owned()) };
        let name = env_name("dev");
        let changed = AgentRow { existed: true, ..agent_row("triage") };
        let set = Change::SetVariable {
            name: "TOKEN".to_owned(),
            value: Secret::new("canary-value"),
            existed: false,
        };
        let made = [
            Change::CreateEnvironment,
            Change::SetRules { source: "description: for tests".to_owned() },
            set,
            put_config("files", &["fs"]),
            put_agent(agent_row("triage")),
        ];
        store.apply(&name, WORKSPACE, &made, ann.clone(), NOW).await.unwrap();
        let agent = store.agents(None).await.unwrap()[0].id;
        let gone = [
            Change::RemoveVariable { name: "TOKEN".to_owned() },
            Change::RemoveConfig { name: "files".to_owned(), servers: vec!["fs".to_owned()] },
            put_agent(changed),
            Change::RemoveAgent { id: agent, name: "triage".to_owned() },
        ];
        store.apply(&name, WORKSPACE, &gone, ann, LATER).await.unwrap();
        let told = store.audit_after(0, 100).await.unwrap();
        let rows: Vec<(&str, String)> = told
            .iter()
            .map(|row| (row.action.as_str(), row.subject.replace(char::is_numeric, "N")))
            .collect();
        let expected = [
            ("create_environment", "environment N"),
            ("update_environment", "environment N"),
            ("set_variable", "environment N"),
            ("add_server", "server file files"),
            ("create_agent", "agent N"),
            ("unset_variable", "environment N"),
            ("delete_server", "server file files"),
            ("update_agent", "agent N"),
            ("delete_agent", "agent N"),
        ];
        assert_eq!(rows, expected.map(|(action, subject)| (action, subject.to_owned())));
        for row in &told {
            let from = row.from.as_deref();
            assert_eq!((row.actor.as_str(), from), ("ann", Some("192.0.2.7, API key 4")), "{row:?}");
            assert!(row.detail.contains("\"environment\":\"dev\""), "{row:?}");
            assert!(!row.detail.contains("canary-value"), "{row:?}");
        }
        assert_eq!(store.check_audit().await.unwrap().unwrap().seq, 9);
    })
    .await;
}

//! What a server offers, and that it says so again when it changes.

use crate::{PATIENCE, Scene, nothing, text};
use station_core::Annotations;

#[tokio::test]
async fn every_page_of_every_declared_list_is_read() {
    for era in ["legacy", "modern"] {
        let scene = Scene::new(&["--era", era, "--full", "--tools", "230"]);
        let connection = scene.connect().await;
        let found = connection.list(PATIENCE).await.unwrap();
        assert_eq!(found.era, connection.era());
        assert_eq!(found.tools.len(), 245);
        assert_eq!(found.tools.last().unwrap().name, "tool_0230");
        let write = found.tools.iter().find(|tool| tool.name == "write").unwrap();
        assert_eq!(write.description, "The fake tool `write`.");
        assert_eq!(write.input_schema["required"][0], "text");
        let hints = Annotations {
            read_only: Some(false),
            destructive: Some(false),
            idempotent: Some(false),
            open_world: None,
        };
        assert_eq!(write.annotations, hints);
        let resources: Vec<(&str, bool)> =
            found.resources.iter().map(|resource| (resource.uri.as_str(), resource.is_template)).collect();
        assert_eq!(resources, [("fake://one", false), ("fake://{id}", true)]);
        assert_eq!(found.prompts[0].arguments[0]["name"], "whom");
        assert_eq!(found.instructions.as_deref(), Some("Use the tools."));
        assert!(found.capabilities["prompts"].is_object());
        connection.close().await;
    }
}

#[tokio::test]
async fn a_server_whose_resources_cannot_be_listed_keeps_its_tools() {
    let scene = Scene::new(&["--full", "--refuse", "resources/list"]);
    let connection = scene.connect().await;
    let found = connection.list(PATIENCE).await.unwrap();
    assert_eq!((found.tools.len(), found.prompts.len()), (15, 1));
    let uris: Vec<&str> = found.resources.iter().map(|resource| resource.uri.as_str()).collect();
    assert_eq!(uris, ["fake://{id}"]);
    connection.close().await;
    let scene = Scene::new(&["--refuse", "tools/list"]);
    let connection = scene.connect().await;
    let error = connection.list(PATIENCE).await.unwrap_err();
    assert!(error.sentence.contains("refused to list its tools"), "{error}");
    connection.close().await;
}

#[tokio::test]
async fn what_is_not_declared_is_not_asked_for() {
    let scene = Scene::new(&[]);
    let connection = scene.connect().await;
    let found = connection.list(PATIENCE).await.unwrap();
    assert!(found.resources.is_empty() && found.prompts.is_empty());
    connection.close().await;
    assert_eq!(scene.methods(), ["server/discover", "tools/list"]);
}

#[tokio::test]
async fn a_changed_list_is_heard_in_both_eras() {
    for era in ["legacy", "modern"] {
        let scene = Scene::new(&["--era", era, "--list-changed-after-call"]);
        let connection = scene.connect().await;
        let mut changed = connection.list_changed();
        if era == "modern" {
            // The stream of changes is opened beside everything else.
            crate::until("the subscription", || {
                scene.methods().contains(&"subscriptions/listen".to_owned()).then_some(())
            })
            .await;
        }
        let before = connection.list(PATIENCE).await.unwrap().tools.len();
        text(&connection, "pid", nothing()).await;
        tokio::time::timeout(PATIENCE, changed.wait_for(|changes| *changes > 0)).await.unwrap().unwrap();
        assert_eq!(connection.list(PATIENCE).await.unwrap().tools.len(), before + 1);
        connection.close().await;
    }
}

#[tokio::test]
async fn a_list_that_does_not_come_is_given_up() {
    let scene = Scene::new(&[]);
    let connection = scene.connect().await;
    let pid: i32 = text(&connection, "pid", nothing()).await.parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGSTOP).unwrap();
    let error = connection.list(std::time::Duration::from_millis(200)).await.unwrap_err();
    assert_eq!(error.sentence, "server `fake` did not list its tools within 200ms");
    drop(connection);
}

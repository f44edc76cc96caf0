//! Which era a server is found to speak, and what is said when it cannot be connected to.

use crate::{Scene, nothing, text};
use serde_json::json;
use station_core::{Definition, Era, Secret};
use std::collections::BTreeMap;
use std::time::Duration;

#[tokio::test]
async fn a_server_is_greeted_in_the_era_it_speaks() {
    let check = async |scene: Scene, era: Era, processes: usize, greetings: &[&str]| {
        let connection = scene.connect().await;
        assert_eq!(connection.era(), era);
        assert_eq!(text(&connection, "echo", json!({ "text": "hello" })).await, "hello");
        connection.close().await;
        let methods = scene.methods();
        assert_eq!(&methods[..greetings.len()], greetings, "{methods:?}");
        assert_eq!(crate::lines(&scene.file("pids")).len(), processes);
    };
    const PROBED: &[&str] = &["server/discover", "initialize", "notifications/initialized", "tools/call"];
    const GREETED: &[&str] = &["initialize", "notifications/initialized", "tools/call"];
    const DISCOVERED: &[&str] = &["server/discover", "tools/call"];

    check(Scene::new(&["--era", "legacy"]), Era::Legacy, 1, PROBED).await;
    check(Scene::new(&["--era", "modern"]), Era::Modern, 1, DISCOVERED).await;
    check(Scene::new(&["--era", "both"]), Era::Modern, 1, DISCOVERED).await;
    // A remembered era saves the probe; a wrong one costs a second try.
    check(Scene::new(&["--era", "legacy"]).seen(Era::Legacy), Era::Legacy, 1, GREETED).await;
    check(Scene::new(&["--era", "both"]).seen(Era::Legacy), Era::Legacy, 1, GREETED).await;
    check(Scene::new(&["--era", "modern"]).seen(Era::Modern), Era::Modern, 1, DISCOVERED).await;
    check(Scene::new(&["--era", "legacy"]).seen(Era::Modern), Era::Legacy, 1, PROBED).await;
    check(
        Scene::new(&["--era", "modern"]).seen(Era::Legacy),
        Era::Modern,
        2,
        &["initialize", "server/discover", "tools/call"],
    )
    .await;
    // Old servers that end at a request they do not know get a second process.
    check(
        Scene::new(&["--era", "legacy", "--dies-at-probe"]),
        Era::Legacy,
        2,
        &["server/discover", "initialize", "notifications/initialized", "tools/call"],
    )
    .await;
}

#[tokio::test]
async fn text_on_stdout_is_survived_in_both_eras() {
    for era in ["legacy", "modern"] {
        let scene = Scene::new(&["--noise", "--era", era]);
        let connection = scene.connect().await;
        assert_eq!(text(&connection, "noise", nothing()).await, "was noisy");
        assert_eq!(connection.list(crate::PATIENCE).await.unwrap().tools[0].name, "echo");
        connection.close().await;
    }
}

#[tokio::test]
async fn a_server_that_prints_its_token_is_not_quoted_with_it() {
    let mut scene = Scene::new(&["--sk-very-secret"]);
    if let Definition::Stdio { filled, .. } = &mut scene.launch.definition {
        filled.push(Secret::new("sk-very-secret"));
    }
    let (_, stderr) = scene.refusal().await;
    assert!(stderr[0].starts_with("`--[secret]` "), "{stderr:?}");
}

#[tokio::test]
async fn a_server_that_cannot_be_connected_to_says_why() {
    let command = |command: &str| {
        let mut scene = Scene::new(&[]);
        scene.launch.definition = Definition::Stdio {
            command: command.to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: None,
            filled: Vec::new(),
        };
        scene
    };
    let check = async |scene: Scene, sentence: &str, stderr: &[&str]| {
        assert_eq!(
            scene.refusal().await,
            (sentence.to_owned(), stderr.iter().map(ToString::to_string).collect())
        );
    };
    check(
        command("no-such-program"),
        "server `fake` could not be started: the command `no-such-program` was not found in PATH",
        &["station: the command `no-such-program` was not found in PATH"],
    )
    .await;
    check(
        command("/etc/passwd"),
        "server `fake` could not be started: the command `/etc/passwd` may not be executed",
        &["station: the command `/etc/passwd` may not be executed"],
    )
    .await;
    check(command("true"), "server `fake` ended with exit code 0 before it answered", &[]).await;
    check(
        Scene::new(&["--exit-at-start", "7"]),
        "server `fake` ended with exit code 7 before it answered",
        &["fatal: this server was told to end at once"],
    )
    .await;
    let mut flood = command("yes");
    if let Definition::Stdio { args, .. } = &mut flood.launch.definition {
        args.clear();
    }
    check(flood, "server `fake` floods its stdout with what is no message of the protocol", &[]).await;
    let mut silent = Scene::new(&["--silent"]);
    silent.launch.connect_timeout = Duration::from_millis(300);
    check(silent, "server `fake` did not answer within 300ms", &[]).await;

    let mut astray = Scene::new(&[]);
    astray.launch.folder = "/nowhere".into();
    check(astray, "server `fake`: its folder `/nowhere` does not exist", &[]).await;
}

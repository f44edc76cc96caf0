//! The reference server that the makers of the protocol test clients with, over each of its transports.

use crate::{PATIENCE, call, effect, nothing, object, text};
use serde_json::{Value, json};
use station_core::run::Why;
use station_core::{Definition, Era};
use station_mcp::{Bearer, CallEnd, Connection, Launch, Shim, connect};
use station_testkit::fake_server;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where it is installed.
fn modules() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/node");
    tests.canonicalize().expect("the checkout has its tests")
}

fn program() -> PathBuf {
    let program = modules().join("node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    assert!(program.exists(), "scripts/setup test was run");
    program
}

/// The server over HTTP, ended when this is dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

async fn serve(transport: &str, folder: &Path) -> (Served, String) {
    let file = folder.join("port");
    let child = Command::new("node")
        .arg("--require")
        .arg(modules().join("port.cjs"))
        .arg(program())
        .arg(transport)
        .env("PORT", "0")
        .env("PORT_FILE", &file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("node is installed");
    let served = Served(child);
    let port = crate::until("the server's port", || std::fs::read_to_string(&file).ok()).await;
    let path = if transport == "sse" { "/sse" } else { "/mcp" };
    (served, format!("http://127.0.0.1:{port}{path}"))
}

async fn open(definition: Definition, folder: &Path) -> Connection {
    drop(rustls::crypto::ring::default_provider().install_default());
    let launch = Launch {
        handed: None,
        server: "everything".to_owned(),
        definition,
        shim: Shim { program: fake_server::shim(), args: vec![station_mcp::shim::ARGUMENT.to_owned()] },
        inherited: crate::environment(),
        child_env: Vec::new(),
        confine: crate::confine(station_core::sandbox::Sandbox::default()),
        folder: folder.to_owned(),
        era: None,
        connect_timeout: PATIENCE,
        output_bytes_max: 1_000_000,
        answers: station_core::answers::Answers::default(),
        bearer: Bearer::default(),
        asks: station_mcp::Asks::default(),
        news: tokio::sync::watch::Sender::new(0),
    };
    connect(launch).await.unwrap_or_else(|error| panic!("{error}: {:?}", error.stderr))
}

async fn check(connection: &Connection) {
    assert_eq!(connection.era(), Era::Legacy);
    let found = connection.list(PATIENCE).await.unwrap();
    assert!(found.tools.len() >= 10 && !found.resources.is_empty() && !found.prompts.is_empty());
    assert!(connection.answers(PATIENCE).await);
    assert_eq!(text(connection, "echo", json!({ "message": "hello" })).await, "Echo: hello");
    let image = text(connection, "get-tiny-image", nothing()).await;
    assert!(image.contains("[image image/png, "), "{image}");
    let links = text(connection, "get-resource-links", json!({ "count": 2 })).await;
    assert_eq!(links.matches("[resource demo://").count(), 2, "{links}");
    let reference =
        text(connection, "get-resource-reference", json!({ "resourceType": "Text", "resourceId": 1 })).await;
    assert!(reference.contains("[resource demo://resource/dynamic/text/1]\n"), "{reference}");
    let blob =
        text(connection, "get-resource-reference", json!({ "resourceType": "Blob", "resourceId": 1 })).await;
    assert!(blob.contains("bytes, not shown]"), "{blob}");
    let weather = call(connection, "get-structured-content", json!({ "location": "New York" })).await;
    let CallEnd::Returned { structured: Some(Value::Object(_)), is_error: false, .. } = weather else {
        panic!("{weather:?}")
    };
    let failed = call(connection, "get-sum", json!({ "a": "no number", "b": 1 })).await;
    assert!(matches!(failed, CallEnd::Returned { is_error: true, .. }), "{failed:?}");
    let long = object(json!({ "duration": 60, "steps": 600 }));
    let end =
        connection.call("trigger-long-running-operation", long, effect(), Duration::from_millis(400)).await;
    assert!(matches!(end, CallEnd::Unknown { why: Why::TimedOut, .. }), "{end:?}");
    let short = json!({ "duration": 0.2, "steps": 4 });
    let done = text(connection, "trigger-long-running-operation", short).await;
    assert!(done.starts_with("Long running operation completed"), "{done}");
}

#[tokio::test]
async fn the_reference_server_is_served_over_each_of_its_transports() {
    for transport in ["streamableHttp", "sse"] {
        let folder = tempfile::tempdir().unwrap();
        let (_served, url) = serve(transport, folder.path()).await;
        let definition = Definition::Http { url, headers: BTreeMap::new(), filled: Vec::new() };
        let connection = open(definition, folder.path()).await;
        check(&connection).await;
        connection.close().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let definition = Definition::Stdio {
        command: "node".to_owned(),
        args: vec![program().display().to_string(), "stdio".to_owned()],
        env: BTreeMap::new(),
        cwd: None,
        filled: Vec::new(),
    };
    let connection = open(definition, folder.path()).await;
    check(&connection).await;
    connection.close().await;
}

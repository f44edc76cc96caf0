//! Tool servers without Station: what they take by themselves, which is nobody's overhead.

use crate::samples::Samples;
use serde_json::{Map, Value, json};
use station_core::EffectId;
use station_mcp::{CallEnd, Connection, Launch};
use std::time::{Duration, Instant};

/// No call takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts and greets a server.
///
/// # Panics
/// Where it does not come up.
pub async fn connect(launch: Launch) -> Connection {
    station_mcp::connect(launch).await.expect("the fake server starts")
}

/// Calls `echo`.
///
/// # Panics
/// Where it does not answer.
pub async fn echo(connection: &Connection) {
    let arguments: Map<String, Value> = [("text".to_owned(), json!("hello"))].into_iter().collect();
    let effect = EffectId(uuid::Uuid::now_v7());
    let end = connection.call("echo", arguments, effect, PATIENCE).await;
    assert!(matches!(end, CallEnd::Returned { is_error: false, .. }), "{end:?}");
}

/// `n` calls of `echo` over one connection, one by one.
pub async fn calls(launch: Launch, n: usize) -> Samples {
    let connection = connect(launch).await;
    let mut samples = Samples::default();
    for at in 0..=n {
        let started = Instant::now();
        echo(&connection).await;
        // The first pays for what is set up once.
        if at > 0 {
            samples.add(started.elapsed());
        }
    }
    connection.close().await;
    samples
}

//! What a call gives, and what is known when it gives nothing.

use crate::{PATIENCE, Scene, call, effect, lines, nothing, object, text, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use station_core::run::Why;
use station_core::{Definition, Image};
use station_mcp::{CallEnd, Connection};
use std::time::Duration;

fn returned(text: &str, is_error: bool) -> CallEnd {
    CallEnd::Returned { text: text.to_owned(), structured: None, is_error, cut_bytes: 0, images: Vec::new() }
}

#[tokio::test]
async fn answers_become_text() {
    for era in ["legacy", "modern"] {
        let mut scene = Scene::new(&["--era", era]);
        scene.launch.output_bytes_max = 1000;
        let connection = scene.connect().await;
        let check = async |tool: &str, arguments: Value, expected: CallEnd| {
            assert_eq!(call(&connection, tool, arguments).await, expected, "{tool}");
        };
        check("echo", json!({ "text": "hello" }), returned("hello", false)).await;
        check("fail", nothing(), returned("it did not work", true)).await;
        check("nothing_like_it", nothing(), returned("Unknown tool: nothing_like_it", true)).await;
        check("echo", nothing(), returned("the argument `text` is missing", true)).await;
        check(
            "mixed",
            nothing(),
            CallEnd::Returned {
                text: "see\n[image image/png, 3 bytes]\n[resource fake://one]\ninside\n[resource fake://two two]"
                    .to_owned(),
                structured: None,
                is_error: false,
                cut_bytes: 0,
                images: vec![Image { mime: "image/png".to_owned(), data: "AAAA".to_owned() }],
            },
        )
        .await;
        check(
            "structured",
            json!({ "value": "v" }),
            CallEnd::Returned {
                text: r#"{"value":"v"}"#.to_owned(),
                structured: Some(json!({ "value": "v" })),
                is_error: false,
                cut_bytes: 0,
                images: Vec::new(),
            },
        )
        .await;
        check(
            "big",
            json!({ "bytes": 5000 }),
            CallEnd::Returned {
                text: format!("{}\n[cut: 4000 more bytes]", "x".repeat(1000)),
                structured: None,
                is_error: false,
                cut_bytes: 4000,
                images: Vec::new(),
            },
        )
        .await;
        connection.close().await;
    }
}

#[tokio::test]
async fn an_error_is_cut_like_a_result() {
    let mut scene = Scene::new(&[]);
    scene.launch.output_bytes_max = 20;
    let connection = scene.connect().await;
    let end = call(&connection, &"x".repeat(1000), nothing()).await;
    let text = "Unknown tool: xxxxxx\n[cut: 994 more bytes]".to_owned();
    assert_eq!(
        end,
        CallEnd::Returned { text, structured: None, is_error: true, cut_bytes: 994, images: Vec::new() }
    );
    connection.close().await;
}

#[tokio::test]
async fn a_server_that_hangs_does_not_answer_and_a_slow_one_does() {
    for era in ["legacy", "modern"] {
        for (arguments, answers) in [(nothing(), true), (json!({ "mute": true }), false)] {
            let scene = Scene::new(&["--era", era]);
            let connection = scene.connect().await;
            // A hanging server does not answer however long one waits; a slow one needs its time on a busy machine.
            let wait = if answers { PATIENCE } else { Duration::from_millis(200) };
            let hanging = connection.call("hang", object(arguments.clone()), effect(), PATIENCE);
            let asking = async {
                until("the call", || (!lines(&scene.file("log")).is_empty()).then_some(())).await;
                connection.answers(wait).await
            };
            tokio::select! {
                end = hanging => panic!("a call that hangs ended as {end:?}"),
                answered = asking => assert_eq!(answered, answers, "{era} {arguments}"),
            }
        }
    }
}

#[tokio::test]
async fn the_effect_travels_with_the_call() {
    let scene = Scene::new(&[]);
    let connection = scene.connect().await;
    let id = effect();
    connection.call("put", object(json!({ "text": "x" })), id, PATIENCE).await;
    let logged: Value = serde_json::from_str(&lines(&scene.file("log"))[0]).unwrap();
    let sent =
        json!({ "tool": "put", "arguments": { "text": "x" }, "effect": id.to_string(), "trace": null });
    assert_eq!(logged, sent);
    connection.close().await;
}

#[tokio::test]
async fn calls_do_not_wait_for_each_other() {
    let scene = Scene::new(&[]);
    let connection = scene.connect().await;
    let gate = scene.file("gate");
    let slow = connection.call("hang", object(json!({ "file": gate })), effect(), PATIENCE);
    let quick = async {
        until("the slow call", || (!lines(&scene.file("log")).is_empty()).then_some(())).await;
        let answer = text(&connection, "echo", json!({ "text": "quick" })).await;
        std::fs::write(&gate, "").unwrap();
        answer
    };
    let (slow, quick) = tokio::join!(slow, quick);
    assert_eq!((slow, quick.as_str()), (returned("freed", false), "quick"));
    connection.close().await;
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_unknown_and_the_connection_goes_on() {
    let scene = Scene::new(&[]);
    let connection = scene.connect().await;
    let end = connection.call("hang", object(nothing()), effect(), Duration::from_millis(200)).await;
    let sentence = "server `fake` did not answer within 200ms".to_owned();
    assert_eq!(end, CallEnd::Unknown { why: Why::TimedOut, sentence });
    cancelled(&scene).await;
    assert_eq!(text(&connection, "echo", json!({ "text": "still here" })).await, "still here");
    connection.close().await;
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_at_the_server() {
    let scene = Scene::new(&[]);
    let connection = scene.connect().await;
    {
        let hanging = connection.call("hang", object(nothing()), effect(), PATIENCE);
        let started = until("the call", || (!lines(&scene.file("log")).is_empty()).then_some(()));
        tokio::select! {
            end = hanging => panic!("a call that hangs ended as {end:?}"),
            () = started => {}
        }
    }
    cancelled(&scene).await;
    connection.close().await;
}

async fn cancelled(scene: &Scene) {
    until("the cancellation", || {
        scene.methods().contains(&"notifications/cancelled".to_owned()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_crash_in_the_middle_of_a_call_is_unknown() {
    let scene = Scene::new(&[]);
    let connection = scene.connect().await;
    let end = call(&connection, "crash", nothing()).await;
    let sentence =
        "server `fake` ended with exit code 3 before it answered; it last said: fatal: a crash was asked for";
    assert_eq!(end, CallEnd::Unknown { why: Why::ConnectionLost, sentence: sentence.to_owned() });
    assert!(connection.is_closed());
    // From here on nothing is written, and that is known.
    let end = call(&connection, "write", json!({ "text": "x" })).await;
    assert_eq!(end, CallEnd::NotSent { sentence: "server `fake` ended with exit code 3".to_owned() });
    assert_eq!(lines(&scene.file("log")).len(), 1);
}

#[tokio::test]
async fn a_line_without_end_closes_the_connection() {
    let scene = Scene::new(&[]);
    let connection = scene.connect().await;
    let end = call(&connection, "big", json!({ "bytes": 17 * 1024 * 1024 })).await;
    let sentence = "server `fake` sent a line longer than 16 MiB before it answered".to_owned();
    assert_eq!(end, CallEnd::Unknown { why: Why::ConnectionLost, sentence });
}

#[tokio::test]
async fn a_server_that_asks_for_a_model_is_refused() {
    let scene = Scene::new(&["--era", "legacy"]);
    let connection = scene.connect().await;
    let answer: Value = serde_json::from_str(&text(&connection, "ask", nothing()).await).unwrap();
    assert_eq!(answer["error"]["code"], -32601, "{answer}");
    connection.close().await;
}

#[tokio::test]
async fn a_server_sees_only_what_is_declared() {
    let mut scene = Scene::new(&[]);
    for (name, value) in [("OPENAI_API_KEY", "canary"), ("KUBECONFIG", "kube"), ("LC_ALL", "C")] {
        scene.launch.inherited.insert(name.to_owned(), value.to_owned());
    }
    scene.launch.child_env = vec!["KUBECONFIG".to_owned()];
    if let Definition::Stdio { env, .. } = &mut scene.launch.definition {
        env.insert("DECLARED".to_owned(), "yes".to_owned());
    }
    let connection = scene.connect().await;
    // CARGO is a variable of this very process.
    for (name, value) in [
        ("OPENAI_API_KEY", "(not set)"),
        ("CARGO", "(not set)"),
        ("KUBECONFIG", "kube"),
        ("LC_ALL", "C"),
        ("DECLARED", "yes"),
    ] {
        assert_eq!(text(&connection, "env", json!({ "name": name })).await, value, "{name}");
    }
    connection.close().await;
}

/// A connection to a server that has stopped reading, with a call that fills its pipe and stays there.
async fn clogged(scene: &Scene) -> (Connection, Pid) {
    let connection = scene.connect().await;
    let pid: i32 = text(&connection, "pid", nothing()).await.parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    let large = object(json!({ "text": "x".repeat(1_000_000) }));
    let end = connection.call("write", large, effect(), Duration::from_millis(200)).await;
    assert!(matches!(end, CallEnd::Unknown { why: Why::TimedOut, .. }), "{end:?}");
    (connection, Pid::from_raw(pid))
}

#[tokio::test]
async fn what_waited_behind_another_call_was_not_sent() {
    let scene = Scene::new(&[]);
    let (connection, server) = clogged(&scene).await;
    let waiting = call(&connection, "write", json!({ "text": "x" }));
    let killing = async { kill(server, Signal::SIGKILL).unwrap() };
    let (end, ()) = tokio::join!(waiting, killing);
    assert!(matches!(end, CallEnd::NotSent { .. }), "{end:?}");
}

#[tokio::test]
async fn what_waited_in_vain_behind_another_call_was_not_sent_and_never_is() {
    let scene = Scene::new(&[]);
    let (connection, server) = clogged(&scene).await;
    let late = connection.call("put", object(json!({ "text": "x" })), effect(), Duration::from_millis(200));
    let sentence = "server `fake` read nothing for 200ms".to_owned();
    assert_eq!(late.await, CallEnd::NotSent { sentence });
    kill(server, Signal::SIGCONT).unwrap();
    assert_eq!(text(&connection, "echo", json!({ "text": "awake" })).await, "awake");
    assert!(!lines(&scene.file("log")).iter().any(|line| line.contains(r#""put""#)));
    connection.close().await;
}

#[tokio::test]
async fn a_server_that_does_not_read_can_be_closed() {
    let scene = Scene::new(&[]);
    let (connection, server) = clogged(&scene).await;
    connection.close().await;
    assert!(!crate::lives(server.as_raw().cast_unsigned()));
}

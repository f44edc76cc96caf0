//! Servers over stdio that answer as no server should: each is survived, and what it did is told in words. Their like
//! over HTTP are in [`crate::remote`].

use crate::{Scene, call, nothing, text};
use serde_json::{Value, json};
use station_core::Definition;
use station_core::answers::{Answers, Forms};
use station_mcp::CallEnd;

#[tokio::test]
async fn an_answer_that_is_not_utf_8_is_shown_and_text_before_it_passed_over() {
    for era in ["legacy", "modern"] {
        let scene = Scene::new(&["--era", era, "--noise"]);
        let connection = scene.connect().await;
        assert_eq!(text(&connection, "garbled", nothing()).await, "bad \u{fffd}");
        assert_eq!(text(&connection, "echo", json!({ "text": "on" })).await, "on");
        connection.close().await;
    }
}

#[tokio::test]
async fn answers_that_nobody_asked_for_and_second_ones_are_passed_over() {
    for era in ["legacy", "modern"] {
        let scene = Scene::new(&["--era", era]);
        let connection = scene.connect().await;
        assert_eq!(text(&connection, "twice", nothing()).await, "first");
        assert_eq!(text(&connection, "echo", json!({ "text": "on" })).await, "on");
        connection.close().await;
    }
}

#[tokio::test]
async fn a_flood_of_notifications_and_questions_drowns_nobody() {
    for era in ["legacy", "modern"] {
        let scene = Scene::new(&["--era", era]);
        let connection = scene.connect().await;
        for method in [
            "notifications/progress",
            "notifications/message",
            "notifications/tools/list_changed",
            "notifications/made/up",
            "roots/list",
            "made/up",
        ] {
            let flood = json!({ "count": 10_000, "method": method });
            assert_eq!(text(&connection, "flood", flood).await, "flooded", "{method}");
        }
        assert_eq!(text(&connection, "echo", json!({ "text": "on" })).await, "on");
        connection.close().await;
    }
}

#[tokio::test]
async fn a_server_that_asks_back_is_answered_politely() {
    let scene = Scene::new(&["--era", "legacy"]);
    let connection = scene.connect().await;
    for (method, path, expected) in [
        ("elicitation/create", "/result/action", json!("decline")),
        ("roots/list", "/result/roots", json!([])),
        ("something/else", "/error/code", json!(-32601)),
    ] {
        let told = text(&connection, "ask", json!({ "method": method })).await;
        let answer: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(answer.pointer(path), Some(&expected), "{method}: {answer}");
    }
    connection.close().await;
}

/// Answers that JSON's grammar allows and a strict reader does not take, and what is told of each.
pub(crate) fn odd_answers() -> Vec<(String, &'static str)> {
    let result = |result: &str| format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{result}}}"#);
    let structured = |value: &str| result(&format!(r#"{{"content":[],"structuredContent":{value}}}"#));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        (result(r#"{"content":[{"type":"text","text":"a\ud83d"}]}"#), "a\u{fffd}"),
        (structured("1e999"), "the answer could not be read: number out of range"),
        (structured(&deep), "the answer could not be read: recursion limit exceeded"),
        (r#"{"jsonrpc":"2.0","id":0,"id":$ID,"result":{"content":[]}}"#.to_owned(), ""),
        (
            result(r#"{"content":[{"type":"text","text":"IMPORTANT"},{"type":"image"},null]}"#),
            "IMPORTANT\n[image",
        ),
        (result(r#"{"content":[{"type":"text","text":"fine"}],"isError":"false","tools":[]}"#), "fine"),
        (result("{}"), ""),
        (result("7"), "the server's answer is not the result of a tool call"),
    ]
}

#[tokio::test]
async fn an_odd_answer_is_read_as_far_as_it_can_be_and_never_waited_for() {
    for era in ["legacy", "modern"] {
        let scene = Scene::new(&["--era", era]);
        let connection = scene.connect().await;
        for (answer, expected) in odd_answers() {
            let end = call(&connection, "say", json!({ "answer": answer })).await;
            let CallEnd::Returned { text, .. } = end else { panic!("{answer:.200}: {end:?}") };
            assert!(
                text.starts_with(expected) && text.is_empty() == expected.is_empty(),
                "{answer:.200}: {text}"
            );
        }
        connection.close().await;
    }
}

#[tokio::test]
async fn a_server_that_complains_of_its_key_tells_nobody_what_it_is() {
    let mut scene = Scene::new(&[]);
    if let Definition::Stdio { env, .. } = &mut scene.launch.definition {
        env.insert("TOKEN".to_owned(), "hushhush123".to_owned());
    }
    let connection = scene.connect().await;
    for (as_result, expected) in
        [(None, "bad key [secret]"), (Some(true), "bad key [secret]"), (Some(false), "bad key hushhush123")]
    {
        let end =
            call(&connection, "tell_tale", json!({ "variable": "TOKEN", "as_result": as_result })).await;
        let CallEnd::Returned { text, .. } = end else { panic!("{end:?}") };
        assert_eq!(text, expected, "{as_result:?}");
    }
    connection.close().await;
}

/// In the modern era a server asks back with a result (SEP-2322): the call comes again with the answer, its own id, and what
/// the server wants back.
#[tokio::test]
async fn a_call_that_wants_input_first_is_gone_on_with() {
    let mut scene = Scene::new(&["--era", "modern"]);
    let told = async |scene: &Scene, arguments: Value| {
        let connection = scene.connect().await;
        let end = call(&connection, "input", arguments).await;
        connection.close().await;
        let CallEnd::Returned { text, .. } = end else { panic!("{end:?}") };
        text
    };
    let declined = told(&scene, nothing()).await;
    assert!(declined.starts_with(r#"[{"action":"decline"},"s","#), "{declined}");
    let refused = told(&scene, json!({ "method": "sampling/createMessage" })).await;
    assert_eq!(
        refused,
        "the tool asks for `sampling/createMessage` before it goes on, and no model is offered to servers; it did not finish"
    );
    let endless = told(&scene, json!({ "again": true })).await;
    assert_eq!(endless, "the tool asks for input again and again; it did not finish");

    scene.launch.answers = answers();
    let accepted = told(&scene, nothing()).await;
    let expected = r#"[{"action":"accept","content":{"name":"Ada","place":"here"}},"s","#;
    assert!(accepted.starts_with(expected), "{accepted}");
    let roots = told(&scene, json!({ "method": "roots/list" })).await;
    assert!(roots.starts_with(r#"[{"roots":[{"uri":"file:///srv"}]},"s","#), "{roots}");
}

#[tokio::test]
async fn a_server_of_the_older_era_is_answered_as_its_file_says() {
    let mut scene = Scene::new(&["--era", "legacy"]);
    scene.launch.answers = answers();
    let connection = scene.connect().await;
    for (method, path, expected) in [
        ("elicitation/create", "/result/content", json!({ "name": "Ada", "place": "here" })),
        ("roots/list", "/result/roots/0/uri", json!("file:///srv")),
        ("sampling/createMessage", "/error/code", json!(-32601)),
    ] {
        let told = text(&connection, "ask", json!({ "method": method })).await;
        let answer: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(answer.pointer(path), Some(&expected), "{method}: {answer}");
    }
    connection.close().await;
}

fn answers() -> Answers {
    let forms = json!({ "name": "Ada" }).as_object().unwrap().clone();
    Answers { forms: Forms::Fill(forms), roots: vec!["file:///srv".to_owned()] }
}

//! Servers over stdio that answer as no server should: each is survived, and what it did is told in words. Their like
//! over HTTP are in [`crate::remote`].

use crate::{PATIENCE, Scene, call, effect, nothing, text};
use serde_json::{Value, json};
use station_core::Definition;
use station_core::answers::{Answers, Forms};
use station_core::sampling::{Lent, Sampling};
use station_mcp::{Along, CallEnd, Connection, Hearer, Hears, Passed, Told};
use tokio::sync::mpsc;
use uuid::Uuid;

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

/// A model is asked by whoever drives a run: where nobody does, or it may be one of two, the server is told so.
#[tokio::test]
async fn a_model_is_asked_for_one_client_or_for_none() {
    for era in ["legacy", "modern"] {
        let mut scene = Scene::new(&["--era", era]);
        scene.launch.answers.sampling = Some(Sampling { model: Lent::Own, tokens_max: 5, requests_max: 1 });
        let connection = scene.connect().await;
        let listed = connection.list(PATIENCE).await.unwrap();
        assert!(listed.tools.iter().any(|tool| tool.name == "sample"), "it is declared: {era}");
        let CallEnd::Returned { text: told, .. } = call(&connection, "sample", nothing()).await else {
            panic!("it answers: {era}")
        };
        assert!(told.contains("a model is offered only while calls of one run"), "{era}: {told}");

        let file = scene.file("free");
        let (held, _held) = hearing();
        let (asked, mut questions) = hearing();
        let hang = json!({ "file": file });
        let out = pass(&connection, "hang", hang, &held);
        let sampled = async {
            let told = pass(&connection, "sample", nothing(), &asked);
            tokio::pin!(told);
            // Of the older era nobody can tell whose question it is while the other's call is out.
            let told = match era {
                "legacy" => told.await,
                _ => answering(told, &mut questions).await,
            };
            std::fs::write(&file, "").unwrap();
            told
        };
        let (_, told) = tokio::join!(out, sampled);
        let expected =
            if era == "legacy" { "a model is offered only while calls of one run" } else { "says \"so\"" };
        assert!(told.contains(expected), "{era}: {told}");

        let told = pass(&connection, "sample", nothing(), &asked);
        tokio::pin!(told);
        let told = answering(told, &mut questions).await;
        assert!(told.contains("says \"so\""), "{era}: {told}");
        // Forms are answered by the file, whoever hears.
        if era == "legacy" {
            let told = pass(&connection, "ask", json!({ "method": "elicitation/create" }), &asked).await;
            assert!(told.contains("decline"), "{told}");
        }
        connection.close().await;
    }
}

/// One who is asked for a model.
fn hearing() -> (Hearer, mpsc::Receiver<Told>) {
    let (outlet, told) = mpsc::channel(8);
    (Hearer { client: Uuid::now_v7(), hears: Hears::Sampling, outlet }, told)
}

async fn pass(connection: &Connection, tool: &str, arguments: Value, hearer: &Hearer) -> String {
    let params = json!({ "name": tool, "arguments": arguments }).as_object().unwrap().clone();
    let along = Along { hearer: Some(hearer.clone()), ..Along::default() };
    let passed = connection.pass_request("tools/call", params, effect(), along, PATIENCE).await;
    let Passed::Answered(answer) = passed else { return format!("{passed:?}") };
    answer["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

/// Answers what is asked until `told` is.
async fn answering(
    mut told: std::pin::Pin<&mut impl Future<Output = String>>,
    questions: &mut mpsc::Receiver<Told>,
) -> String {
    loop {
        tokio::select! {
            told = &mut told => return told,
            Some(Told::Asks(question)) = questions.recv() => {
                assert_eq!(question.params["messages"][0]["role"], "user");
                let content = json!({ "type": "text", "text": "so" });
                let answer = json!({ "role": "assistant", "content": content, "model": "m", "stopReason": "endTurn" });
                question.answer.send(Ok(answer)).unwrap();
            }
        }
    }
}

fn answers() -> Answers {
    let forms = json!({ "name": "Ada" }).as_object().unwrap().clone();
    Answers { forms: Forms::Fill(forms), roots: vec!["file:///srv".to_owned()], sampling: None }
}

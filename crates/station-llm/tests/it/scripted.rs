//! The scripted model, as the engine's tests use it.

use crate::stage::{ask, conversation};
use serde_json::json;
use station_core::run::{AskFailure, Settings};
use station_core::{Message, ModelRef};
use station_llm::script::{Script, calls, fails, reply};
use station_llm::{Models, Repeat, Request};
use std::time::Duration;

fn script_model(models: &Models, name: &str) -> ModelRef {
    models.choices(&[name.to_owned()]).unwrap().usable.remove(0).model
}

#[tokio::test]
async fn it_says_what_is_written_and_every_bare_name_is_it() {
    let script = Script::new(vec![
        calls([("read", json!({"path": "/a"}))]),
        fails(AskFailure::Unavailable).retry_after(Duration::from_secs(5)),
        reply("done"),
    ]);
    let models = Models::scripted(script.clone());
    let model = script_model(&models, "gpt-4o-mini");
    assert_eq!(model.to_string(), "script/gpt-4o-mini");
    assert_eq!(models.choices(&[]).unwrap().usable[0].model.to_string(), "script");
    let messages = conversation();
    let settings = Settings::default();
    let request = Request {
        messages: &messages,
        tools: &[],
        settings: &settings,
        output_schema: None,
        repeat: Repeat::Any,
        trace: None,
    };
    let first = models.ask(&model, &request, &|_| {}).await.unwrap();
    assert_eq!(first.calls[0].arguments, r#"{"path":"/a"}"#);
    let failed = models.ask(&model, &request, &|_| {}).await.unwrap_err();
    assert_eq!(failed.failure, AskFailure::Unavailable);
    assert!(models.cooling(&model).is_some_and(|left| left <= Duration::from_secs(5)));
    assert_eq!(models.ask(&model, &request, &|_| {}).await.unwrap().text, "done");
    assert_eq!(script.left(), 0);
}

#[tokio::test]
async fn a_closure_answers_each_run_by_its_own_task() {
    let models = Models::scripted(Script::from_fn(|request| match request.messages.last() {
        Some(Message::User { text }) => reply(format!("you said: {text}")),
        _ => reply("?"),
    }));
    let settings = Settings::default();
    for task in ["one", "two"] {
        let messages = [Message::User { text: task.to_owned() }];
        let request = Request {
            messages: &messages,
            tools: &[],
            settings: &settings,
            output_schema: None,
            repeat: Repeat::Any,
            trace: None,
        };
        let model = script_model(&models, "x");
        let answer = models.ask(&model, &request, &|_| {}).await.unwrap();
        assert_eq!(answer.text, format!("you said: {task}"));
    }
}

#[tokio::test]
async fn without_a_script_its_word_is_unknown() {
    let models = Models::new(station_llm::Config::default());
    assert!(models.choices(&["script".to_owned()]).is_err());
    // A model whose provider is not configured (any more) fails at once, and says so.
    let asked = ask(&models, &conversation(), None).await;
    assert_eq!(asked.outcome.unwrap_err().failure, AskFailure::Rejected);
}

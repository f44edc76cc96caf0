//! A conversation that one provider began and another goes on with: what is sent in each dialect.

use crate::stage::{KEY, MODELS, ask_with, at, at_url};
use expect_test::expect_file;
use serde_json::{Value, json};
use station_core::run::{Effort, Settings};
use station_core::{Image, Message, Thinking, Thought, ToolCall};
use station_llm::Models;
use station_testkit::openai::{OpenAi, raw, refused};

/// The body of the request for `messages`. Each stand-in judges it by what the provider documents.
async fn body(provider: &str, model: &str, messages: &[Message], schema: Option<&Value>) -> Value {
    // 418 is nobody's answer: that it comes says that the judge had nothing to say.
    let stand_in = OpenAi::from_fn(|seen| match seen.path.as_str() {
        "/api/show" => raw("application/json", r#"{"capabilities": ["completion", "tools"]}"#),
        _ => refused(418, &[], "{}"),
    });
    let models = Models::new(at_url(provider, &stand_in.url()));
    let settings = Settings {
        temperature: Some(0.5),
        effort: Some(Effort::Low),
        stop: vec!["END".to_owned()],
        ..Settings::default()
    };
    let error =
        ask_with(&models, &at(provider, model), messages, schema, &settings).await.outcome.unwrap_err();
    assert!(error.sentence.contains("418"), "{provider}: {error}");
    let requests = stand_in.requests();
    let [seen] = &requests.iter().filter(|seen| seen.path != "/api/show").collect::<Vec<_>>()[..] else {
        panic!("one request")
    };
    assert!(!seen.path.contains(KEY), "a key is in no address: {}", seen.path);
    let header = match provider {
        "anthropic" => &seen.headers["x-api-key"],
        "gemini" => &seen.headers["x-goog-api-key"],
        _ => seen.headers["authorization"].trim_start_matches("Bearer "),
    };
    assert_eq!(header, KEY, "{provider}");
    seen.body.clone()
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.to_owned(), name: "read".to_owned(), arguments: arguments.to_owned() }
}

fn result(call: &str, text: &str, is_error: bool, images: Vec<Image>) -> Message {
    Message::Tool { call: call.to_owned(), name: "read".to_owned(), text: text.to_owned(), is_error, images }
}

/// A thought of `by`, in the words of `dialect`.
fn thinking((provider, model): (&str, &str), dialect: &str) -> Option<Thinking> {
    let block = match dialect {
        "anthropic" => json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"}),
        "gemini" => json!({"of": "call", "thoughtSignature": "c2ln"}),
        "openai-responses" => {
            json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "c2ln"})
        }
        "openai" => json!({"reasoning_content": "hm c2ln"}),
        _ => json!({"thinking": "hm c2ln"}),
    };
    Some(Thinking { by: at(provider, model), thoughts: vec![Thought { text: 0, calls: 0, block }] })
}

/// Two turns of a model with calls, whose ids do not fit everywhere, and Station's note before the last request.
fn conversation(thinking: Option<Thinking>) -> Vec<Message> {
    let thinking = || thinking.clone();
    let image = Image { mime: "image/png".to_owned(), data: "AAAA".to_owned() };
    let user = |text: &str| Message::User { text: text.to_owned() };
    vec![
        Message::System { text: "be brief".to_owned() },
        user("what is up"),
        Message::Assistant {
            text: "I look.".to_owned(),
            calls: vec![call("functions.read:0", r#"{"path":"/a","n":3}"#), call("call_0", "{oops")],
            thinking: thinking(),
        },
        result("functions.read:0", "[image image/png, 3 bytes]", false, vec![image]),
        result("call_0", "no JSON", true, Vec::new()),
        Message::Assistant { text: String::new(), calls: vec![call("call_0", "")], thinking: thinking() },
        result("call_0", "", false, Vec::new()),
        // A model that was cut off before it said anything.
        Message::Assistant { text: String::new(), calls: Vec::new(), thinking: thinking() },
        user("[Station] go on"),
    ]
}

/// A model of which the others know nothing.
const ANOTHER: (&str, &str) = ("elsewhere", "claude-sonnet-4-5");

fn schema() -> Value {
    json!({"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false})
}

#[tokio::test]
async fn what_is_sent_in_each_dialect() {
    for (provider, model) in MODELS {
        let body =
            body(provider, model, &conversation(thinking(ANOTHER, "anthropic")), Some(&schema())).await;
        let file = format!("bodies/{provider}.json");
        expect_file![file].assert_eq(&format!("{}\n", serde_json::to_string_pretty(&body).unwrap()));
    }
}

/// Models of other ages, of which each wants something else.
#[tokio::test]
async fn what_older_and_newer_models_are_sent() {
    let mut told = String::new();
    for (provider, model) in [
        ("openai", "o3-mini"),
        ("openai-responses", "gpt-4o"),
        ("openai-responses", "gpt-3.5-turbo"),
        ("anthropic", "claude-3-haiku-20240307"),
        ("anthropic", "claude-opus-4-7"),
        ("gemini", "gemini-2.5-flash"),
        ("gemini", "gemini-2.0-flash"),
        ("ollama", "gpt-oss:20b"),
    ] {
        let mut body =
            body(provider, model, &conversation(thinking(ANOTHER, "anthropic")), Some(&schema())).await;
        for word in ["messages", "input", "contents", "tools"] {
            let shows = body.as_object_mut().and_then(|body| body.remove(word)).unwrap_or_default();
            let has_image = shows.to_string().contains("AAAA");
            if word != "tools" && !shows.is_null() {
                body["sees"] = json!(has_image);
            }
        }
        told.push_str(&format!("{provider}/{model} {body}\n"));
    }
    expect_file!["bodies/by_age.txt"].assert_eq(&told);
}

/// Without the marks for Anthropic's cache, which are no part of what is compared.
fn unmarked(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.remove("cache_control");
                members.values_mut().for_each(walk);
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut value);
    value
}

#[tokio::test]
async fn each_request_begins_as_the_one_before() {
    // After the task, after each turn's results, and with the note.
    let ends = [2, 5, 7, 9];
    for (provider, model) in MODELS {
        let all = conversation(thinking((provider, model), provider));
        let mut before: Option<(Vec<Value>, Value)> = None;
        for end in ends {
            let mut body = unmarked(body(provider, model, &all[..end], Some(&schema())).await);
            let members = body.as_object_mut().unwrap();
            let word = ["messages", "input", "contents"].into_iter().find(|word| members.contains_key(*word));
            let said = members.remove(word.unwrap()).unwrap();
            let said: Vec<Value> = said.as_array().unwrap().clone();
            if let Some((known, rest)) = before {
                let texts = |said: &[Value]| said.iter().map(Value::to_string).collect::<Vec<_>>();
                let (said, known) = (texts(&said), texts(&known));
                // What follows the results of a turn goes into the same message at Anthropic: it begins as it did.
                let (last, whole) = known.split_last().unwrap();
                assert_eq!(&said[..whole.len()], whole, "{provider} at {end}");
                let begins = last.trim_end_matches(['}', ']']);
                assert!(said[whole.len()].starts_with(begins), "{provider} at {end}: {}", said[whole.len()]);
                assert_eq!(body, rest, "{provider} at {end}: what stands beside the conversation");
            }
            before = Some((said, body));
        }
        let thoughts = before.map(|(said, _)| json!(said).to_string().matches("c2ln").count());
        assert_eq!(thoughts, Some(2), "{provider}");
    }
}

/// A thought of a model goes to that model alone, also where another one would understand it.
#[tokio::test]
async fn a_thought_goes_to_whoever_made_it() {
    for (provider, model) in MODELS {
        let silent = body(provider, model, &conversation(None), None).await;
        let sibling = (provider, "sibling");
        for maker in [ANOTHER, sibling, (provider, model)] {
            let said = body(provider, model, &conversation(thinking(maker, provider)), None).await;
            assert_eq!(said != silent, maker == (provider, model), "{maker:?} to {provider}: {said}");
        }
    }
}

/// Which of its models sees images, an Ollama says itself: it is asked once, and only where there is one to show.
#[tokio::test]
async fn an_ollama_is_shown_images_where_its_model_sees() {
    let image = || vec![Image { mime: "image/png".to_owned(), data: "AAAA".to_owned() }];
    let blind = Message::User { text: "what is up".to_owned() };
    let call = Message::Assistant { text: String::new(), calls: vec![call("call_0", "{}")], thinking: None };
    let shown = [blind.clone(), call, result("call_0", "a picture", false, image())];
    for (capabilities, sees) in [
        (r#"{"capabilities": ["completion", "vision"]}"#, true),
        (r#"{"capabilities": ["completion"]}"#, false),
        ("{}", false),
        ("no JSON", false),
    ] {
        let stand_in = OpenAi::from_fn(move |seen| match seen.path.as_str() {
            "/api/show" => raw("application/json", capabilities),
            _ => refused(418, &[], "{}"),
        });
        let models = Models::new(at_url("ollama", &stand_in.url()));
        let asked_of = |path: &str| {
            let requests = stand_in.requests().into_iter().filter(|seen| seen.path == path);
            requests.map(|seen| seen.body).collect::<Vec<_>>()
        };
        let ask = async |messages: &[Message]| {
            ask_with(&models, &at("ollama", "qwen"), messages, None, &Settings::default())
                .await
                .outcome
                .unwrap_err()
        };
        ask(std::slice::from_ref(&blind)).await;
        assert_eq!(asked_of("/api/show"), Vec::<Value>::new(), "{capabilities}");
        ask(&shown).await;
        let sent = asked_of("/api/chat").pop().unwrap()["messages"][2].clone();
        assert_eq!(sent["images"], if sees { json!(["AAAA"]) } else { Value::Null }, "{sent}");
        assert_eq!(sent["content"] == "a picture", sees, "{sent}");
        ask(&shown).await;
        let asked = asked_of("/api/show");
        assert_eq!(asked[0], json!({"model": "qwen"}), "{capabilities}");
        // What is no answer may be one the next time.
        assert_eq!(asked.len(), if capabilities == "no JSON" { 2 } else { 1 }, "{capabilities}");
    }
}

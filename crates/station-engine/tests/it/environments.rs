//! Two environments with equal names everywhere: neither ever sees the other's.

use crate::home::{Home, outline};
use serde_json::json;
use station_core::run::Status;
use station_engine::NewRun;
use station_llm::Script;
use station_llm::script::{calls, reply};

#[tokio::test]
async fn equal_names_and_different_canaries_never_meet() {
    let home = Home::new();
    for environment in ["default", "staging"] {
        home.server(environment, "fake", &[], &[("CANARY", "{{ .CANARY }}")])
            .agent(environment, "worker", "model: script/one\nagents: [helper]")
            .agent(environment, "helper", "model: script/one\ntools: [env]")
            .write(
                &format!("environments/{environment}/variables.yml"),
                &format!("CANARY: canary-of-{environment}\n"),
            );
    }
    let script = Script::from_fn(|request| {
        let has = |name: &str| request.tools.iter().any(|tool| tool.spec.name == name);
        match request.messages.last() {
            Some(station_core::Message::Tool { text, .. }) => reply(text.clone()),
            _ if has("__agent_helper") => calls([("__agent_helper", json!({"task": "look"}))]),
            _ => calls([("env", json!({"name": "CANARY"}))]),
        }
    });
    let open = home.open(script).await;
    for environment in ["default", "staging"] {
        open.sync(environment).await;
    }
    let new = || NewRun { task: "which canary?".to_owned(), ..NewRun::default() };
    let (one, other) =
        tokio::join!(open.run_in("default", "worker", new()), open.run_in("staging", "worker", new()));
    for (details, environment) in [(one, "default"), (other, "staging")] {
        assert_eq!(details.run.status, Status::Completed, "{}", outline(&details));
        assert_eq!(details.run.answer.as_deref(), Some(format!("canary-of-{environment}").as_str()));
        assert_eq!(home.log(environment, "fake").len(), 1);
    }
    open.close().await;
}

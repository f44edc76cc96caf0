//! Events in, effects out. No IO, no async: rows for each rule.

use super::*;
use crate::{
    AgentId, Answer, BlobHash, EffectId, Fence, Message, Micros, ModelRef, RunId, ServerId, Stop, ToolCall,
    ToolSpec, Usage,
};
use serde_json::{Value, json};

pub(super) fn id(n: u128) -> EffectId {
    EffectId(uuid::Uuid::from_u128(n))
}

fn model(name: &str) -> ModelRef {
    ModelRef { provider: "script".to_owned(), model: name.to_owned() }
}

fn tool(name: &str, repeatable: bool) -> GrantedTool {
    GrantedTool {
        spec: ToolSpec {
            name: name.to_owned(),
            description: String::new(),
            input_schema: json!({"type": "object"}),
        },
        target: Target::Tool {
            server: ServerId(1),
            server_name: "fake".to_owned(),
            tool: name.to_owned(),
            read_only: repeatable,
            idempotent: repeatable,
        },
        offline: repeatable,
    }
}

fn agent(name: &str) -> GrantedTool {
    GrantedTool {
        target: Target::Agent { agent: AgentId(2), name: name.to_owned() },
        ..tool(&format!("__agent_{name}"), false)
    }
}

pub(super) fn answer(text: &str, calls: &[(&str, Value)]) -> Answer {
    Answer {
        text: text.to_owned(),
        calls: calls
            .iter()
            .enumerate()
            .map(|(n, (name, arguments))| ToolCall {
                id: format!("c{n}"),
                name: (*name).to_owned(),
                arguments: arguments.as_str().map_or_else(|| arguments.to_string(), str::to_owned),
            })
            .collect(),
        thinking: None,
        stop: Stop::End,
        usage: Usage { input: 10, output: 2, ..Usage::default() },
        model: "m".to_owned(),
    }
}

/// A machine with a journal, driven by hand.
pub(super) struct Run {
    pub(super) machine: Machine,
    pub(super) journal: Vec<Event>,
    ids: u128,
}

impl Run {
    pub(super) fn new(steps: u32, schema: Option<Value>) -> Self {
        Self::prepared(steps, schema, UnknownPolicy::Tell, None)
    }

    /// A run whose first model reads so many tokens.
    pub(super) fn with_window(steps: u32, schema: Option<Value>, window: Option<u64>) -> Self {
        Self::prepared(steps, schema, UnknownPolicy::Tell, window)
    }

    /// A run whose agent says what becomes of calls whose outcome is unknown.
    pub(super) fn with_policy(steps: u32, unknown: UnknownPolicy) -> Self {
        Self::prepared(steps, None, unknown, None)
    }

    fn prepared(steps: u32, schema: Option<Value>, unknown: UnknownPolicy, window: Option<u64>) -> Self {
        let mut tools = vec![tool("read", true), tool("write", false), agent("sub")];
        tools.push(reader(&tools));
        let prepared = Prepared {
            system: "be brief".to_owned(),
            tools,
            settings: Settings::default(),
            output_schema: schema,
        };
        let choice = |name, schema| ModelChoice { model: model(name), tools: true, schema, window: None };
        let inputs = Inputs {
            agent: "a".to_owned(),
            environment: "default".to_owned(),
            system: BlobHash::of(b"be brief"),
            tools: BlobHash::of(b""),
            settings: BlobHash::of(b""),
            output_schema: None,
            opening: vec![Message::User { text: "do it".to_owned() }],
            models: vec![
                ModelChoice { window, ..choice("one", true) },
                choice("blunt", false),
                choice("two", true),
            ],
            steps: StepLimit { steps, reason: "test".to_owned() },
            deadline: Micros(1_000_000),
            warnings: Vec::new(),
            unknown,
            interruptions_max: INTERRUPTIONS_MAX,
            depth: 0,
            context: Context { result_bytes_max: Some(1_000), ..Context::default() },
            forked_from: None,
            limits: Vec::new(),
            above: Vec::new(),
        };
        let mut run = Self { machine: Machine::new(prepared), journal: Vec::new(), ids: 0 };
        run.add(Event::Adopted {
            fence: Fence(1),
            worker: "w".to_owned(),
            deadline: None,
            alone: false,
            process: None,
        });
        run.add(Event::RunStarted(Box::new(inputs)));
        run
    }

    pub(super) fn add(&mut self, event: Event) {
        let event = self.machine.apply(event);
        self.journal.push(event);
    }

    /// Starts all that is to do, and gives the ids.
    pub(super) fn start(&mut self) -> Vec<EffectId> {
        let Next::Do(todos) = self.machine.next() else { panic!("nothing to do: {:?}", self.machine.next()) };
        todos
            .iter()
            .map(|todo| {
                self.ids += 1;
                let event = self.machine.start(todo, id(self.ids));
                let Event::EffectStarted { id, .. } = &event else {
                    unreachable!("start gives EffectStarted")
                };
                let id = *id;
                self.journal.push(event);
                id
            })
            .collect()
    }

    pub(super) fn answers(&mut self, answer: Answer) {
        let asked = self.start();
        assert_eq!(asked.len(), 1);
        self.add(Event::Answered { id: asked[0], answer, ms: 1 });
    }

    pub(super) fn returns(&mut self, id: EffectId, text: &str) {
        self.add(Event::Returned {
            id,
            text: text.to_owned(),
            structured: None,
            is_error: false,
            cut_bytes: 0,
            whole: None,
            images: Vec::new(),
            ms: 1,
        });
    }

    pub(super) fn adopt(&mut self) {
        self.add(Event::Adopted {
            fence: Fence(2),
            worker: "w2".to_owned(),
            deadline: None,
            alone: false,
            process: None,
        });
    }

    /// What the model is told of the call in `slot` of the last turn.
    pub(super) fn told(&self, slot: usize) -> String {
        let call = format!("c{slot}");
        let told = self.machine.messages().into_iter().rev().find_map(|message| match message {
            Message::Tool { call: of, text, .. } if of == call => Some(text),
            _ => None,
        });
        told.unwrap_or_else(|| panic!("nothing is told of call {slot} yet"))
    }

    fn last_text(&self) -> String {
        match self.machine.messages().pop() {
            Some(Message::Tool { text, .. } | Message::User { text } | Message::Assistant { text, .. }) => {
                text
            }
            other => panic!("{other:?}"),
        }
    }

    fn failure(&self) -> Failure {
        match self.machine.next() {
            Next::End(Outcome::Failed { failure, .. }) => failure,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_run_asks_calls_asks_and_ends() {
    let mut run = Run::new(5, None);
    run.answers(answer("", &[("read", json!({"path": "x"})), ("__write", json!({}))]));
    let out = run.start();
    assert_eq!(out.len(), 2);
    run.returns(out[1], "written");
    run.returns(out[0], "text of x");
    let texts: Vec<String> = run
        .machine
        .messages()
        .into_iter()
        .filter_map(|message| match message {
            Message::Tool { text, .. } => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(texts, ["text of x", "written"], "results stand in the order of the calls");
    run.answers(answer("done", &[]));
    assert_eq!(run.machine.next(), Next::End(Outcome::Completed { answer: "done".to_owned() }));
    assert_eq!((run.machine.steps(), run.machine.calls_sent(), run.machine.usage().input), (2, 2, 20));
}

#[test]
fn what_cannot_be_called_is_answered_to_the_model() {
    for (call, arguments, expected) in [
        ("nope", json!({}), "there is no tool `nope`; there are: read, write, __agent_sub, read_result"),
        ("read", json!("{broken"), "the arguments are not valid JSON"),
        ("read", json!("[1]"), "the arguments are not a JSON object"),
        ("__agent_sub", json!({}), "agent `sub` needs a `task`"),
    ] {
        let mut run = Run::new(5, None);
        run.answers(answer("", &[(call, arguments)]));
        let text = run.last_text();
        assert!(text.starts_with(expected), "{text}");
        assert!(matches!(run.machine.next(), Next::Do(todos) if matches!(todos[0], Todo::Ask { .. })));
    }
}

#[test]
fn after_a_kill_only_harmless_calls_are_sent_again() {
    let mut run = Run::new(5, None);
    run.answers(answer("", &[("read", json!({})), ("write", json!({}))]));
    let out = run.start();
    run.adopt();
    assert_eq!(run.start(), [out[0]], "the read-only call keeps its id, the other is not sent");
    run.returns(out[0], "again");
    assert!(run.last_text().contains("outcome is unknown"), "{}", run.last_text());
    run.answers(answer("done", &[]));
}

#[test]
fn an_idempotent_call_survives_kills_that_have_nothing_to_do_with_it_and_not_for_ever() {
    let lost = |id, why| Event::OutcomeUnknown { id, why, sentence: String::new(), ms: 1 };
    // A journal means what it meant to the version that began it: the number was not kept then.
    for (why, is_old, times) in
        [(Why::Interrupted, false, 10), (Why::Interrupted, true, 3), (Why::ConnectionLost, false, 3)]
    {
        let mut run = Run::new(5, None);
        if is_old {
            let mut started = serde_json::to_value(&run.journal[1]).unwrap();
            assert_eq!(started.as_object_mut().unwrap().remove("interruptions_max"), Some(json!(10)));
            run.add(serde_json::from_value(started).unwrap());
        }
        run.answers(answer("", &[("read", json!({}))]));
        for n in 1..=times {
            let next = run.machine.next();
            let is_sent = matches!(&next, Next::Do(todos) if matches!(todos[..], [Todo::Call { .. }]));
            assert!(is_sent, "{why:?} {is_old}, attempt {n}: {next:?}");
            let out = run.start();
            if why == Why::Interrupted {
                run.adopt();
            } else {
                run.add(lost(out[0], why));
            }
        }
        assert!(run.last_text().contains("outcome is unknown"), "{why:?} {is_old}: {}", run.last_text());
    }
}

#[test]
fn a_time_out_is_told_and_a_lost_connection_is_mended() {
    for (why, again) in [(Why::TimedOut, false), (Why::ConnectionLost, true), (Why::Stopped, false)] {
        let mut run = Run::new(5, None);
        run.answers(answer("", &[("read", json!({}))]));
        let out = run.start();
        run.add(Event::OutcomeUnknown { id: out[0], why, sentence: String::new(), ms: 1 });
        assert_eq!(
            matches!(run.machine.next(), Next::Do(todos) if matches!(todos[0], Todo::Call { .. })),
            again,
            "{why:?}"
        );
    }
}

#[test]
fn a_lost_request_is_asked_again() {
    let mut run = Run::new(5, None);
    run.start();
    run.adopt();
    run.answers(answer("done", &[]));
    assert!(matches!(run.machine.next(), Next::End(Outcome::Completed { .. })));
}

#[test]
fn a_sub_agent_parks_the_run_and_adoption_joins_it() {
    let mut run = Run::new(5, None);
    run.answers(answer("", &[("__agent_sub", json!({"task": "look"})), ("read", json!({}))]));
    let out = run.start();
    run.returns(out[1], "r");
    assert_eq!(run.machine.next(), Next::Park(Waiting::Children(vec![out[0]])));
    run.adopt();
    assert_eq!(
        run.machine.next(),
        Next::Park(Waiting::Children(vec![out[0]])),
        "a child is joined, never lost"
    );
    run.add(Event::ChildEnded {
        id: out[0],
        run: RunId(9),
        status: Status::Completed,
        text: "seen".to_owned(),
        whole: None,
        ms: 1,
    });
    run.answers(answer("done", &[]));
}

#[test]
fn a_run_has_an_end() {
    let mut run = Run::new(1, None);
    run.answers(answer("", &[("read", json!({}))]));
    assert_eq!(run.failure(), Failure::Steps);

    let mut run = Run::new(25, None);
    for _ in 0..3 {
        run.answers(answer("", &[("read", json!({"a": 1}))]));
        let out = run.start();
        run.returns(out[0], "same");
    }
    assert_eq!(run.failure(), Failure::Repetition);

    let mut run = Run::new(2, None);
    run.answers(answer("", &[("read", json!({}))]));
    let out = run.start();
    run.returns(out[0], "r");
    assert!(run.last_text().contains("last step"), "{}", run.last_text());
    run.answers(answer("done", &[]));
    assert!(
        run.machine
            .messages()
            .iter()
            .any(|m| matches!(m, Message::User { text } if text.contains("last step")))
    );
}

#[test]
fn a_bad_answer_gets_one_repair() {
    let schema = json!({"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}});
    let rows: [(&[&str], Result<&str, Failure>); 4] = [
        (&[r#"{"n": 1}"#], Ok(r#"{"n":1}"#)),
        (&["none", r#"{"n": 2}"#], Ok(r#"{"n":2}"#)),
        (&["none", "none"], Err(Failure::Output)),
        (&["", ""], Err(Failure::Output)),
    ];
    for (texts, expected) in rows {
        let mut run = Run::new(1, Some(schema.clone()));
        for text in texts {
            run.answers(answer(text, &[]));
        }
        match expected {
            Ok(fitted) => {
                assert_eq!(run.machine.next(), Next::End(Outcome::Completed { answer: fitted.to_owned() }));
            }
            Err(failure) => assert_eq!(run.failure(), failure),
        }
    }
}

#[test]
fn an_answer_that_was_cut_off_is_asked_for_again() {
    let schema = json!({"type": "object"});
    for (text, schema) in [("half of it", None), ("", None), ("{\"n\": ", Some(schema))] {
        let cut = || Answer { stop: Stop::Length, ..answer(text, &[]) };
        let mut run = Run::new(5, schema.clone());
        run.answers(cut());
        let note = "[Station] your answer was cut off at the output limit; answer again, shorter";
        assert_eq!(run.last_text(), note);
        run.answers(answer("{}", &[]));
        assert_eq!(run.machine.next(), Next::End(Outcome::Completed { answer: "{}".to_owned() }));

        let mut run = Run::new(5, schema);
        run.answers(cut());
        run.answers(cut());
        let Next::End(Outcome::Failed { failure, sentence, hints }) = run.machine.next() else {
            panic!("{:?}", run.machine.next())
        };
        assert_eq!(failure, Failure::Output);
        assert!(sentence.contains("cut off") && sentence.contains("`max_tokens`"), "{sentence}");
        assert!(hints[0].starts_with("raise `max_tokens`"), "{hints:?}");
    }
}

#[test]
fn a_call_that_was_cut_off_is_not_made() {
    let (full, last) = (("write", json!({"n": 1})), ("write", json!({"n": 2})));
    for (stop, calls, made) in [
        (Stop::End, vec![full.clone(), ("write", json!("")), last.clone()], vec![0, 1, 2]),
        (Stop::Length, vec![full.clone(), ("write", json!("")), ("write", json!({})), last.clone()], vec![0]),
        (Stop::Length, vec![last.clone()], vec![]),
        (Stop::Length, vec![full.clone(), ("write", json!("{\"n"))], vec![0]),
        (Stop::Refused, vec![full, last], vec![]),
    ] {
        let mut run = Run::new(5, None);
        run.answers(Answer { stop, ..answer("", &calls) });
        let Next::Do(todos) = run.machine.next() else { panic!("{:?}", run.machine.next()) };
        let slots = todos.iter().filter_map(|todo| match todo {
            Todo::Call { slot, .. } => Some(*slot),
            _ => None,
        });
        assert_eq!(slots.collect::<Vec<_>>(), made, "{stop:?}");
        if stop != Stop::End {
            let told = run.machine.messages().into_iter().filter(|message| {
                matches!(message, Message::Tool { text, is_error: true, .. } if text.contains("your answer was cut off before this call was complete; call again"))
            });
            assert_eq!(told.count(), calls.len() - made.len(), "{stop:?}");
        }
    }
}

/// The release before this one sent them; it may be killed, and this one takes its run over.
#[test]
fn a_cut_off_call_that_is_out_already_has_a_result() {
    for name in ["read", "write"] {
        let mut run = Run::new(5, None);
        run.answers(Answer { stop: Stop::Length, ..answer("", &[(name, json!({"n": 1}))]) });
        let effect = Effect::Call {
            slot: 0,
            server: "fake".to_owned(),
            tool: name.to_owned(),
            repeatable: name == "read",
            attempt: 1,
            approved: None,
            look: None,
            transport: crate::Transport::Stdio,
        };
        run.add(Event::EffectStarted { id: id(50), effect });
        run.adopt();
        if name == "read" {
            assert_eq!(run.start(), [id(50)]);
            run.returns(id(50), "text");
        }
        run.answers(answer("done", &[]));
        well_formed(&run.machine.messages(), 0);
        assert!(matches!(run.machine.messages().iter().rev().nth(1), Some(Message::Tool { .. })));
    }
}

#[test]
fn a_failing_model_is_left_only_where_that_can_help() {
    let cooling = |names: &'static [&'static str]| move |m: &ModelRef| names.contains(&m.model.as_str());
    for (failure, schema, cool, expected) in [
        (AskFailure::RateLimited, false, &[][..], Some("blunt")),
        (AskFailure::RateLimited, true, &[][..], Some("two")),
        (AskFailure::Unavailable, false, &["blunt"][..], Some("two")),
        (AskFailure::Truncated, false, &["blunt", "two"][..], Some("blunt")),
        (AskFailure::ContextOverflow, false, &[][..], Some("blunt")),
        (AskFailure::BadKey, false, &[][..], None),
        (AskFailure::Rejected, false, &[][..], None),
    ] {
        let mut run = Run::new(5, schema.then(|| json!({"type": "object"})));
        let asked = run.start();
        run.add(Event::AskFailed { id: asked[0], failure, sentence: "no".to_owned(), hint: None, ms: 1 });
        match (run.machine.fallback(&cooling(cool)), expected) {
            (Some(switch), Some(to)) => {
                run.add(switch);
                assert_eq!(run.machine.model(), Some(&model(to)), "{failure:?}");
                run.answers(answer("{}", &[]));
            }
            (None, None) => assert_eq!(run.failure(), Failure::Model),
            (got, expected) => panic!("{failure:?}: {got:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn a_first_model_that_cools_down_is_passed_over() {
    let run = Run::new(5, None);
    assert!(run.machine.first_choice(&|_| false).is_none());
    let switch = run.machine.first_choice(&|m| m.model == "one");
    assert!(matches!(switch, Some(Event::ModelSwitched { to: 1, .. })), "{switch:?}");
}

#[test]
fn a_stop_keeps_what_happened() {
    for (event, outcome) in [
        (Event::CancelRequested { by: "you".to_owned() }, Outcome::Cancelled),
        (Event::DeadlinePassed, Outcome::TimedOut),
    ] {
        let mut run = Run::new(5, None);
        run.answers(answer("", &[("write", json!({}))]));
        let out = run.start();
        run.add(event);
        run.add(Event::OutcomeUnknown { id: out[0], why: Why::Stopped, sentence: String::new(), ms: 1 });
        assert_eq!(run.machine.next(), Next::End(outcome));
        assert_eq!(run.machine.steps(), 1);
    }
}

#[test]
fn a_stopped_run_ends_after_its_sub_agents() {
    let mut run = Run::new(5, None);
    run.answers(answer("", &[("__agent_sub", json!({"task": "look"}))]));
    let out = run.start();
    run.add(Event::CancelRequested { by: "you".to_owned() });
    assert_eq!(run.machine.next(), Next::Park(Waiting::Children(out.clone())));
    let text = "stopped".to_owned();
    run.add(Event::ChildEnded {
        id: out[0],
        run: RunId(9),
        status: Status::Cancelled,
        text,
        whole: None,
        ms: 1,
    });
    assert_eq!(run.machine.next(), Next::End(Outcome::Cancelled));
}

#[test]
fn what_a_server_asks_of_a_model_leaves_the_run_where_its_call_stands() {
    let mut run = Run::new(8, None);
    run.answers(answer("", &[("write", json!({}))]));
    let call = run.start()[0];
    let asked = crate::sampling::Asked {
        system: Some("you sort files".to_owned()),
        messages: vec![Message::User { text: "what is this?".to_owned() }],
        settings: Settings::default(),
    };
    let sample = |n| Event::EffectStarted {
        id: id(n),
        effect: Effect::Sample {
            of: call,
            server: "s".to_owned(),
            tool: "write".to_owned(),
            model: model("one"),
            asked: Box::new(asked.clone()),
        },
    };
    let (said, usage) = (run.machine.messages(), run.machine.usage());
    let lost = AskFailure::Unavailable;
    for event in [
        sample(90),
        Event::Sampled { id: id(90), answer: answer("a log", &[]), ms: 1 },
        sample(91),
        Event::SampleFailed { id: id(91), failure: Some(lost), sentence: "no".to_owned(), ms: 1 },
        Event::SampleRefused { of: call, sentence: "no".to_owned() },
        sample(92),
        Event::BudgetReserved {
            id: id(92),
            accounts: Vec::new(),
            amounts: crate::budget::Amounts::default(),
            expected: None,
        },
    ] {
        run.add(event);
        assert_eq!((run.machine.messages(), run.machine.steps()), (said.clone(), 1));
        assert_eq!((run.machine.calls_out(), run.machine.calls_sent()), (vec![call], 1));
    }
    let mut twice = usage;
    twice += answer("", &[]).usage;
    assert_eq!(run.machine.usage(), twice, "of three requests one was answered");
    // A kill: the call is unknown as any other, the request is not asked again, and its reservation is the next driver's.
    run.adopt();
    assert!(run.told(0).contains("unknown"), "{}", run.told(0));
    assert_eq!(run.machine.reservation().map(|reserved| reserved.id), Some(id(92)));
    assert!(matches!(run.machine.next(), Next::Do(todos) if matches!(todos[..], [Todo::Ask { .. }])));
    assert_eq!(run.machine.usage(), twice);
}

#[test]
fn an_event_of_a_later_version_is_an_error_not_a_guess() {
    let text = r#"{"seq": 1, "at": 5, "event": {"event": "teleported"}}"#;
    assert!(serde_json::from_str::<Entry>(text).is_err());
    let newer =
        r#"{"seq": 1, "at": 5, "event": {"event": "deadline_passed"}, "note": "a field of a later version"}"#;
    assert!(serde_json::from_str::<Entry>(newer).is_ok());
}

/// Every call of an earlier turn is followed by its result before the model is heard again.
pub(super) fn well_formed(messages: &[Message], seed: u64) {
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        match message {
            Message::Assistant { calls, .. } => {
                assert!(open.is_empty(), "seed {seed}: a call was left without a result");
                open = calls.iter().map(|call| call.id.clone()).collect();
            }
            Message::Tool { call, .. } => open.retain(|id| id != call),
            Message::System { .. } | Message::User { .. } => {}
        }
    }
}

//! Events in, effects out. No IO, no async: first rows for each rule, then a thousand random schedules with crashes.

use super::*;
use crate::{
    AgentId, Answer, BlobHash, EffectId, Fence, Message, Micros, ModelRef, RunId, ServerId, Stop, ToolCall,
    ToolSpec, Usage,
};
use serde_json::{Value, json};

fn id(n: u128) -> EffectId {
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

fn answer(text: &str, calls: &[(&str, Value)]) -> Answer {
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
        stop: Stop::End,
        usage: Usage { input: 10, output: 2, ..Usage::default() },
        model: "m".to_owned(),
    }
}

/// A machine with a journal, driven by hand.
struct Run {
    machine: Machine,
    journal: Vec<Event>,
    ids: u128,
}

impl Run {
    fn new(steps: u32, schema: Option<Value>) -> Self {
        let prepared = Prepared {
            system: "be brief".to_owned(),
            tools: vec![tool("read", true), tool("write", false), agent("sub")],
            settings: Settings::default(),
            output_schema: schema,
        };
        let choice = |name, schema| ModelChoice { model: model(name), tools: true, schema };
        let inputs = Inputs {
            agent: "a".to_owned(),
            environment: "default".to_owned(),
            system: BlobHash::of(b"be brief"),
            tools: BlobHash::of(b""),
            settings: BlobHash::of(b""),
            output_schema: None,
            opening: vec![Message::User { text: "do it".to_owned() }],
            models: vec![choice("one", true), choice("blunt", false), choice("two", true)],
            steps: StepLimit { steps, reason: "test".to_owned() },
            deadline: Micros(1_000_000),
            warnings: Vec::new(),
            depth: 0,
        };
        let mut run = Self { machine: Machine::new(prepared), journal: Vec::new(), ids: 0 };
        run.add(Event::Adopted { fence: Fence(1), worker: "w".to_owned(), deadline: None });
        run.add(Event::RunStarted(Box::new(inputs)));
        run
    }

    fn add(&mut self, event: Event) {
        let event = self.machine.apply(event);
        self.journal.push(event);
    }

    /// Starts all that is to do, and gives the ids.
    fn start(&mut self) -> Vec<EffectId> {
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

    fn answers(&mut self, answer: Answer) {
        let asked = self.start();
        assert_eq!(asked.len(), 1);
        self.add(Event::Answered { id: asked[0], answer, ms: 1 });
    }

    fn returns(&mut self, id: EffectId, text: &str) {
        self.add(Event::Returned {
            id,
            text: text.to_owned(),
            structured: None,
            is_error: false,
            cut_bytes: 0,
            ms: 1,
        });
    }

    fn adopt(&mut self) {
        self.add(Event::Adopted { fence: Fence(2), worker: "w2".to_owned(), deadline: None });
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
        ("nope", json!({}), "there is no tool `nope`; there are: read, write, __agent_sub"),
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
fn a_call_that_kills_station_is_not_repeated_for_ever() {
    let mut run = Run::new(5, None);
    run.answers(answer("", &[("read", json!({}))]));
    for _ in 0..3 {
        assert_eq!(run.start().len(), 1);
        run.adopt();
    }
    assert!(run.last_text().contains("outcome is unknown"), "{}", run.last_text());
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
    let cut = |text: &str| Answer { stop: Stop::Length, ..answer(text, &[]) };
    let mut run = Run::new(5, None);
    run.answers(cut("half of it"));
    assert!(run.last_text().contains("cut off"), "{}", run.last_text());
    run.answers(answer("shorter", &[]));
    assert_eq!(run.machine.next(), Next::End(Outcome::Completed { answer: "shorter".to_owned() }));

    let mut run = Run::new(5, None);
    run.answers(cut("half of it"));
    run.answers(cut("half again"));
    assert_eq!(run.failure(), Failure::Output);
}

#[test]
fn a_call_that_was_cut_off_is_not_made() {
    for (stop, made) in [(Stop::End, 3), (Stop::Length, 1), (Stop::Refused, 0)] {
        let mut run = Run::new(5, None);
        let calls = [("write", json!({"n": 1})), ("write", json!("")), ("write", json!({"n": 2}))];
        run.answers(Answer { stop, ..answer("", &calls) });
        let n_calls = match run.machine.next() {
            Next::Do(todos) => todos.iter().filter(|todo| matches!(todo, Todo::Call { .. })).count(),
            other => panic!("{other:?}"),
        };
        assert_eq!(n_calls, made, "{stop:?}");
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
    run.add(Event::ChildEnded { id: out[0], run: RunId(9), status: Status::Cancelled, text, ms: 1 });
    assert_eq!(run.machine.next(), Next::End(Outcome::Cancelled));
}

#[test]
fn an_event_of_a_later_version_is_an_error_not_a_guess() {
    let text = r#"{"seq": 1, "at": 5, "event": {"event": "teleported"}}"#;
    assert!(serde_json::from_str::<Entry>(text).is_err());
    let newer =
        r#"{"seq": 1, "at": 5, "event": {"event": "deadline_passed"}, "note": "a field of a later version"}"#;
    assert!(serde_json::from_str::<Entry>(newer).is_ok());
}

/// A small generator, so that a failing schedule can be named by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Random models, results, losses, kills: whatever happens, a call that must not be repeated is sent once, the
/// conversation stays well formed, a fold of the journal gives the same state, and the run ends.
#[test]
fn a_thousand_random_schedules_keep_the_rules() {
    for seed in 0..1_000 {
        let mut dice = Dice(seed);
        let mut run = Run::new(8, None);
        let mut writes = std::collections::BTreeMap::<EffectId, u32>::new();
        for _ in 0..400 {
            match run.machine.next() {
                Next::Do(_) => schedule(&mut run, &mut dice, &mut writes),
                Next::Park(Waiting::Children(children)) => join(&mut run, &mut dice, &children),
                Next::End(_) => break,
            }
            let mut refolded = Machine::new(run.machine.prepared().clone());
            run.journal.iter().for_each(|event| refolded.fold(event));
            assert_eq!(refolded.messages(), run.machine.messages(), "seed {seed}");
            assert_eq!(refolded.next(), run.machine.next(), "seed {seed}");
            well_formed(&run.machine.messages(), seed);
        }
        assert!(matches!(run.machine.next(), Next::End(_)), "seed {seed} does not end");
        assert!(writes.values().all(|n| *n == 1), "seed {seed}: a write was sent twice");
    }
}

fn schedule(run: &mut Run, dice: &mut Dice, writes: &mut std::collections::BTreeMap<EffectId, u32>) {
    let before = run.journal.len();
    let mut out = run.start();
    for event in &run.journal[before..] {
        if let Event::EffectStarted { id, effect: Effect::Call { repeatable: false, .. } } = event {
            *writes.entry(*id).or_default() += 1;
        }
    }
    let asked = matches!(run.journal.last(), Some(Event::EffectStarted { effect: Effect::Ask { .. }, .. }));
    while !out.is_empty() {
        if dice.roll(8) == 0 {
            return run.adopt();
        }
        let picked = usize::try_from(dice.roll(out.len() as u64)).expect("a small number");
        let id = out.swap_remove(picked);
        if asked {
            let pool = [
                ("read", json!({})),
                ("write", json!({"n": dice.roll(3)})),
                ("nope", json!({})),
                ("__agent_sub", json!({"task": "t"})),
            ];
            let n_calls = usize::try_from(dice.roll(5)).expect("a small number");
            let answer = answer("text", &pool[..n_calls]);
            run.add(Event::Answered { id, answer, ms: 0 });
        } else if run.machine.calls_out().contains(&id) {
            match dice.roll(4) {
                0 => run.add(Event::OutcomeUnknown {
                    id,
                    why: Why::ConnectionLost,
                    sentence: String::new(),
                    ms: 0,
                }),
                n => run.returns(id, &format!("result {n}")),
            }
        }
    }
}

fn join(run: &mut Run, dice: &mut Dice, children: &[EffectId]) {
    if dice.roll(3) == 0 {
        return run.adopt();
    }
    run.add(Event::ChildEnded {
        id: children[0],
        run: RunId(7),
        status: Status::Completed,
        text: "c".to_owned(),
        ms: 0,
    });
}

/// Every call of an earlier turn is followed by its result before the model is heard again.
fn well_formed(messages: &[Message], seed: u64) {
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

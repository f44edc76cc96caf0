//! Calls that wait for a person, and calls whose answer was lost: events in, effects out.

use super::tests::{Run, answer, id};
use super::*;
use crate::approval::{Approved, Basis, Level, Rule};
use crate::verify::Look;
use crate::{BlobHash, EffectId, Fence, Transport};
use serde_json::{Map, json};

fn basis(definition: &str) -> Basis {
    let rule = Rule { level: Level::Agent, pattern: "write".to_owned() };
    Basis { arguments: BlobHash::of(b"{}"), definition: definition.to_owned(), rule }
}

fn look() -> Look {
    Look { tool: "find".to_owned(), arguments: Map::new(), done_when: Some("found".to_owned()) }
}

/// A run whose model called `write` and `read`.
fn calling(policy: UnknownPolicy) -> Run {
    let mut run = Run::with_policy(5, policy);
    run.answers(answer("", &[("write", json!({})), ("read", json!({}))]));
    run
}

fn todos(run: &Run) -> Vec<Todo> {
    match run.machine.next() {
        Next::Do(todos) => todos,
        other => panic!("nothing to do: {other:?}"),
    }
}

impl Run {
    /// Plans the first call and starts the rest; the ids of both.
    fn plan_first(&mut self) -> (EffectId, EffectId) {
        let todos = todos(self);
        let asked = self.machine.plan(&todos[0], id(100), basis("v1")).expect("a call of a tool");
        self.journal.push(asked);
        let started = self.machine.start(&todos[1], id(101));
        self.journal.push(started);
        (id(100), id(101))
    }

    /// Sends the first call, whose answer is lost when the next driver takes over.
    fn lose_first(&mut self, look: Option<&Look>, alone: bool) -> EffectId {
        self.lose_first_of(Transport::Stdio, look, alone)
    }

    fn lose_first_of(&mut self, transport: Transport, look: Option<&Look>, alone: bool) -> EffectId {
        let mut todos = todos(self);
        for todo in &mut todos {
            if let Todo::Call { terms, slot: 0, .. } = todo {
                terms.look = look.cloned();
                terms.transport = transport;
            }
        }
        for (n, todo) in (100..).zip(&todos) {
            let started = self.machine.start(todo, id(n));
            self.journal.push(started);
        }
        self.returns(id(101), "r");
        self.add(Event::Adopted {
            fence: Fence(2),
            worker: "w2".to_owned(),
            deadline: None,
            alone,
            process: None,
        });
        id(100)
    }

    fn looks(&mut self) -> EffectId {
        let todos = todos(self);
        assert!(matches!(&todos[..], [Todo::Verify { .. }]), "{todos:?}");
        let Event::EffectStarted { id, effect: Effect::Verify { of, .. } } =
            self.machine.start(&todos[0], id(200))
        else {
            panic!("a look is an effect")
        };
        assert_eq!(of, EffectId(uuid::Uuid::from_u128(100)));
        id
    }
}

#[test]
fn a_call_waits_for_a_yes_and_keeps_its_id() {
    let mut run = calling(UnknownPolicy::Tell);
    let (asked, sibling) = run.plan_first();
    run.returns(sibling, "r");
    assert_eq!(run.machine.next(), Next::Park(Waiting::Approval(vec![asked])), "siblings do not wait");
    run.adopt();
    assert_eq!(run.machine.next(), Next::Park(Waiting::Approval(vec![asked])), "it survives a restart");
    run.add(Event::EffectApproved { id: asked, by: "ann".to_owned() });
    let todos = todos(&run);
    assert_eq!(todos[0].id(), Some(asked));
    assert!(matches!(&todos[..], [Todo::Call { given: Some(given), .. }] if given.basis == basis("v1")));
    assert_eq!(run.start(), [asked]);
    run.returns(asked, "written");
    run.answers(answer("done", &[]));
}

#[test]
fn a_no_and_a_silence_are_told_in_different_words() {
    for (by, reason, expected) in [
        (Some("ann"), "not on a Friday", "denied: a person did not approve this call: not on a Friday."),
        (Some("ann"), "", "denied: a person did not approve this call. It was not sent"),
        (None, "", "timed out: this call waited for a person's approval"),
    ] {
        let mut run = calling(UnknownPolicy::Tell);
        let (asked, sibling) = run.plan_first();
        run.returns(sibling, "r");
        let (by, reason) = (by.map(str::to_owned), reason.to_owned());
        run.add(Event::EffectDenied { id: asked, by, reason });
        let told = run.told(0);
        assert!(told.starts_with(expected), "{told}");
        assert!(matches!(&todos(&run)[..], [Todo::Ask { .. }]));
    }
}

#[test]
fn a_void_yes_is_asked_for_anew() {
    let mut run = calling(UnknownPolicy::Tell);
    let (asked, sibling) = run.plan_first();
    run.returns(sibling, "r");
    run.add(Event::EffectApproved { id: asked, by: "ann".to_owned() });
    run.add(Event::ApprovalVoided { id: asked, sentence: "the tool's definition changed".to_owned() });
    let todos = todos(&run);
    assert_eq!(todos[0].id(), None, "a new question has an id of its own");
    let again = run.machine.plan(&todos[0], id(7), basis("v2")).expect("a call");
    run.journal.push(again);
    assert_eq!(run.machine.next(), Next::Park(Waiting::Approval(vec![id(7)])));
}

#[test]
fn what_a_look_finds_decides() {
    use Transport::{Http, Stdio};
    for (text, transport, alone, policy, expected) in [
        ("found it", Stdio, true, UnknownPolicy::Tell, "took effect"),
        ("found it", Stdio, false, UnknownPolicy::Park, "took effect"),
        ("nothing", Stdio, true, UnknownPolicy::Tell, "sent again"),
        ("nothing", Stdio, false, UnknownPolicy::Tell, "may still be at work"),
        ("nothing", Stdio, false, UnknownPolicy::Park, "a person"),
        // No end of a process of ours is the end of what a remote server does.
        ("found it", Http, true, UnknownPolicy::Tell, "took effect"),
        ("nothing", Http, true, UnknownPolicy::Tell, "may still be at work"),
        ("nothing", Http, true, UnknownPolicy::Park, "a person"),
    ] {
        let mut run = calling(policy);
        let lost = run.lose_first_of(transport, Some(&look()), alone);
        let looking = run.looks();
        run.returns(looking, text);
        match run.machine.next() {
            Next::Park(Waiting::Person(effects)) => {
                assert_eq!((effects, expected), (vec![lost], "a person"), "{text} {alone}");
            }
            Next::Do(todos) if matches!(todos[0], Todo::Call { .. }) => {
                assert_eq!((todos[0].id(), expected), (Some(lost), "sent again"), "{text} {alone}");
            }
            _ => assert!(run.told(0).contains(expected), "{text} {alone}: {}", run.told(0)),
        }
    }
}

#[test]
fn a_look_that_is_lost_is_made_again_and_not_for_ever() {
    let why = [Why::ConnectionLost, Why::TimedOut, Why::Interrupted];
    for (why, looks) in why.into_iter().zip([3, 3, 10]) {
        let mut run = calling(UnknownPolicy::Tell);
        run.lose_first(Some(&look()), true);
        for _ in 0..looks {
            let id = run.looks();
            if why == Why::Interrupted {
                run.adopt();
            } else {
                run.add(Event::OutcomeUnknown { id, why, sentence: String::new(), ms: 0 });
            }
        }
        assert!(run.told(0).contains("could not be looked up"), "{why:?}: {}", run.told(0));
    }
}

#[test]
fn a_refused_look_leaves_it_to_the_policy() {
    let mut run = calling(UnknownPolicy::Tell);
    run.lose_first(Some(&look()), true);
    run.add(Event::Refused { slot: 0, sentence: "`find` is denied".to_owned() });
    assert!(run.told(0).contains("could not be looked up: `find` is denied"), "{}", run.told(0));
}

#[test]
fn a_person_settles_what_nobody_else_knows() {
    for (done, expected) in [(true, "took effect"), (false, "")] {
        let mut run = calling(UnknownPolicy::Park);
        let lost = run.lose_first(None, true);
        assert_eq!(run.machine.next(), Next::Park(Waiting::Person(vec![lost])));
        let (by, note) = ("ann".to_owned(), "ticket 7".to_owned());
        run.add(Event::EffectSettled { id: lost, done, by, note });
        if done {
            assert!(run.told(0).contains(expected) && run.told(0).contains("ticket 7"), "{}", run.told(0));
        } else {
            assert_eq!(run.start(), [lost], "a person proved it absent: it is sent again under its id");
        }
    }
}

#[test]
fn a_stopped_run_waits_for_nobody() {
    let mut run = calling(UnknownPolicy::Park);
    run.lose_first(None, true);
    run.add(Event::CancelRequested { by: "ann".to_owned() });
    assert_eq!(run.machine.next(), Next::End(Outcome::Cancelled));
}

#[test]
fn a_standing_yes_is_named_where_it_is_used() {
    let mut run = calling(UnknownPolicy::Tell);
    let mut todos = todos(&run);
    if let Todo::Call { terms, .. } = &mut todos[0] {
        terms.approved = Some(Approved::Always { id: 3 });
    }
    let event = run.machine.start(&todos[0], id(5));
    assert!(matches!(
        event,
        Event::EffectStarted { effect: Effect::Call { approved: Some(Approved::Always { id: 3 }), .. }, .. }
    ));
}

//! What holds for every journal: those that a driver could write, each of their prefixes, and events in any order.

use super::schedules::{basis, look};
use super::tests::{Run, answer, id, well_formed};
use super::{AskFailure, Effect, Event, Machine, Next, Status, Todo, Waiting, Why};
use crate::{Answer, EffectId, ModelRef, RunId, Stop};
use proptest::prelude::*;
use serde_json::json;

/// What a run meets, one byte per choice; when they are used up, everything goes well.
struct Choices {
    bytes: std::vec::IntoIter<u8>,
}

impl Choices {
    fn pick(&mut self, n: usize) -> usize {
        self.bytes.next().map_or(0, |byte| usize::from(byte) % n)
    }
}

/// A journal as a driver could have written it, and each request on the way, a message a line.
struct Written {
    run: Run,
    /// Each request, and whether the conversation was shortened right before it.
    requests: Vec<(bool, Vec<String>)>,
    shortened: bool,
    ids: u128,
}

impl Written {
    fn new(bytes: Vec<u8>) -> Self {
        let mut choices = Choices { bytes: bytes.into_iter() };
        let schema = (choices.pick(3) == 1).then(|| json!({"type": "object"}));
        let window = [None, Some(700), Some(1_500)][choices.pick(3)];
        let run = Run::with_window(8, schema, window);
        let mut written = Self { run, requests: Vec::new(), shortened: false, ids: 0 };
        // Each turn takes a few rounds; without choices left it ends by itself.
        for _ in 0..200 {
            if choices.pick(40) == 39 {
                let stop = [Event::CancelRequested { by: "p".to_owned() }, Event::DeadlinePassed];
                written.run.add(stop[choices.pick(2)].clone());
            }
            match written.run.machine.next() {
                Next::Do(todos) => written.perform(todos, &mut choices),
                Next::Park(Waiting::Children(children)) => written.join(children[0], &mut choices),
                Next::Park(Waiting::Approval(asked)) => written.decide(asked[0], &mut choices),
                Next::Park(Waiting::Person(lost)) => written.settle(lost[0], &mut choices),
                Next::End(outcome) => {
                    written.run.add(Event::RunEnded { outcome });
                    return written;
                }
            }
        }
        panic!("a run does not end: {:?}", written.run.machine.next());
    }

    fn perform(&mut self, todos: Vec<Todo>, choices: &mut Choices) {
        let mut out = Vec::new();
        for mut todo in todos {
            if let Todo::Ask { .. } = todo {
                let compacted = self.run.machine.compaction();
                self.shorten(compacted);
                self.requests.push((std::mem::take(&mut self.shortened), lines(&self.run.machine)));
            }
            self.ids += 1;
            let fresh = id(self.ids);
            if let Todo::Call { slot, given, again, terms, .. } = &mut todo {
                let (slot, is_new) = (*slot, given.is_none() && again.is_none());
                match choices.pick(8) {
                    5 => terms.look = Some(look()),
                    6 if is_new => {
                        if let Some(planned) = self.run.machine.plan(&todo, fresh, basis()) {
                            self.run.journal.push(planned);
                            continue;
                        }
                    }
                    7 => {
                        self.run.add(Event::Refused { slot, sentence: "no longer allowed".to_owned() });
                        continue;
                    }
                    _ => {}
                }
            }
            let event = self.run.machine.start(&todo, fresh);
            let Event::EffectStarted { id, effect } = &event else {
                unreachable!("start gives EffectStarted")
            };
            out.push((*id, effect.clone()));
            self.run.journal.push(event);
        }
        while !out.is_empty() {
            if choices.pick(10) == 9 {
                return self.run.adopt();
            }
            let (id, effect) = out.swap_remove(choices.pick(out.len()));
            match effect {
                Effect::Ask { .. } => self.answered(id, choices),
                Effect::Call { .. } | Effect::Verify { .. } => self.returned(id, choices),
                Effect::Spawn { .. } | Effect::Sample { .. } => {}
            }
        }
    }

    fn shorten(&mut self, compacted: Option<Event>) {
        if let Some(event) = compacted {
            self.run.add(event);
            self.shortened = true;
        }
    }

    fn answered(&mut self, id: EffectId, choices: &mut Choices) {
        const FAILURES: [AskFailure; 3] =
            [AskFailure::RateLimited, AskFailure::ContextOverflow, AskFailure::BadKey];
        if choices.pick(8) == 7 {
            let failure = FAILURES[choices.pick(FAILURES.len())];
            self.run.add(Event::AskFailed { id, failure, sentence: "no".to_owned(), hint: None, ms: 0 });
            let compacted = self.run.machine.compaction_after_overflow();
            if compacted.is_some() {
                self.shorten(compacted);
            } else if let Some(switch) = self.run.machine.fallback(&|_: &ModelRef| false) {
                self.run.add(switch);
            }
            return;
        }
        let pool = [
            ("read", json!({"path": choices.pick(4)})),
            ("__write", json!({"n": choices.pick(3)})),
            ("__agent_sub", json!({"task": "t"})),
            ("nope", json!({})),
            ("read", json!("{broken")),
            ("read_result", json!({"handle": "r1.1"})),
        ];
        let n_calls = choices.pick(pool.len() + 1);
        let from = choices.pick(pool.len() - n_calls + 1);
        let text = ["", "{}", "words"][choices.pick(3)];
        let stop = [Stop::End, Stop::End, Stop::Length, Stop::Refused][choices.pick(4)];
        let answer = Answer { stop, ..answer(text, &pool[from..from + n_calls]) };
        self.run.add(Event::Answered { id, answer, ms: 0 });
    }

    fn returned(&mut self, id: EffectId, choices: &mut Choices) {
        let why = match choices.pick(12) {
            9 => Why::ConnectionLost,
            10 => Why::TimedOut,
            11 => Why::Stopped,
            n => {
                let text = format!("result {} ", n % 3).repeat(if n == 8 { 200 } else { 1 });
                let (structured, ms) = (None, 0);
                let event = Event::Returned {
                    id,
                    text,
                    structured,
                    is_error: false,
                    cut_bytes: 0,
                    whole: None,
                    images: Vec::new(),
                    ms,
                };
                let (event, _) = self.run.machine.shorten(event);
                return self.run.add(event);
            }
        };
        let (sentence, ms) = (String::new(), 0);
        self.run.add(match choices.pick(4) {
            3 => Event::NotSent { id, sentence, ms },
            _ => Event::OutcomeUnknown { id, why, sentence, ms },
        });
    }

    fn decide(&mut self, id: EffectId, choices: &mut Choices) {
        let by = "ann".to_owned();
        match choices.pick(5) {
            2 => self.run.add(Event::EffectDenied { id, by: Some(by), reason: "no".to_owned() }),
            3 => self.run.add(Event::EffectDenied { id, by: None, reason: String::new() }),
            4 => self.run.adopt(),
            n => {
                self.run.add(Event::EffectApproved { id, by });
                if n == 1 {
                    self.run.add(Event::ApprovalVoided { id, sentence: "it has changed".to_owned() });
                }
            }
        }
    }

    fn settle(&mut self, id: EffectId, choices: &mut Choices) {
        let (by, note) = ("ann".to_owned(), String::new());
        self.run.add(Event::EffectSettled { id, done: choices.pick(2) == 0, by, note });
    }

    fn join(&mut self, id: EffectId, choices: &mut Choices) {
        if choices.pick(4) == 3 {
            return self.run.adopt();
        }
        let status = [Status::Completed, Status::Failed][choices.pick(2)];
        self.run.add(Event::ChildEnded {
            id,
            run: RunId(7),
            status,
            text: "c".to_owned(),
            whole: None,
            ms: 0,
        });
    }
}

/// A request as bytes, message by message; tools and settings are the run's and come before all of it.
fn lines(machine: &Machine) -> Vec<String> {
    machine.messages().iter().map(|message| serde_json::to_string(message).expect("JSON")).collect()
}

fn fold(events: &[Event], run: &Run) -> Machine {
    let mut machine = Machine::new(run.machine.prepared().clone());
    events.iter().for_each(|event| machine.fold(event));
    machine
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

proptest! {
    /// Wherever a driver is killed, the next one can go on from what was committed.
    #[test]
    fn any_prefix_of_a_journal_folds(bytes in bytes()) {
        let written = Written::new(bytes);
        let journal = &written.run.journal;
        for end in 0..=journal.len() {
            let mut machine = fold(&journal[..end], &written.run);
            drop((machine.next(), machine.messages()));
            machine.fold(&Event::Adopted { fence: crate::Fence(9), worker: "w".to_owned(), deadline: None, alone: false, process: None });
            drop(machine.next());
            if let Next::Do(todos) = machine.next()
                && todos.iter().any(|todo| matches!(todo, Todo::Ask { .. }))
            {
                well_formed(&machine.messages(), 0);
            }
        }
        let whole = fold(journal, &written.run);
        prop_assert_eq!(whole.next(), written.run.machine.next());
        prop_assert_eq!(whole.messages(), written.run.machine.messages());
    }

    /// A journal is read back as the same journal.
    #[test]
    fn a_journal_survives_being_stored(bytes in bytes()) {
        let written = Written::new(bytes);
        for event in &written.run.journal {
            let text = serde_json::to_string(event).expect("events serialize");
            prop_assert_eq!(&serde_json::from_str::<Event>(&text).expect("and are read"), event);
        }
    }

    /// What a provider has read once it need not read again: each request begins with the bytes of the one before, also
    /// where a driver was killed in between, another model was taken, or Station itself had something to say. Only a
    /// compaction begins anew, behind what is never dropped: the system prompt and the task.
    #[test]
    fn each_request_begins_with_the_one_before(bytes in bytes()) {
        let written = Written::new(bytes);
        for pair in written.requests.windows(2) {
            let ((_, before), (shortened, after)) = (&pair[0], &pair[1]);
            let same = if *shortened { 2 } else { before.len() };
            prop_assert!(after.starts_with(&before[..same]), "{before:#?}\n{after:#?}");
        }
    }

    /// A machine cannot fail, whatever it is told in whatever order.
    #[test]
    fn events_in_any_order_fold(bytes in bytes(), order in prop::collection::vec(any::<prop::sample::Index>(), 0..60)) {
        let written = Written::new(bytes);
        let journal = &written.run.journal;
        let shuffled: Vec<Event> = order.iter().map(|index| index.get(journal).clone()).collect();
        let machine = fold(&shuffled, &written.run);
        drop((machine.next(), machine.messages()));
    }
}

/// The rows behind the property: Station's own notes stay where they were said.
#[test]
fn a_note_stays_in_the_history() {
    for (steps, calls, note) in
        [(8, &[][..], "the answer was empty"), (2, &[("read", json!({}))][..], "This is your last step")]
    {
        let mut run = Run::new(steps, None);
        let first = lines(&run.machine);
        run.answers(answer("", calls));
        if !calls.is_empty() {
            let out = run.start();
            run.returns(out[0], "text");
        }
        let second = lines(&run.machine);
        assert!(second.starts_with(&first) && second[second.len() - 1].contains(note), "{second:#?}");
        run.answers(answer("done", &[]));
        assert!(lines(&run.machine).starts_with(&second));
    }
}

//! A thousand random schedules with crashes: what must hold whatever happens.

use super::tests::{Run, answer, id, well_formed};
use super::{Effect, Event, Machine, Next, Status, Todo, UnknownPolicy, Waiting, Why};
use crate::approval::{Basis, Level, Rule};
use crate::verify::Look;
use crate::{BlobHash, EffectId, Fence, RunId};
use serde_json::{Map, json};
use std::collections::BTreeMap;

/// A small generator, so that a failing schedule can be named by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// What the world outside saw of calls that must not be repeated.
#[derive(Default)]
struct World {
    sent: BTreeMap<EffectId, u32>,
    /// How often it was proved that a call did not take effect.
    absent: BTreeMap<EffectId, u32>,
    approved: BTreeMap<EffectId, bool>,
}

/// Random models, results, losses, kills, people and looks: whatever happens, a call that must not be repeated is sent
/// once, or once more for each proof that it did not take effect; nothing that waits for a yes is sent without it; the
/// conversation stays well formed, a fold of the journal gives the same state, and the run ends.
#[test]
fn a_thousand_random_schedules_keep_the_rules() {
    for seed in 0..1_000 {
        let mut dice = Dice(seed);
        let policy = if seed % 2 == 0 { UnknownPolicy::Tell } else { UnknownPolicy::Park };
        let mut run = Run::with_policy(8, policy);
        let mut world = World::default();
        for _ in 0..600 {
            match run.machine.next() {
                Next::Do(todos) => world.schedule(&mut run, &mut dice, todos),
                Next::Park(Waiting::Children(children)) => join(&mut run, &mut dice, &children),
                Next::Park(Waiting::Approval(asked)) => world.decide(&mut run, &mut dice, asked[0]),
                Next::Park(Waiting::Person(lost)) => world.settle(&mut run, &mut dice, lost[0]),
                Next::End(_) => break,
            }
            let mut refolded = Machine::new(run.machine.prepared().clone());
            run.journal.iter().for_each(|event| refolded.fold(event));
            assert_eq!(refolded.messages(), run.machine.messages(), "seed {seed}");
            assert_eq!(refolded.next(), run.machine.next(), "seed {seed}");
            well_formed(&run.machine.messages(), seed);
        }
        assert!(matches!(run.machine.next(), Next::End(_)), "seed {seed} does not end");
        for (id, n) in &world.sent {
            let proofs = world.absent.get(id).copied().unwrap_or_default();
            assert!(*n <= 1 + proofs, "seed {seed}: a write was sent {n} times after {proofs} proofs");
            assert_ne!(world.approved.get(id), Some(&false), "seed {seed}: sent without its yes");
        }
    }
}

impl World {
    fn schedule(&mut self, run: &mut Run, dice: &mut Dice, todos: Vec<Todo>) {
        let mut out = Vec::new();
        for (n, mut todo) in (0..).zip(todos) {
            let fresh = id(u128::try_from(run.journal.len()).expect("a small number") * 100 + n);
            if let Todo::Call { terms, given, again, .. } = &mut todo {
                let is_new = given.is_none() && again.is_none();
                if !terms.repeatable && is_new && dice.roll(3) == 0 {
                    let asked = run.machine.plan(&todo, fresh, basis()).expect("a call");
                    run.journal.push(asked);
                    self.approved.insert(fresh, false);
                    continue;
                }
                if dice.roll(2) == 0 {
                    terms.look = Some(look());
                }
            }
            let event = run.machine.start(&todo, fresh);
            let Event::EffectStarted { id, effect } = &event else { unreachable!("a start is a start") };
            if matches!(effect, Effect::Call { repeatable: false, .. }) {
                *self.sent.entry(*id).or_default() += 1;
            }
            let of = match effect {
                Effect::Verify { of, .. } => Some(*of),
                _ => None,
            };
            out.push((*id, of, matches!(effect, Effect::Ask { .. })));
            run.journal.push(event);
        }
        while !out.is_empty() {
            if dice.roll(8) == 0 {
                let alone = dice.roll(2) == 0;
                return run.add(Event::Adopted {
                    fence: Fence(2),
                    worker: "w".to_owned(),
                    deadline: None,
                    alone,
                    process: None,
                });
            }
            let picked = usize::try_from(dice.roll(out.len() as u64)).expect("a small number");
            let (id, of, asked) = out.swap_remove(picked);
            if asked {
                answer_with_calls(run, dice, id);
            } else if let Some(of) = of {
                self.look(run, dice, id, of);
            } else if run.machine.calls_out().contains(&id) {
                match dice.roll(4) {
                    0 => lose(run, id, Why::ConnectionLost),
                    n => run.returns(id, &format!("result {n}")),
                }
            }
        }
    }

    fn look(&mut self, run: &mut Run, dice: &mut Dice, id: EffectId, of: EffectId) {
        match dice.roll(4) {
            0 => lose(run, id, Why::TimedOut),
            1 => run.returns(id, "found"),
            _ => {
                run.returns(id, "nothing");
                let again = matches!(run.machine.next(), Next::Do(todos)
                    if todos.iter().any(|todo| todo.id() == Some(of)));
                *self.absent.entry(of).or_default() += u32::from(again);
            }
        }
    }

    fn decide(&mut self, run: &mut Run, dice: &mut Dice, asked: EffectId) {
        let by = || "ann".to_owned();
        match dice.roll(5) {
            0 => run.adopt(),
            1 => run.add(Event::EffectDenied { id: asked, by: Some(by()), reason: String::new() }),
            2 => run.add(Event::EffectDenied { id: asked, by: None, reason: String::new() }),
            _ => {
                self.approved.insert(asked, true);
                run.add(Event::EffectApproved { id: asked, by: by() });
                if dice.roll(4) == 0 {
                    self.approved.insert(asked, false);
                    run.add(Event::ApprovalVoided { id: asked, sentence: String::new() });
                }
            }
        }
    }

    fn settle(&mut self, run: &mut Run, dice: &mut Dice, lost: EffectId) {
        let done = match dice.roll(3) {
            0 => return run.adopt(),
            n => n == 1,
        };
        *self.absent.entry(lost).or_default() += u32::from(!done);
        run.add(Event::EffectSettled { id: lost, done, by: "ann".to_owned(), note: String::new() });
    }
}

pub(super) fn basis() -> Basis {
    let rule = Rule { level: Level::Agent, pattern: "write".to_owned() };
    Basis { arguments: BlobHash::of(b"{}"), definition: String::new(), rule }
}

pub(super) fn look() -> Look {
    Look { tool: "find".to_owned(), arguments: Map::new(), done_when: Some("found".to_owned()) }
}

fn lose(run: &mut Run, id: EffectId, why: Why) {
    run.add(Event::OutcomeUnknown { id, why, sentence: String::new(), ms: 0 });
}

fn answer_with_calls(run: &mut Run, dice: &mut Dice, id: EffectId) {
    let pool = [
        ("read", json!({})),
        ("write", json!({"n": dice.roll(3)})),
        ("nope", json!({})),
        ("__agent_sub", json!({"task": "t"})),
    ];
    let n_calls = usize::try_from(dice.roll(5)).expect("a small number");
    let answer = answer("text", &pool[..n_calls]);
    run.add(Event::Answered { id, answer, ms: 0 });
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
        whole: None,
        ms: 0,
    });
}

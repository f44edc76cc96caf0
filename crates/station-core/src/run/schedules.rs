//! A thousand random schedules with crashes: what must hold whatever happens.

use super::tests::{Run, answer, well_formed};
use super::{Effect, Event, Machine, Next, Status, Waiting, Why};
use crate::{EffectId, RunId};
use serde_json::json;

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

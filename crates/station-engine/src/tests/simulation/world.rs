//! What is played: the tools, which have effects and lose answers, and the model, which calls them.

use crate::pool::{Played, PlayedCall};
use serde_json::{Map, Value, json};
use station_core::run::Why;
use station_core::{EffectId, Fence, RunId};
use station_llm::Script;
use station_llm::script::{raw_calls, reply};
use station_mcp::CallEnd;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// A small generator: the whole schedule follows from its seed.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        // Small seeds must not begin alike.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    pub(super) fn pick(&mut self, n: usize) -> usize {
        usize::try_from(self.roll(u64::try_from(n).expect("a small number"))).expect("a small number")
    }
}

/// A call that reached a tool.
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) tool: String,
    pub(super) effect: EffectId,
    pub(super) arguments: Map<String, Value>,
    pub(super) run: RunId,
    /// The fence under which it was sent.
    pub(super) fence: Fence,
    /// The highest fence under which somebody was known to have the run by then.
    pub(super) owner: Fence,
    /// How often it was sent, this time included.
    pub(super) nth: u32,
    /// Whether it was seen, since it was sent before, that it had not taken effect.
    pub(super) was_absent: bool,
}

/// What is true of a call, whoever sent it.
#[derive(Clone, Debug, Default)]
pub(super) struct Call {
    pub(super) tool: String,
    pub(super) sent: u32,
    /// How often it took effect.
    pub(super) applied: u32,
    /// How often a tool is at work on it now.
    at_work: u32,
    /// Whether a look or a person has seen, since it was sent last, that it did not take effect and nobody is at work on it.
    is_absent: bool,
}

impl Call {
    /// Somebody looks whether it took effect.
    fn look(&mut self) -> bool {
        self.is_absent = self.applied == 0 && self.at_work == 0;
        self.applied > 0
    }
}

/// Tools whose calls may be sent twice.
pub(super) const REPEATABLE: [&str; 2] = ["put", "read"];

/// The world outside, which remembers.
pub(super) struct World {
    pub(super) dice: Dice,
    /// No answer is lost any more: the schedule comes to its end.
    pub(super) calm: bool,
    /// Bytes that a tool returns beside saying that it is done: in some schedules so many that a conversation which was kept more
    /// than once would outweigh all else in a journal.
    returned_bytes: usize,
    /// Calls that arrived and that the rules have not looked at.
    pub(super) arrived: Vec<Arrival>,
    pub(super) calls: BTreeMap<EffectId, Call>,
    /// The highest fence of each run that anybody has seen.
    owners: BTreeMap<RunId, Fence>,
}

/// The world, shared by everybody in it.
#[derive(Clone)]
pub(in crate::tests) struct Shared(Arc<Mutex<World>>);

/// A call at work, until it is answered or dropped.
struct AtWork {
    world: Shared,
    effect: EffectId,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.world.lock().calls.entry(self.effect).or_default().at_work -= 1;
    }
}

impl Shared {
    pub(in crate::tests) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(World {
            dice: Dice::new(seed ^ 0xabcd),
            calm: false,
            returned_bytes: if seed % 5 == 3 { 1_500 } else { 0 },
            arrived: Vec::new(),
            calls: BTreeMap::new(),
            owners: BTreeMap::new(),
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("no holder of this lock can panic")
    }

    /// From here on `run` is seen to be somebody's under `fence`.
    pub(super) fn owned(&self, run: RunId, fence: Fence) {
        let mut world = self.lock();
        let owner = world.owners.entry(run).or_insert(fence);
        *owner = fence.max(*owner);
    }

    /// Whether a call took effect; `None` where a tool is still at work on it, so that nobody can know yet.
    pub(super) fn outcome(&self, effect: EffectId) -> Option<bool> {
        let mut world = self.lock();
        let Some(call) = world.calls.get_mut(&effect) else { return Some(false) };
        (call.at_work == 0).then(|| call.look())
    }

    pub(super) fn tools(&self) -> Played {
        let world = self.clone();
        Arc::new(move |call: PlayedCall| {
            let world = world.clone();
            Box::pin(async move { world.play(call).await })
        })
    }

    async fn play(&self, call: PlayedCall) -> CallEnd {
        let PlayedCall { tool, arguments, effect, sender, .. } = call;
        let (run, fence) = sender.expect("runs alone call tools here");
        let owner = self.lock().owners.get(&run).copied().unwrap_or(fence);
        let arrival = Arrival { tool, effect, arguments, run, fence, owner, nth: 1, was_absent: false };
        if arrival.tool == "posted" {
            let asked =
                arrival.arguments.get("effect").and_then(Value::as_str).and_then(|id| id.parse().ok());
            let asked: EffectId = asked.expect("a look names a call");
            let mut world = self.lock();
            world.arrived.push(arrival);
            let done = world.calls.get_mut(&asked).is_some_and(Call::look);
            return answer(json!({ "done": done }));
        }
        let (fate, wait) = {
            let mut world = self.lock();
            let call = world.calls.entry(effect).or_default();
            call.tool.clone_from(&arrival.tool);
            call.sent += 1;
            call.at_work += 1;
            let (nth, was_absent) = (call.sent, std::mem::take(&mut call.is_absent));
            world.arrived.push(Arrival { nth, was_absent, ..arrival });
            let calm = world.calm;
            let fate = if calm { 0 } else { world.dice.roll(8) };
            (fate, Duration::from_millis(1 + world.dice.roll(20_000)))
        };
        let _at_work = AtWork { world: self.clone(), effect };
        match fate {
            0 | 1 => self.apply(effect),
            2 => {
                self.apply(effect);
                tokio::time::sleep(wait).await;
            }
            3 => {
                tokio::time::sleep(wait).await;
                self.apply(effect);
            }
            4 => {
                self.apply(effect);
                return lost(Why::ConnectionLost);
            }
            5 => return lost(Why::ConnectionLost),
            6 => {
                tokio::time::sleep(wait).await;
                self.apply(effect);
                return lost(Why::TimedOut);
            }
            _ => {
                let text = "it did not work".to_owned();
                return CallEnd::Returned {
                    text,
                    structured: None,
                    is_error: true,
                    cut_bytes: 0,
                    images: Vec::new(),
                };
            }
        }
        let bytes = self.lock().returned_bytes;
        let more = (bytes > 0).then(|| "so ".repeat(bytes / 3));
        answer(more.map_or_else(|| json!({ "ok": true }), |more| json!({ "ok": true, "more": more })))
    }

    fn apply(&self, effect: EffectId) {
        self.lock().calls.entry(effect).or_default().applied += 1;
    }

    /// A model that calls what it is offered, some turns long.
    pub(super) fn model(&self) -> Script {
        let world = self.clone();
        Script::from_fn(move |request| {
            let mut world = world.lock();
            let turns = request.messages.len();
            if request.tools.is_empty() || turns > 14 || world.dice.roll(5) == 0 {
                return reply("done").after(Duration::from_millis(world.dice.roll(50)));
            }
            let n = 1 + world.dice.pick(3);
            let mut wanted = Vec::new();
            for _ in 0..n {
                let tool = &request.tools[world.dice.pick(request.tools.len())].spec.name;
                // Never the same twice, so that no run is stopped for repeating itself.
                let mark = world.dice.roll(1 << 20);
                wanted
                    .push((tool.clone(), json!({ "text": mark.to_string(), "task": "post it" }).to_string()));
            }
            let latency = Duration::from_millis(world.dice.roll(50));
            let name = |at: usize| (wanted[at].0.as_str(), wanted[at].1.clone());
            let turn = match n {
                1 => raw_calls([name(0)]),
                2 => raw_calls([name(0), name(1)]),
                _ => raw_calls([name(0), name(1), name(2)]),
            };
            turn.after(latency)
        })
    }
}

fn answer(structured: Value) -> CallEnd {
    CallEnd::Returned {
        text: structured.to_string(),
        structured: Some(structured),
        is_error: false,
        cut_bytes: 0,
        images: Vec::new(),
    }
}

fn lost(why: Why) -> CallEnd {
    CallEnd::Unknown { why, sentence: "as the dice fell".to_owned() }
}

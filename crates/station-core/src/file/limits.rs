//! `limits`: what runs may spend, as written in an agent's file, in environment.yml and in config.yaml.
//!
//! `limits: {run: {tokens: 50000, usd: 0.50, calls: 20, time: 5m}, day: {usd: 10}}`; a measure right under `limits` is one
//! of each run. An amount that cannot be read refuses its file: a brake must not be lost to a typo.

use super::sheet::Sheet;
use super::tree::{Member, Node};
use crate::budget::{Caps, Limits, Measure, Period};

/// Every word of a `limits` block: measures, and the periods above them.
const WORDS: [&str; 7] = ["tokens", "usd", "calls", "time", "run", "day", "timeout_s"];

impl Sheet<'_> {
    /// Reads a `limits` block.
    pub(super) fn limits(&mut self, node: &Node, what: &str) -> Limits {
        let mut limits = Limits::default();
        for member in self.members(node, what) {
            self.limit(member, what, &mut limits);
        }
        limits
    }

    /// Reads one key of a `limits` block.
    pub(super) fn limit(&mut self, member: &Member, what: &str, limits: &mut Limits) {
        let (node, what) = (&member.node, format!("{what}.{}", member.key.escape_debug()));
        let caps = match Period::from_word(&member.key) {
            Some(Period::Run) => &mut limits.run,
            Some(Period::Day) => &mut limits.day,
            None => return self.cap(member, &what, &mut limits.run),
        };
        if node.is_null() {
            return;
        }
        for member in self.members(node, &what) {
            let what = format!("{what}.{}", member.key.escape_debug());
            self.cap(member, &what, caps);
        }
    }

    fn cap(&mut self, member: &Member, what: &str, caps: &mut Caps) {
        let Some(measure) = Measure::from_word(&member.key) else {
            return self.unknown(member.at, what, &WORDS);
        };
        let cap = self.value(&member.node, what, measure.must_be(), |text| measure.parse(text));
        // Written twice, at two places: the stricter.
        let written = caps.get(measure);
        caps.set(measure, [written, cap].into_iter().flatten().min());
    }
}

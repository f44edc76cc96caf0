//! How far a run may go: pure arithmetic, recorded with its reason.

use super::StepLimit;
use crate::plural;

/// Most model turns of one run.
pub const STEPS_MAX: u32 = 25;

/// Deepest tree of sub-agents: a coordinator of coordinators of workers, with one to spare.
pub const DEPTH_MAX: u32 = 4;

/// How many model turns a run may take: `written` in the agent's file clamped to 1–25, else computed from the task
/// and the number of tools and sub-agents.
///
/// The computed number is 3 (ask, act, answer), one more for each tool up to 10, three for each sub-agent up to 9,
/// and one for each 40 words of the task up to 3: a long task with many tools has more to do.
#[must_use]
pub fn step_limit(written: Option<i64>, task: &str, n_tools: usize, n_agents: usize) -> StepLimit {
    if let Some(written) = written {
        let steps = u32::try_from(written.clamp(1, i64::from(STEPS_MAX))).unwrap_or(STEPS_MAX);
        let reason = if i64::from(steps) == written {
            "max_steps of the agent".to_owned()
        } else {
            format!("max_steps of the agent is {written}, clamped to 1–{STEPS_MAX}")
        };
        return StepLimit { steps, reason };
    }
    let words = task.split_whitespace().count();
    let steps = 3 + n_tools.min(10) + (3 * n_agents).min(9) + (words / 40).min(3);
    StepLimit {
        steps: u32::try_from(steps).unwrap_or(STEPS_MAX).min(STEPS_MAX),
        reason: format!(
            "computed: {}, {}, a task of {}",
            plural(n_tools, "tool"),
            plural(n_agents, "sub-agent"),
            plural(words, "word")
        ),
    }
}

//! Old runs: what would go, and its removal.

use super::operation::{Needs, Operation, Reply, Verb};
use crate::tools::{Arguments, Desk, Kind, Parameter};
use crate::wire;
use futures::FutureExt as _;
use station_core::{Action, Caller, Result};

const KEEP_DAYS: Parameter = Parameter::optional(
    "keep_days",
    Kind::Whole(0, 36_500),
    "Keep what ended within so many days; `runs.keep_days` of config.yaml if left out. 0 keeps nothing that has ended.",
);

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "prunable_runs",
        verb: Verb::Get,
        path: "/runs/prunable",
        needs: Needs::Right(Action::ManageSettings),
        summary: "Show what pruning would remove",
        says: "How many runs `prune_runs` would remove, and when the oldest was started. Refused with 409 where nothing says how long runs are \
            kept.",
        parameters: &[KEEP_DAYS],
        status: 200,
        output: |generator| generator.subschema_for::<wire::PrunableRuns>(),
        sends: "",
        answers: r#"{"runs": 120, "oldest": "2026-08-01T09:30:00Z"}"#,
        call: |desk, by, arguments| prunable_runs(desk, by, arguments).boxed(),
    },
    Operation {
        id: "prune_runs",
        verb: Verb::Post,
        path: "/runs/prune",
        needs: Needs::Right(Action::ManageSettings),
        summary: "Remove old runs",
        says: "Removes runs that ended longer ago, with their journals, which cannot be brought back: whole trees of a run and its sub-agents' \
            runs, once all of them have ended. It is in the audit.",
        parameters: &[KEEP_DAYS],
        status: 200,
        output: |generator| generator.subschema_for::<wire::PrunedRuns>(),
        sends: r#"{"keep_days": 90}"#,
        answers: r#"{"runs": 120, "bodies": 31}"#,
        call: |desk, by, arguments| prune_runs(desk, by, arguments).boxed(),
    },
];

async fn prunable_runs(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let prunable = desk.station.prunable_runs(by, keep_days(&arguments)).await?;
    Ok(Reply::of(&wire::PrunableRuns::from(&prunable)))
}

async fn prune_runs(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let pruned = desk.station.prune_runs(by, keep_days(&arguments)).await?;
    Ok(Reply::of(&wire::PrunedRuns::from(&pruned)))
}

fn keep_days(arguments: &Arguments) -> Option<u32> {
    arguments.whole("keep_days").and_then(|days| u32::try_from(days).ok())
}

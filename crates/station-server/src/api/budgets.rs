//! Budgets: what runs may spend.

use super::operation::{Needs, Operation, Reply, Verb};
use super::page::{self, CURSOR, LIMIT_GIVEN};
use crate::tools::{Arguments, Desk};
use crate::wire;
use futures::FutureExt as _;
use station_core::{Action, Caller, Result};
use station_engine::Budget;

pub(super) const ROWS: &[Operation] = &[Operation {
    id: "list_budgets",
    verb: Verb::Get,
    path: "/budgets",
    needs: Needs::Right(Action::ReadBudgets),
    summary: "List budgets",
    says: "Every limit that holds, of files and by hand, the widest scope first, with what was spent of it.",
    parameters: &[LIMIT_GIVEN, CURSOR],
    status: 200,
    output: |generator| page::shape::<wire::Budget>("budgets", generator),
    sends: "",
    answers: r#"{"budgets": [{"scope": "environment", "scope_id": 1, "name": "default", "period": "day",
        "tokens": {"limit": 50000, "spent": 1200, "reserved": 0}, "micro_usd": {"limit": null, "spent": null, "reserved": null},
        "calls": {"limit": null, "spent": null, "reserved": null}, "time_ms": {"limit": null, "spent": null, "reserved": null},
        "source": "environment.yml", "set_by": null, "set_at": null}], "count": 1, "next": null}"#,
    call: |desk, by, arguments| list_budgets(desk, by, arguments).boxed(),
}];

async fn list_budgets(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let all: Vec<(usize, Budget)> = desk.station.list_budgets(by).await?.into_iter().enumerate().collect();
    // In the engine's order, which no field says.
    let key = |it: &(usize, Budget)| format!("{:08}", it.0);
    Ok(Reply::Body(page::of("budgets", all, &arguments, key, |it| wire::Budget::from(&it.1))))
}

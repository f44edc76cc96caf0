//! Budgets: what runs may spend.

use super::forms;
use super::operation::{Needs, Operation, Reply, Verb, number};
use super::page::{self, CURSOR, LIMIT_GIVEN};
use super::{agents, environments};
use crate::tools::{Arguments, Desk, Kind, Parameter, caps};
use crate::wire;
use futures::FutureExt as _;
use schemars::json_schema;
use serde_json::json;
use station_core::budget::Period;
use station_core::{Action, Caller, Error, Result, RunId};
use station_engine::BudgetRef;

/// For whom a budget is: whatever is named most narrowly.
const AGENT: Parameter = Parameter::optional(
    "agent",
    Kind::Ref,
    "Of all runs of this agent: its id, or its name in `environment`.",
);
const RUN: Parameter = Parameter::optional("run", Kind::Id, "Of this run and its sub-agents', by its id.");
const PERIOD: Parameter = Parameter::optional(
    "period",
    Kind::Text,
    "`run`: each run with its sub-agents; `day`: all runs of a day (UTC).",
)
.like(forms::period);

/// A limit in an example, with what was spent of it where that is given.
macro_rules! example {
    ($spent:literal, $reserved:literal, $source:literal) => {
        concat!(
            r#"{"scope": "environment", "scope_id": 1, "name": "default", "period": "day",
            "tokens": {"limit": 50000, "spent": "#,
            $spent,
            r#", "reserved": "#,
            $reserved,
            r#"},
            "micro_usd": {"limit": null, "spent": null, "reserved": null},
            "calls": {"limit": null, "spent": null, "reserved": null},
            "time_ms": {"limit": null, "spent": null, "reserved": null},
            "source": ""#,
            $source,
            r#"", "set_by": null, "set_at": null}"#
        )
    };
}

pub(super) const ROWS: &[Operation] = &[
    Operation {
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
        answers: concat!(
            r#"{"budgets": ["#,
            example!("1200", "0", "environment.yml"),
            r#"], "count": 1, "next": null}"#
        ),
        call: |desk, by, arguments| list_budgets(desk, by, arguments).boxed(),
    },
    Operation {
        id: "set_budget",
        verb: Verb::Post,
        path: "/budgets",
        needs: Needs::Right(Action::ManageBudgets),
        summary: "Set a budget",
        says: "Limits one run, the runs of an agent or of an environment, or all runs where nothing is named; in place of what was set by hand \
            there for the same period. It holds for runs that are under way too, and can only tighten what files say.",
        parameters: &[
            environments::OPTIONAL,
            AGENT,
            RUN,
            PERIOD,
            Parameter::required("limits", Kind::Object, "How much: tokens, usd, calls, time.")
                .like(forms::limits),
        ],
        status: 200,
        output: |generator| generator.subschema_for::<wire::Budget>(),
        sends: r#"{"environment": "default", "period": "day", "limits": {"tokens": 50000}}"#,
        answers: example!("null", "null", "set by hand"),
        call: |desk, by, arguments| set_budget(desk, by, arguments).boxed(),
    },
    Operation {
        id: "unset_budget",
        verb: Verb::Delete,
        path: "/budgets",
        needs: Needs::Right(Action::ManageBudgets),
        summary: "Take a budget away",
        says: "Takes away what was set by hand, of one period or of both; limits in files stay.",
        parameters: &[environments::OPTIONAL, AGENT, RUN, PERIOD],
        status: 200,
        output: |_| json_schema!({ "type": "object" }),
        sends: "",
        answers: "{}",
        call: |desk, by, arguments| unset_budget(desk, by, arguments).boxed(),
    },
];

async fn list_budgets(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let all = desk.station.list_budgets(by).await?;
    Ok(Reply::Body(page::in_order("budgets", all, &arguments, |it| wire::Budget::from(it))))
}

async fn set_budget(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let caps = caps("limits", arguments.object("limits"))?;
    let of = meant(desk, by, &arguments).await?;
    let limit = desk.station.set_budget(by, &of, period(&arguments)?.unwrap_or(Period::Run), caps).await?;
    Ok(Reply::of(&wire::Budget::of(&limit)))
}

async fn unset_budget(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let of = meant(desk, by, &arguments).await?;
    desk.station.unset_budget(by, &of, period(&arguments)?).await?;
    Ok(Reply::Body(json!({})))
}

/// For whom it is.
async fn meant(desk: &Desk, by: &Caller, arguments: &Arguments) -> Result<BudgetRef> {
    let named = [arguments.text("run"), arguments.text("agent")];
    match (named, environments::chosen(desk, by, arguments).await?) {
        ([Some(_), Some(_)], _) | ([Some(_), None], Some(_)) => Err(Error::invalid(
            "a budget is for one thing: a run stands alone, without `agent` and `environment`",
        )),
        ([Some(run), None], None) => Ok(BudgetRef::Run(number::<RunId>(run, "a run")?)),
        ([None, Some(_)], _) => Ok(BudgetRef::Agent(agents::named(desk, by, arguments).await?)),
        ([None, None], Some(environment)) => Ok(BudgetRef::Environment(environment.name)),
        ([None, None], None) => Ok(BudgetRef::Installation),
    }
}

fn period(arguments: &Arguments) -> Result<Option<Period>> {
    let Some(word) = arguments.text("period") else { return Ok(None) };
    Period::from_word(word)
        .map(Some)
        .ok_or_else(|| Error::invalid(format!("`period` is `{word}`, and must be `run` or `day`")))
}

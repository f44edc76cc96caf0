//! `stn budget list`

use crate::error::{Code, Result};
use crate::narrate::moment;
use crate::session::Session;
use station_core::budget::{Measure, Scope};
use station_engine::Budget;
use station_server::wire;

/// List the limits that hold, and what was spent of them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                let budgets = station.list_budgets(&session.by).await?;
                if session.out.is_json() {
                    let rows: Vec<wire::Budget> = budgets.iter().map(wire::Budget::from).collect();
                    session.out.json(&wire::list("budgets", &rows))?;
                    return Ok(Code::Done);
                }
                if budgets.is_empty() {
                    session.out.hint("nothing is limited; e.g. `stn budget set all usd=10 --per day`");
                }
                let header = ["SCOPE", "PER", "LIMIT", "SPENT", "RESERVED", "WRITTEN"];
                session.out.table(header, budgets.iter().flat_map(rows).collect())?;
                Ok(Code::Done)
            })
            .await
    }
}

/// A row for each measure that is limited.
fn rows(budget: &Budget) -> Vec<[String; 6]> {
    let limit = &budget.limit;
    let scope = match limit.scope {
        Scope::Installation => "all".to_owned(),
        Scope::Environment(_) => format!("env:{}", limit.name),
        Scope::Agent(id) => format!("agent:{} ({id})", limit.name),
        Scope::Run(run) => format!("run:{run}"),
    };
    let written = match &budget.set {
        Some((by, at)) => format!("by hand, {by}, {} UTC", moment(*at)),
        None => limit.source.clone(),
    };
    let of_measure = |measure: Measure| {
        let standing = budget.standing;
        let cap = limit.caps.get(measure)?.saturating_add(standing.map_or(0, |it| it.added.get(measure)));
        let shown = |amount: Option<i64>| amount.map(|amount| measure.show(amount)).unwrap_or_default();
        Some([
            scope.clone(),
            limit.period.as_str().to_owned(),
            measure.show(cap),
            shown(standing.map(|it| it.spent.get(measure))),
            shown(standing.map(|it| it.reserved.get(measure)).filter(|amount| *amount != 0)),
            written.clone(),
        ])
    };
    Measure::ALL.into_iter().filter_map(of_measure).collect()
}

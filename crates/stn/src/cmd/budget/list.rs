//! `stn budget list`

use crate::at::At;
use crate::error::{Code, Result};
use crate::narrate::moment;
use crate::session::Session;
use serde_json::json;
use station_core::budget::{Measure, Scope};
use station_server::wire;

/// List the limits that hold, and what was spent of them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let budgets: Vec<wire::Budget> = match at {
                    At::Here(station) => {
                        station.list_budgets(&session.by).await?.iter().map(wire::Budget::from).collect()
                    }
                    At::There(server) => server.all("list_budgets", json!({})).await?,
                };
                if session.out.is_json() {
                    session.out.json(&wire::list("budgets", &budgets))?;
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
fn rows(budget: &wire::Budget) -> Vec<[String; 6]> {
    let (name, id) = (&budget.name, budget.scope_id);
    let scope = match Scope::from_parts(&budget.scope, id) {
        Some(Scope::Installation) => "all".to_owned(),
        Some(Scope::Environment(_)) => format!("env:{name}"),
        Some(Scope::Agent(_)) => format!("agent:{name} ({id})"),
        Some(Scope::Run(_)) => format!("run:{id}"),
        None => format!("{}:{name} ({id})", budget.scope),
    };
    let written = match budget.set_by.as_ref().zip(budget.set_at.as_ref()) {
        Some((by, at)) => format!("by hand, {by}, {} UTC", moment(at)),
        None => budget.source.clone(),
    };
    let of_measure = |measure: Measure| {
        let measured = budget.amounts.of(measure);
        let shown = |amount: Option<i64>| amount.map(|amount| measure.show(amount)).unwrap_or_default();
        Some([
            scope.clone(),
            budget.period.to_string(),
            measure.show(measured.limit?),
            shown(measured.spent),
            shown(measured.reserved.filter(|amount| *amount != 0)),
            written.clone(),
        ])
    };
    Measure::ALL.into_iter().filter_map(of_measure).collect()
}

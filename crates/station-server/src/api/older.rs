//! Addresses that scripts made for older Stations know: the same run, in their shape.

use super::agents::{self, AGENT};
use super::environments;
use super::operation::{Needs, Operation, Reply, Verb};
use super::runs::{TASK, VARIABLES};
use crate::tools::{Arguments, Desk, new_run, queue};
use crate::wire::Executed;
use futures::FutureExt as _;
use station_core::{Action, Caller, Result};

const PARAMETERS: &[crate::tools::Parameter] = &[AGENT, environments::OPTIONAL, TASK, VARIABLES];

const ANSWERS: &str = r#"{"run_id": 12, "agent_id": 7, "agent_name": "triage", "task": "why is it slow", "status": "queued",
    "message": "queued: worker a takes it up"}"#;

const SENDS: &str = r#"{"task": "why is it slow"}"#;

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "queue_agent",
        verb: Verb::Post,
        path: "/agents/{agent}/queue",
        needs: Needs::Right(Action::RunAgents),
        summary: "Run an agent (older scripts)",
        says: "As `start_run`, in the shape that older scripts read.",
        parameters: PARAMETERS,
        status: 202,
        output: |generator| generator.subschema_for::<Executed>(),
        sends: SENDS,
        answers: ANSWERS,
        call: |desk, by, arguments| queue_agent(desk, by, arguments).boxed(),
    },
    Operation {
        id: "execute_agent",
        verb: Verb::Post,
        path: "/agents/{agent}/execute",
        needs: Needs::Right(Action::RunAgents),
        summary: "Run an agent (older scripts)",
        says: "As `queue_agent`.",
        parameters: PARAMETERS,
        status: 202,
        output: |generator| generator.subschema_for::<Executed>(),
        sends: SENDS,
        answers: ANSWERS,
        call: |desk, by, arguments| queue_agent(desk, by, arguments).boxed(),
    },
];

async fn queue_agent(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let agent = agents::named(desk, by, &arguments).await?;
    let (run, message) = queue(desk, by, &agent, new_run(&arguments)?).await?;
    Ok(Reply::of(&Executed::new(&run, message)))
}

//! `call_agent`: runs an agent for a client, and gives the answer, or says how far it is.
//!
//! It is what `stn agent run` does: changed files are applied, the run is handed to a worker that is there, and driven here
//! where none is. A client that goes away, or cancels the request, ends the run it waits for; a run that takes longer than
//! its client waits goes on, and is given back to the queue when this process ends.

use super::arguments::{Arguments, Kind, Parameter};
use super::attend::{self, Shape, TIMEOUT, Wait};
use super::management::Desk;
use super::questions::Brought;
use super::row::{Effect, Reply, Row};
use super::{agents, environments, execution, lacking};
use futures::FutureExt as _;
use serde_json::{Map, Value};
use station_core::agent_tool::as_text;
use station_core::budget::{Caps, Measure};
use station_core::{Action, Error, Result, Secret};
use station_engine::{AgentRef, NewRun};
use station_mcp::serve::Asked;
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest it may say: a day.
const TIMEOUT_S_MAX: i64 = 24 * 60 * 60;

const TASK: Parameter = Parameter::required("task", Kind::Text, "What the agent is to do, in words.");
const ASYNC: Parameter = Parameter::optional(
    "async",
    Kind::Truth(false),
    "true: only put the run in the queue for a worker (`stn serve`) and answer at once.",
);
const TIMEOUT_GIVEN: Parameter = Parameter::optional(
    "timeout",
    Kind::Whole(1, TIMEOUT_S_MAX),
    "Seconds to wait for the answer, 300 if left out. After that the run goes on and the result says so, with its run_id.",
);
const STORE_RUN: Parameter = Parameter::optional(
    "store_run",
    Kind::Truth(true),
    "false: remove the run and its journal once it has ended.",
);
const CONTEXT: Parameter = Parameter::optional(
    "context",
    Kind::Object,
    "More that the agent should know; told to it after the task, as JSON.",
);

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "call_agent",
        title: "Run an agent",
        description: "Runs an agent on a task and returns its answer as `execution.response`. It may call its granted tools and cost money. \
            `status` is completed, failed, waiting (for a person's approval), running (it took longer than `timeout` and goes \
            on) or queued. A run that failed says why in `error`.",
        needs: Action::RunAgents,
        effect: Effect::Acts,
        parameters: &[agents::AGENT, environments::OPTIONAL, TASK, ASYNC, TIMEOUT_GIVEN, STORE_RUN, CONTEXT],
        output: || execution::output(execution::Detail::Brief),
        call: |desk, asked, arguments| call(desk, asked, arguments, execution::Detail::Brief).boxed(),
    },
    Row {
        name: "call_agent_advanced",
        title: "Run an agent with settings",
        description: "As call_agent, with prompt variables, another model or step limit and a budget for this run; returns every step, every \
            tool call with its arguments and result, and what the run cost in tokens.",
        needs: Action::RunAgents,
        effect: Effect::Acts,
        parameters: &[
            agents::AGENT,
            environments::OPTIONAL,
            TASK,
            ASYNC,
            TIMEOUT_GIVEN,
            STORE_RUN,
            CONTEXT,
            Parameter::optional(
                "variables",
                Kind::Object,
                "Values of variables that the agent's prompt names.",
            ),
            Parameter::optional(
                "max_steps",
                Kind::Whole(1, 25),
                "Most model turns, instead of the agent's limit.",
            ),
            Parameter::optional("model", Kind::Text, "The model to ask, instead of the agent's."),
            Parameter::optional(
                "budget",
                Kind::Object,
                "Most that it may spend, with its sub-agents: {\"tokens\": 50000, \"usd\": 1.5, \"calls\": 20, \"time\": \"10m\"}.",
            ),
        ],
        output: || execution::output(execution::Detail::Whole),
        call: |desk, asked, arguments| call(desk, asked, arguments, execution::Detail::Whole).boxed(),
    },
];

async fn call(desk: &Desk, asked: &Asked, arguments: Arguments, detail: execution::Detail) -> Result<Reply> {
    let shape = Shape::Execution(detail);
    let wait = Wait {
        request: arguments.request.clone(),
        is_kept: arguments.truth("store_run").unwrap_or(true),
        limit: arguments
            .whole("timeout")
            .map_or(TIMEOUT, |seconds| Duration::from_secs(seconds.unsigned_abs())),
        shape,
    };
    if let Some(Brought::Run(run)) = arguments.resumed {
        return attend::take_up(desk, asked, run, wait).await;
    }
    let agent = agents::named(desk, asked, &arguments).await?;
    let mut new = NewRun { effect: asked.effect, ..new_run(&arguments)? };
    let found = attend::found(desk, &asked.by, &agent).await?;
    let of_call = (wait.request.as_str(), arguments.resumed == Some(Brought::Variables));
    if let Some(question) = lacking::ask(desk, asked, &found, of_call, &mut new.variables).await? {
        return Ok(question);
    }
    desk.station.refresh_catalog_of(&asked.by, &found.agent, &new.variables).await?;
    let agent = AgentRef::Id(found.agent.id);
    if arguments.truth("async") != Some(true) {
        return attend::start(desk, asked, &agent, new, wait).await;
    }
    if !wait.is_kept {
        return Err(Error::invalid(
            "`store_run` cannot be false where `async` is true: nobody waits for the end of the run",
        ));
    }
    let (run, message) = attend::enqueue(desk, &asked.by, &agent, new).await?;
    let details = desk.station.show_run(&asked.by, run.id).await?;
    Ok(shape.reply(&desk.station, &details, Some(&message)))
}

/// The run that `arguments` ask for.
///
/// # Errors
/// `Invalid` where its budget is none.
pub(crate) fn new_run(arguments: &Arguments) -> Result<NewRun> {
    let task = arguments.must("task");
    let task = match arguments.object("context").filter(|context| !context.is_empty()) {
        Some(context) => format!("{task}\n\nContext:\n{}", Value::Object(context.clone())),
        None => task.to_owned(),
    };
    Ok(NewRun {
        task,
        model: arguments.text("model").map(str::to_owned),
        max_steps: arguments.whole("max_steps"),
        variables: arguments.object("variables").map(variables).unwrap_or_default(),
        limits: caps("budget", arguments.object("budget"))?,
        once: arguments.once.clone(),
        ..NewRun::default()
    })
}

/// Values for the variables of a prompt, as they were sent.
pub(crate) fn variables(given: &Map<String, Value>) -> BTreeMap<String, Secret> {
    given.iter().map(|(name, value)| (name.clone(), Secret::new(as_text(value)))).collect()
}

/// An amount as people write it, whichever way JSON has its number: `2.0` is 2, and `1e-6` has digits.
fn amount(value: &Value) -> String {
    let float = value.as_f64().filter(|_| !value.is_i64());
    float.map_or_else(|| as_text(value), |float| float.to_string())
}

/// Amounts by measure that were sent as `name`, if any were.
pub(crate) fn caps(name: &str, given: Option<&Map<String, Value>>) -> Result<Caps> {
    let mut caps = Caps::default();
    for (word, value) in given.into_iter().flatten() {
        let Some(measure) = Measure::from_word(word) else {
            let words: Vec<&str> = Measure::ALL.iter().map(|it| it.as_str()).collect();
            return Err(Error::invalid(format!(
                "`{name}.{word}` is no limit: there are {}",
                words.join(", ")
            )));
        };
        let Some(amount) = measure.parse(&amount(value)) else {
            return Err(Error::invalid(format!("`{name}.{word}` must be {}", measure.must_be())));
        };
        caps.set(measure, Some(amount));
    }
    Ok(caps)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_budget_is_read_as_people_write_it() {
        let check = |given: Value, expected: Result<Caps, &str>| {
            let read = caps("budget", given.as_object()).map_err(|error| error.to_string());
            assert_eq!(read, expected.map_err(str::to_owned), "{given}");
        };
        let all = Caps {
            tokens: Some(50_000),
            micro_usd: Some(1_500_000),
            calls: Some(20),
            time_ms: Some(600_000),
        };
        check(json!({ "tokens": 50_000, "usd": 1.5, "calls": "20", "time": "10m" }), Ok(all));
        let small = Caps { micro_usd: Some(1), time_ms: Some(2_000), ..Caps::default() };
        check(json!({ "usd": 0.000_001, "time": 2.0 }), Ok(small));
        check(json!({}), Ok(Caps::default()));
        check(json!({ "tokens": 0 }), Err("`budget.tokens` must be a whole number of 1 or more"));
        check(json!({ "money": 1 }), Err("`budget.money` is no limit: there are tokens, usd, calls, time"));
    }
}

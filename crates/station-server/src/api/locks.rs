//! Locks of tools: what servers offer otherwise than it is pinned, and accepting that.

use super::environments::{ENVIRONMENT, named};
use super::operation::{Needs, Operation, Reply, Verb};
use crate::tools::{Arguments, Desk, Kind, Parameter};
use crate::wire;
use futures::FutureExt as _;
use station_core::{Action, Caller, Error, Result};

const SERVERS: Parameter =
    Parameter::optional("servers", Kind::Texts, "Only of these servers, by their names; all if left out.");

/// A lock in an example.
macro_rules! example {
    ($written:literal) => {
        concat!(
            r#"{"environment": "default", "path": "environments/default/mcp.lock", "is_locked": true, "written": "#,
            $written,
            r#", "differences": [{"server": "github", "tool": "search", "what": "changed", "looks_like": null, "renamed_from": null,
            "fields": [{"field": "description", "before": "Finds code.", "after": "Finds code and more."}]}], "pinned": 12,
            "unlisted": [], "shown": "5f4dcc3b…"}"#
        )
    };
}

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "plan_lock",
        verb: Verb::Get,
        path: "/environments/{environment}/lock",
        needs: Needs::Right(Action::ReadServers),
        summary: "Show what differs from the lock",
        says: "Tools that servers offer otherwise than they are pinned: they are neither listed nor called until that is accepted. No server \
            is asked: those of `unlisted` are known as they were last, which `discover_server` changes.",
        parameters: &[ENVIRONMENT, SERVERS],
        status: 200,
        output: |generator| generator.subschema_for::<wire::ToolLock>(),
        sends: "",
        answers: example!("false"),
        call: |desk, by, arguments| plan_lock(desk, by, arguments).boxed(),
    },
    Operation {
        id: "lock_tools",
        verb: Verb::Post,
        path: "/environments/{environment}/lock",
        needs: Needs::Right(Action::ManageServers),
        summary: "Pin tools",
        says: "Accepts tools as they are offered now, where that is what `plan_lock` has shown: else 409, and it is to be looked at again.",
        parameters: &[
            ENVIRONMENT,
            SERVERS,
            Parameter::required("shown", Kind::Text, "`shown` of what `plan_lock` answered."),
        ],
        status: 200,
        output: |generator| generator.subschema_for::<wire::ToolLock>(),
        sends: r#"{"shown": "5f4dcc3b…"}"#,
        answers: example!("true"),
        call: |desk, by, arguments| lock_tools(desk, by, arguments).boxed(),
    },
];

fn servers(arguments: &Arguments) -> Vec<String> {
    arguments.texts("servers").unwrap_or_default()
}

async fn plan_lock(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let environment = named(desk, by, &arguments).await?;
    desk.apply(by, &environment).await?;
    let lock = desk.station.plan_lock(by, &environment, &servers(&arguments)).await?;
    Ok(Reply::of(&wire::ToolLock::new(&lock, false)))
}

async fn lock_tools(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let (environment, servers) = (named(desk, by, &arguments).await?, servers(&arguments));
    let lock = desk.station.plan_lock(by, &environment, &servers).await?;
    if wire::ToolLock::new(&lock, false).shown != arguments.must("shown") {
        return Err(Error::conflict("what is different is not what `shown` names, so nothing was pinned")
            .with_hint("look at it again, and pin that"));
    }
    let done = desk.station.lock_tools(by, &environment, &servers, &lock.differences).await?;
    Ok(Reply::of(&wire::ToolLock::new(&done, true)))
}

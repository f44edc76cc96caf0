//! Approvals: calls that wait for a person.

use super::agents;
use super::environments;
use super::forms;
use super::operation::{Needs, Operation, Reply, Verb, number};
use super::page::{self, CURSOR, LIMIT_GIVEN, Page};
use crate::tools::{Arguments, Desk, Kind, Parameter};
use crate::wire;
use futures::FutureExt as _;
use schemars::json_schema;
use serde_json::json;
use station_core::approval::Status;
use station_core::{Action, Caller, Error, Result, RunId};
use station_engine::{ApprovalFilter, StandingApproval, Yes};

const APPROVAL: Parameter = Parameter::required("approval", Kind::Id, "An approval, by its id.");

/// An approval in an example.
macro_rules! example {
    () => {
        r#"{"id": 3, "run_id": 12, "effect_id": "0197c1d2-0000-7000-8000-000000000000", "agent": "triage", "caller": null,
            "environment": "default", "server": "files", "tool": "write_file", "arguments": {"path": "a"},
            "arguments_hash": "9f", "definition_hash": "4e", "rule": "`write_*` in `tools.approve` of the environment",
            "status": "pending", "may_decide": ["user", "admin"], "asked_at": "2026-11-26T09:30:00Z", "expires_at": null, "decided_at": null,
            "decided_by": null, "reason": null, "used_at": null}"#
    };
}

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "list_approvals",
        verb: Verb::Get,
        path: "/approvals",
        needs: Needs::Right(Action::ReadApprovals),
        summary: "List approvals",
        says: "Calls that wait for a person, oldest first; with `all` or another `status` newest first.",
        parameters: &[
            Parameter::optional("all", Kind::Truth(false), "true: without a `status`, decided ones as well."),
            Parameter::optional(
                "status",
                Kind::Text,
                "Only those that are pending, approved, denied, timed_out or void; pending if left out.",
            )
            .like(forms::approval_status),
            Parameter::optional(
                "agent",
                Kind::Ref,
                "Only calls of this agent: its id, or its name in `environment`.",
            ),
            environments::OPTIONAL,
            Parameter::optional("run", Kind::Id, "Only calls of this run, by its id."),
            LIMIT_GIVEN,
            CURSOR.like(forms::row),
        ],
        status: 200,
        output: |generator| page::shape::<wire::Approval>("approvals", generator),
        sends: "",
        answers: concat!(r#"{"approvals": ["#, example!(), r#"], "count": 1, "next": null}"#),
        call: |desk, by, arguments| list_approvals(desk, by, arguments).boxed(),
    },
    Operation {
        id: "show_approval",
        verb: Verb::Get,
        path: "/approvals/{approval}",
        needs: Needs::Right(Action::ReadApprovals),
        summary: "Show an approval",
        says: "One call that waits or waited for a person, with what it is to be called with and the rule that asks.",
        parameters: &[APPROVAL],
        status: 200,
        output: |generator| generator.subschema_for::<wire::Approval>(),
        sends: "",
        answers: example!(),
        call: |desk, by, arguments| show_approval(desk, by, arguments).boxed(),
    },
    Operation {
        id: "approve",
        verb: Verb::Post,
        path: "/approvals/{approval}/approve",
        needs: Needs::Right(Action::Approve),
        summary: "Approve a call",
        says: "Says yes to exactly this call, or with `always` to every call of this tool by this agent while its definition stays. \
            Needs the right `approve`; refused with 409 where it was decided already or its time is over.",
        parameters: &[
            APPROVAL,
            Parameter::optional(
                "always",
                Kind::Truth(false),
                "true: every later call of this tool by this agent too.",
            ),
        ],
        status: 200,
        output: |generator| generator.subschema_for::<wire::Approval>(),
        sends: r#"{"always": false}"#,
        answers: example!(),
        call: |desk, by, arguments| approve(desk, by, arguments).boxed(),
    },
    Operation {
        id: "deny",
        verb: Verb::Post,
        path: "/approvals/{approval}/deny",
        needs: Needs::Right(Action::Approve),
        summary: "Deny a call",
        says: "Says no; the model is told so, with the reason. As `approve` otherwise.",
        parameters: &[APPROVAL, Parameter::optional("reason", Kind::Text, "Why not: the model is told.")],
        status: 200,
        output: |generator| generator.subschema_for::<wire::Approval>(),
        sends: r#"{"reason": "not in production"}"#,
        answers: example!(),
        call: |desk, by, arguments| deny(desk, by, arguments).boxed(),
    },
    Operation {
        id: "list_standing_approvals",
        verb: Verb::Get,
        path: "/standing-approvals",
        needs: Needs::Right(Action::ReadApprovals),
        summary: "List standing approvals",
        says: "Every yes for always that holds, oldest first.",
        parameters: &[LIMIT_GIVEN, CURSOR],
        status: 200,
        output: |generator| page::shape::<wire::StandingApproval>("standing_approvals", generator),
        sends: "",
        answers: r#"{"standing_approvals": [{"id": 2, "agent": "triage", "environment": "default", "server": "files", "tool": "write_file",
            "definition_hash": "4e", "approval_id": 3, "made_at": "2026-11-26T09:30:00Z", "made_by": "ann", "uses": 4}],
            "count": 1, "next": null}"#,
        call: |desk, by, arguments| list_standing_approvals(desk, by, arguments).boxed(),
    },
    Operation {
        id: "revoke_standing_approval",
        verb: Verb::Delete,
        path: "/standing-approvals/{standing_approval}",
        needs: Needs::Right(Action::Approve),
        summary: "Take a standing approval back",
        says: "Calls from then on wait for a person again.",
        parameters: &[Parameter::required("standing_approval", Kind::Id, "A standing approval, by its id.")],
        status: 200,
        output: |_| json_schema!({ "type": "object", "properties": { "revoked": { "type": "integer" } }, "required": ["revoked"] }),
        sends: "",
        answers: r#"{"revoked": 2}"#,
        call: |desk, by, arguments| revoke_standing_approval(desk, by, arguments).boxed(),
    },
];

async fn list_standing_approvals(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let all = desk.station.list_standing_approvals(by).await?;
    let key = |it: &StandingApproval| format!("{:020}", it.id);
    Ok(Reply::Body(page::of("standing_approvals", all, &arguments, key, |it| {
        wire::StandingApproval::from(it)
    })))
}

async fn revoke_standing_approval(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let id = number(arguments.must("standing_approval"), "a standing approval")?;
    desk.station.revoke_standing_approval(by, id).await?;
    Ok(Reply::Body(json!({ "revoked": id })))
}

async fn list_approvals(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let environment = environments::chosen(desk, by, &arguments).await?;
    let filter = ApprovalFilter {
        status: status(&arguments)?,
        agent: agents::chosen(desk, by, &arguments, environment.as_ref()).await?,
        environment: environment.map(|it| it.id),
        run: arguments.text("run").map(|run| number(run, "a run")).transpose()?.map(RunId),
        behind: arguments.text("cursor").map(|cursor| number(cursor, "an approval")).transpose()?,
        seen_by: None,
    };
    let page = Page::asked(&arguments);
    let approvals = desk.station.list_approvals(by, &filter, page.and_one()).await?;
    Ok(Reply::Body(page.told("approvals", approvals, |it| it.id, |it| wire::Approval::from(it))))
}

/// In which status questions are looked for; `None` for all.
fn status(arguments: &Arguments) -> Result<Option<Status>> {
    let Some(word) = arguments.text("status") else {
        let is_all = arguments.truth("all") == Some(true);
        return Ok(if is_all { None } else { Some(Status::Pending) });
    };
    Status::from_word(word).map(Some).ok_or_else(|| {
        Error::invalid(format!("`{word}` is no status of an approval"))
            .with_hint("pending, approved, denied, timed_out, void")
    })
}

async fn show_approval(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let approval = desk.station.show_approval(by, id(&arguments)?).await?;
    Ok(Reply::of(&wire::Approval::from(&approval)))
}

async fn approve(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let how = if arguments.truth("always") == Some(true) { Yes::Always } else { Yes::Once };
    let approval = desk.station.approve(by, id(&arguments)?, how).await?;
    Ok(Reply::of(&wire::Approval::from(&approval)))
}

async fn deny(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let reason = arguments.text("reason").unwrap_or_default().to_owned();
    let approval = desk.station.deny(by, id(&arguments)?, reason).await?;
    Ok(Reply::of(&wire::Approval::from(&approval)))
}

fn id(arguments: &Arguments) -> Result<i64> {
    number(arguments.must("approval"), "an approval")
}

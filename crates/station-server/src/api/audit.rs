//! The audit: who did what.

use super::forms;
use super::operation::{Needs, Operation, Reply, Verb, number, time};
use super::page::{self, CURSOR, LIMIT_GIVEN, Page};
use crate::tools::{Arguments, Desk, Kind, Parameter};
use crate::wire;
use futures::FutureExt as _;
use schemars::json_schema;
use serde_json::json;
use station_core::{Action, Caller, Error, Result};
use station_engine::AuditFilter;

/// What both lists of rows answer, for example.
const ROWS_TOLD: &str = r#"{"audit": [{"seq": 1, "at": "2026-11-26T09:30:00Z", "actor": "ann", "from": "192.0.2.7, API key 4", "action": "approve", "subject": "approval 3",
            "detail": {"run": 12}, "previous": "", "hash": "9f"}], "count": 1, "next": null}"#;

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "list_audit",
        verb: Verb::Get,
        path: "/audit",
        needs: Needs::Right(Action::ReadAudit),
        summary: "List the audit",
        says: "Who did what, newest first. Rows are never changed: each names the hash of the one before.",
        parameters: &[
            Parameter::optional("actor", Kind::Text, "Only what exactly this one did: `ann`."),
            Parameter::optional("action", Kind::Text, "Only this action: `create_agent`."),
            Parameter::optional("subject", Kind::Text, "Only what was done to exactly this: `agent 7`."),
            Parameter::optional("since", Kind::Text, "Only what was done at this time (RFC 3339) or later.")
                .like(forms::time),
            Parameter::optional("until", Kind::Text, "Only what was done before this time.")
                .like(forms::time),
            LIMIT_GIVEN,
            CURSOR.like(forms::row),
        ],
        status: 200,
        output: |generator| page::shape::<wire::AuditEntry>("audit", generator),
        sends: "",
        answers: ROWS_TOLD,
        call: |desk, by, arguments| list_audit(desk, by, arguments).boxed(),
    },
    Operation {
        id: "export_audit",
        verb: Verb::Get,
        path: "/audit/export",
        needs: Needs::Right(Action::ReadAudit),
        summary: "Export the audit",
        says: "Oldest first, for a copy elsewhere that goes on where it ended: `cursor` is the `seq` of the last row that the copy has. That \
            rows were taken out is a row of its own.",
        parameters: &[LIMIT_GIVEN, CURSOR.like(forms::row)],
        status: 200,
        output: |generator| page::shape::<wire::AuditEntry>("audit", generator),
        sends: "",
        answers: ROWS_TOLD,
        call: |desk, by, arguments| export_audit(desk, by, arguments).boxed(),
    },
    Operation {
        id: "check_audit",
        verb: Verb::Get,
        path: "/audit/check",
        needs: Needs::Right(Action::ReadAudit),
        summary: "Check the audit",
        says: "Goes through the whole chain; 409 where a row was changed, put in or taken out. Note `head` elsewhere: it shows later that no \
            older copy was put back.",
        parameters: &[],
        status: 200,
        output: |_| {
            json_schema!({
                "type": "object",
                "properties": {
                    "whole": { "type": "boolean" },
                    "head": {
                        "type": "object",
                        "properties": { "seq": { "type": "integer" }, "hash": { "type": "string" } },
                        "required": ["seq", "hash"],
                    },
                },
                "required": ["whole", "head"],
            })
        },
        sends: "",
        answers: r#"{"whole": true, "head": {"seq": 1, "hash": "9f"}}"#,
        call: |desk, by, _| check_audit(desk, by).boxed(),
    },
];

async fn list_audit(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let text = |name| arguments.text(name).map(str::to_owned);
    let filter = AuditFilter {
        actor: text("actor"),
        action: text("action"),
        subject: text("subject"),
        since: time(&arguments, "since")?,
        until: time(&arguments, "until")?,
        before: row(&arguments)?,
    };
    let page = Page::asked(&arguments);
    let rows = desk.station.list_audit(by, &filter, page.and_one()).await?;
    Ok(Reply::Body(page.told("audit", rows, |row| row.seq, |row| wire::AuditEntry::from(row))))
}

async fn export_audit(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let (after, limit) = (row(&arguments)?.unwrap_or_default(), page::limit(&arguments));
    let rows = desk.station.export_audit(by, after, u32::try_from(limit).unwrap_or(u32::MAX)).await?;
    // What comes behind a page that is not full tells of this export.
    let is_last = rows.len() < limit;
    let shown: Vec<wire::AuditEntry> = rows.iter().map(wire::AuditEntry::from).collect();
    let mut body = wire::list("audit", &shown);
    body["next"] = rows.last().filter(|_| !is_last).map(|last| last.seq.to_string()).into();
    Ok(Reply::Body(body))
}

/// The row that the page begins behind.
fn row(arguments: &Arguments) -> Result<Option<i64>> {
    arguments.text("cursor").map(|cursor| number(cursor, "a row")).transpose()
}

async fn check_audit(desk: &Desk, by: &Caller) -> Result<Reply> {
    match desk.station.check_audit(by).await? {
        Ok(head) => Ok(Reply::Body(json!({ "whole": true, "head": { "seq": head.seq, "hash": head.hash } }))),
        Err(fault) => Err(Error::conflict(fault.to_string()).with_hint("compare it with a backup")),
    }
}

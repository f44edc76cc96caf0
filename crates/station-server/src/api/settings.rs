//! Settings: the keys of config.yaml. What a secret says is told nowhere.

use super::operation::{Needs, Operation, Reply, Verb};
use super::page::{self, CURSOR, LIMIT_GIVEN};
use crate::tools::{Arguments, Desk, Kind, Parameter};
use crate::wire;
use futures::FutureExt as _;
use station_core::{Action, Caller, Result};

const SETTING: Parameter =
    Parameter::required("setting", Kind::Text, "A key of config.yaml, with dots: `execution.workers`.");

/// A setting in an example.
macro_rules! example {
    () => {
        r#"{"name": "execution.workers", "value": "20", "is_set": true, "is_secret": false, "default": "50",
            "takes": "a whole number", "about": "Runs that a worker (`stn serve`) drives at a time."}"#
    };
}

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "list_settings",
        verb: Verb::Get,
        path: "/settings",
        needs: Needs::Right(Action::ManageSettings),
        summary: "List settings",
        says: "Every key of config.yaml, with what the file says of it. What holds in a process is what the file said when that began; its \
            environment may say otherwise.",
        parameters: &[LIMIT_GIVEN, CURSOR],
        status: 200,
        output: |generator| page::shape::<wire::FileSetting>("settings", generator),
        sends: "",
        answers: concat!(r#"{"settings": ["#, example!(), r#"], "count": 1, "next": null}"#),
        call: |desk, by, arguments| list_settings(desk, by, arguments).boxed(),
    },
    Operation {
        id: "show_setting",
        verb: Verb::Get,
        path: "/settings/{setting}",
        needs: Needs::Right(Action::ManageSettings),
        summary: "Show a setting",
        says: "One key, or a name below one that is a map: `models.gpt-4o-mini`.",
        parameters: &[SETTING],
        status: 200,
        output: |generator| generator.subschema_for::<wire::FileSetting>(),
        sends: "",
        answers: example!(),
        call: |desk, by, arguments| show_setting(desk, by, arguments).boxed(),
    },
    Operation {
        id: "set_setting",
        verb: Verb::Patch,
        path: "/settings/{setting}",
        needs: Needs::Right(Action::ManageSettings),
        summary: "Set a setting",
        says: "Writes a key of config.yaml; the rest of the file stays byte for byte. It holds for processes that begin afterwards.",
        parameters: &[
            SETTING,
            Parameter::required("value", Kind::Text, "Its value; names of a list are separated by commas."),
        ],
        status: 200,
        output: |generator| generator.subschema_for::<wire::FileSetting>(),
        sends: r#"{"value": "20"}"#,
        answers: example!(),
        call: |desk, by, arguments| set_setting(desk, by, arguments).boxed(),
    },
    Operation {
        id: "unset_setting",
        verb: Verb::Delete,
        path: "/settings/{setting}",
        needs: Needs::Right(Action::ManageSettings),
        summary: "Take a setting out",
        says: "Takes a key out of config.yaml: its default holds for processes that begin afterwards.",
        parameters: &[SETTING],
        status: 200,
        output: |generator| generator.subschema_for::<wire::FileSetting>(),
        sends: "",
        answers: example!(),
        call: |desk, by, arguments| unset_setting(desk, by, arguments).boxed(),
    },
];

async fn list_settings(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let all = desk.station.list_settings(by).await?;
    Ok(Reply::Body(page::in_order("settings", all, &arguments, |it| wire::FileSetting::from(it))))
}

async fn show_setting(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let setting = desk.station.show_setting(by, arguments.must("setting")).await?;
    Ok(Reply::of(&wire::FileSetting::from(&setting)))
}

async fn set_setting(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let (name, value) = (arguments.must("setting"), arguments.must("value"));
    let setting = desk.station.set_setting(by, name, Some(value)).await?;
    Ok(Reply::of(&wire::FileSetting::from(&setting)))
}

async fn unset_setting(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let setting = desk.station.set_setting(by, arguments.must("setting"), None).await?;
    Ok(Reply::of(&wire::FileSetting::from(&setting)))
}

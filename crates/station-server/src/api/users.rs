//! Users, their API keys, and sessions of browsers.

use super::forms;
use super::operation::{Needs, Operation, Reply, Verb, number};
use super::page::{self, CURSOR, LIMIT_GIVEN};
use crate::tools::{Arguments, Desk, Kind, Parameter};
use crate::wire;
use futures::FutureExt as _;
use schemars::json_schema;
use serde_json::json;
use station_core::{Action, Caller, Result, Secret};
use station_engine::{
    ApiKey, EnvironmentRef, INVITATION_VALID_FOR, KeyWish, NewUser, User, UserEdit, UserFilter, UserRef,
};
use std::time::Duration;

const USER: Parameter = Parameter::required("user", Kind::Ref, "A user, by id or name.");

const PASSWORD: Parameter = Parameter::optional(
    "password",
    Kind::Text,
    "To sign in with: 15 characters at least. Left out for one that has keys alone.",
)
.like(forms::password);

const ENVIRONMENTS: Parameter = Parameter::optional(
    "environments",
    Kind::Texts,
    "Environments that are assigned to it, by id or name; an administrator sees all without.",
)
.like(forms::environment_or_id);

/// A user in an example.
macro_rules! example {
    () => {
        r#"{"id": 2, "name": "ann", "role": "user", "environments": ["staging"], "has_password": true,
            "created_at": "2026-11-26T09:30:00Z"}"#
    };
}

/// An API key in an example.
macro_rules! key_example {
    () => {
        r#"{"id": 4, "user": "ann", "name": "ci", "scopes": ["read", "run"], "created_at": "2026-11-26T09:30:00Z",
            "expires_at": "2027-11-26T09:30:00Z", "last_used_at": null, "last_used_from": null}"#
    };
}

pub(super) const ROWS: &[Operation] = &[
    Operation {
        id: "show_caller",
        verb: Verb::Get,
        path: "/caller",
        needs: Needs::Credential,
        summary: "Say who asks",
        says: "Whose credential this request shows, and what that may.",
        parameters: &[],
        status: 200,
        output: |generator| generator.subschema_for::<wire::Caller>(),
        sends: "",
        answers: r#"{"user_id": 2, "name": "ann", "role": "user", "scopes": ["read", "run"]}"#,
        call: |_, by, _| async move { Ok(Reply::of(&wire::Caller::from(by))) }.boxed(),
    },
    Operation {
        id: "create_session",
        verb: Verb::Post,
        path: "/sessions",
        needs: Needs::Nothing,
        summary: "Sign in",
        says: "Signs a browser in for twelve hours: the answer sets a cookie that no script of a page can read. A wrong password and an \
            unknown name are answered alike; after some wrong ones the next must wait (429 with Retry-After).",
        parameters: &[
            Parameter::required("name", Kind::Text, "The user's name."),
            Parameter::required("password", Kind::Text, "The user's password."),
        ],
        status: 201,
        output: |generator| generator.subschema_for::<wire::Caller>(),
        sends: r#"{"name": "ann", "password": "correct horse battery"}"#,
        answers: r#"{"user_id": 2, "name": "ann", "role": "user", "scopes": ["read", "run", "edit", "approve", "admin"]}"#,
        call: |desk, by, arguments| create_session(desk, by, arguments).boxed(),
    },
    Operation {
        id: "delete_session",
        verb: Verb::Delete,
        path: "/sessions/current",
        needs: Needs::Credential,
        summary: "Sign out",
        says: "Signs out the browser whose cookie this request shows.",
        parameters: &[],
        status: 200,
        output: |_| json_schema!({ "type": "object" }),
        sends: "",
        answers: "{}",
        call: |_, _, _| async { Ok(Reply::SignedOut) }.boxed(),
    },
    Operation {
        id: "list_users",
        verb: Verb::Get,
        path: "/users",
        needs: Needs::Right(Action::ManageUsers),
        summary: "List users",
        says: "Users by name. The local administrator, who needs no credentials, is not among them.",
        parameters: &[
            Parameter::optional("role", Kind::Text, "Only `admin`, `user` or `viewer`.").like(forms::role),
            Parameter::optional(
                "environment",
                Kind::Ref,
                "Only those to whom this environment is assigned, by id or name; administrators see all without.",
            )
            .like(forms::environment_or_id),
            LIMIT_GIVEN,
            CURSOR,
        ],
        status: 200,
        output: |generator| page::shape::<wire::User>("users", generator),
        sends: "",
        answers: concat!(r#"{"users": ["#, example!(), r#"], "count": 1, "next": null}"#),
        call: |desk, by, arguments| list_users(desk, by, arguments).boxed(),
    },
    Operation {
        id: "create_user",
        verb: Verb::Post,
        path: "/users",
        needs: Needs::Right(Action::ManageUsers),
        summary: "Make a user",
        says: "Makes a user. The first one ends access without credentials.",
        parameters: &[
            Parameter::required("name", Kind::Text, "Its name: 1 to 64 characters, not digits alone.").like(forms::user),
            Parameter::required("role", Kind::Text, "`admin`, `user` or `viewer`.").like(forms::role),
            ENVIRONMENTS,
            PASSWORD,
        ],
        status: 201,
        output: |generator| generator.subschema_for::<wire::User>(),
        sends: r#"{"name": "ann", "role": "user", "environments": ["staging"]}"#,
        answers: example!(),
        call: |desk, by, arguments| create_user(desk, by, arguments).boxed(),
    },
    Operation {
        id: "show_user",
        verb: Verb::Get,
        path: "/users/{user}",
        needs: Needs::Oneself,
        summary: "Show a user",
        says: "One user: for an administrator any, for others themselves.",
        parameters: &[USER],
        status: 200,
        output: |generator| generator.subschema_for::<wire::User>(),
        sends: "",
        answers: example!(),
        call: |desk, by, arguments| show_user(desk, by, arguments).boxed(),
    },
    Operation {
        id: "update_user",
        verb: Verb::Patch,
        path: "/users/{user}",
        needs: Needs::Oneself,
        summary: "Change a user",
        says: "Changes what is given; the rest stays. Everybody may change their own password, which ends their sessions; role and \
            environments are an administrator's to change. The last administrator stays one (409).",
        parameters: &[
            USER,
            Parameter::optional("role", Kind::Text, "`admin`, `user` or `viewer`.").like(forms::role),
            ENVIRONMENTS,
            PASSWORD,
        ],
        status: 200,
        output: |generator| generator.subschema_for::<wire::User>(),
        sends: r#"{"environments": ["staging", "default"]}"#,
        answers: example!(),
        call: |desk, by, arguments| update_user(desk, by, arguments).boxed(),
    },
    Operation {
        id: "delete_user",
        verb: Verb::Delete,
        path: "/users/{user}",
        needs: Needs::Right(Action::ManageUsers),
        summary: "Remove a user",
        says: "Removes a user: its keys and sessions are good for nothing from then on, and its runs call no tool any more.",
        parameters: &[USER],
        status: 200,
        output: |generator| generator.subschema_for::<wire::User>(),
        sends: "",
        answers: example!(),
        call: |desk, by, arguments| delete_user(desk, by, arguments).boxed(),
    },
    Operation {
        id: "invite_user",
        verb: Verb::Post,
        path: "/users/{user}/invitation",
        needs: Needs::Right(Action::ManageUsers),
        summary: "Invite a user",
        says: "Makes a link by which a user chooses a password, once: the first one, or another where it was forgotten. It takes the place of \
            the one before; the password that there is stays good until the link is used.",
        parameters: &[
            USER,
            Parameter::optional("hours", Kind::Whole(1, 720), "Hours that it is good; 24 if left out."),
        ],
        status: 201,
        output: |generator| generator.subschema_for::<wire::Invitation>(),
        sends: r#"{"hours": 48}"#,
        answers: r#"{"user": "ann", "path": "/welcome#9f…", "expires_at": "2026-11-28T09:30:00Z"}"#,
        call: |desk, by, arguments| invite_user(desk, by, arguments).boxed(),
    },
    Operation {
        id: "accept_invitation",
        verb: Verb::Post,
        path: "/invitations/accept",
        needs: Needs::Nothing,
        summary: "Accept an invitation",
        says: "Sets the password of the user whom a link is for, and signs the browser in, as `create_session` does. The link is good for \
            nothing from then on, and so is every session that there was; with a password that is too short (400) it stays good.",
        parameters: &[
            Parameter::required("invitation", Kind::Text, "What stands behind the `#` of the link."),
            Parameter::required("password", Kind::Text, "The password: 15 characters at least."),
        ],
        status: 201,
        output: |generator| generator.subschema_for::<wire::Caller>(),
        sends: r#"{"invitation": "9f…", "password": "correct horse battery"}"#,
        answers: r#"{"user_id": 2, "name": "ann", "role": "user", "scopes": ["read", "run", "edit", "approve", "admin"]}"#,
        call: |desk, by, arguments| accept_invitation(desk, by, arguments).boxed(),
    },
    Operation {
        id: "delete_sessions",
        verb: Verb::Delete,
        path: "/users/{user}/sessions",
        needs: Needs::Oneself,
        summary: "Sign a user out everywhere",
        says: "Ends every session of a user's browsers.",
        parameters: &[USER],
        status: 200,
        output: |_| {
            json_schema!({
                "type": "object",
                "properties": { "sessions": { "type": "integer", "description": "How many there were." } },
                "required": ["sessions"],
            })
        },
        sends: "",
        answers: r#"{"sessions": 2}"#,
        call: |desk, by, arguments| delete_sessions(desk, by, arguments).boxed(),
    },
    Operation {
        id: "create_api_key",
        verb: Verb::Post,
        path: "/users/{user}/api-keys",
        needs: Needs::Oneself,
        summary: "Make an API key",
        says: "Makes an API key for a user; `secret` is told this once and kept nowhere. To see is in every key.",
        parameters: &[
            USER,
            Parameter::required("name", Kind::Text, "What it is for.").like(forms::user),
            Parameter::optional(
                "scopes",
                Kind::Texts,
                "How much of what its user may: `read`, `run`, `edit`, `approve`, `admin`; all of it if left out.",
            )
            .like(forms::scope),
            Parameter::optional("days", Kind::Whole(1, 36_500), "Days that it holds; for ever if left out."),
        ],
        status: 201,
        output: |generator| generator.subschema_for::<wire::NewApiKey>(),
        sends: r#"{"name": "ci", "scopes": ["run"], "days": 365}"#,
        answers: concat!(r#"{"api_key": "#, key_example!(), r#", "secret": "stn_4_…"}"#),
        call: |desk, by, arguments| create_api_key(desk, by, arguments).boxed(),
    },
    Operation {
        id: "list_api_keys",
        verb: Verb::Get,
        path: "/api-keys",
        needs: Needs::Oneself,
        summary: "List API keys",
        says: "API keys that were not revoked, oldest first, of one user or of all; others than administrators see their own. What \
            they say is told nowhere.",
        parameters: &[
            Parameter::optional("user", Kind::Ref, "Only those of this user, by id or name."),
            LIMIT_GIVEN,
            CURSOR,
        ],
        status: 200,
        output: |generator| page::shape::<wire::ApiKey>("api_keys", generator),
        sends: "",
        answers: concat!(r#"{"api_keys": ["#, key_example!(), r#"], "count": 1, "next": null}"#),
        call: |desk, by, arguments| list_api_keys(desk, by, arguments).boxed(),
    },
    Operation {
        id: "revoke_api_key",
        verb: Verb::Delete,
        path: "/api-keys/{key}",
        needs: Needs::Oneself,
        summary: "Revoke an API key",
        says: "The key is good for nothing from then on.",
        parameters: &[Parameter::required("key", Kind::Id, "An API key, by its id.")],
        status: 200,
        output: |_| json_schema!({ "type": "object", "properties": { "revoked": { "type": "integer" } }, "required": ["revoked"] }),
        sends: "",
        answers: r#"{"revoked": 4}"#,
        call: |desk, by, arguments| revoke_api_key(desk, by, arguments).boxed(),
    },
];

fn named(arguments: &Arguments) -> UserRef {
    UserRef::parse(arguments.must("user"))
}

fn password(arguments: &Arguments) -> Option<Secret> {
    arguments.text("password").map(Secret::new)
}

fn environments(arguments: &Arguments) -> Result<Option<Vec<EnvironmentRef>>> {
    let named = arguments.texts("environments");
    named.map(|all| all.iter().map(|one| EnvironmentRef::parse(one)).collect()).transpose()
}

async fn create_session(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let password = Secret::new(arguments.must("password"));
    let (caller, cookie) = desk.station.create_session(by, arguments.must("name"), &password).await?;
    Ok(Reply::SignedIn { cookie, caller: Box::new(caller) })
}

async fn invite_user(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let hours = arguments.whole("hours").and_then(|hours| u64::try_from(hours).ok());
    let valid_for = hours.map_or(INVITATION_VALID_FOR, |hours| Duration::from_secs(hours * 3600));
    let made = desk.station.invite_user(by, &named(&arguments), valid_for).await?;
    Ok(Reply::once(&wire::Invitation::from(&made)))
}

async fn accept_invitation(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let secret = |name| Secret::new(arguments.must(name));
    let (invitation, password) = (secret("invitation"), secret("password"));
    let (caller, cookie) = desk.station.accept_invitation(by, &invitation, &password).await?;
    Ok(Reply::SignedIn { cookie, caller: Box::new(caller) })
}

async fn list_users(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let filter = UserFilter {
        role: arguments.text("role").map(str::parse).transpose()?,
        environment: arguments.text("environment").map(EnvironmentRef::parse).transpose()?,
    };
    let all = desk.station.list_users(by, &filter).await?;
    let key = |user: &User| user.name.clone();
    Ok(Reply::Body(page::of("users", all, &arguments, key, |user| wire::User::from(user))))
}

async fn create_user(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let new = NewUser {
        name: arguments.must("name").to_owned(),
        role: arguments.must("role").parse()?,
        environments: environments(&arguments)?.unwrap_or_default(),
        password: password(&arguments),
    };
    Ok(Reply::of(&wire::User::from(&desk.station.create_user(by, new).await?)))
}

async fn show_user(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    Ok(Reply::of(&wire::User::from(&desk.station.show_user(by, &named(&arguments)).await?)))
}

async fn update_user(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let edit = UserEdit {
        role: arguments.text("role").map(str::parse).transpose()?,
        environments: environments(&arguments)?,
        password: password(&arguments),
    };
    let user = desk.station.update_user(by, &named(&arguments), edit).await?;
    Ok(Reply::of(&wire::User::from(&user)))
}

async fn delete_user(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    Ok(Reply::of(&wire::User::from(&desk.station.delete_user(by, &named(&arguments)).await?)))
}

async fn delete_sessions(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let sessions = desk.station.delete_sessions(by, &named(&arguments)).await?;
    Ok(Reply::Body(json!({ "sessions": sessions })))
}

async fn create_api_key(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let scopes = arguments.texts("scopes").unwrap_or_default();
    let days = arguments.whole("days").and_then(|days| u64::try_from(days).ok());
    let wish = KeyWish {
        name: arguments.must("name").to_owned(),
        scopes: scopes.iter().map(|scope| scope.parse()).collect::<Result<_>>()?,
        valid_for: days.map(|days| Duration::from_secs(days * 24 * 3600)),
    };
    let (key, secret) = desk.station.create_api_key(by, &named(&arguments), wish).await?;
    let secret = secret.expose().to_owned();
    Ok(Reply::once(&wire::NewApiKey { api_key: wire::ApiKey::from(&key), secret }))
}

async fn list_api_keys(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let of = arguments.text("user").map(UserRef::parse);
    let all = desk.station.list_api_keys(by, of.as_ref()).await?;
    let key = |it: &ApiKey| format!("{:020}", it.id);
    Ok(Reply::Body(page::of("api_keys", all, &arguments, key, |it| wire::ApiKey::from(it))))
}

async fn revoke_api_key(desk: &Desk, by: &Caller, arguments: Arguments) -> Result<Reply> {
    let id = number(arguments.must("key"), "an API key")?;
    desk.station.revoke_api_key(by, id).await?;
    Ok(Reply::Body(json!({ "revoked": id })))
}

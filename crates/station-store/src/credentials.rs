//! What users show to be known: API keys and sessions of browsers, of which only hashes are kept.

use crate::db::{Conn, Row, unreadable};
use crate::turns::Reach;
use crate::users::{end_sessions, note};
use crate::{ROWS_MAX, Store};
use serde_json::json;
use station_core::{Actor, Error, Micros, Result, Scope, UserId};
use std::collections::BTreeSet;

/// How exact `last_used_at` is: a key in use costs one write in so long.
const USED_EVERY_MICROS: i64 = 60_000_000;

/// An API key to be made.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Whose it is.
    pub user: UserId,
    /// What it is for.
    pub name: String,
    /// SHA-256 of its secret part, as hex.
    pub hash: String,
    /// How much of what its user may.
    pub scopes: BTreeSet<Scope>,
    /// When it ends.
    pub expires_at: Option<Micros>,
}

/// An API key as a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its row.
    pub id: i64,
    /// Whose it is.
    pub user: UserId,
    /// That user's name.
    pub user_name: String,
    /// What it is for.
    pub name: String,
    /// How much of what its user may.
    pub scopes: BTreeSet<Scope>,
    /// When it was made.
    pub created_at: Micros,
    /// When it ends.
    pub expires_at: Option<Micros>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<Micros>,
    /// From where that was.
    pub last_used_from: Option<String>,
}

impl ApiKey {
    /// What is said where none of this number holds.
    #[must_use]
    pub fn missing(id: i64) -> Error {
        Error::not_found(format!("API key {id} does not exist, or was revoked already"))
            .with_hint("`stn user key list` shows those that hold")
    }
}

/// Every statement that reads keys ends this list with its own conditions.
macro_rules! select_keys {
    ($rest:literal) => {
        concat!(
            "select k.id, k.user_id, u.name, k.name, k.scopes, k.created_at, k.expires_at, k.last_used_at,
                k.last_used_from
            from api_keys k join users u on u.id = k.user_id where k.revoked_at is null and u.removed_at is null ",
            $rest
        )
    };
}

impl Store {
    /// Keeps an API key; its number.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn create_api_key(&self, new: NewApiKey, actor: impl Into<Actor>, now: Micros) -> Result<i64> {
        let input = (self.shared_context(), new, actor.into(), now);
        self.write_reaching(Reach::Audit(None), input, |conn, (context, new, actor, now)| {
            Box::pin(async move {
                let id = insert(conn, new, *now).await?;
                let detail = json!({
                    "key": id, "name": new.name, "scopes": words(&new.scopes),
                    "expires_at": new.expires_at.map(|at| at.0),
                });
                note(conn, &context.sealer, "create_api_key", new.user, detail, (actor, *now)).await?;
                Ok(id)
            })
        })
        .await
    }

    /// API keys that were not revoked, of one user or of all, oldest first.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn api_keys(&self, user: Option<UserId>) -> Result<Vec<ApiKey>> {
        const SQL: &str =
            select_keys!("and (cast($1 as bigint) is null or k.user_id = $1) order by k.id limit $2");
        let values = vec![user.map(|user| user.0).into(), ROWS_MAX.into()];
        let rows = self.read().await?.rows(SQL, values).await?;
        rows.into_iter().map(read).collect()
    }

    /// The API key whose secret part has this hash, where it was not revoked. It may be over.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn api_key(&self, hash: &str) -> Result<Option<ApiKey>> {
        const SQL: &str = select_keys!("and k.hash = $1");
        self.read().await?.row(SQL, vec![hash.into()]).await?.map(read).transpose()
    }

    /// The API key of this number, where it was not revoked. It may be over.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn api_key_of(&self, id: i64) -> Result<Option<ApiKey>> {
        const SQL: &str = select_keys!("and k.id = $1");
        self.read().await?.row(SQL, vec![id.into()]).await?.map(read).transpose()
    }

    /// Notes that a key was used by `actor`, unless that was noted a moment ago. That it is used from another place than before is
    /// in the audit.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn use_api_key(
        &self,
        key: &ApiKey,
        actor: impl Into<Actor>,
        from: &str,
        now: Micros,
    ) -> Result<()> {
        const SQL: &str = "update api_keys set last_used_at = $2, last_used_from = $3 where id = $1";
        if key.last_used_at.is_some_and(|at| now.0.saturating_sub(at.0) < USED_EVERY_MICROS) {
            return Ok(());
        }
        let is_new = key.last_used_from.as_deref() != Some(from);
        let reach = if is_new { Reach::Audit(None) } else { Reach::Nothing };
        let input = (self.shared_context(), (key.id, key.user), (actor.into(), from.to_owned(), is_new), now);
        self.write_reaching(reach, input, |conn, (context, (id, user), (actor, from, is_new), now)| {
            Box::pin(async move {
                conn.exec(SQL, vec![(*id).into(), now.0.into(), from.as_str().into()]).await?;
                if !*is_new {
                    return Ok(());
                }
                note(conn, &context.sealer, "use_api_key", *user, json!({ "key": id }), (actor, *now)).await
            })
        })
        .await
    }

    /// Revokes an API key: it is good for nothing from then on.
    ///
    /// # Errors
    /// `NotFound` where there is none that holds.
    pub async fn revoke_api_key(&self, id: i64, actor: impl Into<Actor>, now: Micros) -> Result<()> {
        const SQL: &str = "update api_keys set revoked_at = $2 where id = $1 and revoked_at is null
            returning user_id, name";
        let input = (self.shared_context(), id, actor.into(), now);
        self.write_reaching(Reach::Audit(None), input, |conn, (context, id, actor, now)| {
            Box::pin(async move {
                let Some(mut row) = conn.row(SQL, vec![(*id).into(), now.0.into()]).await? else {
                    return Err(ApiKey::missing(*id));
                };
                let user = UserId(row.int()?);
                let detail = json!({"key": id, "name": row.text()?});
                note(conn, &context.sealer, "revoke_api_key", user, detail, (actor, *now)).await
            })
        })
        .await
    }

    /// Keeps a session of a browser, by the hash of what its cookie says; those that are over go.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn create_session(
        &self,
        user: UserId,
        hash: String,
        expires_at: Micros,
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<()> {
        const OVER: &str = "delete from sessions where expires_at <= $1";
        let input = (self.shared_context(), user, hash, expires_at, actor.into(), now);
        self.write_reaching(
            Reach::Audit(None),
            input,
            |conn, (context, user, hash, expires_at, actor, now)| {
                Box::pin(async move {
                    conn.exec(OVER, vec![now.0.into()]).await?;
                    insert_session(conn, *user, hash, *expires_at, *now).await?;
                    note(conn, &context.sealer, "create_session", *user, json!({}), (actor, *now)).await
                })
            },
        )
        .await
    }

    /// Whose session this is, where it is not over.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn session(&self, hash: &str, now: Micros) -> Result<Option<UserId>> {
        const SQL: &str = "select user_id from sessions where hash = $1 and expires_at > $2";
        let row = self.read().await?.row(SQL, vec![hash.into(), now.0.into()]).await?;
        row.map(|mut row| row.int().map(UserId)).transpose()
    }

    /// Ends one session.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn delete_session(&self, hash: &str) -> Result<()> {
        self.write(hash.to_owned(), |conn, hash| {
            Box::pin(async move {
                conn.exec("delete from sessions where hash = $1", vec![hash.as_str().into()]).await.map(drop)
            })
        })
        .await
    }

    /// Ends all sessions of a user; how many there were.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn delete_sessions(&self, user: UserId, actor: impl Into<Actor>, now: Micros) -> Result<u64> {
        let input = (self.shared_context(), user, actor.into(), now);
        self.write_reaching(Reach::Audit(None), input, |conn, (context, user, actor, now)| {
            Box::pin(async move {
                let n = end_sessions(conn, *user).await?;
                note(
                    conn,
                    &context.sealer,
                    "delete_sessions",
                    *user,
                    json!({ "sessions": n }),
                    (actor, *now),
                )
                .await?;
                Ok(n)
            })
        })
        .await
    }
}

/// Keeps a session by the hash of what its cookie says.
pub(crate) async fn insert_session(
    conn: &mut Conn,
    user: UserId,
    hash: &str,
    expires_at: Micros,
    now: Micros,
) -> Result<()> {
    const SQL: &str = "insert into sessions (hash, user_id, created_at, expires_at) values ($1, $2, $3, $4)";
    conn.exec(SQL, vec![hash.into(), user.0.into(), now.0.into(), expires_at.0.into()]).await.map(drop)
}

/// Keeps a key; its number.
pub(crate) async fn insert(conn: &mut Conn, new: &NewApiKey, now: Micros) -> Result<i64> {
    const SQL: &str = "insert into api_keys (user_id, name, hash, scopes, created_at, expires_at)
        values ($1, $2, $3, $4, $5, $6) returning id";
    let values = vec![
        new.user.0.into(),
        new.name.as_str().into(),
        new.hash.as_str().into(),
        words(&new.scopes).into(),
        now.0.into(),
        new.expires_at.map(|at| at.0).into(),
    ];
    conn.row(SQL, values).await?.ok_or_else(|| unreadable("a key without a number"))?.int()
}

fn words(scopes: &BTreeSet<Scope>) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")
}

fn read(mut row: Row) -> Result<ApiKey> {
    let row = &mut row;
    Ok(ApiKey {
        id: row.int()?,
        user: UserId(row.int()?),
        user_name: row.text()?,
        name: row.text()?,
        scopes: row
            .text()?
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_>>()
            .map_err(|_| unreadable("a scope"))?,
        created_at: Micros(row.int()?),
        expires_at: row.opt_int()?.map(Micros),
        last_used_at: row.opt_int()?.map(Micros),
        last_used_from: row.opt_text()?,
    })
}

//! Users: who they are, what they may, and which environments are assigned to them.
//!
//! Each change is in the audit by its own transaction. **Invariant:** where users exist beside the local one, an administrator is
//! among them: the first is one, and the last cannot be made less or removed while there are others, so that nobody is locked out
//! over HTTP.

use crate::audit;
use crate::credentials::{self, NewApiKey};
use crate::db::{Conn, Row, unreadable};
use crate::invitations::end_invitation;
use crate::sealer::Sealer;
use crate::turns::Reach;
use crate::{ROWS_MAX, Store};
use serde_json::{Value as Json, json};
use station_core::{Actor, Caller, EnvironmentId, Error, Micros, Realm, Result, Role, Scope, Secret, UserId};
use std::collections::BTreeMap;

/// A user as a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its row.
    pub id: UserId,
    /// Its name.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// Where: environments by id, with their names. Of an administrator none, who sees all.
    pub environments: BTreeMap<EnvironmentId, String>,
    /// Whether it can sign in with a password.
    pub has_password: bool,
    /// When it was made.
    pub created_at: Micros,
}

/// A user to be made.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Its name.
    pub name: String,
    /// What it may.
    pub role: Role,
    /// Where.
    pub environments: Vec<EnvironmentId>,
    /// Hash of its password (argon2, PHC string); `None` for one that has keys alone.
    pub password_hash: Option<Secret>,
    /// SHA-256 of the secret part of a key that comes with it, as hex.
    pub key_hash: Option<String>,
}

/// What changes of a user; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct UserEdit {
    /// What it may.
    pub role: Option<Role>,
    /// Where: exactly these.
    pub environments: Option<Vec<EnvironmentId>>,
    /// Hash of its password. Its sessions end.
    pub password_hash: Option<Secret>,
}

/// Any user but the local one.
const ANY: &str = "select id from users where removed_at is null and id <> $1 limit 1";

/// Whether the last user may be removed: then HTTP knows the local administrator alone again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// It may go.
    MayGo,
    /// It stays.
    Stays,
}

/// Every statement that reads users ends this list with its own conditions.
macro_rules! select_users {
    ($rest:literal) => {
        concat!(
            "select id, name, role, case when password_hash is null then 0 else 1 end, created_at from users
            where removed_at is null ",
            $rest
        )
    };
}

impl User {
    /// Where it is let.
    #[must_use]
    pub fn realm(&self) -> Realm {
        match self.role {
            Role::Admin => Realm::All,
            Role::User | Role::Viewer => Realm::Of(self.environments.keys().copied().collect()),
        }
    }
}

impl Store {
    /// Every user but the local one, by name.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn users(&self) -> Result<Vec<User>> {
        const SQL: &str = select_users!("and id <> $1 order by name limit $2");
        const ASSIGNED: &str = "select u.user_id, e.id, e.name from user_environments u
            join environments e on e.id = u.environment_id where e.removed_at is null order by u.user_id, e.id limit $1";
        let mut reader = self.read().await?;
        let mut assigned: BTreeMap<UserId, BTreeMap<EnvironmentId, String>> = BTreeMap::new();
        for mut row in reader.rows(ASSIGNED, vec![ROWS_MAX.into()]).await? {
            let (user, environment) = (UserId(row.int()?), EnvironmentId(row.int()?));
            assigned.entry(user).or_default().insert(environment, row.text()?);
        }
        let rows = reader.rows(SQL, vec![Caller::LOCAL_USER.0.into(), ROWS_MAX.into()]).await?;
        let with_places = |row: Row| {
            let user = read(row)?;
            Ok(User { environments: assigned.remove(&user.id).unwrap_or_default(), ..user })
        };
        rows.into_iter().map(with_places).collect()
    }

    /// A user, where it was not removed.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn user(&self, id: UserId) -> Result<Option<User>> {
        const SQL: &str = select_users!("and id = $1");
        const ASSIGNED: &str = "select e.id, e.name from user_environments u
            join environments e on e.id = u.environment_id where u.user_id = $1 and e.removed_at is null limit $2";
        let mut reader = self.read().await?;
        let Some(row) = reader.row(SQL, vec![id.0.into()]).await? else { return Ok(None) };
        let mut user = read(row)?;
        for mut row in reader.rows(ASSIGNED, vec![id.0.into(), ROWS_MAX.into()]).await? {
            user.environments.insert(EnvironmentId(row.int()?), row.text()?);
        }
        Ok(Some(user))
    }

    /// The number of the user of this name, and the hash of its password, where it has one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn user_named(&self, name: &str) -> Result<Option<(UserId, Option<Secret>)>> {
        const SQL: &str =
            "select id, password_hash from users where name = $1 and removed_at is null and id <> $2";
        let row = self.read().await?.row(SQL, vec![name.into(), Caller::LOCAL_USER.0.into()]).await?;
        row.map(|mut row| Ok((UserId(row.int()?), row.opt_text()?.map(Secret::new)))).transpose()
    }

    /// Whether there is any user but the local one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn has_users(&self) -> Result<bool> {
        Ok(self.read().await?.row(ANY, vec![Caller::LOCAL_USER.0.into()]).await?.is_some())
    }

    /// Makes a user, with an API key where one is given. The first must be an administrator.
    ///
    /// # Errors
    /// `Conflict` where there is one of that name, where the first is less, or where the key was used before.
    pub async fn create_user(&self, new: NewUser, actor: impl Into<Actor>, now: Micros) -> Result<UserId> {
        let input = (self.shared_context(), new, actor.into(), now);
        self.write_reaching(Reach::Audit(None), input, |conn, (context, new, actor, now)| {
            Box::pin(create(conn, &context.sealer, new, actor, *now))
        })
        .await
    }

    /// Changes a user.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` where nobody would be left who may do everything.
    pub async fn update_user(
        &self,
        id: UserId,
        edit: UserEdit,
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<()> {
        let input = (self.shared_context(), id, edit, actor.into(), now);
        self.write_reaching(Reach::Audit(None), input, |conn, (context, id, edit, actor, now)| {
            Box::pin(update(conn, &context.sealer, *id, edit, actor, *now))
        })
        .await
    }

    /// Removes a user: its keys are revoked and its sessions end in the same commit.
    ///
    /// # Errors
    /// As [`Store::update_user`].
    pub async fn remove_user(
        &self,
        id: UserId,
        last: Last,
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<()> {
        let input = (self.shared_context(), (id, last), actor.into(), now);
        self.write_reaching(Reach::Audit(None), input, |conn, (context, id, actor, now)| {
            Box::pin(remove(conn, &context.sealer, *id, actor, *now))
        })
        .await
    }
}

async fn create(
    conn: &mut Conn,
    sealer: &Sealer,
    new: &NewUser,
    actor: &Actor,
    now: Micros,
) -> Result<UserId> {
    const SQL: &str = "insert into users (name, role, password_hash, created_at) values ($1, $2, $3, $4)
        on conflict (name) do nothing returning id";
    const USED: &str = "select id from api_keys where hash = $1";
    if new.role != Role::Admin && conn.row(ANY, vec![Caller::LOCAL_USER.0.into()]).await?.is_none() {
        return Err(Error::conflict("the first user must be an administrator")
            .with_hint("make one: `stn user create <name> --admin`"));
    }
    let hash = new.password_hash.as_ref().map(Secret::expose);
    let values = vec![new.name.as_str().into(), new.role.as_str().into(), hash.into(), now.0.into()];
    let Some(mut row) = conn.row(SQL, values).await? else {
        return Err(Error::conflict(format!("user `{}` exists already", new.name))
            .with_hint("`stn user update` changes it"));
    };
    let id = UserId(row.int()?);
    assign(conn, id, &new.environments).await?;
    if let Some(hash) = &new.key_hash {
        if conn.row(USED, vec![hash.as_str().into()]).await?.is_some() {
            return Err(
                Error::conflict("that key was used before, and revoked").with_hint("make another one")
            );
        }
        let (name, hash) = ("first".to_owned(), hash.clone());
        let key = NewApiKey { user: id, name, hash, scopes: Scope::all(), expires_at: None };
        credentials::insert(conn, &key, now).await?;
    }
    let detail = json!({"name": new.name, "role": new.role.as_str(), "environments": ids(&new.environments)});
    note(conn, sealer, "create_user", id, detail, (actor, now)).await?;
    Ok(id)
}

async fn update(
    conn: &mut Conn,
    sealer: &Sealer,
    id: UserId,
    edit: &UserEdit,
    actor: &Actor,
    now: Micros,
) -> Result<()> {
    const SQL: &str =
        "update users set role = coalesce($2, role), password_hash = coalesce($3, password_hash)
        where id = $1 and removed_at is null";
    if edit.role.is_some_and(|role| role != Role::Admin) {
        refuse_last(conn, id, Last::Stays).await?;
    }
    let hash = edit.password_hash.as_ref().map(Secret::expose);
    let values = vec![id.0.into(), edit.role.map(Role::as_str).into(), hash.into()];
    if conn.exec(SQL, values).await? == 0 {
        return Err(no_user(id));
    }
    if let Some(environments) = &edit.environments {
        assign(conn, id, environments).await?;
    }
    if edit.password_hash.is_some() {
        end_invitation(conn, id).await?;
        end_sessions(conn, id).await?;
    }
    let detail = json!({
        "role": edit.role.map(Role::as_str), "environments": edit.environments.as_deref().map(ids),
        "password": edit.password_hash.is_some(),
    });
    note(conn, sealer, "update_user", id, detail, (actor, now)).await
}

async fn remove(
    conn: &mut Conn,
    sealer: &Sealer,
    (id, last): (UserId, Last),
    actor: &Actor,
    now: Micros,
) -> Result<()> {
    // Its name is free from then on: who has it next is somebody else, and none of its runs are theirs.
    const NAME: &str = "select name from users where id = $1 and removed_at is null";
    const SQL: &str = "update users set removed_at = $2, password_hash = null, name = name || ' (removed user ' || $3 || ')'
        where id = $1";
    const REVOKE: &str = "update api_keys set revoked_at = $2 where user_id = $1 and revoked_at is null";
    let Some(mut row) = conn.row(NAME, vec![id.0.into()]).await? else { return Err(no_user(id)) };
    let name = row.text()?;
    refuse_last(conn, id, last).await?;
    conn.exec(SQL, vec![id.0.into(), now.0.into(), id.to_string().into()]).await?;
    conn.exec(REVOKE, vec![id.0.into(), now.0.into()]).await?;
    end_invitation(conn, id).await?;
    end_sessions(conn, id).await?;
    assign(conn, id, &[]).await?;
    note(conn, sealer, "delete_user", id, json!({ "name": name }), (actor, now)).await
}

/// Refuses where `id` is the only administrator. The audit's turn, which every caller holds, makes two at once take theirs one
/// after the other.
async fn refuse_last(conn: &mut Conn, id: UserId, last: Last) -> Result<()> {
    const SQL: &str = "select count(*), sum(case when role = 'admin' then 1 else 0 end),
            sum(case when id = $1 and role = 'admin' then 1 else 0 end)
        from users where removed_at is null and id <> $2";
    let Some(mut row) = conn.row(SQL, vec![id.0.into(), Caller::LOCAL_USER.0.into()]).await? else {
        return Ok(());
    };
    let (users, admins, is_one) = (row.int()?, row.opt_int()?.unwrap_or(0), row.opt_int()?.unwrap_or(0));
    let is_last = admins == 1 && is_one == 1;
    if is_last && !(users == 1 && last == Last::MayGo) {
        return Err(Error::conflict(format!("user {id} is the last administrator"))
            .with_hint("make another one first: `stn user update <name> --role admin`"));
    }
    Ok(())
}

async fn assign(conn: &mut Conn, id: UserId, environments: &[EnvironmentId]) -> Result<()> {
    const CLEAR: &str = "delete from user_environments where user_id = $1";
    const SQL: &str = "insert into user_environments (user_id, environment_id) values ($1, $2)
        on conflict (user_id, environment_id) do nothing";
    conn.exec(CLEAR, vec![id.0.into()]).await?;
    for environment in environments {
        conn.exec(SQL, vec![id.0.into(), environment.0.into()]).await?;
    }
    Ok(())
}

pub(crate) async fn end_sessions(conn: &mut Conn, id: UserId) -> Result<u64> {
    conn.exec("delete from sessions where user_id = $1", vec![id.0.into()]).await
}

/// Puts what was done to a user into the audit.
pub(crate) async fn note(
    conn: &mut Conn,
    sealer: &Sealer,
    action: &'static str,
    user: UserId,
    detail: Json,
    by: (&Actor, Micros),
) -> Result<()> {
    audit::note(conn, sealer, by, action, format!("user {user}"), detail).await
}

fn no_user(id: UserId) -> Error {
    Error::not_found(format!("user {id} does not exist")).with_hint("`stn user list` shows them")
}

fn ids(environments: &[EnvironmentId]) -> Vec<i64> {
    environments.iter().map(|id| id.0).collect()
}

fn read(mut row: Row) -> Result<User> {
    let row = &mut row;
    Ok(User {
        id: UserId(row.int()?),
        name: row.text()?,
        role: row.text()?.parse().map_err(|_| unreadable("a role"))?,
        environments: BTreeMap::new(),
        has_password: row.int()? == 1,
        created_at: Micros(row.int()?),
    })
}

//! Environments, their rules and their variables.

use crate::db::{Conn, Row, unreadable};
use crate::seal::Place;
use crate::sealer::Sealer;
use crate::turns::Reach;
use crate::{Context, ROWS_MAX, Store, audit};
use serde_json::{Value as Json, json};
use station_core::file::rules;
use station_core::{
    Actor, Environment, EnvironmentId, EnvironmentName, Error, Micros, Origin, Result, Secret,
};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Store {
    /// Every environment that was not removed, by name; the built-in one is in no list.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn environments(&self) -> Result<Vec<Environment>> {
        const SQL: &str = "select id, name, description, origin, created_at from environments
            where removed_at is null and name not like '@%' order by name limit $1";
        let rows = self.read().await?.rows(SQL, vec![ROWS_MAX.into()]).await?;
        rows.into_iter().map(read_environment).collect()
    }

    /// Those with an agent in them, by name: of ten thousand, few.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn environments_with_agents(&self) -> Result<Vec<Environment>> {
        const SQL: &str = "select id, name, description, origin, created_at from environments
            where removed_at is null and name not like '@%'
                and id in (select environment_id from agents where removed_at is null)
            order by name limit $1";
        let rows = self.read().await?.rows(SQL, vec![ROWS_MAX.into()]).await?;
        rows.into_iter().map(read_environment).collect()
    }

    /// The environment of this name, where there is one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn environment(&self, name: &str) -> Result<Option<Environment>> {
        const SQL: &str = "select id, name, description, origin, created_at from environments
            where removed_at is null and name = $1";
        let row = self.read().await?.row(SQL, vec![name.into()]).await?;
        row.map(read_environment).transpose()
    }

    /// The environment of this id, where there is one.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn environment_by_id(&self, id: EnvironmentId) -> Result<Option<Environment>> {
        const SQL: &str = "select id, name, description, origin, created_at from environments
            where removed_at is null and id = $1";
        let row = self.read().await?.row(SQL, vec![id.0.into()]).await?;
        row.map(read_environment).transpose()
    }

    /// Makes an environment; one that was removed returns with its id.
    ///
    /// # Errors
    /// `Conflict` where it exists.
    pub async fn create_environment(
        &self,
        name: &EnvironmentName,
        description: &str,
        (origin, workspace_id): (Origin, &str),
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<EnvironmentId> {
        let new = NewEnvironment {
            name: name.clone(),
            description: description.to_owned(),
            origin,
            workspace_id: workspace_id.to_owned(),
            now,
        };
        let input = (self.shared_context(), new, actor.into());
        self.write_reaching(Reach::Audit(None), input, |conn, (context, new, actor)| {
            Box::pin(async move {
                let id = create(conn, new).await?;
                let detail = json!({ "environment": new.name.as_str() });
                note(conn, &context.sealer, "create_environment", id, detail, (actor, new.now)).await?;
                Ok(id)
            })
        })
        .await
    }

    /// Whether an environment belongs to another workspace than this, or to the store alone.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn is_foreign(&self, env: EnvironmentId, workspace_id: &str) -> Result<bool> {
        is_foreign(&mut *self.read().await?, env, workspace_id).await
    }

    /// The text of `environment.yml` as last applied; empty where there is none.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment.
    pub async fn rules(&self, env: EnvironmentId) -> Result<String> {
        rules_of(&mut *self.read().await?, env).await
    }

    /// Fingerprint of the files last applied, as [`Store::see_files`] kept it; `None` where none was.
    ///
    /// # Errors
    /// `NotFound` where there is no such environment.
    pub async fn files_seen(&self, env: EnvironmentId) -> Result<Option<String>> {
        const SQL: &str = "select files_seen from environments where id = $1";
        match self.read().await?.row(SQL, vec![env.0.into()]).await? {
            Some(mut row) => row.opt_text(),
            None => Err(Error::not_found(format!("environment {env} does not exist"))),
        }
    }

    /// Keeps the fingerprint of files that were applied, so that equal ones need not be read again.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn see_files(&self, env: EnvironmentId, fingerprint: &str) -> Result<()> {
        const SQL: &str = "update environments set files_seen = $2 where id = $1";
        self.write((env, fingerprint.to_owned()), |conn, (env, fingerprint)| {
            Box::pin(async move {
                conn.exec(SQL, vec![env.0.into(), fingerprint.as_str().into()]).await?;
                Ok(())
            })
        })
        .await
    }

    /// Describes an environment that has no files.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn describe_environment(
        &self,
        env: EnvironmentId,
        text: &str,
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<()> {
        const SQL: &str = "update environments set description = $2, updated_at = $3 where id = $1";
        let input = (self.shared_context(), env, text.to_owned(), actor.into(), now);
        self.write_reaching(Reach::Audit(None), input, |conn, (context, env, text, actor, now)| {
            Box::pin(async move {
                conn.exec(SQL, vec![env.0.into(), text.as_str().into(), now.0.into()]).await?;
                let detail = json!({ "description": text });
                note(conn, &context.sealer, "update_environment", *env, detail, (actor, *now)).await
            })
        })
        .await
    }

    /// Sets a variable of an environment that has no files, or takes it out.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn put_variable(
        &self,
        env: EnvironmentId,
        name: &str,
        value: Option<&Secret>,
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<()> {
        let input = (self.shared_context(), env, (name.to_owned(), value.cloned()), actor.into(), now);
        self.write_reaching(Reach::Audit(None), input, |conn, (context, env, (name, value), actor, now)| {
            Box::pin(async move {
                let action = match value {
                    Some(value) => {
                        set_variable(conn, context, *env, (name.as_str(), value), *now).await?;
                        "set_variable"
                    }
                    None => {
                        remove_variable(conn, *env, name).await?;
                        "unset_variable"
                    }
                };
                note(conn, &context.sealer, action, *env, json!({ "name": name }), (actor, *now)).await
            })
        })
        .await
    }

    /// The variables of an environment, by name.
    ///
    /// # Errors
    /// `Conflict` where one does not open under this key.
    pub async fn variables(&self, env: EnvironmentId) -> Result<BTreeMap<String, Secret>> {
        variables(&mut *self.read().await?, &self.context().sealer, env).await
    }
}

pub(crate) struct NewEnvironment {
    pub(crate) name: EnvironmentName,
    pub(crate) description: String,
    pub(crate) origin: Origin,
    pub(crate) workspace_id: String,
    pub(crate) now: Micros,
}

async fn create(conn: &mut Conn, new: &NewEnvironment) -> Result<EnvironmentId> {
    insert(conn, new).await?.ok_or_else(|| {
        Error::conflict(format!("environment `{}` exists already", new.name))
            .with_hint("`stn env list` shows all of them")
    })
}

/// Puts what was done to an environment into the audit.
async fn note(
    conn: &mut Conn,
    sealer: &Sealer,
    action: &'static str,
    env: EnvironmentId,
    detail: Json,
    by: (&Actor, Micros),
) -> Result<()> {
    audit::note(conn, sealer, by, action, format!("environment {env}"), detail).await
}

/// `None` where the environment exists; one that was removed is brought back empty of rules.
pub(crate) async fn insert(conn: &mut Conn, new: &NewEnvironment) -> Result<Option<EnvironmentId>> {
    const SQL: &str = "insert into environments
            (name, description, origin, workspace_id, rules, created_at, updated_at)
        values ($1, $2, $3, $4, '', $5, $5)
        on conflict (name) do update set description = excluded.description, origin = excluded.origin,
            workspace_id = excluded.workspace_id, rules = '', files_seen = null, lock_hash = null, lock_source = null,
            updated_at = excluded.updated_at, removed_at = null
            where environments.removed_at is not null
        returning id";
    let values = vec![
        new.name.as_str().into(),
        new.description.as_str().into(),
        new.origin.as_str().into(),
        new.workspace_id.as_str().into(),
        new.now.0.into(),
    ];
    conn.row(SQL, values).await?.map(|mut row| Ok(EnvironmentId(row.int()?))).transpose()
}

/// Whether a row belongs to another workspace, or to the store alone.
pub(crate) async fn is_foreign(conn: &mut Conn, env: EnvironmentId, workspace_id: &str) -> Result<bool> {
    const SQL: &str = "select origin, workspace_id from environments where id = $1";
    let Some(mut row) = conn.row(SQL, vec![env.0.into()]).await? else { return Ok(false) };
    Ok(row.text()? != Origin::File.as_str() || row.text()? != workspace_id)
}

/// The row of an environment that was not removed.
pub(crate) async fn find(conn: &mut Conn, name: &EnvironmentName) -> Result<Option<EnvironmentId>> {
    const SQL: &str = "select id from environments where removed_at is null and name = $1";
    let row = conn.row(SQL, vec![name.as_str().into()]).await?;
    row.map(|mut row| Ok(EnvironmentId(row.int()?))).transpose()
}

pub(crate) async fn rules_of(conn: &mut Conn, env: EnvironmentId) -> Result<String> {
    const SQL: &str = "select rules from environments where removed_at is null and id = $1";
    let row = conn.row(SQL, vec![env.0.into()]).await?;
    row.ok_or_else(|| Error::not_found(format!("environment {env} does not exist")))?.text()
}

/// The rules of an environment; a description in them is the row's from then on.
pub(crate) async fn set_rules(conn: &mut Conn, env: EnvironmentId, source: &str, now: Micros) -> Result<()> {
    const SQL: &str = "update environments set rules = $2, updated_at = $3,
        description = coalesce($4, description) where id = $1";
    let description = rules::read(source, "").0.and_then(|rules| rules.description);
    conn.exec(SQL, vec![env.0.into(), source.into(), now.0.into(), description.into()]).await.map(drop)
}

pub(crate) async fn variables(
    conn: &mut Conn,
    sealer: &Sealer,
    env: EnvironmentId,
) -> Result<BTreeMap<String, Secret>> {
    const SQL: &str = "select name, value from variables where environment_id = $1 order by name limit $2";
    let rows = conn.rows(SQL, vec![env.0.into(), ROWS_MAX.into()]).await?;
    let env = env.to_string();
    rows.into_iter()
        .map(|mut row| {
            let (name, sealed) = (row.text()?, row.bytes()?);
            let value = sealer.open(place(&[&env, &name]), &sealed)?;
            Ok((name, value))
        })
        .collect()
}

pub(crate) async fn set_variable(
    conn: &mut Conn,
    context: &Arc<Context>,
    env: EnvironmentId,
    (name, value): (&str, &Secret),
    now: Micros,
) -> Result<()> {
    const SQL: &str = "insert into variables (environment_id, name, value, updated_at)
        values ($1, $2, $3, $4)
        on conflict (environment_id, name) do update set value = excluded.value, updated_at = excluded.updated_at";
    let sealed = context.sealer.seal(conn, place(&[&env.to_string(), name]), value).await?;
    conn.exec(SQL, vec![env.0.into(), name.into(), sealed.into(), now.0.into()]).await.map(drop)
}

pub(crate) async fn remove_variable(conn: &mut Conn, env: EnvironmentId, name: &str) -> Result<()> {
    const SQL: &str = "delete from variables where environment_id = $1 and name = $2";
    conn.exec(SQL, vec![env.0.into(), name.into()]).await.map(drop)
}

/// Where the value of a variable is sealed to.
pub(crate) fn place<'a>(row: &'a [&'a str]) -> Place<'a> {
    Place { table: "variables", column: "value", row }
}

fn read_environment(mut row: Row) -> Result<Environment> {
    Ok(Environment {
        id: EnvironmentId(row.int()?),
        name: EnvironmentName::stored(&row.text()?)?,
        description: row.text()?,
        origin: read_origin(&row.text()?)?,
        created_at: Micros(row.int()?),
    })
}

pub(crate) fn read_origin(word: &str) -> Result<Origin> {
    Origin::from_word(word).ok_or_else(|| unreadable("an unknown origin"))
}

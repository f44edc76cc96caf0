//! Both ends of a sync: what is stored before it, and its plan applied in one transaction.

use crate::agents::Ownership;
use crate::db::Conn;
use crate::turns::Reach;
use crate::{Context, ROWS_MAX, Store, agents, audit, changes, configs, environments, pins};
use station_core::sync::{Change, Stored, StoredAgent};
use station_core::{Actor, AgentId, EnvironmentId, EnvironmentName, Error, Micros, Origin, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

impl Store {
    /// What the store holds of an environment, as the workspace `workspace_id` sees it.
    ///
    /// # Errors
    /// `Conflict` where a secret does not open under this key.
    pub async fn stored(&self, env: &EnvironmentName, workspace_id: &str) -> Result<Stored> {
        let mut reader = self.read().await?;
        let conn: &mut Conn = &mut reader;
        let Some(id) = environments::find(conn, env).await? else { return Ok(Stored::default()) };
        Ok(Stored {
            environment: Some(id),
            foreign: environments::is_foreign(conn, id, workspace_id).await?,
            rules: environments::rules_of(conn, id).await?,
            lock: pins::lock_of(conn, id).await?,
            variables: environments::variables(conn, &self.context().sealer, id).await?,
            configs: configs::stored(conn, self.context(), id, workspace_id).await?,
            agents: stored_agents(conn, id, workspace_id).await?,
            removed_agents: removed_agents(conn, id).await?,
        })
    }

    /// Applies a plan, all of it or none, and puts each of its changes into the audit.
    ///
    /// # Errors
    /// `NotFound` where the environment neither exists nor is made by the plan.
    pub async fn apply(
        &self,
        env: &EnvironmentName,
        workspace_id: &str,
        changes: &[Change],
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<EnvironmentId> {
        self.apply_as((Origin::File, workspace_id), env, changes, actor.into(), now).await
    }

    /// As [`Store::apply`], for definitions that stand in no file: no sync of any workspace takes them out.
    ///
    /// # Errors
    /// As [`Store::apply`].
    pub async fn apply_without_files(
        &self,
        env: &EnvironmentName,
        changes: &[Change],
        actor: impl Into<Actor>,
        now: Micros,
    ) -> Result<EnvironmentId> {
        self.apply_as((Origin::Store, ""), env, changes, actor.into(), now).await
    }

    async fn apply_as(
        &self,
        (origin, workspace_id): (Origin, &str),
        env: &EnvironmentName,
        changes: &[Change],
        actor: Actor,
        now: Micros,
    ) -> Result<EnvironmentId> {
        let (context, env, workspace_id) = (self.shared_context(), env.clone(), workspace_id.to_owned());
        let apply = Apply { context, env, origin, workspace_id, changes: changes.to_vec(), actor, now };
        self.write_reaching(Reach::Audit(None), apply, |conn, apply| Box::pin(apply_all(conn, apply))).await
    }
}

struct Apply {
    context: Arc<Context>,
    env: EnvironmentName,
    /// Where what is put lives.
    origin: Origin,
    workspace_id: String,
    changes: Vec<Change>,
    actor: Actor,
    now: Micros,
}

async fn apply_all(conn: &mut Conn, apply: &Apply) -> Result<EnvironmentId> {
    if apply.changes.contains(&Change::CreateEnvironment) {
        let new = environments::NewEnvironment {
            name: apply.env.clone(),
            description: String::new(),
            origin: apply.origin,
            workspace_id: apply.workspace_id.clone(),
            now: apply.now,
        };
        // Another process may have made it since the plan was computed: then it is there, which is what was wanted.
        environments::insert(conn, &new).await?;
    }
    let env = environments::find(conn, &apply.env).await?.ok_or_else(|| {
        Error::not_found(format!("environment `{}` does not exist", apply.env))
            .with_hint("`stn env list` shows those that do")
    })?;
    let has_owner = |change: &Change| {
        matches!(
            change,
            Change::SetRules { .. }
                | Change::SetLock { .. }
                | Change::SetVariable { .. }
                | Change::RemoveVariable { .. }
        )
    };
    // A plan has none of these for an environment of others. But it may have been made since, by another workspace.
    if apply.changes.iter().any(has_owner) && environments::is_foreign(conn, env, &apply.workspace_id).await?
    {
        let sentence = format!("environment `{}` belongs to another workspace", apply.env);
        return Err(Error::conflict(sentence).with_hint("use that workspace, or another environment name"));
    }
    let owner =
        Ownership { env, origin: apply.origin, workspace_id: apply.workspace_id.clone(), now: apply.now };
    let mut deeds = Vec::with_capacity(apply.changes.len());
    for change in &apply.changes {
        let agent = apply_one(conn, &apply.context, &owner, change).await?;
        let place = (&apply.env, env);
        deeds.push(changes::told(change, place, agent, (&apply.actor, apply.now)));
    }
    agents::link_sub_agents(conn, env).await?;
    audit::append_all(conn, &apply.context.sealer, &deeds).await?;
    Ok(env)
}

/// The agent that is put, where one is.
async fn apply_one(
    conn: &mut Conn,
    context: &Arc<Context>,
    owner: &Ownership,
    change: &Change,
) -> Result<Option<AgentId>> {
    match change {
        Change::CreateEnvironment => {}
        Change::SetRules { source } => environments::set_rules(conn, owner.env, source, owner.now).await?,
        Change::SetLock { hash, pins } => {
            pins::set(conn, owner.env, hash.as_deref(), pins, owner.now).await?;
        }
        Change::SetVariable { name, value, existed: _ } => {
            environments::set_variable(conn, context, owner.env, (name, value), owner.now).await?;
        }
        Change::RemoveVariable { name } => environments::remove_variable(conn, owner.env, name).await?,
        Change::PutConfig { name, path, source, servers, existed: _, dropped } => {
            let config = configs::Config { name, path, source, servers, dropped };
            configs::put(conn, context, owner, config).await?;
        }
        Change::RemoveConfig { name, servers: _ } => configs::remove(conn, owner, name).await?,
        Change::PutAgent(row) => return agents::put(conn, owner, row).await.map(Some),
        Change::RenameAgent { id, row, from: _ } => agents::rename(conn, owner, *id, row).await?,
        Change::RemoveAgent { id, name: _ } => agents::remove(conn, owner, *id).await?,
    }
    Ok(None)
}

async fn stored_agents(
    conn: &mut Conn,
    env: EnvironmentId,
    workspace_id: &str,
) -> Result<BTreeMap<String, StoredAgent>> {
    const SQL: &str = "select a.name, a.id, s.source, a.origin, a.workspace_id
        from agents a join agent_sources s on s.agent_id = a.id
        where a.environment_id = $1 and a.removed_at is null order by a.name limit $2";
    let rows = conn.rows(SQL, vec![env.0.into(), ROWS_MAX.into()]).await?;
    rows.into_iter()
        .map(|mut row| {
            let (name, id, source) = (row.text()?, AgentId(row.int()?), row.text()?);
            let ours = row.text()? == Origin::File.as_str() && row.text()? == workspace_id;
            Ok((name, StoredAgent { id, source, ours }))
        })
        .collect()
}

async fn removed_agents(conn: &mut Conn, env: EnvironmentId) -> Result<BTreeSet<String>> {
    const SQL: &str = "select name from agents
        where environment_id = $1 and removed_at is not null order by name limit $2";
    let rows = conn.rows(SQL, vec![env.0.into(), ROWS_MAX.into()]).await?;
    rows.into_iter().map(|mut row| row.text()).collect()
}

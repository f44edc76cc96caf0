//! The pinned tools of an environment: by name and hash, as its lock has them.
//!
//! The definitions themselves stay in the lock file, and here is only what the gate compares at every reading of rights; of an
//! environment that lives in the store alone the whole text is here, since it is nowhere else.

use crate::audit::{self, Deed};
use crate::db::Conn;
use crate::turns::Reach;
use crate::{ROWS_MAX, Store};
use station_core::lock::Pin;
use station_core::{BlobHash, EnvironmentId, Micros, Result};
use std::collections::BTreeMap;

impl Store {
    /// Whether an environment has a lock: then every tool that is not as it is pinned is held.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn is_locked(&self, env: EnvironmentId) -> Result<bool> {
        Ok(lock_of(&mut *self.read().await?, env).await?.is_some())
    }

    /// The hashes that the tools of a server are pinned to, by tool.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn pins(&self, env: EnvironmentId, server: &str) -> Result<BTreeMap<String, String>> {
        const SQL: &str = "select tool, hash from tool_pins where environment_id = $1 and server = $2
            order by tool limit $3";
        let values = vec![env.0.into(), server.into(), ROWS_MAX.into()];
        let rows = self.read().await?.rows(SQL, values).await?;
        rows.into_iter().map(|mut row| Ok((row.text()?, row.text()?))).collect()
    }
}

/// A lock that is to stand in the store alone.
#[derive(Clone, Debug)]
pub struct StoredLock {
    /// Its text.
    pub text: String,
    /// What it pins.
    pub pins: Vec<Pin>,
}

impl Store {
    /// The text of the lock of an environment that lives in the store alone; `None` where it has none.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn lock_source(&self, env: EnvironmentId) -> Result<Option<String>> {
        lock_source(&mut *self.read().await?, env).await
    }

    /// Gives an environment that lives in the store alone this lock, where it has that of `before` still; whether it did. `deed`
    /// is told with it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn put_lock(
        &self,
        env: EnvironmentId,
        before: Option<String>,
        lock: StoredLock,
        deed: Deed,
    ) -> Result<bool> {
        const SQL: &str = "update environments set lock_source = $2 where id = $1";
        let given = (self.shared_context(), env, before, lock, deed);
        self.write_reaching(Reach::Audit(None), given, |conn, (context, env, before, lock, deed)| {
            Box::pin(async move {
                if lock_source(conn, *env).await? != *before {
                    return Ok(false);
                }
                let hash = BlobHash::of(lock.text.as_bytes()).to_string();
                set(conn, *env, Some(&hash), &lock.pins, deed.at).await?;
                conn.exec(SQL, vec![env.0.into(), lock.text.as_str().into()]).await?;
                audit::append(conn, &context.sealer, deed).await?;
                Ok(true)
            })
        })
        .await
    }
}

async fn lock_source(conn: &mut Conn, env: EnvironmentId) -> Result<Option<String>> {
    const SQL: &str = "select lock_source from environments where id = $1";
    match conn.row(SQL, vec![env.0.into()]).await? {
        Some(mut row) => row.opt_text(),
        None => Ok(None),
    }
}

/// The hash of the lock file as last applied.
pub(crate) async fn lock_of(conn: &mut Conn, env: EnvironmentId) -> Result<Option<String>> {
    const SQL: &str = "select lock_hash from environments where id = $1";
    match conn.row(SQL, vec![env.0.into()]).await? {
        Some(mut row) => row.opt_text(),
        None => Ok(None),
    }
}

/// Writes all pins anew.
pub(crate) async fn set(
    conn: &mut Conn,
    env: EnvironmentId,
    hash: Option<&str>,
    pins: &[Pin],
    now: Micros,
) -> Result<()> {
    const LOCK: &str = "update environments set lock_hash = $2, updated_at = $3 where id = $1";
    const CLEAR: &str = "delete from tool_pins where environment_id = $1";
    const INSERT: &str = "insert into tool_pins (environment_id, server, tool, hash) values ($1, $2, $3, $4)";
    conn.exec(LOCK, vec![env.0.into(), hash.into(), now.0.into()]).await?;
    conn.exec(CLEAR, vec![env.0.into()]).await?;
    for pin in pins {
        let values = vec![
            env.0.into(),
            pin.server.as_str().into(),
            pin.tool.as_str().into(),
            pin.hash.as_str().into(),
        ];
        conn.exec(INSERT, values).await?;
    }
    Ok(())
}

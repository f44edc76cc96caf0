//! The audit: who decided what, when, kept as a chain.
//!
//! Each row holds the hash of the one before it, so a row that was changed, moved or taken out breaks the chain from
//! there on ([`Store::check_audit`] finds the place). It proves nothing against somebody who rewrites all of it; for
//! that the newest hash must be kept elsewhere. **Invariant:** [`append`] is the only writer, its caller holds the
//! audit's turn (`Reach::Audit`), and it stands in the transaction of what it tells.

use crate::db::{Conn, Row, storable, unreadable};
use crate::{ROWS_MAX, Store};
use sha2::{Digest as _, Sha256};
use station_core::{Micros, Result};

/// What is put into the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deed {
    pub(crate) at: Micros,
    /// The caller, and the user of the operating system where there is one.
    pub(crate) actor: String,
    /// A verb of the engine: `approve`, `settle_effect`, …
    pub(crate) action: &'static str,
    /// What it was done to: `approval 3`.
    pub(crate) subject: String,
    /// JSON, no secrets.
    pub(crate) detail: String,
}

/// One row of the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its place: 1, 2, 3, … without gaps.
    pub seq: i64,
    /// When.
    pub at: Micros,
    /// Who.
    pub actor: String,
    /// What was done: a verb.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More of it: JSON, no secrets.
    pub detail: String,
    /// Hash of the row before; empty for the first.
    pub previous: String,
    /// Hash of this row: SHA-256 over all of the above, each part with its length before it.
    pub hash: String,
}

impl AuditEntry {
    fn expected_hash(&self) -> String {
        let (seq, at) = (self.seq.to_string(), self.at.0.to_string());
        let parts = [&seq, &at, &self.actor, &self.action, &self.subject, &self.detail, &self.previous];
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hex::encode(hash.finalize())
    }
}

impl Store {
    /// The audit, newest first: at most `limit` rows before `before`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn audit(&self, before: Option<i64>, limit: u32) -> Result<Vec<AuditEntry>> {
        const SQL: &str = "select seq, at, actor, action, subject, detail, previous, hash from audit
            where cast($1 as bigint) is null or seq < $1 order by seq desc limit $2";
        let rows = self.read().await?.rows(SQL, vec![before.into(), i64::from(limit).into()]).await?;
        rows.into_iter().map(read).collect()
    }

    /// Goes through the whole chain. `None` where it holds, else the place of the first row that does not continue it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn check_audit(&self) -> Result<Option<i64>> {
        const SQL: &str = "select seq, at, actor, action, subject, detail, previous, hash from audit
            where seq > $1 order by seq limit $2";
        let (mut seq, mut hash) = (0, String::new());
        loop {
            let rows = self.read().await?.rows(SQL, vec![seq.into(), ROWS_MAX.into()]).await?;
            if rows.is_empty() {
                return Ok(None);
            }
            for row in rows {
                let entry = read(row)?;
                if entry.seq != seq + 1 || entry.previous != hash || entry.hash != entry.expected_hash() {
                    return Ok(Some(seq + 1));
                }
                (seq, hash) = (entry.seq, entry.hash);
            }
        }
    }
}

/// Continues the chain.
pub(crate) async fn append(conn: &mut Conn, deed: &Deed) -> Result<()> {
    const LAST: &str = "select seq, hash from audit order by seq desc limit 1";
    const SQL: &str = "insert into audit (seq, at, actor, action, subject, detail, previous, hash)
        values ($1, $2, $3, $4, $5, $6, $7, $8)";
    let (seq, previous) = match conn.row(LAST, Vec::new()).await? {
        Some(mut row) => (row.int()?, row.text()?),
        None => (0, String::new()),
    };
    let mut entry = AuditEntry {
        seq: seq.checked_add(1).ok_or_else(|| unreadable("an audit without end"))?,
        at: deed.at,
        actor: storable(&deed.actor),
        action: deed.action.to_owned(),
        subject: storable(&deed.subject),
        detail: storable(&deed.detail),
        previous,
        hash: String::new(),
    };
    entry.hash = entry.expected_hash();
    let values = vec![
        entry.seq.into(),
        entry.at.0.into(),
        entry.actor.into(),
        entry.action.into(),
        entry.subject.into(),
        entry.detail.into(),
        entry.previous.into(),
        entry.hash.into(),
    ];
    conn.exec(SQL, values).await?;
    Ok(())
}

fn read(mut row: Row) -> Result<AuditEntry> {
    let row = &mut row;
    Ok(AuditEntry {
        seq: row.int()?,
        at: Micros(row.int()?),
        actor: row.text()?,
        action: row.text()?,
        subject: row.text()?,
        detail: row.text()?,
        previous: row.text()?,
        hash: row.text()?,
    })
}

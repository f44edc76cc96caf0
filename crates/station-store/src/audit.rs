//! The audit: who decided what, when, kept as a chain.
//!
//! Each row holds the hash of the one before it, so a row that was changed, moved or taken out breaks the chain from
//! there on ([`Store::check_audit`] finds the place). Where the chain ends is kept beside it, sealed, so that its end
//! cannot be cut off either by somebody who has no key. It proves nothing against who puts back an older copy of both, or
//! has the key; for that place and hash of the newest row must be noted elsewhere. **Invariant:** [`append_all`] is the only
//! writer, its caller holds the audit's turn (`Reach::Audit`), and it stands in the transaction of what it tells. What tells of no
//! row here, calls that the gateway passes on, may come in groups ([`Store::note_deeds`]).

use crate::db::{Conn, Row, storable, unreadable};
use crate::reseal;
use crate::seal::Place;
use crate::sealer::Sealer;
use crate::{ROWS_MAX, Store};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use station_core::{Actor, Micros, Result, Secret};
use std::fmt;

/// What is put into the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// When it was done; written it may be a moment later.
    pub at: Micros,
    /// Who, and from where.
    pub actor: Actor,
    /// A verb of the engine: `approve`, `settle_effect`, …
    pub action: &'static str,
    /// What it was done to: `approval 3`.
    pub subject: String,
    /// JSON, no secrets.
    pub detail: String,
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
    /// From where; `None` where nobody asked, and of rows of older Stations.
    pub from: Option<String>,
    /// What was done: a verb.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More of it: JSON, no secrets.
    pub detail: String,
    /// Hash of the row before; empty for the first.
    pub previous: String,
    /// Hash of this row: SHA-256 over place, time, actor, action, subject, detail, the hash before, and from where if that is
    /// told, each part with its length before it.
    pub hash: String,
}

/// Which rows are wanted; `None` means any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of what exactly this one did.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// Of what was done to exactly this: `approval 3`.
    pub subject: Option<String>,
    /// Of what was done at this time or later.
    pub since: Option<Micros>,
    /// Of what was done before this time.
    pub until: Option<Micros>,
    /// Older than this one: the next page.
    pub before: Option<i64>,
}

/// The newest row of the audit: whoever notes it elsewhere sees later whether it is still there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditHead {
    /// Its place; 0 where there is none.
    pub seq: i64,
    /// Its hash; empty where there is none.
    pub hash: String,
}

/// Why the audit is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditFault {
    /// At this place a row was changed, put in or taken out.
    Row(i64),
    /// Its end was cut off.
    Cut {
        /// The place of the newest row.
        kept: i64,
        /// The place of the newest row that is there.
        found: i64,
    },
    /// Where it ends is not known any more: that was changed or taken out.
    Head,
    /// This was decided, and the audit does not tell of it.
    Untold(String),
}

/// Rows in the order of the chain.
const AFTER: &str = "select seq, at, actor, action, subject, detail, previous, hash, asked_from from audit
    where seq > $1 order by seq limit $2";

impl fmt::Display for AuditFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Row(seq) => {
                write!(f, "the audit is broken at {seq}: a row was changed, put in or taken out")
            }
            Self::Cut { kept, found } => {
                write!(
                    f,
                    "the end of the audit was cut off: it went on to {kept}, and the last row is {found}"
                )
            }
            Self::Head => f.write_str("where the audit ends is not known: that was changed or taken out"),
            Self::Untold(subject) => write!(f, "{subject} was decided, and the audit does not tell of it"),
        }
    }
}

impl AuditEntry {
    fn expected_hash(&self) -> String {
        let (seq, at) = (self.seq.to_string(), self.at.0.to_string());
        let parts = [&seq, &at, &self.actor, &self.action, &self.subject, &self.detail, &self.previous];
        let mut hash = Sha256::new();
        // Last, so that rows that older Stations wrote have the hash that they had.
        for part in parts.into_iter().chain(&self.from) {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hex::encode(hash.finalize())
    }
}

impl Store {
    /// The audit, newest first, at most `limit` rows.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn audit(&self, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditEntry>> {
        const SQL: &str =
            "select seq, at, actor, action, subject, detail, previous, hash, asked_from from audit
            where (cast($1 as bigint) is null or seq < $1)
                and (cast($2 as text) is null or actor = $2)
                and (cast($3 as text) is null or action = $3)
                and (cast($4 as text) is null or subject = $4)
                and (cast($5 as bigint) is null or at >= $5)
                and (cast($6 as bigint) is null or at < $6)
            order by seq desc limit $7";
        let values = vec![
            filter.before.into(),
            filter.actor.as_deref().into(),
            filter.action.as_deref().into(),
            filter.subject.as_deref().into(),
            filter.since.map(|at| at.0).into(),
            filter.until.map(|at| at.0).into(),
            i64::from(limit).into(),
        ];
        let rows = self.read().await?.rows(SQL, values).await?;
        rows.into_iter().map(read).collect()
    }

    /// The audit, oldest first: at most `limit` rows after `after`.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn audit_after(&self, after: i64, limit: u32) -> Result<Vec<AuditEntry>> {
        let rows = self.read().await?.rows(AFTER, vec![after.into(), i64::from(limit).into()]).await?;
        rows.into_iter().map(read).collect()
    }

    /// Goes through the whole chain, to its end as it is kept, and looks for decisions that are not in it.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn check_audit(&self) -> Result<Result<AuditHead, AuditFault>> {
        let mut at = AuditHead::default();
        loop {
            // Before the rows: those of decisions made meanwhile are then beyond it, and are looked at again.
            let Some(head) = self.audit_head().await? else { return Ok(Err(AuditFault::Head)) };
            let before = at.seq;
            if let Some(fault) = self.walk_audit(&mut at).await? {
                return Ok(Err(fault));
            }
            if at.seq < head.seq {
                return Ok(Err(AuditFault::Cut { kept: head.seq, found: at.seq }));
            }
            if at.seq > head.seq && at.seq > before {
                continue;
            }
            if at != head {
                return Ok(Err(AuditFault::Row(head.seq.saturating_add(1).min(at.seq))));
            }
            return Ok(self.untold().await?.map_or(Ok(head), |subject| Err(AuditFault::Untold(subject))));
        }
    }

    /// Goes on from `at` to the last row; the first one that does not continue the chain.
    async fn walk_audit(&self, at: &mut AuditHead) -> Result<Option<AuditFault>> {
        loop {
            let rows = self.read().await?.rows(AFTER, vec![at.seq.into(), ROWS_MAX.into()]).await?;
            if rows.is_empty() {
                return Ok(None);
            }
            for row in rows {
                let entry = read(row)?;
                if entry.seq != at.seq + 1 || entry.previous != at.hash || entry.hash != entry.expected_hash()
                {
                    return Ok(Some(AuditFault::Row(at.seq + 1)));
                }
                *at = AuditHead { seq: entry.seq, hash: entry.hash };
            }
        }
    }

    /// The kept end of the chain; `None` where it is not one that was kept.
    async fn audit_head(&self) -> Result<Option<AuditHead>> {
        let sealer = &self.context().sealer;
        let sealed = sealed_head(&mut *self.read().await?, sealer).await?;
        Ok(open_head(&sealed, sealer))
    }

    /// A decision that the audit does not tell of. Expiry is no decision of anybody, and older Stations did not tell it.
    async fn untold(&self) -> Result<Option<String>> {
        const SQL: &str = "select 'approval ' || cast(id as text) from approvals
            where (status in ('approved', 'denied') or decided_by is not null)
                and ('approval ' || cast(id as text), coalesce(decided_by, ''),
                    case status when 'denied' then 'deny' else 'approve' end)
                not in (select subject, actor, substr(action, 1, 7) from audit)
            union all select 'standing approval ' || cast(id as text) from standing_approvals
            where revoked_at is not null and ('standing approval ' || cast(id as text), coalesce(revoked_by, ''))
                not in (select subject, actor from audit where action = 'revoke_approval')
            union all select 'effect ' || effect_id from settlements
            where ('effect ' || effect_id, settled_by)
                not in (select subject, actor from audit where action = 'settle_effect')
            order by 1 limit 1";
        self.read().await?.row(SQL, Vec::new()).await?.map(|mut row| row.text()).transpose()
    }
}

/// What a row names as the one before it where the end of the chain is lost: the hash of none.
const LOST: &str = "lost";

const HEAD: &str = "select head from audit_head where id = 1";

const HEAD_PLACE: Place<'static> = Place { table: "audit_head", column: "head", row: &["1"] };

/// Keeps the end of the chain as it is found: of a store that is made, or kept none until now.
pub(crate) async fn begin(conn: &mut Conn, sealer: &Sealer) -> Result<()> {
    let (seq, hash) = last(conn).await?;
    keep(conn, sealer, &[], &AuditHead { seq, hash }).await
}

/// Keeps where the chain ends, under the key of what was kept before: the audit's turn is held, so the key's name in the
/// store need not be asked for.
async fn keep(conn: &mut Conn, sealer: &Sealer, replaced: &[u8], head: &AuditHead) -> Result<()> {
    const SQL: &str = "insert into audit_head (id, head) values (1, $1)
        on conflict (id) do update set head = excluded.head";
    let text = Secret::new(format!("{} {}", head.seq, head.hash));
    let sealed = sealer.seal_like(replaced, HEAD_PLACE, &text)?;
    conn.exec(SQL, vec![sealed.into()]).await.map(drop)
}

fn open_head(sealed: &[u8], sealer: &Sealer) -> Option<AuditHead> {
    let head = sealer.open(HEAD_PLACE, sealed).ok()?;
    let (seq, hash) = head.expose().split_once(' ')?;
    Some(AuditHead { seq: seq.parse().ok()?, hash: hash.to_owned() })
}

/// The kept end as it stands in its row; empty where there is none.
async fn sealed_head(conn: &mut Conn, sealer: &Sealer) -> Result<Vec<u8>> {
    let Some(mut row) = conn.row(HEAD, Vec::new()).await? else { return Ok(Vec::new()) };
    let sealed = row.bytes()?;
    if !sealer.knows_key_of(&sealed) {
        // The key was rotated, and this Station has not heard of the new one: the end is not lost.
        sealer.use_key(&reseal::key_names(conn).await?.key)?;
    }
    Ok(sealed)
}

/// Seals the kept end anew, as a part of changing the key that the store names. The audit's turn is held.
pub(crate) async fn reseal_head(conn: &mut Conn, sealer: &Sealer) -> Result<()> {
    let sealed = sealed_head(conn, sealer).await?;
    match open_head(&sealed, sealer) {
        Some(head) => keep(conn, sealer, &[], &head).await,
        // What is lost stays lost: it is told by whoever checks the audit.
        None => Ok(()),
    }
}

async fn last(conn: &mut Conn) -> Result<(i64, String)> {
    const LAST: &str = "select seq, hash from audit order by seq desc limit 1";
    Ok(match conn.row(LAST, Vec::new()).await? {
        Some(mut row) => (row.int()?, row.text()?),
        None => (0, String::new()),
    })
}

/// Continues the chain from its kept end. Where rows and end do not fit together, what is appended does not fit either: a
/// decision is not held up by that, and no later one mends it.
pub(crate) async fn append(conn: &mut Conn, sealer: &Sealer, deed: &Deed) -> Result<()> {
    append_all(conn, sealer, std::slice::from_ref(deed)).await
}

/// As [`append`], of what was done to `subject` by `actor` just now.
pub(crate) async fn note(
    conn: &mut Conn,
    sealer: &Sealer,
    (actor, at): (&Actor, Micros),
    action: &'static str,
    subject: String,
    detail: Json,
) -> Result<()> {
    let deed = Deed { at, actor: actor.clone(), action, subject, detail: detail.to_string() };
    append(conn, sealer, &deed).await
}

/// As [`append`], several in their order: its end is read and kept once for all of them.
pub(crate) async fn append_all(conn: &mut Conn, sealer: &Sealer, deeds: &[Deed]) -> Result<()> {
    const SQL: &str =
        "insert into audit (seq, at, actor, action, subject, detail, previous, hash, asked_from)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let sealed = sealed_head(conn, sealer).await?;
    let head = open_head(&sealed, sealer);
    let seq = last(conn).await?.0.max(head.as_ref().map_or(0, |head| head.seq));
    let mut end = AuditHead { seq, hash: head.map_or_else(|| LOST.to_owned(), |head| head.hash) };
    for deed in deeds {
        let mut entry = AuditEntry {
            seq: end.seq.checked_add(1).ok_or_else(|| unreadable("an audit without end"))?,
            at: deed.at,
            actor: storable(&deed.actor.name),
            from: deed.actor.from.as_deref().map(storable),
            action: deed.action.to_owned(),
            subject: storable(&deed.subject),
            detail: storable(&deed.detail),
            previous: std::mem::take(&mut end.hash),
            hash: String::new(),
        };
        entry.hash = entry.expected_hash();
        end = AuditHead { seq: entry.seq, hash: entry.hash.clone() };
        let values = vec![
            entry.seq.into(),
            entry.at.0.into(),
            entry.actor.into(),
            entry.action.into(),
            entry.subject.into(),
            entry.detail.into(),
            entry.previous.into(),
            entry.hash.into(),
            entry.from.into(),
        ];
        conn.exec(SQL, values).await?;
    }
    if deeds.is_empty() { Ok(()) } else { keep(conn, sealer, &sealed, &end).await }
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
        from: row.opt_text()?,
    })
}

//! Approvals: list, show, approve, deny, revoke; and settling what became of a call that nobody knows about.

use crate::{Station, prepare};
use serde_json::json;
use station_core::{Action, Caller, EffectId, Error, Kind, Result, RunId};
use station_store::{
    Approval, ApprovalFilter, AuditEntry, AuditFault, AuditFilter, AuditHead, Run, Say, Settlement,
    StandingApproval,
};

impl Settled {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Done, Self::NotDone];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::NotDone => "not_done",
        }
    }

    /// What a word means.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

/// What a person says became of a call whose outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It took effect.
    Done,
    /// It did not, and is sent again.
    NotDone,
}

impl Station {
    /// Questions to people, at most `limit`: those that wait, oldest first; others, newest first. Those whose time is over are ended
    /// first: no worker may be there.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_approvals(
        &self,
        by: &Caller,
        filter: &ApprovalFilter,
        limit: u32,
    ) -> Result<Vec<Approval>> {
        by.may(Action::ReadApprovals)?;
        self.store().expire_approvals(self.now()).await?;
        let filter = ApprovalFilter { seen_by: by.seen_by(), ..filter.clone() };
        self.store().approvals(&filter, limit).await
    }

    /// One question, with what the call would do.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn show_approval(&self, by: &Caller, id: i64) -> Result<Approval> {
        by.may(Action::ReadApprovals)?;
        self.find_approval(by, id).await
    }

    /// The approval that `by` means: of an environment it sees, or of a run of its own.
    async fn find_approval(&self, by: &Caller, id: i64) -> Result<Approval> {
        let approval = self.store().approval(id).await?;
        if by.sees(approval.environment_id) {
            return Ok(approval);
        }
        let Some(run) = approval.run() else { return Err(Approval::missing(id)) };
        match self.find_run(by, run).await {
            Ok(_) => Ok(approval),
            Err(error) if error.kind() == Kind::NotFound => Err(Approval::missing(id)),
            Err(error) => Err(error),
        }
    }

    /// Says yes: to this call, or to every call of its tool by its agent.
    ///
    /// # Errors
    /// `Forbidden` without the right `approve`; `NotFound`; `Conflict` where it was decided already, or is over.
    pub async fn approve(&self, by: &Caller, id: i64, how: Yes) -> Result<Approval> {
        let say = match how {
            Yes::Once => Say::Once,
            Yes::Always => Say::Always,
        };
        self.decide(by, id, say).await
    }

    /// Says no; the model is told so, with the reason.
    ///
    /// # Errors
    /// As [`Station::approve`].
    pub async fn deny(&self, by: &Caller, id: i64, reason: String) -> Result<Approval> {
        self.decide(by, id, Say::Deny { reason }).await
    }

    async fn decide(&self, by: &Caller, id: i64, say: Say) -> Result<Approval> {
        by.may(Action::Approve)?;
        self.find_approval(by, id).await?;
        self.store().decide(id, say, by.actor(), self.now()).await?;
        self.store().approval(id).await
    }

    /// Every standing yes, oldest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_standing_approvals(&self, by: &Caller) -> Result<Vec<StandingApproval>> {
        by.may(Action::ReadApprovals)?;
        self.store().standing_approvals(by.seen_by()).await
    }

    /// Takes a standing yes back.
    ///
    /// # Errors
    /// `Forbidden` without the right `approve`; `NotFound` where none of this number holds.
    pub async fn revoke_standing_approval(&self, by: &Caller, id: i64) -> Result<()> {
        by.may(Action::Approve)?;
        if by.seen_by().is_some() && self.list_standing_approvals(by).await?.iter().all(|it| it.id != id) {
            return Err(StandingApproval::missing(id));
        }
        self.store().revoke_standing_approval(id, by.actor(), self.now()).await
    }

    /// Says what became of a call for which a run waits. `effect` is its id, or the end of it, as long as that is
    /// unambiguous; `note` is told to the model besides.
    ///
    /// # Errors
    /// `Forbidden` without the right `approve`; `NotFound`; `Conflict` where no such call waits for a person.
    pub async fn settle_effect(
        &self,
        by: &Caller,
        run: RunId,
        effect: &str,
        settled: Settled,
        note: String,
    ) -> Result<Run> {
        by.may(Action::Approve)?;
        let unsettled = self.show_run(by, run).await?.unsettled;
        let ending = effect.to_ascii_lowercase();
        let fits: Vec<EffectId> = unsettled
            .iter()
            .copied()
            .filter(|id| !ending.is_empty() && id.to_string().ends_with(&ending))
            .collect();
        let [id] = fits[..] else { return Err(not_one(run, effect, &unsettled, fits.len())) };
        let settlement = Settlement { effect: id, done: settled == Settled::Done, note, by: by.actor() };
        self.store().settle(run, settlement, self.now()).await?;
        Ok(self.show_run(by, run).await?.run)
    }

    /// Calls of which a person must say what became of them.
    pub(crate) async fn unsettled(&self, journal: &[station_core::run::Entry]) -> Result<Vec<EffectId>> {
        let Some(machine) = prepare::refold(self, journal).await? else { return Ok(Vec::new()) };
        Ok(if machine.is_stopping() { Vec::new() } else { machine.unsettled() })
    }

    /// The audit, newest first: at most `limit` rows.
    ///
    /// # Errors
    /// The store's.
    pub async fn list_audit(&self, by: &Caller, filter: &AuditFilter, limit: u32) -> Result<Vec<AuditEntry>> {
        by.may(Action::ReadAudit)?;
        self.store().audit(filter, limit).await
    }

    /// The audit, oldest first: at most `limit` rows after `after`. For a copy elsewhere that goes on where it ended. That these
    /// rows were taken out is a row of its own.
    ///
    /// # Errors
    /// The store's.
    pub async fn export_audit(&self, by: &Caller, after: i64, limit: u32) -> Result<Vec<AuditEntry>> {
        by.may(Action::ReadAudit)?;
        let rows = self.store().audit_after(after, limit).await?;
        if let Some(last) = rows.last() {
            let detail = json!({ "after": after, "to": last.seq });
            self.store().note_deed("export_audit", "the audit", detail, by.actor(), self.now()).await?;
        }
        Ok(rows)
    }

    /// Goes through the audit's whole chain: its newest row where it holds, else what is wrong with it.
    ///
    /// # Errors
    /// The store's.
    pub async fn check_audit(&self, by: &Caller) -> Result<Result<AuditHead, AuditFault>> {
        by.may(Action::ReadAudit)?;
        self.store().check_audit().await
    }
}

/// How far a yes goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Yes {
    /// For this call.
    Once,
    /// For every call of this tool by this agent, as long as the tool is defined as it is now.
    Always,
}

fn not_one(run: RunId, effect: &str, unsettled: &[EffectId], n_fit: usize) -> Error {
    let waiting = unsettled.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if n_fit > 1 {
        return Error::conflict(format!("`{effect}` is the end of several ids of run {run}"))
            .with_hint(format!("give more of it; these wait: {waiting}"));
    }
    if unsettled.is_empty() {
        return Error::conflict(format!("no call of run {run} waits to be settled"))
            .with_hint(format!("see it with `stn runs inspect {run}`"));
    }
    Error::not_found(format!("no call `{effect}` of run {run} waits to be settled"))
        .with_hint(format!("these do: {waiting}"))
}

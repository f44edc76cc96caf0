//! What a run has to do with budgets, folded: what is reserved for the request that is out.

use super::{Event, Machine};
use crate::EffectId;
use crate::budget::{Account, Amounts};

/// Room that was made for a request that is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The request.
    pub id: EffectId,
    /// Where.
    pub accounts: Vec<Account>,
    /// How much, in each of them.
    pub amounts: Amounts,
    /// What it counts as where its answer is not seen.
    pub expected: Amounts,
}

impl Machine {
    /// What is reserved and not settled. Where its request is not out any more, it was lost and is to be charged.
    #[must_use]
    pub fn reservation(&self) -> Option<&Reservation> {
        self.reserved.as_ref()
    }

    pub(super) fn fold_budget(&mut self, event: &Event) {
        match event {
            Event::BudgetReserved { id, accounts, amounts, expected } => {
                let (accounts, expected) = (accounts.clone(), expected.unwrap_or(*amounts));
                self.reserved = Some(Reservation { id: *id, accounts, amounts: *amounts, expected });
            }
            Event::BudgetSettled { .. } => self.reserved = None,
            _ => {}
        }
    }
}

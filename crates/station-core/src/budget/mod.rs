//! Budgets: what runs may spend, and when they have to stop for a person or for the next day.
//!
//! A limit is written for a scope and a period; the claims of a run are the accounts that its limits open, each with
//! the strictest cap of all who wrote one. A request to a model is reserved with an estimate before it is sent and
//! settled with what it cost; a tool call is spent when it is sent. **Invariants:** money is whole micro-USD, never a
//! fraction; an account is let go on only while what is spent and reserved has not reached its cap, so it ends over it
//! by one reservation at most; more limits never allow more. What it is not: no clock and no ledger are here; the store
//! keeps the ledger, and time comes as a parameter.

mod amount;
mod claim;
mod estimate;
mod measured;
mod price;
#[cfg(test)]
mod tests;

pub(crate) use amount::parse_micros;
pub use amount::{Amounts, Caps, Measure};
pub use claim::{
    Account, Ancestor, CROWDED_FOR_MS, Claim, Limit, Limits, Period, Room, Scope, Standing, claims, culprit,
    day_end, day_of, is_limited_in, measure_of, room, sentence,
};
pub use estimate::{OUTPUT_TOKENS, charged_for, estimate, usage_of};
pub use measured::{Measured, held_alone};
pub use price::{Price, Prices};

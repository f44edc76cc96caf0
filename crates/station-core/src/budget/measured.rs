//! What requests to a model really took, beside their estimates: later ones are reserved by the worst seen.

use super::{Amounts, Claim, Measure};
use crate::Usage;

/// One, in thousandths.
const ONE: u64 = 1_000;

/// How far a model's counts were above the estimates, in thousandths of those: the highest seen, and never below one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    input: u64,
    output: u64,
}

impl Measured {
    /// After a request that was estimated at `estimate` took `usage`.
    #[must_use]
    pub fn after(before: Option<Self>, estimate: &Usage, usage: &Usage) -> Self {
        let before = before.unwrap_or(Self { input: ONE, output: ONE });
        let of = |usage: u64, estimate: u64| usage.saturating_mul(ONE).div_ceil(estimate.max(1));
        Self {
            input: before.input.max(of(usage.input, estimate.input)),
            output: before.output.max(of(usage.output, estimate.output)),
        }
    }

    /// `estimate`, as it may turn out.
    #[must_use]
    pub fn scaled(self, estimate: &Usage) -> Usage {
        let of = |estimate: u64, by: u64| estimate.saturating_mul(by).div_ceil(ONE);
        Usage { input: of(estimate.input, self.input), output: of(estimate.output, self.output), ..*estimate }
    }
}

/// What is held for a request to a model of which nothing was measured yet: all that its accounts may ever have, so that it
/// goes alone, and what it takes is known when the next one is reserved.
#[must_use]
pub fn held_alone(claims: &[Claim], estimate: Amounts) -> Amounts {
    let most = |measure| claims.iter().filter_map(|claim| claim.caps.get(measure)).max().unwrap_or(0);
    Amounts {
        tokens: estimate.tokens.max(most(Measure::Tokens)),
        micro_usd: estimate.micro_usd.max(most(Measure::Usd)),
        ..estimate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_that_counts_more_is_reserved_by_the_most_it_ever_counted() {
        let usage = |input, output| Usage { input, output, ..Usage::default() };
        let mut measured = None;
        for (estimate, took, then) in [
            ((100, 50), (40, 10), (100, 50)),
            ((100, 50), (3_100, 10), (3_100, 50)),
            ((100, 50), (200, 75), (3_100, 75)),
            ((0, 0), (5, 0), (3_100, 75)),
        ] {
            let all = Measured::after(measured, &usage(estimate.0, estimate.1), &usage(took.0, took.1));
            assert_eq!(all.scaled(&usage(100, 50)), usage(then.0, then.1), "{took:?}");
            measured = Some(all);
        }
    }
}

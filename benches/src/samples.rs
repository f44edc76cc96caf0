//! Measured times and what is said of them: the middle, and how bad it gets.

use std::fmt;
use std::time::Duration;

/// Times of the same thing, measured again and again.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// One more.
    pub fn add(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    /// Those of `other` as well.
    pub fn join(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// How many there are.
    #[must_use]
    pub fn n(&self) -> usize {
        self.0.len()
    }

    /// Half are shorter.
    #[must_use]
    pub fn median(&self) -> Duration {
        self.at(0.5)
    }

    /// The median in milliseconds.
    #[must_use]
    pub fn median_ms(&self) -> f64 {
        ms(self.median())
    }

    /// Nineteen of twenty are shorter.
    #[must_use]
    pub fn p95(&self) -> Duration {
        self.at(0.95)
    }

    /// Ninety-nine of a hundred are shorter.
    #[must_use]
    pub fn p99(&self) -> Duration {
        self.at(0.99)
    }

    /// None is longer.
    #[must_use]
    pub fn longest(&self) -> Duration {
        self.0.iter().max().copied().unwrap_or_default()
    }

    fn at(&self, part: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a few hundred samples, and a part between nothing and all"
        )]
        let at = (sorted.len() as f64 * part) as usize;
        sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
    }
}

impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8.3} ms  (p95 {:.3}, n {})", self.median_ms(), ms(self.p95()), self.n())
    }
}

/// A duration in milliseconds.
#[must_use]
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

//! How often something may be asked: a bucket that fills with time.
//!
//! Pure arithmetic over a clock that the caller brings. A caller takes its place in the line at once and is told how long to
//! wait for it, so that of any number of callers each waits for its own turn and none starves.

/// Milliseconds of a minute: all rates are per minute.
const MINUTE_MS: u64 = 60_000;

/// A bucket: so much per minute, and as much at once when nothing was asked for a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    per_min: u64,
    /// When all that was taken will have been filled in again.
    full_at_us: u64,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(per_min: u32) -> Self {
        Self { per_min: u64::from(per_min.max(1)), full_at_us: 0 }
    }

    /// Takes `n` at `now_ms` (of any clock that only goes forward); returns how many milliseconds to wait until they are
    /// there. More than a whole bucket waits for a full one and no longer.
    pub fn take(&mut self, n: u64, now_ms: u64) -> u64 {
        let now_us = now_ms.saturating_mul(1_000);
        let n = n.min(self.per_min);
        let fill_us = |n: u64| n.saturating_mul(MINUTE_MS * 1_000) / self.per_min;
        self.full_at_us = self.full_at_us.max(now_us).saturating_add(fill_us(n));
        let there_at_us = self.full_at_us.saturating_sub(fill_us(self.per_min));
        there_at_us.saturating_sub(now_us).div_ceil(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_its_minute_at_once_and_then_in_its_rate() {
        for (per_min, takes, waits) in [
            (60, &[(1, 0), (1, 0)][..], &[0, 0][..]),
            (2, &[(1, 0), (1, 0), (1, 0), (1, 0)], &[0, 0, 30_000, 60_000]),
            (2, &[(2, 0), (1, 30_000), (1, 30_000)], &[0, 0, 30_000]),
            (1, &[(1, 5_000), (1, 6_000), (1, 200_000)], &[0, 59_000, 0]),
            // More than fits waits for a full bucket, not forever.
            (100, &[(1_000, 0), (100, 0)], &[0, 60_000]),
            (0, &[(1, 0), (1, 0)], &[0, 60_000]),
        ] {
            let mut bucket = Bucket::new(per_min);
            let got: Vec<u64> = takes.iter().map(|(n, now)| bucket.take(*n, *now)).collect();
            assert_eq!(got, waits, "{per_min} a minute, {takes:?}");
        }
    }
}

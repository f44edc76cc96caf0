//! How often something may be asked: a bucket that fills with time.
//!
//! Pure arithmetic over a clock that the caller brings. A caller takes its place in the line at once and is told how long to
//! wait for it, so that of any number of callers each waits for its own turn and none starves.

/// Microseconds of a minute: all rates are per minute.
const MINUTE_US: u64 = 60_000_000;

/// The part of a minute's rate that may be asked for at once: providers count over short spans, too.
const BURST_PART: u64 = 10;

/// A bucket: so much per minute, and a tenth of it at once.
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

    /// Takes one at `now_ms` where it is there, and nothing where it is not: then, after how many milliseconds it will be. For those
    /// who are turned away, and not kept waiting.
    ///
    /// # Errors
    /// The milliseconds.
    pub fn take_now(&mut self, now_ms: u64) -> Result<(), u64> {
        let mut taken = *self;
        match taken.take(1, now_ms) {
            0 => {
                *self = taken;
                Ok(())
            }
            wait_ms => Err(wait_ms),
        }
    }

    /// Takes `n` at `now_ms` (of any clock that only goes forward); returns how many milliseconds to wait until they are
    /// there. More than a whole bucket waits for a full one, and those who come after wait for the rest.
    pub fn take(&mut self, n: u64, now_ms: u64) -> u64 {
        let now_us = now_ms.saturating_mul(1_000);
        let burst = (self.per_min / BURST_PART).max(1);
        let fill_us = |n: u64| n.saturating_mul(MINUTE_US) / self.per_min;
        let before = self.full_at_us.max(now_us);
        self.full_at_us = before.saturating_add(fill_us(n));
        let there_at_us = before.saturating_add(fill_us(n.min(burst))).saturating_sub(fill_us(burst));
        there_at_us.saturating_sub(now_us).div_ceil(1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_a_tenth_at_once_and_then_in_its_rate() {
        for (per_min, takes, waits) in [
            (20, &[(1, 0), (1, 0), (1, 0), (1, 0)][..], &[0, 0, 3_000, 6_000][..]),
            (20, &[(2, 0), (1, 3_000), (1, 3_000), (2, 60_000)], &[0, 0, 3_000, 0]),
            (1, &[(1, 5_000), (1, 6_000), (1, 200_000)], &[0, 59_000, 0]),
            // More than fits waits for a full bucket, and is paid for by who comes next.
            (100, &[(50, 0), (1, 0), (1, 0)], &[0, 24_600, 25_200]),
            (0, &[(1, 0), (1, 0)], &[0, 60_000]),
        ] {
            let mut bucket = Bucket::new(per_min);
            let got: Vec<u64> = takes.iter().map(|(n, now)| bucket.take(*n, *now)).collect();
            assert_eq!(got, waits, "{per_min} a minute, {takes:?}");
        }
    }

    #[test]
    fn whoever_is_turned_away_has_taken_nothing() {
        for (per_min, takes, got) in [
            (
                20,
                &[0, 0, 0, 0, 2_999, 3_000, 3_000][..],
                &[Ok(()), Ok(()), Err(3_000), Err(3_000), Err(1), Ok(()), Err(3_000)][..],
            ),
            (1, &[0, 0, 59_999, 60_000], &[Ok(()), Err(60_000), Err(1), Ok(())]),
        ] {
            let mut bucket = Bucket::new(per_min);
            let found: Vec<_> = takes.iter().map(|now| bucket.take_now(*now)).collect();
            assert_eq!(found, got, "{per_min} a minute, {takes:?}");
        }
    }
}

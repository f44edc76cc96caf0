//! How many processes are below the shim, where there may only be so many.
//!
//! The kernel tells nobody when a process is made, and its own limit counts all that the user has. So they are counted now and
//! then: at once where anything on the machine was started since, of which the kernel keeps the number, and else less and
//! less often. A machine on which nothing is started costs two small reads a second.

use nix::poll::PollTimeout;
use std::fs;

/// How long after a count the next one may come, ms: what is made in between is ended with the rest.
const COUNT_EVERY_MS: u16 = 100;

/// Longest time without a look, ms: in half a second no more is made than can be ended.
const LOOK_EVERY_MS: u16 = 500;

/// Counts, and when to.
#[derive(Debug)]
pub(crate) struct Census {
    most: usize,
    wait_ms: u16,
    /// The number of the process that was the newest at the last count.
    newest: Option<u64>,
}

impl Census {
    /// There may be `most` processes.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, wait_ms: COUNT_EVERY_MS, newest: None }
    }

    /// Most processes there may be.
    pub(crate) fn most(&self) -> usize {
        self.most
    }

    /// How long nothing need be looked at.
    pub(crate) fn wait(&self) -> PollTimeout {
        PollTimeout::from(self.wait_ms)
    }

    /// Whether there are more than there may be.
    pub(crate) fn is_over(&mut self) -> bool {
        // Before they are counted: what comes between the two is newer, and counted next time.
        self.looks(newest(), || crate::process::descendants().len())
    }

    fn looks(&mut self, newest: Option<u64>, count: impl FnOnce() -> usize) -> bool {
        if newest.is_some() && newest == self.newest {
            self.wait_ms = self.wait_ms.saturating_mul(2).min(LOOK_EVERY_MS);
            return false;
        }
        self.newest = newest;
        self.wait_ms = COUNT_EVERY_MS;
        count() > self.most
    }
}

/// The number of the process or thread that was made last (proc(5), /proc/loadavg); `None` where that is not told.
fn newest() -> Option<u64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().nth(4)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_counted_where_there_may_be_others_and_looked_after_ever_less_often() {
        let mut census = Census::new(2);
        let mut check = |newest: Option<u64>, count: usize, is_over: bool, is_counted: bool, wait_ms: u16| {
            let mut counted = false;
            let over = census.looks(newest, || {
                counted = true;
                count
            });
            assert_eq!((over, counted, census.wait_ms), (is_over, is_counted, wait_ms), "{newest:?} {count}");
        };
        check(Some(7), 2, false, true, 100);
        check(Some(7), 9, false, false, 200);
        check(Some(7), 9, false, false, 400);
        check(Some(7), 9, false, false, 500);
        check(Some(7), 9, false, false, 500);
        check(Some(8), 2, false, true, 100);
        check(Some(9), 3, true, true, 100);
        // Where nobody tells, they are counted each time.
        check(None, 2, false, true, 100);
        check(None, 3, true, true, 100);
    }

    #[test]
    fn a_process_that_is_made_is_newer() {
        let before = newest().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        assert_ne!(newest(), Some(before));
        child.wait().unwrap();
    }
}

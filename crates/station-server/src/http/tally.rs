//! How many of something each of many has at the moment: connections of a network, streams of a user.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts, by whom they are of; nothing is kept of whoever has none. Every clone is the same.
pub(super) struct Tally<K>(Arc<Mutex<HashMap<K, u32>>>);

/// One that is counted, until it is dropped.
pub(super) struct Counted<K: Copy + Eq + Hash> {
    tally: Tally<K>,
    of: K,
}

impl<K> Tally<K> {
    fn counts(&self) -> MutexGuard<'_, HashMap<K, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Copy + Eq + Hash> Tally<K> {
    /// Counts one more.
    ///
    /// # Errors
    /// How many it has already, where those are `most`.
    pub(super) fn enter(&self, of: K, most: u32) -> Result<Counted<K>, u32> {
        let mut counts = self.counts();
        let count = counts.entry(of).or_default();
        if *count >= most {
            return Err(*count);
        }
        *count += 1;
        Ok(Counted { tally: self.clone(), of })
    }
}

impl<K> Clone for Tally<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K: Copy + Eq + Hash> Drop for Counted<K> {
    fn drop(&mut self) {
        let mut counts = self.tally.counts();
        if let Some(count) = counts.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_most_and_gives_it_back() {
        let tally = Tally::default();
        let mut held: Vec<_> = (0..3).map(|_| tally.enter("a", 3).ok().unwrap()).collect();
        assert_eq!(tally.enter("a", 3).err(), Some(3));
        assert!(tally.enter("b", 3).is_ok());
        held.pop();
        assert!(tally.enter("a", 3).is_ok());
        held.clear();
        assert!(tally.counts().is_empty());
    }
}

//! What was read under the number that every change of a definition raises, for as long as that number is what it was.
//!
//! Everything such a value is made of is counted in the store by one number (`Store::generation`). **Invariant:** the number is
//! asked for before the value is read, so what is read is at least as new as the number it is kept under.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

/// The last values; no more than so many.
pub(crate) struct Kept<K, V> {
    max: usize,
    all: Mutex<HashMap<K, (i64, Arc<V>)>>,
}

impl<K: Eq + Hash, V> Kept<K, V> {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, all: Mutex::default() }
    }

    /// The value of `key` that was read under this number.
    pub(crate) fn find(&self, key: &K, generation: i64) -> Option<Arc<V>> {
        self.lock().get(key).filter(|(of, _)| *of == generation).map(|(_, value)| Arc::clone(value))
    }

    /// A value that was read under this number and is the one.
    pub(crate) fn find_where(&self, generation: i64, is_it: impl Fn(&V) -> bool) -> Option<Arc<V>> {
        let all = self.lock();
        let found = all.values().find(|(of, value)| *of == generation && is_it(value));
        found.map(|(_, value)| Arc::clone(value))
    }

    /// Keeps a value; where there are too many, what is old goes first, and then all.
    pub(crate) fn keep(&self, key: K, generation: i64, value: &Arc<V>) {
        let mut all = self.lock();
        if all.len() >= self.max {
            all.retain(|_, (of, _)| *of == generation);
        }
        if all.len() >= self.max {
            all.clear();
        }
        all.insert(key, (generation, Arc::clone(value)));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<K, (i64, Arc<V>)>> {
        self.all.lock().expect("no holder of this lock can panic")
    }
}

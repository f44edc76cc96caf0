//! Ids of sessions that are over, as far as they are remembered: the oldest is forgotten first.

use station_core::UserId;
use std::collections::{HashMap, VecDeque};

/// Ids remembered; two megabytes.
const OVER_MAX: usize = 10_000;

/// Ids that are promises no more, and whose they were.
#[derive(Default)]
pub(super) struct Over {
    users: HashMap<String, UserId>,
    in_order: VecDeque<String>,
}

impl Over {
    pub(super) fn note(&mut self, user: UserId, id: String) {
        if self.users.contains_key(&id) {
            return;
        }
        if self.users.len() >= OVER_MAX
            && let Some(oldest) = self.in_order.pop_front()
        {
            self.users.remove(&oldest);
        }
        self.in_order.push_back(id.clone());
        self.users.insert(id, user);
    }

    pub(super) fn has(&self, user: UserId, id: &str) -> bool {
        self.users.get(id) == Some(&user)
    }
}

//! Ways from an agent back to itself.

use std::collections::{BTreeMap, VecDeque};

/// The shortest way from `start` over the agents it calls back to `start`: `a`, `b`, `a`.
pub(super) fn cycle_through(start: &str, graph: &BTreeMap<String, Vec<String>>) -> Option<Vec<String>> {
    let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for next in graph.get(at).into_iter().flatten() {
            if next == start {
                let mut path = vec![start.to_owned(), at.to_owned()];
                let mut back = at;
                while let Some(before) = came_from.get(back) {
                    path.push((*before).to_owned());
                    back = before;
                }
                path.reverse();
                return Some(path);
            }
            if !came_from.contains_key(next.as_str()) && graph.contains_key(next) {
                came_from.insert(next, at);
                queue.push_back(next);
            }
        }
    }
    None
}

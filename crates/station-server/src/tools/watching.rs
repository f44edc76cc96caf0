//! What changes in resources that a client follows: each is looked at when a definition changed, and told when it holds
//! something else.

use super::agent_tools::listed;
use super::management::Desk;
use super::resources;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde_json::Value;
use station_core::{BlobHash, Caller, EnvironmentName};
use station_mcp::serve::{Asked, Change, Wanted};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Between two looks: what changes is told within a second, and a look without a change asks for one number.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is followed, and how it was seen last.
struct Followed {
    desk: Arc<Desk>,
    asked: Asked,
    seen: BTreeMap<String, Option<BlobHash>>,
    generation: Option<i64>,
    /// Changes that were seen and not told yet.
    news: Vec<String>,
}

/// Follows the resources of `uris` from now on.
pub(super) async fn follow(desk: Arc<Desk>, asked: Asked, uris: Vec<String>) -> BoxStream<'static, Change> {
    if uris.is_empty() {
        return futures::stream::pending().boxed();
    }
    let generation = desk.station.generation().await.ok();
    let mut seen = BTreeMap::new();
    for uri in uris {
        let mark = resources::mark(&desk, &asked, &uri).await;
        seen.insert(uri, mark);
    }
    let followed = Followed { desk, asked, seen, generation, news: Vec::new() };
    futures::stream::unfold(followed, |mut followed| async {
        let uri = followed.next().await;
        Some((Change::Resource(uri), followed))
    })
    .boxed()
}

/// Follows the list of agents of an environment that are tools, from now on, where that is wanted.
pub(super) async fn follow_agents(
    desk: Arc<Desk>,
    by: Caller,
    environment: EnvironmentName,
    wanted: Wanted,
) -> BoxStream<'static, Change> {
    if !wanted.tools {
        return futures::stream::pending().boxed();
    }
    let mut agents = Agents { desk, by, environment, generation: None, seen: None };
    agents.is_changed().await;
    futures::stream::unfold(agents, |mut agents| async {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if agents.is_changed().await {
                return Some((Change::Tools, agents));
            }
        }
    })
    .boxed()
}

/// Agents of an environment as they were listed last.
struct Agents {
    desk: Arc<Desk>,
    by: Caller,
    environment: EnvironmentName,
    generation: Option<i64>,
    seen: Option<BlobHash>,
}

impl Agents {
    /// Whether they would be listed in other words than at the last look. A store that is away for a moment says nothing.
    async fn is_changed(&mut self) -> bool {
        let looked = match self.desk.station.generation().await {
            Ok(generation) if self.generation == Some(generation) => return false,
            Ok(generation) => {
                listed(&self.desk, &self.by, &self.environment).await.map(|it| (generation, it))
            }
            Err(error) => Err(error),
        };
        match looked {
            Ok((generation, listed)) => {
                let mark = BlobHash::of(Value::from(listed).to_string().as_bytes());
                self.generation = Some(generation);
                self.seen.replace(mark.clone()) != Some(mark)
            }
            Err(error) => {
                tracing::warn!(%error, "whether agents changed was not seen");
                false
            }
        }
    }
}

impl Followed {
    async fn next(&mut self) -> String {
        loop {
            if let Some(uri) = self.news.pop() {
                return uri;
            }
            tokio::time::sleep(LOOK_EVERY).await;
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let generation = match self.desk.station.generation().await {
            Ok(generation) => generation,
            // A store that is away for a moment: the next look sees what changed.
            Err(error) => return tracing::warn!(%error, "whether anything changed was not seen"),
        };
        let is_changed = self.generation.replace(generation) != Some(generation);
        for (uri, seen) in &mut self.seen {
            // Runs are no definitions: no number counts them.
            if !is_changed && !uri.ends_with("/runs") {
                continue;
            }
            let mark = resources::mark(&self.desk, &self.asked, uri).await;
            if mark != *seen {
                *seen = mark;
                self.news.push(uri.clone());
            }
        }
    }
}

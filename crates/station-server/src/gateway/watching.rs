//! What changes of an environment: its lists, looked at when a definition changed or a server says so, and resources, as their
//! servers tell it.

use super::Gateway;
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use serde_json::Value;
use station_core::{BlobHash, Caller};
use station_mcp::serve::{Asked, Change, Wanted};
use std::time::Duration;
use tokio::sync::watch;

/// Between two looks whether a definition changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Between two tries to follow a resource whose server cannot be reached, or does not tell.
const FOLLOW_EVERY: Duration = Duration::from_secs(30);

/// What changes from now on, as far as it is wanted.
pub(super) async fn changes(gateway: &Gateway, asked: &Asked, wanted: Wanted) -> BoxStream<'static, Change> {
    let own = gateway.clone();
    let mut all = Vec::new();
    for uri in &wanted.uris {
        all.push(followed(&own, &asked.by, uri).await);
    }
    if wanted.tools || wanted.prompts || wanted.resources {
        let watched = Watched {
            news: own.station.server_news(),
            generation: own.station.generation().await.ok(),
            asked: Asked::unasked(asked.by.clone()),
            gateway: own,
            wanted,
            marks: [const { None }; 3],
        };
        let marks = watched.look().await;
        let watched = Watched { marks, ..watched };
        let lists = stream::unfold(watched, |mut watched| async {
            Some((stream::iter(watched.changed().await), watched))
        });
        all.push(lists.flatten().boxed());
    }
    if all.is_empty() {
        return stream::pending().boxed();
    }
    stream::select_all(all).boxed()
}

/// The lists of an environment.
struct Watched {
    gateway: Gateway,
    asked: Asked,
    wanted: Wanted,
    news: watch::Receiver<u64>,
    generation: Option<i64>,
    /// What they were, each in a number.
    marks: [Option<BlobHash>; 3],
}

impl Watched {
    /// Waits until a list is not what it was, and says which.
    async fn changed(&mut self) -> Vec<Change> {
        loop {
            let mut is_told = false;
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                told = self.news.changed() => is_told = told.is_ok(),
            }
            let station = &self.gateway.station;
            if is_told && let Err(error) = station.refresh_changed(&self.gateway.environment).await {
                tracing::warn!(%error, "what a server offers now was not seen");
            }
            let Ok(generation) = station.generation().await else { continue };
            if self.generation.replace(generation) == Some(generation) {
                continue;
            }
            let marks = self.look().await;
            let lists = [Change::Tools, Change::Prompts, Change::Resources];
            let before = std::mem::replace(&mut self.marks, marks);
            let moved = lists.into_iter().zip(before.iter().zip(&self.marks));
            let moved: Vec<Change> =
                moved.filter(|(_, (before, now))| before != now).map(|(change, _)| change).collect();
            if !moved.is_empty() {
                return moved;
            }
        }
    }

    /// What the lists that are wanted are now, each in a number: tools, prompts, resources.
    async fn look(&self) -> [Option<BlobHash>; 3] {
        let Wanted { tools, prompts, resources, .. } = self.wanted;
        let mark = |list: Vec<Value>| BlobHash::of(Value::Array(list).to_string().as_bytes());
        let tools = match tools {
            true => self.gateway.known(&self.asked.by).await.ok(),
            false => None,
        };
        let tools = tools.map(|shown| BlobHash::of(shown.list().as_bytes()));
        let offers = if prompts || resources { self.gateway.offers(&self.asked.by).await.ok() } else { None };
        let of = |is_wanted: bool| offers.as_ref().filter(|_| is_wanted);
        let prompts = of(prompts).map(|offers| mark(offers.prompts()));
        let resources = of(resources).map(|it| mark([it.resources(false), it.resources(true)].concat()));
        [tools, prompts, resources]
    }
}

/// One resource that is followed.
struct Followed {
    source: Source,
    updates: Option<BoxStream<'static, ()>>,
}

/// Where it is.
struct Source {
    gateway: Gateway,
    by: Caller,
    uri: String,
}

/// Follows one resource: begun before this returns, so that nothing falls in between.
async fn followed(gateway: &Gateway, by: &Caller, uri: &str) -> BoxStream<'static, Change> {
    let source = Source { gateway: gateway.clone(), by: by.clone(), uri: uri.to_owned() };
    let updates = source.begin().await;
    stream::unfold(Followed { source, updates }, |mut followed| async {
        followed.updated().await;
        Some((Change::Resource(followed.source.uri.clone()), followed))
    })
    .boxed()
}

impl Followed {
    /// Waits until it changed, or may have, unseen.
    async fn updated(&mut self) {
        loop {
            if let Some(updates) = &mut self.updates {
                if updates.next().await.is_some() {
                    return;
                }
                // The server is gone. What happens until it is back, nobody tells.
                self.updates = None;
                tokio::time::sleep(LOOK_EVERY).await;
            } else {
                tokio::time::sleep(FOLLOW_EVERY).await;
            }
            self.updates = self.source.begin().await;
            if self.updates.is_some() {
                return;
            }
        }
    }
}

impl Source {
    async fn begin(&self) -> Option<BoxStream<'static, ()>> {
        let offers = self.gateway.offers(&self.by).await.ok()?;
        for server in offers.holders(&self.uri) {
            match self.gateway.station.follow_resource(&self.by, server, &self.uri).await {
                Ok(updates) => return Some(updates),
                Err(error) => tracing::debug!(%error, uri = self.uri, "a resource cannot be followed"),
            }
        }
        None
    }
}

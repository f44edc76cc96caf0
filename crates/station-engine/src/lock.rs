//! The lock of an environment's tools: what is different from it, and accepting that.

use crate::Station;
use crate::change::Thing;
use serde_json::json;
use station_core::lock::{Difference, Lock};
use station_core::{Caller, Environment, EnvironmentName, Error, Result, Tool, near};
use std::collections::BTreeSet;

/// What is different between the tools that servers offer and those that are pinned.
#[derive(Clone, Debug)]
pub struct ToolLock {
    /// The environment.
    pub environment: Environment,
    /// The lock file, relative to the workspace.
    pub path: String,
    /// Whether there is one.
    pub is_locked: bool,
    /// What is different, by server and tool; of the chosen servers, where some were.
    pub differences: Vec<Difference>,
    /// Tools that are, or would be, pinned.
    pub pinned: usize,
    /// Servers that were never listed, or whose last listing failed: their tools are pinned as they were known last.
    pub unlisted: Vec<String>,
}

impl Station {
    /// What `lock_tools` would pin anew: of every server, or of `servers` alone.
    ///
    /// # Errors
    /// `NotFound` for an environment or a server that does not exist; `Invalid` where the lock file cannot be read.
    pub async fn plan_lock(
        &self,
        _by: &Caller,
        environment: &EnvironmentName,
        servers: &[String],
    ) -> Result<ToolLock> {
        let offer = self.offer(environment, servers).await?;
        let text = self.file_of(environment, Thing::Lock)?;
        // What cannot be read is told by the plan of the file; here, as where there is none, nothing is pinned.
        let lock = text.as_ref().and_then(|text| Lock::read(text.body.expose(), &text.path).0);
        Ok(offer.beside(lock.as_ref(), text.is_some()))
    }

    /// Pins the tools of every server as they are offered now, or those of `servers` alone; what was different.
    ///
    /// # Errors
    /// As [`Station::plan_lock`]; `Conflict` where the environment has no files here, or they are managed elsewhere.
    pub async fn lock_tools(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
        servers: &[String],
    ) -> Result<ToolLock> {
        let offer = self.offer(environment, servers).await?;
        let mut done = None;
        self.change_file(environment, Thing::Lock, |text| {
            let lock = text.and_then(|text| Lock::read(text, "").0);
            done = Some(offer.beside(lock.as_ref(), text.is_some()));
            let mut lock = lock.unwrap_or_default();
            lock.accept(&offer.accepted(&lock), &offer.tools);
            Ok(Some(lock.text()))
        })
        .await?;
        let done = done.ok_or_else(|| Error::invalid("the lock file was not changed"))?;
        let subject = format!("environment {}", done.environment.id);
        let detail = json!({"differences": done.differences.len(), "pinned": done.pinned});
        self.store().note_deed("lock_tools", &subject, detail, &by.name, self.now()).await?;
        Ok(done)
    }

    async fn offer(&self, environment: &EnvironmentName, chosen: &[String]) -> Result<Offer> {
        let environment = self.find_environment(environment).await?;
        let servers = self.store().servers(Some(environment.id)).await?;
        let lock = self.file_of(&environment.name, Thing::Lock)?;
        let pinned = lock.and_then(|text| Lock::read(text.body.expose(), "").0).unwrap_or_default();
        let known: BTreeSet<String> =
            servers.iter().map(|it| it.name.clone()).chain(pinned.pins().map(|pin| pin.server)).collect();
        if let Some(missing) = chosen.iter().find(|name| !known.contains(*name)) {
            let sentence = format!("environment `{}` has no server `{missing}`", environment.name);
            let hint = near::hint(missing, known.iter().map(String::as_str));
            return Err(Error::not_found(sentence)
                .with_hint(hint.unwrap_or_else(|| "`stn mcp list` shows them".to_owned())));
        }
        let is_unlisted = |it: &&station_core::Server| it.discovered_at.is_none() || it.problem.is_some();
        let is_chosen = |name: &str| chosen.is_empty() || chosen.iter().any(|it| it == name);
        Ok(Offer {
            unlisted: servers
                .iter()
                .filter(is_unlisted)
                .filter(|it| is_chosen(&it.name))
                .map(|it| it.name.clone())
                .collect(),
            tools: self.store().catalog(environment.id).await?,
            chosen: chosen.to_vec(),
            environment,
        })
    }
}

/// What is offered, and of which servers it is asked for.
struct Offer {
    environment: Environment,
    tools: Vec<Tool>,
    /// Empty for every server.
    chosen: Vec<String>,
    unlisted: Vec<String>,
}

impl Offer {
    /// The servers whose tools are accepted.
    fn accepted(&self, lock: &Lock) -> Vec<String> {
        if !self.chosen.is_empty() {
            return self.chosen.clone();
        }
        let offered = self.tools.iter().map(|tool| tool.server_name.clone());
        let all: BTreeSet<String> = offered.chain(lock.pins().map(|pin| pin.server)).collect();
        all.into_iter().collect()
    }

    fn beside(&self, lock: Option<&Lock>, is_locked: bool) -> ToolLock {
        let none = Lock::default();
        let lock = lock.unwrap_or(&none);
        let accepted = self.accepted(lock);
        let mut after = lock.clone();
        after.accept(&accepted, &self.tools);
        let mut differences = lock.compare(&self.tools);
        differences.retain(|it| accepted.contains(&it.server));
        ToolLock {
            environment: self.environment.clone(),
            path: format!("environments/{}/{}", self.environment.name, station_core::lock::FILE),
            is_locked,
            differences,
            pinned: after.pins().count(),
            unlisted: self.unlisted.clone(),
        }
    }
}

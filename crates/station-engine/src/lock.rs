//! The lock of an environment's tools: what is different from it, and accepting that.

use crate::Station;
use crate::change::Thing;
use serde_json::json;
use station_core::lock::{Difference, Lock};
use station_core::{Action, Caller, Environment, EnvironmentName, Error, Origin, Result, Server, Tool, near};
use station_store::{Deed, StoredLock};
use std::collections::BTreeSet;

/// What is different between the tools that servers offer and those that are pinned.
#[derive(Clone, Debug)]
pub struct ToolLock {
    /// The environment.
    pub environment: Environment,
    /// The lock file, relative to the workspace; `None` where the environment lives in the store alone, and its lock with it.
    pub path: Option<String>,
    /// Whether there is a lock.
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
    /// `NotFound` for an environment or a server that does not exist; `Invalid` where the lock file cannot be read and only
    /// some servers are to be pinned.
    pub async fn plan_lock(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
        servers: &[String],
    ) -> Result<ToolLock> {
        by.may(Action::ReadServers)?;
        let offer = self.offer(by, environment, servers).await?;
        let text = if offer.is_stored() {
            self.store().lock_source(offer.environment.id).await?
        } else {
            self.file_of(environment, Thing::Lock)?.map(|text| text.body.expose().to_owned())
        };
        offer.beside(text.as_deref()).map(|(lock, _)| lock)
    }

    /// Pins the tools of every server as they are offered now, or those of `servers` alone, where that is what was
    /// `shown`; what was different.
    ///
    /// # Errors
    /// As [`Station::plan_lock`]; `Conflict` where the environment has no files here, or they are managed elsewhere, or
    /// something else is different by now than was shown.
    pub async fn lock_tools(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
        servers: &[String],
        shown: &[Difference],
    ) -> Result<ToolLock> {
        by.may(Action::ManageServers)?;
        let offer = self.offer(by, environment, servers).await?;
        if offer.is_stored() {
            return self.lock_stored(by, &offer, shown).await;
        }
        let mut done = None;
        self.change_file(by, environment, Thing::Lock, |text| {
            let (lock, after) = offer.as_shown(text, shown)?;
            done = Some(lock);
            Ok(Some(after.text()))
        })
        .await?;
        done.ok_or_else(|| Error::invalid("the lock file was not changed"))
    }

    /// Pins the tools of an environment that has no folder: its lock stands in the store.
    async fn lock_stored(&self, by: &Caller, offer: &Offer<'_>, shown: &[Difference]) -> Result<ToolLock> {
        let environment = offer.environment.id;
        let before = self.store().lock_source(environment).await?;
        let (done, after) = offer.as_shown(before.as_deref(), shown)?;
        let lock = StoredLock { text: after.text(), pins: after.pins().collect() };
        match self.store().put_lock(environment, before, lock, self.locked(by, &done)).await? {
            true => Ok(done),
            false => Err(has_changed()),
        }
    }

    /// What the audit is told.
    fn locked(&self, by: &Caller, done: &ToolLock) -> Deed {
        let detail = json!({"differences": done.differences.len(), "pinned": done.pinned}).to_string();
        let subject = format!("environment {}", done.environment.id);
        Deed { at: self.now(), actor: by.actor(), action: "lock_tools", subject, detail }
    }

    async fn offer<'a>(
        &self,
        by: &Caller,
        environment: &EnvironmentName,
        chosen: &'a [String],
    ) -> Result<Offer<'a>> {
        let environment = self.find_environment(by, environment).await?;
        let servers = self.store().servers(Some(environment.id)).await?;
        let tools = self.store().catalog(environment.id).await?;
        Ok(Offer { environment, servers, tools, chosen })
    }
}

/// What is offered, and of which servers it is asked for.
struct Offer<'a> {
    environment: Environment,
    servers: Vec<Server>,
    tools: Vec<Tool>,
    /// Empty for every server.
    chosen: &'a [String],
}

impl Offer<'_> {
    /// Whether the environment lives in the store alone.
    fn is_stored(&self) -> bool {
        self.environment.origin == Origin::Store
    }

    /// As [`Offer::beside`], where that is what was `shown`.
    fn as_shown(&self, text: Option<&str>, shown: &[Difference]) -> Result<(ToolLock, Lock)> {
        let (lock, after) = self.beside(text)?;
        if lock.differences == shown { Ok((lock, after)) } else { Err(has_changed()) }
    }

    /// What is different from the lock file that says `text`, and the lock once that is accepted. Of a file that cannot be
    /// read nothing is known; the plan of it says why.
    fn beside(&self, text: Option<&str>) -> Result<(ToolLock, Lock)> {
        let read = text.and_then(|text| Lock::read(text, "").0);
        if text.is_some() && read.is_none() && !self.chosen.is_empty() {
            let lock = self.path().unwrap_or_else(|| "the lock in the store".to_owned());
            let sentence = format!("{lock} cannot be read, so the pins of other servers would be lost");
            return Err(Error::invalid(sentence).with_hint("pin all of them: `stn mcp lock` without names"));
        }
        let before = read.unwrap_or_default();
        let accepted = self.accepted(&before)?;
        let mut differences = before.compare(&self.tools);
        differences.retain(|it| accepted.contains(&it.server));
        let mut after = before;
        after.accept(&accepted, &self.tools);
        let is_unlisted = |it: &&Server| it.discovered_at.is_none() || it.problem.is_some();
        let is_chosen = |it: &&Server| self.chosen.is_empty() || self.chosen.contains(&it.name);
        let unlisted = self.servers.iter().filter(is_unlisted).filter(is_chosen);
        let lock = ToolLock {
            environment: self.environment.clone(),
            path: self.path(),
            is_locked: text.is_some(),
            differences,
            pinned: after.pins().count(),
            unlisted: unlisted.map(|it| it.name.clone()).collect(),
        };
        Ok((lock, after))
    }

    /// The servers whose tools are accepted: those that were chosen, or every one that there is or that is pinned.
    fn accepted(&self, before: &Lock) -> Result<Vec<String>> {
        let known: BTreeSet<String> = self
            .servers
            .iter()
            .map(|it| it.name.clone())
            .chain(before.pins().map(|pin| pin.server))
            .collect();
        let Some(missing) = self.chosen.iter().find(|name| !known.contains(*name)) else {
            let all = self.chosen.is_empty();
            return Ok(if all { known.into_iter().collect() } else { self.chosen.to_vec() });
        };
        let sentence = format!("environment `{}` has no server `{missing}`", self.environment.name);
        let hint = near::hint(missing, known.iter().map(String::as_str));
        Err(Error::not_found(sentence)
            .with_hint(hint.unwrap_or_else(|| "`stn mcp list` shows them".to_owned())))
    }

    fn path(&self) -> Option<String> {
        let path = || format!("environments/{}/{}", self.environment.name, station_core::lock::FILE);
        (!self.is_stored()).then(path)
    }
}

fn has_changed() -> Error {
    Error::conflict("what is different has changed since it was shown, so nothing was pinned")
        .with_hint("look at it again, and pin that")
}

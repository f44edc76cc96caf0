//! What an agent is and may do now, read once for as long as no definition changes.
//!
//! Rights are checked as they are at each call, and reading them takes a dozen questions to the store. All they are
//! made of is counted there by one number, so what was read is kept together with the number it was read under, and
//! the next check asks for the number alone. **Invariant:** the number is asked for before the rest is read, so a
//! change in between makes the next check read anew; nothing that was withdrawn outlives the question.

use crate::Station;
use crate::kept::Kept;
use crate::prepare::read_prompt;
use crate::rights::{self, Rights};
use crate::variables::{Brought, Values};
use sha2::{Digest as _, Sha256};
use station_core::file::prompt::Prompt;
use station_core::{Agent, AgentId, Error, Kind, Result, UserId};
use station_store::SubAgent;
use std::sync::Arc;

/// Readings that are kept. One is a few kilobytes; more agents than this at work at once are read anew each time.
const KEPT_MAX: usize = 256;

/// An agent's definition, and what it may do by the rules, the catalog and the variables of that moment.
pub(crate) struct Reading {
    pub(crate) agent: Agent,
    pub(crate) prompt: Prompt,
    pub(crate) sub_agents: Vec<Coordinated>,
    pub(crate) rights: Rights,
}

/// Another agent that this one may call.
pub(crate) struct Coordinated {
    /// Its name as written.
    pub(crate) written: String,
    /// The agent that bears it, where one does that can run.
    pub(crate) agent: Option<Agent>,
}

/// The last readings.
pub(crate) type Readings = Kept<Key, Reading>;

impl Default for Readings {
    fn default() -> Self {
        Self::new(KEPT_MAX)
    }
}

/// Values given with a run decide how its servers are reached, so they are a part of what was read: as a hash, because
/// they are secrets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    agent: AgentId,
    user: UserId,
    variables: [u8; 32],
}

impl Reading {
    /// Reads what `agent` is and may do now, for a run that `user` started and with which `brought` came.
    ///
    /// # Errors
    /// What a person must mend, and the store's own; see [`is_for_a_person`].
    pub(crate) async fn now(
        station: &Station,
        agent: AgentId,
        user: UserId,
        brought: &Brought,
    ) -> Result<Arc<Self>> {
        let key = Key { agent, user, variables: fingerprint(brought) };
        let generation = station.store().generation().await?;
        if let Some(reading) = station.readings().find(&key, generation) {
            return Ok(reading);
        }
        let reading = Arc::new(Self::read(station, agent, user, brought).await?);
        station.readings().keep(key, generation, &reading);
        Ok(reading)
    }

    async fn read(station: &Station, id: AgentId, user: UserId, brought: &Brought) -> Result<Self> {
        let agent = rights::runnable(station, id).await?;
        let prompt = read_prompt(station, &agent).await?;
        let values = Values::read(station, agent.environment, brought.given.clone()).await?;
        let values = values.with_carried(brought.carried.clone());
        let rights = Rights::read(station, &agent, user, &prompt.approve, &values).await?;
        let mut sub_agents = Vec::new();
        for SubAgent { written, agent: other } in station.store().sub_agents(id).await? {
            let other = match other {
                Some(other) => station.store().agent(other).await?,
                None => None,
            };
            let other = other.filter(|other| other.enabled && other.environment == agent.environment);
            sub_agents.push(Coordinated { written, agent: other });
        }
        Ok(Self { agent, prompt, sub_agents, rights })
    }
}

/// Whether `error` says what a person must mend about an agent; any other is the store's or ours, says nothing about
/// the agent, and may be gone at the next try.
pub(crate) fn is_for_a_person(error: &Error) -> bool {
    match error.kind() {
        Kind::Invalid | Kind::NotFound | Kind::Conflict | Kind::Unauthenticated | Kind::Forbidden => true,
        Kind::Busy | Kind::Timeout | Kind::Upstream | Kind::Internal => false,
    }
}

/// Each part with its length before it, so that no two sets run together into the same bytes.
fn fingerprint(brought: &Brought) -> [u8; 32] {
    let mut hash = Sha256::new();
    for variables in [&brought.given, &brought.carried] {
        hash.update(variables.len().to_le_bytes());
        for part in variables.iter().flat_map(|(name, value)| [name.as_str(), value.expose()]) {
            hash.update(part.len().to_le_bytes());
            hash.update(part.as_bytes());
        }
    }
    hash.finalize().into()
}

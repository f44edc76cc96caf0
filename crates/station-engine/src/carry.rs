//! What goes along with a run that somebody else drives: values of this process's environment that its templates ask
//! for. A worker's environment is not the caller's.

use crate::Station;
use crate::variables::Values;
use station_core::file::servers;
use station_core::{Agent, Result, Secret, ServerId};
use std::collections::{BTreeMap, BTreeSet};

/// Values for names that the servers behind `agent`'s grants, and those of its sub-agents, ask for and that nobody
/// gave. Only what is asked for goes along, and never Station's own secrets.
pub(crate) async fn carried(
    station: &Station,
    agent: &Agent,
    given: &BTreeMap<String, Secret>,
) -> Result<BTreeMap<String, Secret>> {
    let values = Values::new(station.config(), given.clone(), BTreeMap::new());
    let mut carried = BTreeMap::new();
    for server in servers_behind(station, agent).await? {
        let config = station.store().config_source(server).await?;
        let shown = |name: &str| values.get(name).map(|value| value.expose().to_owned());
        let (file, _) = servers::read(config.source.expose(), &config.path, &shown);
        let names = file.iter().flat_map(|file| &file.entries).flat_map(|entry| &entry.uses);
        for name in names.map(|place| &place.variable).filter(|name| !given.contains_key(*name)) {
            carried.extend(values.of_process(name).map(|value| (name.clone(), value.clone())));
        }
    }
    Ok(carried)
}

async fn servers_behind(station: &Station, agent: &Agent) -> Result<BTreeSet<ServerId>> {
    let mut servers = BTreeSet::new();
    for agent in station.family(agent.id).await? {
        let granted = station.store().granted_servers(agent).await?;
        servers.extend(granted.into_iter().filter_map(|(_, server)| server));
    }
    Ok(servers)
}

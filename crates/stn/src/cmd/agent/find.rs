//! Which environment an agent named on the command line lives in.

use crate::error::Result;
use crate::session::{Session, environment};
use station_core::{EnvironmentName, Error};
use station_engine::{AgentRef, Station};

/// The environment of `agent`: for a name the one typed beside it, for an id the one it has.
///
/// # Errors
/// `NotFound` for an unknown id; `Conflict` where an id is of another environment than the one typed.
pub(super) async fn environment_of(
    session: &Session<'_>,
    station: &Station,
    agent: &AgentRef,
    typed: Option<&EnvironmentName>,
) -> Result<EnvironmentName> {
    let AgentRef::Id(id) = agent else { return Ok(environment(typed)) };
    let agents = station.list_agents(&session.by, None).await?;
    let environments = station.list_environments(&session.by).await?;
    let row = agents.iter().find(|row| row.id == *id);
    let found = row.and_then(|row| environments.into_iter().find(|it| it.id == row.environment));
    let Some(found) = found else {
        return Err(Error::not_found(format!("agent {id} does not exist"))
            .with_hint("`stn agent list` shows them")
            .into());
    };
    match typed {
        Some(typed) if *typed != found.name => {
            let sentence = format!("agent {id} lives in environment `{}`, not in `{typed}`", found.name);
            Err(Error::conflict(sentence).with_hint("a number is enough: leave `--env` out").into())
        }
        _ => Ok(found.name),
    }
}

//! Which runs a command is about.

use crate::error::Result;
use crate::named::environment_ref;
use crate::session::Session;
use station_core::file::config::duration_ms;
use station_core::run::Status;
use station_core::{Agent, AgentId, Error, Micros, near};
use station_engine::{AgentRef, EnvironmentRef, RunFilter, Station};

/// What the runs have in common.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    /// Only runs of this agent, by id or name
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Only runs in this environment; also the environment of the agent's name
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    /// Only runs with this status: queued, running, waiting, completed, failed, cancelled or timed_out;
    /// interrupted: running, as far as is recorded, while its process is gone
    #[arg(long, value_parser = status)]
    status: Option<Wanted>,
    /// Only runs that have not ended: each says what it waits on
    #[arg(long, conflicts_with = "status")]
    waiting: bool,
    /// Only runs queued at this time or later: 2h, 7d (ago), 2026-11-26 or 2026-11-26T09:30:00Z
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<When>,
    /// Only runs queued before this time, in the same forms
    #[arg(long, value_name = "TIME", value_parser = when)]
    until: Option<When>,
}

/// A time as it was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    Ago { ms: u64 },
    At(Micros),
}

impl When {
    fn meant(self, now: Micros) -> Micros {
        match self {
            Self::Ago { ms } => now.minus_ms(ms),
            Self::At(at) => at,
        }
    }
}

/// A status as it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    Recorded(Status),
    Interrupted,
}

impl Which {
    /// Whether only runs are meant whose process is gone, which no filter of the store can tell.
    pub(super) fn is_interrupted(&self) -> bool {
        self.status == Some(Wanted::Interrupted)
    }

    /// The filter that this means at the moment.
    ///
    /// # Errors
    /// `NotFound` for an agent or environment that does not exist; `Conflict` where a name is of several environments.
    pub(super) async fn filter(&self, session: &Session<'_>, station: &Station) -> Result<RunFilter> {
        let environment = match &self.env {
            None => None,
            Some(of) => Some(station.environment(&session.by, of).await?.id),
        };
        let agent = match &self.agent {
            None => None,
            Some(text) => Some(self.agent(session, station, text).await?),
        };
        let now = station.config().clock.now();
        Ok(RunFilter {
            agent,
            environment,
            status: self.status.map(|wanted| match wanted {
                Wanted::Recorded(status) => status,
                Wanted::Interrupted => Status::Running,
            }),
            open: self.waiting,
            before: None,
            since: self.since.as_ref().map(|when| when.meant(now)),
            until: self.until.as_ref().map(|when| when.meant(now)),
            seen_by: None,
        })
    }

    async fn agent(&self, session: &Session<'_>, station: &Station, text: &str) -> Result<AgentId> {
        let environment = session.environment_typed(station, self.env.as_ref()).await?;
        let name = match AgentRef::parse(text, environment.clone()) {
            AgentRef::Id(id) => return Ok(id),
            AgentRef::Name { name, .. } => name,
        };
        let agents = station.list_agents(&session.by, environment.as_ref()).await?;
        let found: Vec<&Agent> = agents.iter().filter(|agent| agent.name.as_str() == name).collect();
        match found.as_slice() {
            [agent] => Ok(agent.id),
            [_, _, ..] => {
                let environments = station.list_environments(&session.by).await?;
                let home = |agent: &Agent| environments.iter().find(|it| it.id == agent.environment);
                let candidates =
                    found.iter().filter_map(|agent| Some(format!("{} in `{}`", agent.id, home(agent)?.name)));
                let candidates = candidates.collect::<Vec<_>>().join(", ");
                Err(Error::conflict(format!("several environments have an agent `{name}`: {candidates}"))
                    .with_hint("say which with `--env`, or give its number")
                    .into())
            }
            [] => {
                let hint = near::hint(&name, agents.iter().map(|agent| agent.name.as_str()));
                let hint = hint.unwrap_or_else(|| "`stn agent list` shows them".to_owned());
                Err(Error::not_found(format!("agent `{name}` does not exist")).with_hint(hint).into())
            }
        }
    }
}

fn status(word: &str) -> Result<Wanted, String> {
    if word == "interrupted" {
        return Ok(Wanted::Interrupted);
    }
    Status::from_word(word).map(Wanted::Recorded).ok_or_else(|| {
        let words: Vec<&str> = Status::ALL.iter().map(|status| status.as_str()).collect();
        format!("it is one of {}, interrupted", words.join(", "))
    })
}

fn when(text: &str) -> Result<When, String> {
    if let Some(at) = Micros::parse(text) {
        return Ok(When::At(at));
    }
    let ms = duration_ms(text.strip_suffix(" ago").unwrap_or(text))
        .filter(|_| !text.chars().all(|c| c.is_ascii_digit()));
    ms.map(|ms| When::Ago { ms }).ok_or_else(|| {
        "write a time ago like 30m, 2h or 7d, a day like 2026-11-26, or a time like 2026-11-26T09:30:00Z"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_ago_a_day_or_a_moment() {
        let now = Micros(1_700_000_000_000_000);
        for (text, expected) in [
            ("2h", "2023-11-14T20:13:20.000Z"),
            ("7d", "2023-11-07T22:13:20.000Z"),
            ("2026-11-26", "2026-11-26T00:00:00.000Z"),
            ("2026-11-26T09:30:00Z", "2026-11-26T09:30:00.000Z"),
            ("2026-11-26T09:30:00+02:00", "2026-11-26T07:30:00.000Z"),
        ] {
            assert_eq!(when(text).map(|when| when.meant(now).to_string()), Ok(expected.to_owned()), "{text}");
        }
        for text in ["", "12", "yesterday", "2026-13-01"] {
            assert!(when(text).is_err(), "{text}");
        }
    }
}

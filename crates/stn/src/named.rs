//! Environments, agents and servers as people name them: by name, or by the number that lists show.
//!
//! What was typed becomes what is meant here, once, as soon as a Station is open to look a number up in. A number is
//! global and needs no `--env`; where one stands beside it all the same, it must be the right one, because whoever
//! typed both believes something that is not so.

use crate::error::Result;
use crate::session::Session;
use station_core::{EnvironmentName, Error, near};
use station_engine::{AgentRef, EnvironmentRef, ServerRef, Station};

/// Reads the id or name of an environment, for the command line: its rules are in the message.
pub(crate) fn environment_ref(text: &str) -> Result<EnvironmentRef, String> {
    EnvironmentRef::parse(text).map_err(|error| with_rules(&error))
}

/// Reads the name of an environment that is to be made.
pub(crate) fn new_environment(text: &str) -> Result<EnvironmentName, String> {
    EnvironmentName::parse(text).map_err(|error| with_rules(&error))
}

fn with_rules(error: &Error) -> String {
    format!("{error}: {}", error.hints().join(", "))
}

/// Why `word` is none of `words`: which there are, and before that the one that was most likely meant.
pub(crate) fn none_of(word: &str, words: Vec<&str>) -> String {
    let known = format!("it is one of {}", words.join(", "));
    match near::hint(word, words) {
        Some(meant) => format!("{meant} {known}"),
        None => known,
    }
}

impl Session<'_> {
    /// The environment that was named, if one was.
    ///
    /// # Errors
    /// `NotFound` for a number that no environment has.
    pub(crate) async fn environment_typed(
        &self,
        station: &Station,
        typed: Option<&EnvironmentRef>,
    ) -> Result<Option<EnvironmentName>> {
        match typed {
            None => Ok(None),
            Some(of) => Ok(Some(station.environment_name(&self.by, of).await?)),
        }
    }

    /// The environment that was named, or the default one.
    ///
    /// # Errors
    /// As [`Session::environment_typed`].
    pub(crate) async fn environment(
        &self,
        station: &Station,
        typed: Option<&EnvironmentRef>,
    ) -> Result<EnvironmentName> {
        Ok(self.environment_typed(station, typed).await?.unwrap_or_default())
    }

    /// The agent that was named, and its environment.
    ///
    /// # Errors
    /// `NotFound` for a number that no agent or environment has; `Conflict` for a number in another environment than
    /// the one typed beside it. Whether a name is there is for the verb to say.
    pub(crate) async fn agent(
        &self,
        station: &Station,
        text: &str,
        typed: Option<&EnvironmentRef>,
    ) -> Result<(AgentRef, EnvironmentName)> {
        let typed = self.environment_typed(station, typed).await?;
        let agent = AgentRef::parse(text, typed.clone());
        let AgentRef::Id(id) = agent else { return Ok((agent, typed.unwrap_or_default())) };
        let home = station.environment_of_agent(&self.by, id).await?;
        Ok((agent, lives_in("agent", text, typed, home)?))
    }

    /// The server that was named, and its environment.
    ///
    /// # Errors
    /// As [`Session::agent`].
    pub(crate) async fn server(
        &self,
        station: &Station,
        text: &str,
        typed: Option<&EnvironmentRef>,
    ) -> Result<(ServerRef, EnvironmentName)> {
        let typed = self.environment_typed(station, typed).await?;
        let server = ServerRef::parse(text, typed.clone().unwrap_or_default());
        let ServerRef::Id(id) = server else { return Ok((server, typed.unwrap_or_default())) };
        let home = station.environment_of_server(&self.by, id).await?;
        Ok((server, lives_in("server", text, typed, home)?))
    }

    /// The server that was named, if one was, and the environment that is meant.
    ///
    /// # Errors
    /// As [`Session::agent`].
    pub(crate) async fn server_or_all(
        &self,
        station: &Station,
        text: Option<&str>,
        typed: Option<&EnvironmentRef>,
    ) -> Result<(Option<ServerRef>, EnvironmentName)> {
        let Some(text) = text else { return Ok((None, self.environment(station, typed).await?)) };
        let (server, environment) = self.server(station, text, typed).await?;
        Ok((Some(server), environment))
    }
}

/// The environment of a thing that was named by its number.
fn lives_in(
    noun: &str,
    id: &str,
    typed: Option<EnvironmentName>,
    home: EnvironmentName,
) -> Result<EnvironmentName> {
    match typed {
        Some(typed) if typed != home => {
            let sentence = format!("{noun} {id} lives in environment `{home}`, not in `{typed}`");
            Err(Error::conflict(sentence).with_hint("a number is enough: leave `--env` out").into())
        }
        _ => Ok(home),
    }
}

//! Commands that are carried out on this machine alone, and what to use with a server instead.

use super::Target;
use station_core::Error;

/// Why a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OnlyHere {
    /// The rest of a sentence that begins with the command.
    why: &'static str,
    /// What to do with a server.
    instead: &'static str,
}

impl OnlyHere {
    /// Something that needs files, programs or keys of the machine it is typed on.
    pub(crate) const fn new(why: &'static str, instead: &'static str) -> Self {
        Self { why, instead }
    }

    /// What no operation of the API does.
    pub(crate) const fn unknown(instead: &'static str) -> Self {
        Self::new("has no operation in the API of a server", instead)
    }

    /// Why `command` is refused with `target`.
    pub(crate) fn refusal(self, command: &str, target: &Target) -> Error {
        let Self { why, instead } = self;
        let without = match target.is_of_environment {
            true => "STN_SERVER names a server: without it, the Station of this machine is meant",
            false => "without `--server`, the Station of this machine is meant",
        };
        Error::invalid(format!("`{command}` {why}, so {} cannot do it", target.address))
            .with_hint(instead)
            .with_hint(without)
    }
}

/// That an option is for the Station of this machine.
pub(crate) fn only_option(option: &str, why: &str) -> Error {
    Error::invalid(format!("`{option}` is for the Station of this machine: {why}"))
        .with_hint(format!("leave `{option}` out with `--server`"))
}

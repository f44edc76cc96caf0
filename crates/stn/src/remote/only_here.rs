//! Commands that are carried out on this machine alone, and what to use with a server instead.
//!
//! Every reason stands here. Which command has which is said where commands are listed (`only_here` of each group), so that a new
//! one cannot be forgotten.

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

/// For what needs files, programs or keys of the machine that it is typed on.
const THERE: &str = "run it where that Station is";

impl OnlyHere {
    pub(crate) const INIT: Self = Self { why: "sets up a Station on this machine", instead: THERE };
    pub(crate) const DOCTOR: Self = Self { why: "looks at this machine", instead: THERE };
    pub(crate) const DEMO: Self =
        Self { why: "makes a home on this machine", instead: "leave `--server` out" };
    pub(crate) const TEST: Self = Self {
        why: "replays cases of this machine, without a Station",
        instead: "`stn runs record RUN --output FILE` brings a case here, and `stn test` needs no server",
    };
    pub(crate) const SERVE: Self = Self { why: "is a server itself", instead: "start it where it is to be" };
    pub(crate) const STDIO: Self = Self {
        why: "serves the Station of this machine to the program that starts it",
        instead: "name the server's own `/mcp` to a client of MCP",
    };
    pub(crate) const KEY: Self =
        Self { why: "is about the key of a database, which never leaves its machine", instead: THERE };
    pub(crate) const CONFIG: Self = Self {
        why: "shows what config.yaml and the environment mean on this machine",
        instead: "`stn settings` asks a server what its config.yaml says, and changes it",
    };
    pub(crate) const LOGIN: Self =
        Self { why: "takes a browser that can reach that Station", instead: THERE };
    pub(crate) const IMPORT_SERVERS: Self = Self {
        why: "reads what other programs of this machine know",
        instead: "`stn mcp add` adds a server there",
    };
    pub(crate) const CLIENT_CONFIG: Self = Self {
        why: "names the Station of this machine to other programs",
        instead: "name the server's own `/mcp` to them",
    };

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

//! The commands: the path of a file is the sentence that is typed.
//!
//! `cmd/agent/run.rs` is `stn agent run`: its `Args` are the manual, its `run` carries it out. To add one: a file with
//! both, a variant in its noun's `Command`, a scene in `tests/it/<noun>.rs`.

use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_server::wire;

pub(crate) mod agent;
pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod budget;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod man;
pub(crate) mod mcp;
pub(crate) mod model;
pub(crate) mod runs;
pub(crate) mod serve;
pub(crate) mod settings;
pub(crate) mod stdio;
pub(crate) mod sync;
pub(crate) mod test;
pub(crate) mod user;
pub(crate) mod variables;

/// Tells what a command deleted.
fn deleted(session: &Session<'_>, gone: &wire::Deletion) -> Result {
    if session.out.is_json() {
        session.out.json(&json!({ "deleted": gone }))?;
    } else {
        session.out.lines(&[(Tone::Good, format!("Deleted {} `{}`.", gone.noun, gone.name))])?;
    }
    Ok(Code::Done)
}

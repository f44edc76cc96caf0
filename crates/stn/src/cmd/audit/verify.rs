//! `stn audit verify`

use crate::error::{Code, Result};
use crate::out::Tone;
use crate::session::Session;
use serde_json::json;
use station_core::Error;

/// Check that no decision was changed or taken out
///
/// Each row of the audit names the hash of the one before. Ends with 1 where the chain is broken, and says where.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                if let Some(seq) = station.check_audit(&session.by).await? {
                    return Err(Error::conflict(format!(
                        "the audit is broken at {seq}: a row was changed or taken out"
                    ))
                    .with_hint("compare it with a backup; nothing before it was touched")
                    .into());
                }
                if session.out.is_json() {
                    session.out.json(&json!({ "whole": true }))?;
                } else {
                    session.out.note(Tone::Good, "The audit is whole.");
                }
                Ok(Code::Done)
            })
            .await
    }
}

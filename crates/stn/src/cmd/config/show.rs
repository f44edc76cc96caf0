//! `stn config show`

use crate::cmd::settings;
use crate::error::Result;
use crate::session::Session;

/// Show every setting that holds, and where it comes from
///
/// The command line wins over the environment, and that over config.yaml. Secrets are shown as "set".
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) fn run(self, session: &Session<'_>) -> Result {
        settings::show(session)
    }
}

//! `stn settings …`
//!
//! A setting is a key of config.yaml, by the name it has there: see docs/decisions/0008. `stn config` says the same of the
//! whole file. Of a server, what its file says is told: what its environment says besides is told to nobody.

mod get;
mod list;
mod set;

pub(crate) use list::show;
pub(crate) use set::Args as Set;

use crate::config::Setting;
use crate::error::Result;
use crate::session::Session;
use station_core::file::config::keys;
use station_server::wire;

/// Look at settings and change them: the keys of config.yaml
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Get(get::Args),
    Set(set::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Get(args) => args.run(session).await,
            Self::Set(args) => args.run(session).await,
        }
    }
}

/// A setting as config.yaml says it, else as it is by default. A name below a map has none.
fn of_file(setting: &wire::FileSetting) -> Setting {
    let is_below = keys::find(&setting.name).is_ok_and(|(_, below)| below.is_some());
    let default = setting.default.replace('`', "");
    let (value, from) = match (&setting.value, setting.is_set) {
        (Some(value), _) => (Some(value.clone()), "config.yaml"),
        (None, true) => (Some("set".to_owned()), "config.yaml"),
        (None, false) => (Some(default).filter(|_| !is_below), "default"),
    };
    let value = value.filter(|value| !value.is_empty());
    Setting { name: setting.name.clone(), from: value.is_some().then(|| from.to_owned()), value }
}

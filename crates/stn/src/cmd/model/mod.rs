//! `stn model …`

mod list;
mod test;

use crate::error::Result;
use crate::session::Session;
use station_server::wire::{ModelKey, ModelSupports};

/// Show which models can be asked, and see whether they answer
///
/// Models are named in agents' files (`model:`), as `provider/model` or by a bare name; `models:` in config.yaml maps names
/// to other models. Keys are read from the environment and never shown.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    List(list::Args),
    Test(test::Args),
}

impl Command {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        match self {
            Self::List(args) => args.run(session).await,
            Self::Test(args) => args.run(session).await,
        }
    }
}

/// How a key stands, in a cell.
fn key(key: &ModelKey) -> String {
    let variables = key.variables.join(" or ");
    match &*key.state {
        "set" => format!("{variables} is set"),
        "missing" => format!("missing: {variables}"),
        _ => "needs none".to_owned(),
    }
}

/// What a model takes, in a cell: only what it does, and what limits it.
fn supports(supports: &ModelSupports) -> String {
    let schema = match &*supports.schema {
        "always" => Some("schema"),
        "without_tools" => Some("schema (without tools)"),
        "in_words" => Some("schema (in words)"),
        _ => None,
    };
    let caching = match &*supports.caching {
        "automatic" => Some("caching"),
        "marked" => Some("caching (marked)"),
        _ => None,
    };
    let words = [
        supports.tools.then_some("tools"),
        schema,
        supports.images.then_some("images"),
        supports.thinking.then_some("thinking"),
        caching,
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

//! `stn model test`

use super::supports;
use crate::at::At;
use crate::error::{Code, Result};
use crate::follow::{Tell, alive, follow};
use crate::session::Session;
use serde_json::json;
use station_server::wire::{self, TestedModel};
use std::time::Duration;

/// Ask models once, and show whether and how fast they answer
///
/// Without names one model of each provider that is set up is asked: the configured one, else the first that `models:` in
/// config.yaml names, else a small one that every account has; of an Ollama at OLLAMA_HOST the first that it has. Each costs a few tokens and counts against no budget. Exit
/// code 1 where one did not answer.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Models as an agent's file would name them
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Seconds to wait for each answer
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=600))]
    timeout_s: u64,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .at(async |at| {
                let tests = match at {
                    At::Here(station) => {
                        let within = Duration::from_secs(self.timeout_s);
                        let asked = station.test_models(&session.by, &self.names, within);
                        let tests = follow(session.out, station, Tell::Runs, "asking models", asked).await?;
                        wire::TestedModels::from(&tests[..])
                    }
                    At::There(server) => {
                        let given = json!({ "names": self.names, "timeout_s": self.timeout_s });
                        alive(session.out, "asking models", server.ask("test_models", given)).await?
                    }
                };
                tell(session, &tests)
            })
            .await
    }
}

fn tell(session: &Session<'_>, tested: &wire::TestedModels) -> Result {
    let (out, tests) = (session.out, &tested.models);
    if out.is_json() {
        out.json(tested)?;
    } else {
        let header = ["MODEL", "ANSWER", "TOOK", "SUPPORTS"];
        out.table(header, tests.iter().map(row).collect())?;
        let mut hints: Vec<&String> = tests.iter().filter_map(|test| test.hint.as_ref()).collect();
        hints.dedup();
        hints.into_iter().for_each(|hint| out.hint(hint));
    }
    Ok(if tests.iter().all(|test| test.ok) { Code::Done } else { Code::Failed })
}

fn row(test: &TestedModel) -> [String; 4] {
    let answer = match (&test.message, &test.answered_by) {
        (Some(message), _) => format!("failed: {message}"),
        (None, by) => format!("ok, from {}", by.as_deref().unwrap_or_default()),
    };
    [
        test.model.clone().unwrap_or_else(|| test.name.clone()),
        answer,
        format!("{} ms", test.took_ms),
        test.supports.as_ref().map(supports).unwrap_or_default(),
    ]
}

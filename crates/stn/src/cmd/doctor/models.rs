//! Models: whether the configured one, and those that agents name, can be asked at all. Nothing is asked.
//!
//! The answer is that of the table that a run uses, so what is well here is what a run finds well.

use super::Check;
use station_core::Error;
use station_core::file::prompt;
use station_core::sync::Change;
use station_core::{EnvironmentName, Result};
use station_engine::{AgentRef, ModelConfig, Models, Station};
use std::collections::{BTreeMap, BTreeSet};

const NAME: &str = "model";

/// Agents named in one line; the rest are counted.
const NAMED_MAX: usize = 5;

/// The configured model.
pub(super) fn configured(config: &ModelConfig) -> Check {
    let models = Models::new(config.clone());
    let error = match models.choices(&[]) {
        Ok(choices) => {
            let model = choices.usable.first().map(|choice| &choice.model);
            let shown = model.map(|it| format!("provider `{}`, model `{}`", it.provider, it.model));
            return Check::ok(NAME, shown.unwrap_or_default());
        }
        Err(error) => error,
    };
    let only = "only agents that name theirs can run";
    match (&config.provider, &config.model) {
        (None, None) => Check::note(
            NAME,
            format!("no provider is configured: {only}"),
            "`stn settings set ai_provider openai`, or `offline` for the built-in one",
        ),
        // Whether it could be asked for any model is the first thing to know of a provider.
        (Some(provider), None) => match models.choices(&[format!("{provider}/MODEL")]) {
            Ok(_) => Check::note(
                NAME,
                format!("provider `{provider}` is configured, but no model: {only}"),
                "`stn settings set ai_model NAME`",
            ),
            Err(error) => failed(&error),
        },
        _ => failed(&error),
    }
}

fn failed(error: &Error) -> Check {
    Check::failed(NAME, error, "`stn model list` shows what is configured")
}

/// Models that agents name, with the agents, by what is wrong with them.
#[derive(Default)]
pub(super) struct Named {
    /// Agents of files that are not applied yet, and what they name.
    planned: BTreeMap<String, Vec<String>>,
}

impl Named {
    /// Takes in what the files of an environment would change.
    pub(super) fn plan(&mut self, environment: &EnvironmentName, changes: &[Change]) {
        for change in changes {
            if let Change::PutAgent(row) = change {
                let (read, _) = prompt::read(&row.source, "");
                let models = read.map(|read| read.models).unwrap_or_default();
                self.planned.insert(format!("{environment}/{}", row.name), models);
            }
        }
    }

    /// One line for each thing that keeps agents from running.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn checks(mut self, station: &Station, config: &ModelConfig) -> Result<Vec<Check>> {
        let models = Models::new(config.clone());
        let by = station_core::Caller::local();
        let environments = station.list_environments(&by).await?;
        let name_of: BTreeMap<_, _> = environments.into_iter().map(|it| (it.id, it.name)).collect();
        for agent in station.list_agents(&by, None).await? {
            let environment = name_of.get(&agent.environment).map(ToString::to_string).unwrap_or_default();
            let shown = format!("{environment}/{}", agent.name);
            let first = agent.model.iter().cloned().collect::<Vec<_>>();
            // The row has the first model alone: the others are read where that one will not do.
            if !self.planned.contains_key(&shown) && !first.is_empty() && models.choices(&first).is_err() {
                // What is stored broken is said where it is asked for.
                if let Ok(details) = station.show_agent(&by, &AgentRef::Id(agent.id)).await {
                    self.planned.insert(shown, details.prompt.models);
                }
            }
        }
        let mut wrong: BTreeMap<String, (Error, BTreeSet<String>)> = BTreeMap::new();
        for (agent, named) in self.planned.into_iter().filter(|(_, named)| !named.is_empty()) {
            if let Err(error) = models.choices(&named) {
                let sentence = error.sentence().to_owned();
                wrong.entry(sentence).or_insert((error, BTreeSet::new())).1.insert(agent);
            }
        }
        Ok(wrong.into_values().map(|(error, agents)| told(&error, &agents)).collect())
    }
}

fn told(error: &Error, agents: &BTreeSet<String>) -> Check {
    let named: Vec<String> = agents.iter().take(NAMED_MAX).map(|name| format!("`{name}`")).collect();
    let more = agents.len() - named.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let hint = error.hints().first().cloned().unwrap_or_default();
    Check::bad(NAME, format!("{}{more} cannot run: {}", named.join(", "), error.sentence()), hint)
}

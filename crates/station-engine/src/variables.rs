//! Where a variable's value comes from: the first place that has it wins.
//!
//! `--var`, then the process environment, of whoever queued the run and then of who drives it (only the names a template asks for, and never Station's own secrets), then
//! `variables.yml`; defaults are the file's own and are applied by `core::file::servers`. Nothing here shows a value.

use crate::{Config, Passthrough, Station};
use station_core::file::servers::Unresolved;
use station_core::{EnvironmentId, Result, RunId, Secret};
use std::collections::BTreeMap;

/// Names of Station's own secrets: `--var` and `variables.yml` may define these, the process environment may not.
pub(crate) const OWN: [&str; 5] =
    ["STATION_ENCRYPTION_KEY", "STN_ENCRYPTION_KEY", "STATION_DATABASE", "DATABASE_URL", "STN_AI_API_KEY"];

/// Values that came with a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Brought {
    /// Given with `--var`: before every other place, and for the prompt too.
    pub(crate) given: BTreeMap<String, Secret>,
    /// Of the environment of whoever queued the run, for servers alone.
    pub(crate) carried: BTreeMap<String, Secret>,
}

impl Brought {
    /// What came with `run`.
    pub(crate) async fn with(station: &Station, run: RunId) -> Result<Self> {
        let store = station.store();
        let (given, carried) = (store.run_variables(run).await?, store.carried_variables(run).await?);
        Ok(Self { given, carried })
    }
}

/// The values a template may ask for.
#[derive(Clone, Debug)]
pub(crate) struct Values {
    explicit: BTreeMap<String, Secret>,
    carried: BTreeMap<String, Secret>,
    process: BTreeMap<String, Secret>,
    passthrough: Passthrough,
    stored: BTreeMap<String, Secret>,
}

impl Values {
    /// The values of one environment, with a run's own before them.
    pub(crate) async fn read(
        station: &Station,
        environment: EnvironmentId,
        explicit: BTreeMap<String, Secret>,
    ) -> Result<Self> {
        let stored = station.store().variables(environment).await?;
        Ok(Self::new(station.config(), explicit, stored))
    }

    pub(crate) fn new(
        config: &Config,
        explicit: BTreeMap<String, Secret>,
        stored: BTreeMap<String, Secret>,
    ) -> Self {
        let (process, passthrough) = (config.process.clone(), config.passthrough.clone());
        Self { explicit, carried: BTreeMap::new(), process, passthrough, stored }
    }

    /// With what was carried along from the environment of whoever queued the run: it stands for the process's own.
    pub(crate) fn with_carried(self, carried: BTreeMap<String, Secret>) -> Self {
        Self { carried, ..self }
    }

    pub(crate) fn get(&self, name: &str) -> Option<Secret> {
        self.explicit.get(name).or_else(|| self.of_process(name)).or_else(|| self.stored.get(name)).cloned()
    }

    /// The place a value comes from, in words; `None` where it has none.
    pub(crate) fn place(&self, name: &str) -> Option<&'static str> {
        if self.explicit.contains_key(name) {
            Some("--var")
        } else if self.of_process(name).is_some() {
            Some("process environment")
        } else if self.stored.contains_key(name) {
            Some("variables.yml")
        } else {
            None
        }
    }

    /// Why a server cannot be started, in one sentence: every missing name with its place.
    pub(crate) fn explain(&self, server: &str, unresolved: &Unresolved) -> String {
        match unresolved {
            Unresolved::Missing(missing) => {
                let names: Vec<String> = missing
                    .iter()
                    .map(|it| {
                        let place = format!("{}:{}:{}", it.path, it.at.line, it.at.column);
                        let kept_back = self.process.contains_key(&it.variable)
                            && self.of_process(&it.variable).is_none();
                        let note = if kept_back {
                            ", set in the process environment but not passed through"
                        } else {
                            ""
                        };
                        format!("`{}` ({place}{note})", it.variable)
                    })
                    .collect();
                format!("server `{server}` cannot start: no value for {}", names.join(", "))
            }
            Unresolved::Broken(problems) => {
                let sentences: Vec<String> = problems.iter().map(ToString::to_string).collect();
                format!("server `{server}` cannot start: {}", sentences.join("; "))
            }
        }
    }

    /// The value of the process environment, the caller's before the worker's own.
    pub(crate) fn of_process(&self, name: &str) -> Option<&Secret> {
        let open = match &self.passthrough {
            Passthrough::All => true,
            Passthrough::Only(names) => names.contains(name),
        };
        let own = || self.process.get(name).filter(|_| open && !OWN.contains(&name));
        self.carried.get(name).or_else(own)
    }
}

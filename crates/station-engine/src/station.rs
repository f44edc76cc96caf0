//! The façade: one cheap handle with every verb, in one file per noun.

use crate::budgets::ByHand;
use crate::bus::Bus;
use crate::catalog::Flights;
use crate::deeds::Deeds;
use crate::driving::Driving;
use crate::fresh::Freshness;
use crate::pace::Rates;
use crate::passwords::Passwords;
use crate::pool::Pool;
use crate::reading::Readings;
use crate::refusals::Refusals;
use crate::spend::Measures;
use crate::surface::Surfaces;
use crate::{Config, Watch, at_once};
use station_core::{Concurrency, Micros, Result};
use station_llm::Models;
use station_store::{Options, Store};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Station, open on one store. Cheap to clone; every clone is the same.
#[derive(Clone)]
pub struct Station {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    /// The configuration's limits, by the names of models that rows have.
    at_once: Concurrency,
    store: Store,
    models: Models,
    pool: Pool,
    bus: Bus,
    readings: Readings,
    surfaces: Surfaces,
    freshness: Freshness,
    flights: Flights,
    deeds: Deeds,
    refusals: Refusals,
    passwords: Passwords,
    driving: Driving,
    by_hand: ByHand,
    rates: Rates,
    measures: Measures,
    /// Whether the worker of this process takes runs up.
    is_working: AtomicBool,
}

impl Station {
    /// Opens the store, making or migrating it, with the models that `config` names.
    ///
    /// # Errors
    /// Each way in which a store cannot be opened has its own sentence; nothing is damaged.
    pub async fn open(config: Config) -> Result<Self> {
        let models = Models::new(config.models.clone());
        Self::open_with(config, models).await
    }

    /// Opens the store with `models` of the caller's choosing: a scripted one in tests and benches.
    ///
    /// # Errors
    /// As [`Station::open`].
    pub async fn open_with(config: Config, models: Models) -> Result<Self> {
        let store = Store::open(Options {
            location: config.location.clone(),
            keys: config.keys.clone(),
            lease_clock: config.clock.of_leases(),
        })
        .await?;
        let pool = Pool::new(&config)?.with_logins(store.clone(), config.clock.clone());
        Ok(Self::of(config, store, models, pool))
    }

    /// A Station of parts that were made elsewhere.
    pub(crate) fn of(config: Config, store: Store, models: Models, pool: Pool) -> Self {
        let (bus, readings) = (Bus::default(), Readings::default());
        let (driving, by_hand, rates) = (Driving::default(), ByHand::default(), Rates::default());
        let measures = Measures::default();
        let at_once = at_once::by_full_names(&config.at_once, &models);
        let inner = Inner {
            config,
            at_once,
            store,
            models,
            pool,
            bus,
            readings,
            surfaces: Surfaces::default(),
            freshness: Freshness::default(),
            flights: Flights::default(),
            deeds: Deeds::default(),
            refusals: Refusals::default(),
            passwords: Passwords::default(),
            driving,
            by_hand,
            rates,
            measures,
            is_working: AtomicBool::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Closes every tool server and the store. To be called when nothing is driven any more.
    pub async fn close(&self) {
        self.inner.pool.close().await;
        self.inner.deeds.close().await;
        self.inner.store.close().await;
    }

    /// Closes the store alone, for whoever does not wait: tool servers end with the process, and what is out is as after a kill.
    pub async fn abandon(&self) {
        self.inner.store.close().await;
    }

    /// Watches everything that happens from now on.
    #[must_use]
    pub fn watch(&self) -> Watch {
        self.inner.bus.watch()
    }

    /// Write transactions committed since the store was opened: for figures.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.inner.store.commits()
    }

    /// A number that every change of a definition raises, whoever made it: of environments, agents, servers, tools,
    /// variables and rules.
    ///
    /// # Errors
    /// The store's.
    pub async fn generation(&self) -> Result<i64> {
        self.inner.store.generation().await
    }

    /// How much may be driven at a time.
    pub(crate) fn at_once(&self) -> &Concurrency {
        &self.inner.at_once
    }

    /// What this Station was told.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn models(&self) -> &Models {
        &self.inner.models
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.inner.pool
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    pub(crate) fn readings(&self) -> &Readings {
        &self.inner.readings
    }

    pub(crate) fn surfaces(&self) -> &Surfaces {
        &self.inner.surfaces
    }

    pub(crate) fn freshness(&self) -> &Freshness {
        &self.inner.freshness
    }

    pub(crate) fn flights(&self) -> &Flights {
        &self.inner.flights
    }

    /// What passwords are tried with.
    pub(crate) fn passwords(&self) -> &Passwords {
        &self.inner.passwords
    }

    pub(crate) fn deeds(&self) -> &Deeds {
        &self.inner.deeds
    }

    pub(crate) fn refusals(&self) -> &Refusals {
        &self.inner.refusals
    }

    pub(crate) fn is_working(&self) -> &AtomicBool {
        &self.inner.is_working
    }

    pub(crate) fn since_boot(&self) -> Duration {
        self.inner.config.clock.since_boot()
    }

    pub(crate) fn driving(&self) -> &Driving {
        &self.inner.driving
    }

    pub(crate) fn by_hand(&self) -> &ByHand {
        &self.inner.by_hand
    }

    pub(crate) fn rates(&self) -> &Rates {
        &self.inner.rates
    }

    pub(crate) fn measures(&self) -> &Measures {
        &self.inner.measures
    }

    pub(crate) fn now(&self) -> Micros {
        self.inner.config.clock.now()
    }
}

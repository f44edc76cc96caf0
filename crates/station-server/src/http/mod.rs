//! The HTTP door: one listener for everything.
//!
//! Every request passes one function first (`caller::judge`): it says who asks, or refuses. Then a route takes it in, calls,
//! and wraps. What this is not: it chooses no port and makes no token, both are handed in.

mod api;
mod body;
mod caller;
mod cors;
mod execute;
mod failure;
mod limits;
mod listen;
mod lobby;
mod looks;
mod mcp;
mod measure;
mod metrics;
mod once;
mod peer;
mod plain;
mod resource;
mod slow;
mod tally;
mod tls;

pub use limits::{Bounds, Limits};
pub use lobby::{Door, Stage};
pub use plain::PlainDoor;
pub use resource::Oauth;
pub use tls::{Tls, TlsFiles};

use crate::gateway::Gateway;
use crate::pages;
use crate::tools::{AgentTools, Management};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Method};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use body::Bodies;
use resource::Resource;
use station_core::{Caller, EnvironmentId, EnvironmentName, Secret};
use station_engine::{Metrics, Station};
use station_mcp::serve::{Endpoint, Host};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long an environment that was there is taken to be there: what is asked of one that is gone is refused all the same, in the
/// words of the protocol.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// What the door is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who the local administrator is.
    pub by: Caller,
    /// What a caller brings that is not known by its socket.
    pub token: Secret,
    /// What is behind it.
    pub offers: Offers,
    /// Whether others than this machine reach it: then everybody needs a credential.
    pub is_public: bool,
    /// What anybody may ask of this process: one for all of its ports.
    pub limits: Limits,
    /// What is told at `/metrics`.
    pub metrics: Metrics,
    /// Origins of other sites whose pages may ask, with a key.
    pub origins: Vec<String>,
    /// Whose access tokens are taken; `None` where none are.
    pub oauth: Option<Oauth>,
}

/// What a listener of ours offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offers {
    /// Station itself: its tools, and environments as gateways.
    Station,
    /// Agents: those of an environment as tools, and the addresses by which older scripts run them.
    Agents,
}

/// What every request needs.
pub(crate) struct Site {
    by: Caller,
    token: Secret,
    port: u16,
    /// `http` or `https`.
    scheme: &'static str,
    origins: Vec<String>,
    /// What it is to OAuth, where access tokens are taken.
    resource: Option<Resource>,
    station: Station,
    bodies: Bodies,
    limits: Limits,
    offers: Offers,
    is_public: bool,
    metrics: Metrics,
    /// Cancelled when streams that would not end by themselves are to.
    left: CancellationToken,
    /// Requests with a key, which are done whoever hears of it.
    keyed: TaskTracker,
    management: Management,
    /// What stands at `/mcp`.
    first: Arc<Endpoint>,
    /// Those of environments that somebody asked for: no more than there are environments.
    gateways: Mutex<HashMap<EnvironmentName, Open>>,
}

/// The gateway to an environment.
struct Open {
    id: EnvironmentId,
    endpoint: Arc<Endpoint>,
    /// When the environment was last seen to be there.
    seen_at: Instant,
}

impl Site {
    /// The endpoint of an environment, where there is one.
    async fn gateway(&self, by: &Caller, name: &str) -> Option<Arc<Endpoint>> {
        let name = EnvironmentName::parse(name).ok()?;
        let gateways = || self.gateways.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = gateways().get(&name)
            && open.seen_at.elapsed() < KNOWN_FOR
            && by.sees(open.id)
        {
            return Some(Arc::clone(&open.endpoint));
        }
        let id = self.station.environment_id(by, &name).await.ok()??;
        let made = || Open {
            id,
            endpoint: Arc::new(Endpoint::new(self.host(name.clone()))),
            seen_at: Instant::now(),
        };
        let mut gateways = gateways();
        let open = gateways.entry(name.clone()).or_insert_with(made);
        open.seen_at = Instant::now();
        Some(Arc::clone(&open.endpoint))
    }

    /// What an environment offers here.
    fn host(&self, environment: EnvironmentName) -> Arc<dyn Host> {
        match self.offers {
            Offers::Station => Arc::new(Gateway::new(&self.management, environment)),
            Offers::Agents => Arc::new(AgentTools::new(&self.management, environment)),
        }
    }

    async fn leave(&self) {
        self.keyed.close();
        self.left.cancel();
        self.first.leave().await;
        let gateways = std::mem::take(&mut *self.gateways.lock().unwrap_or_else(PoisonError::into_inner));
        for open in gateways.into_values() {
            open.endpoint.leave().await;
        }
        self.management.leave().await;
    }
}

/// What is behind a listener at `address`, with TLS or without, once Station is open.
fn site(station: &Station, (address, is_tls): (SocketAddr, bool), settings: Settings) -> Arc<Site> {
    let management = Management::new(station.clone());
    let first: Arc<dyn Host> = match settings.offers {
        Offers::Station => Arc::new(management.clone()),
        Offers::Agents => Arc::new(AgentTools::new(&management, EnvironmentName::default())),
    };
    let bounds = settings.limits.bounds().clone();
    let scheme = if is_tls { "https" } else { "http" };
    Arc::new(Site {
        by: settings.by,
        token: settings.token,
        port: address.port(),
        scheme,
        origins: settings.origins,
        resource: settings.oauth.map(|oauth| Resource::new(oauth, format!("{scheme}://{address}"))),
        station: station.clone(),
        bodies: Bodies::new(bounds.body_bytes_max, bounds.body_within),
        limits: settings.limits,
        offers: settings.offers,
        is_public: settings.is_public,
        metrics: settings.metrics,
        left: CancellationToken::new(),
        keyed: TaskTracker::new(),
        management,
        first: Arc::new(Endpoint::new(first)),
        gateways: Mutex::default(),
    })
}

fn router(site: &Arc<Site>) -> Router {
    let (router, there_is) = match site.offers {
        Offers::Station => {
            let routes = api::routes().merge(pages::routes());
            (routes.route(metrics::PATH, get(metrics::get)), api::WHAT_THERE_IS)
        }
        Offers::Agents => (execute::routes(), execute::WHAT_THERE_IS),
    };
    router
        .route("/mcp", axum::routing::post(mcp::post).get(mcp::get).delete(mcp::delete))
        .route("/mcp/env/{name}", axum::routing::post(mcp::post).get(mcp::get).delete(mcp::delete))
        .route(resource::PATH, get(resource::get))
        .route(&format!("{}/{{*path}}", resource::PATH), get(resource::get))
        .fallback(async move |headers: HeaderMap| failure::nothing(&headers, there_is))
        .method_not_allowed_fallback(async move |method: Method, headers: HeaderMap| {
            failure::another_method(&method, &headers, there_is)
        })
        .layer(DefaultBodyLimit::max(site.limits.bounds().body_bytes_max))
        .layer(from_fn_with_state(Arc::clone(site), limits::bound_caller))
        .layer(from_fn_with_state(Arc::clone(site), caller::admit))
        .layer(from_fn_with_state(Arc::clone(site), limits::bound))
        .layer(from_fn_with_state(Arc::clone(site), cors::tell))
        // Around everything, so that refusals are counted too.
        .layer(axum::middleware::from_fn(measure::measured))
        .with_state(Arc::clone(site))
}

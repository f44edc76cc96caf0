//! What stands before everything else at a port: `/health` and `/ready` are answered from the moment it is open, and whoever wants
//! more is let in as soon as Station is.
//!
//! A store that is slow to open, or a tool server that never answers, so keeps nobody from hearing that this process lives. Both
//! answer without credentials, and say nothing of what is here but whether it works.

use super::looks::Looks;
use super::tls::Tls;
use super::{Settings, failure, listen, router, site};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{from_fn, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value, json};
use station_core::{Error, Kind};
use station_engine::{Readiness, Station};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tower::ServiceExt as _;

/// How long answers that are under way are waited for at the end.
const END_WITHIN: Duration = Duration::from_secs(3);

/// How far this process is, told at all of its ports alike.
#[derive(Clone, Default)]
pub struct Stage(Arc<Mutex<At>>, Looks);

#[derive(Clone, Default)]
enum At {
    /// The store is being opened.
    #[default]
    Starting,
    /// It works.
    Serving(Station),
    /// It was told to stop: what is under way is finished, and nothing new is begun.
    Draining,
}

impl Stage {
    fn at(&self) -> At {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, at: At) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// The word for where it is, and what it needs to work.
    async fn ready(&self) -> (&'static str, Readiness) {
        match self.at() {
            At::Starting => ("starting", Readiness::default()),
            At::Draining => ("draining", Readiness::default()),
            At::Serving(station) => {
                let readiness = self.1.share(&station).await;
                (if readiness.is_whole() { "ready" } else { "not_ready" }, readiness)
            }
        }
    }
}

/// A port that is open, whether or not anything is behind it yet.
pub struct Door {
    lobby: Arc<Lobby>,
    address: SocketAddr,
    is_tls: bool,
    /// Cancelled when nobody is to be answered any more.
    end: CancellationToken,
    accepting: AbortOnDropHandle<()>,
}

struct Lobby {
    stage: Stage,
    /// What is behind it, once Station is open.
    behind: OnceLock<Router>,
}

impl Door {
    /// Answers at `listener` from now on, over TLS where that is given.
    #[must_use]
    pub fn open(listener: TcpListener, stage: &Stage, tls: Option<Arc<Tls>>) -> Self {
        let address = listener.local_addr().unwrap_or((Ipv4Addr::UNSPECIFIED, 0).into());
        let lobby = Arc::new(Lobby { stage: stage.clone(), behind: OnceLock::new() });
        let inside = Router::new().fallback(let_in).with_state(Arc::clone(&lobby));
        let is_tls = tls.is_some();
        let door = |inside: Router| {
            let router = dressed(probes(stage).merge(inside));
            if is_tls { router.layer(map_response(secured)) } else { router }
        };
        let routes = listen::Routes { all: door(inside), spare: door(Router::new().fallback(full)) };
        let end = CancellationToken::new();
        let accepting = listen::open(listener, routes, tls, end.clone());
        Self { lobby, address, is_tls, end, accepting }
    }

    /// Has `station` behind the door until `stop`; until `end` it says that it stops, and what is under way is finished.
    pub async fn serve(
        mut self,
        station: &Station,
        settings: Settings,
        stop: CancellationToken,
        end: CancellationToken,
    ) {
        let site = site(station, (self.address, self.is_tls), settings);
        self.lobby.behind.get_or_init(|| router(&site));
        self.lobby.stage.set(At::Serving(station.clone()));
        stop.cancelled().await;
        self.lobby.stage.set(At::Draining);
        tokio::join!(site.leave(), end.cancelled());
        self.end.cancel();
        // A connection that is merely open need not be waited for.
        let ended = async { tokio::join!(&mut self.accepting, site.keyed.wait()) };
        if tokio::time::timeout(END_WITHIN, ended).await.is_err() {
            tracing::debug!("answers were under way when the time was over");
        }
    }
}

/// What browsers are told about every answer: it is what its type says, nobody keeps it, no page frames it, and nothing in it is run.
const HARDENED: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // No page of another site embeds it; one that `cors.origins` names asks for it instead.
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
];

/// For browsers that came by TLS: they come by it again for a year, whatever a link says (RFC 6797).
const BY_TLS_ALONE: HeaderValue = HeaderValue::from_static("max-age=31536000");

async fn secured(mut response: Response) -> Response {
    response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, BY_TLS_ALONE);
    response
}

/// Whether we live, and whether we work.
pub(super) fn probes(stage: &Stage) -> Router {
    Router::new().route("/health", get(health)).route("/ready", get(ready)).with_state(stage.clone())
}

/// What is around everything at a port.
pub(super) fn dressed(router: Router) -> Router {
    router.layer(map_response(hardened)).layer(from_fn(failure::named))
}

async fn hardened(mut response: Response) -> Response {
    for (name, value) in HARDENED {
        // What says more of itself is right.
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn health() -> Response {
    told(StatusCode::OK, &json!({ "status": "ok" }))
}

async fn ready(State(stage): State<Stage>) -> Response {
    let (status, readiness) = stage.ready().await;
    let parts = readiness.parts().into_iter();
    match status {
        "ready" => {
            let checks: Map<String, Value> =
                parts.map(|(name, is_there)| (name.to_owned(), is_there.into())).collect();
            told(StatusCode::OK, &json!({ "status": status, "checks": checks }))
        }
        "draining" => later(&json!({ "status": status })),
        _ => {
            let missing: Vec<&str> = parts.filter(|(_, is_there)| !is_there).map(|(name, _)| name).collect();
            later(&json!({ "status": status, "missing": missing }))
        }
    }
}

async fn let_in(State(lobby): State<Arc<Lobby>>, request: Request) -> Response {
    match (lobby.stage.at(), lobby.behind.get()) {
        (At::Serving(_), Some(behind)) => match behind.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        (At::Draining, _) => not_now(
            &request,
            "Station is stopping, and begins nothing new",
            "ask another instance, or this one once it was started again",
        ),
        _ => not_now(
            &request,
            "Station is starting, and its store is not open yet",
            "ask again shortly; /ready says when it is",
        ),
    }
}

/// Everything but probes, where all places are taken.
pub(super) async fn full(request: Request) -> Response {
    not_now(&request, "all connections are in use", "try again shortly")
}

fn not_now(request: &Request, sentence: &str, hint: &str) -> Response {
    let error = Error::new(Kind::Busy, sentence).with_hint(hint);
    failure::refused(request.headers(), StatusCode::SERVICE_UNAVAILABLE, &error)
}

/// Not now, and when to come again.
fn later(report: &Value) -> Response {
    let mut response = told(StatusCode::SERVICE_UNAVAILABLE, report);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn told(status: StatusCode, report: &Value) -> Response {
    let head = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (status, head, format!("{report}\n")).into_response()
}

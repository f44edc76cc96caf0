//! `stn serve`

use crate::config::Ports;
use crate::error::{Code, Failure, Result};
use crate::out::Tone;
use crate::session::{Session, make_folder};
use station_core::Error;
use station_engine::{Metrics, Station};
use station_server::http::{self, Door, Oauth, Offers, PlainDoor, Stage, Tls};
use std::io::{self, IsTerminal as _};
use std::net::IpAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Work off the queue until told to stop
///
/// Drives what `stn agent run --detach` put in the queue, and takes up runs whose process is gone. Several may share one
/// store. Ctrl-C or SIGTERM stops it: nothing new is begun, requests to models are dropped and asked again by the next
/// worker, calls that are out are waited for as long as `execution.drain_s` says, and no run is left as running. A second
/// Ctrl-C ends it at once, as if it were killed. Server files may ask for variables of this process's environment only where `env_passthrough` or STN_ENV_PASSTHROUGH names
/// them. Faults are told on stderr; STN_LOG_LEVEL or `log_level` (error, warn, info, debug, or levels by module: `info,station_mcp=debug`)
/// says how much, and is read again at SIGHUP; STN_LOG_FORMAT or `log_format` says `json` for one object on each line.
///
/// It serves HTTP on 127.0.0.1:8585 (STN_API_HOST and STN_API_PORT, `api_host` and `api_port`): the API at `/api/v1`, Station's MCP
/// tools at `/mcp`, the tools of an environment's servers at `/mcp/env/<name>`. With STN_MCP_PORT (`mcp_port`) that port serves the same, and the next one agents: those of
/// `default` as MCP tools at `/mcp`, of another environment at `/mcp/env/<name>`, and `POST /execute`, `GET /runs/{id}`. While
/// there is no user (`stn user`), a program of the same user of the system needs no credentials, and others send the token of the
/// file `api-token` in the configuration folder; then everybody sends an API key. Another address than this machine's own is served
/// only where there is a user; STN_ADMIN_KEY_FILE or STN_ADMIN_KEY makes the first. `/health` and `/ready` answer anybody: whether it lives, from the first moment on, and whether it can do its work.
/// `/metrics` tells Prometheus, without a credential on this machine's own address, what is counted and timed.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Runs driven at a time, instead of `execution.workers`
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    workers: Option<u32>,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        let mut serve = session.settings.serve();
        serve.workers = self.workers.unwrap_or(serve.workers);
        // Before the store is opened: that this process lives is heard from the first moment on.
        let stage = Stage::default();
        let ports = session.settings.ports()?;
        // What TLS is made of, and whose tokens are taken, is read before anybody is listened to.
        let tls = session.settings.tls()?;
        let oauth = session.settings.oauth(ports.host)?;
        let (doors, _plain) = listen(session, &stage, &ports, tls.as_ref()).await?;
        let ways = ways(session, doors, ports.host, oauth.as_ref())?;
        let _following = tls.clone().map(Tls::follow_files);
        session
            .with(async |station| {
                if !ways.is_empty() {
                    let_in(session, station, ports.host).await?;
                }
                let stop = CancellationToken::new();
                // Before anybody is told that it works.
                let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
                let hangups = (signal(SignalKind::hangup()), io::stderr().is_terminal());
                let sending = session.send_measures(station)?;
                let sockets = station.open_sockets().await;
                if let Some(reason) = sockets.unavailable() {
                    let told =
                        format!("Without a socket ({reason}): what models say is not followed, and other commands may be heard a second later.");
                    session.out.note(Tone::Plain, &told);
                }
                session.out.note(Tone::Good, &format!("Working with {} slots; Ctrl-C stops.", serve.workers));
                let end = CancellationToken::new();
                let served = tokio::try_join!(
                    async {
                        let served = station.serve(&serve, stop.clone()).await;
                        stop.cancel();
                        // Whoever follows a run has heard what became of it.
                        end.cancel();
                        Ok(served?)
                    },
                    async {
                        sockets.answer(station, stop.clone(), end.clone()).await;
                        Ok(())
                    },
                    told_to_stop(session, signals, &stop, &end),
                    heed_hangups(session, hangups, (&stop, &end)),
                    serve_http(station, ways, (&stop, &end)),
                );
                if let Some(sending) = sending {
                    sending.close().await;
                }
                served?;
                Ok(Code::Done)
            })
            .await
    }
}

/// A way in, and what is behind it.
type Way = (Door, http::Settings);

/// What is behind each door that is open.
fn ways(
    session: &Session<'_>,
    doors: Vec<(Door, Offers)>,
    host: IpAddr,
    oauth: Option<&Oauth>,
) -> Result<Vec<Way>> {
    if doors.is_empty() {
        return Ok(Vec::new());
    }
    // The token goes in there, and the store that would make the folder is not open yet.
    make_folder(&session.settings.folder)?;
    let token = session.settings.api_token()?;
    let limits = http::Limits::new(session.settings.http_bounds());
    let metrics = session.metrics.clone().map_or_else(Metrics::new, Ok)?;
    let behind = |offers| http::Settings {
        by: session.by.clone(),
        token: token.clone(),
        offers,
        is_public: !host.is_loopback(),
        limits: limits.clone(),
        metrics: metrics.clone(),
        origins: session.settings.config.cors_origins.clone(),
        // One for all doors: so are the keys of its issuer.
        oauth: oauth.cloned(),
    };
    Ok(doors.into_iter().map(|(door, offers)| (door, behind(offers))).collect())
}

/// Listens for HTTP. Where nobody chose a port and the usual one is taken, this worker does without: several may share a
/// machine.
async fn listen(
    session: &Session<'_>,
    stage: &Stage,
    ports: &Ports,
    tls: Option<&Arc<Tls>>,
) -> Result<(Vec<(Door, Offers)>, Option<PlainDoor>)> {
    let mut listeners = Vec::new();
    match bind(ports.host, ports.api).await {
        Ok(listener) => listeners.push((listener, Offers::Station)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && !ports.api_is_chosen => {
            session.out.warning(&format!("port {} is taken: this worker serves no HTTP", ports.api));
            session.out.hint("STN_API_PORT chooses another port; 0 lets the system choose");
        }
        Err(error) => return Err(not_listened(ports.api, "STN_API_PORT", error)),
    }
    if let Some(mcp) = ports.mcp {
        let next = ports.after_mcp(mcp)?;
        if mcp != ports.api || mcp == 0 {
            let listener =
                bind(ports.host, mcp).await.map_err(|error| not_listened(mcp, "STN_MCP_PORT", error))?;
            listeners.push((listener, Offers::Station));
        }
        let listener =
            bind(ports.host, next).await.map_err(|error| not_listened(next, "STN_MCP_PORT", error))?;
        listeners.push((listener, Offers::Agents));
    }
    let (mut doors, mut first) = (Vec::new(), None);
    for (listener, offers) in listeners {
        let address = listener.local_addr().map_err(|cause| Error::internal("listening", cause))?;
        let what = match offers {
            Offers::Station => "MCP at /mcp",
            Offers::Agents => "agents as MCP tools at /mcp, POST /execute, GET /runs/{id}",
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        session.out.note(Tone::Plain, &format!("Listening on {scheme}://{address}: {what}."));
        doors.push((Door::open(listener, stage, tls.cloned()), offers));
        first.get_or_insert(address.port());
    }
    let plain = match (session.settings.config.tls.redirect_port, first) {
        (Some(port), Some(to)) => Some(listen_plainly(session, stage, (ports.host, port), to).await?),
        _ => None,
    };
    Ok((doors, plain))
}

/// Listens without TLS, to send whoever comes to the port `to`.
async fn listen_plainly(
    session: &Session<'_>,
    stage: &Stage,
    (host, port): (IpAddr, u16),
    to: u16,
) -> Result<PlainDoor> {
    let listener =
        bind(host, port).await.map_err(|error| not_listened(port, "`tls.redirect_port`", error))?;
    let address = listener.local_addr().map_err(|cause| Error::internal("listening", cause))?;
    let what = format!("/health and /ready, and the way to port {to}");
    session.out.note(Tone::Plain, &format!("Listening on http://{address}: {what}."));
    Ok(PlainDoor::open(listener, stage, to))
}

async fn bind(host: IpAddr, port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((host, port)).await
}

/// Makes the first administrator where the operator gave its key, and refuses to be reached from elsewhere by nobody that is known.
async fn let_in(session: &Session<'_>, station: &Station, host: IpAddr) -> Result<()> {
    if let Some(key) = session.settings.admin_key()?
        && station.adopt_admin_key(&key).await?
    {
        session.out.note(Tone::Good, "Made user `admin` with the key that was given; only its hash is kept.");
    }
    if host.is_loopback() || station.has_users().await? {
        return Ok(());
    }
    Err(Error::invalid(format!("HTTP on {host} would be open to others, and there is no user yet"))
        .with_hint("make the first: `stn user create <name> --admin` (`--invite` prints a link for it), or give its key in STN_ADMIN_KEY_FILE")
        .with_hint("or serve this machine alone: `api_host: 127.0.0.1`")
        .into())
}

fn not_listened(port: u16, name: &str, error: io::Error) -> Failure {
    let sentence = format!("port {port} cannot be listened on: {}", error.kind());
    Error::invalid(sentence)
        .with_cause(error)
        .with_hint(format!("{name}, or config.yaml, chooses another"))
        .into()
}

/// Serves HTTP until the first, and says that it stops until the second.
async fn serve_http(
    station: &Station,
    ways: Vec<Way>,
    (stop, end): (&CancellationToken, &CancellationToken),
) -> Result<()> {
    let served =
        ways.into_iter().map(|(door, settings)| door.serve(station, settings, stop.clone(), end.clone()));
    futures::future::join_all(served).await;
    Ok(())
}

/// Reads the levels of the log again at each SIGHUP, until the end. With a terminal it says that the terminal is gone, and stops
/// everything. Where it cannot be received, it says nothing of the log.
async fn heed_hangups(
    session: &Session<'_>,
    (hangups, has_terminal): (io::Result<Signal>, bool),
    (stop, end): (&CancellationToken, &CancellationToken),
) -> Result<()> {
    let (Ok(mut hangups), Some(log)) = (hangups, &session.log) else { return Ok(()) };
    while tokio::select! {
        hangup = hangups.recv() => hangup.is_some(),
        () = end.cancelled() => false,
    } {
        if has_terminal {
            stop.cancel();
            return Ok(());
        }
        match session.settings.reread().and_then(|settings| log.change(&settings)) {
            Ok(levels) => session.out.note(Tone::Plain, &format!("The log tells {levels} from now on.")),
            Err(error) => session.out.warning(&format!("the log stays as it is: {error}")),
        }
    }
    Ok(())
}

async fn told_to_stop(
    session: &Session<'_>,
    signals: (io::Result<Signal>, io::Result<Signal>),
    stop: &CancellationToken,
    end: &CancellationToken,
) -> Result<()> {
    let (Ok(mut interrupts), Ok(mut terminations)) = signals else {
        session.out.warning("signals cannot be received here: only SIGKILL stops this process");
        end.cancelled().await;
        return Ok(());
    };
    tokio::select! {
        _ = interrupts.recv() => {}
        _ = terminations.recv() => {}
        () = stop.cancelled() => return Ok(()),
    }
    session.out.note(Tone::Plain, "Stopping: nothing new is begun; calls that are out are waited for.");
    stop.cancel();
    // Whoever is in a hurry: what is out then is unknown, as after a kill.
    tokio::select! {
        _ = interrupts.recv() => Err(Failure::Interrupted),
        () = end.cancelled() => Ok(()),
    }
}

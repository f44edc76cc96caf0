//! `stn stdio`

use crate::error::{Code, Result};
use crate::named::environment_ref;
use crate::session::Session;
use station_core::Error;
use station_engine::EnvironmentRef;
use station_mcp::serve::{Host, serve_stdio};
use station_server::gateway::Gateway;
use station_server::tools::Management;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Serve Station's own tools over MCP on standard input and output
///
/// For MCP clients, which start this command: it offers thirteen tools that manage and run agents, in every revision of the
/// protocol from 2024-11-05 to 2026-07-28. Nothing but protocol is on stdout; faults are told on stderr. It ends when its
/// standard input does. It works off no queue and listens nowhere: runs that it was asked for are handed to a worker
/// (`stn serve`) where one is there, and driven here otherwise; those that go on when it ends are given back to the queue.
///
/// With `--env` it is a gateway: the tools of the environment's servers under one roof, through the same rules as those of runs,
/// each call in the audit.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Serve the tools of this environment's servers instead of Station's own, as one server
    #[arg(long, value_name = "ENV", value_parser = environment_ref)]
    env: Option<EnvironmentRef>,
    /// Take what the Station that starts this hands over
    #[arg(long, hide = true, conflicts_with = "env")]
    pub(crate) handed: bool,
}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                let by = session.caller(station).await?;
                let management = Arc::new(Management::new(station.clone()));
                let host: Arc<dyn Host> = match self.env {
                    Some(named) => {
                        let environment = station.environment(&by, &named).await?;
                        Arc::new(Gateway::new(&management, environment.name))
                    }
                    None => Arc::clone(&management) as _,
                };
                let (input, output) = session.out.protocol();
                let serve = serve_stdio(host, by, input, output);
                let served = tokio::select! {
                    served = serve => served,
                    () = told_to_stop() => Ok(()),
                };
                management.leave().await;
                served.map_err(|cause| Error::internal("reading standard input", cause))?;
                Ok(Code::Done)
            })
            .await
    }
}

/// Waits for a signal that means the end; where none can be received, the end of the input is the only one.
async fn told_to_stop() {
    let (Ok(mut interrupts), Ok(mut terminations)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupts.recv() => {}
        _ = terminations.recv() => {}
    }
}

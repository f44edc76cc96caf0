//! `stn stdio`

use crate::error::{Code, Result};
use crate::session::Session;
use station_core::Error;
use station_mcp::serve::serve_stdio;
use station_server::tools::Management;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};

/// Serve Station's own tools over MCP on standard input and output
///
/// For MCP clients, which start this command: it offers thirteen tools that manage and run agents, in every revision of the
/// protocol from 2024-11-05 to 2026-07-28. Nothing but protocol is on stdout; faults are told on stderr. It ends when its
/// standard input does. It works off no queue and listens nowhere: runs that it was asked for are handed to a worker
/// (`stn serve`) where one is there, and driven here otherwise; those that go on when it ends are given back to the queue.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

impl Args {
    pub(crate) async fn run(self, session: &Session<'_>) -> Result {
        session
            .with(async |station| {
                let management = Arc::new(Management::new(station.clone()));
                let (input, output) = session.out.protocol();
                let serve = serve_stdio(Arc::clone(&management) as _, session.by.clone(), input, output);
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

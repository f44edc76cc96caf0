//! The transport that is given to rmcp: a thin face of the link.

use super::link::Link;
use rmcp::RoleClient;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::Transport;
use std::io;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The transport.
pub(in super::super) struct Wire {
    pub(super) link: Arc<Link>,
    pub(super) incoming: mpsc::Receiver<ServerJsonRpcMessage>,
}

impl Wire {
    /// What its requests share.
    pub(in super::super) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }
}

impl Transport<RoleClient> for Wire {
    type Error = io::Error;

    fn send(
        &mut self,
        message: ClientJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        let link = Arc::clone(&self.link);
        async move {
            let sent = Arc::clone(&link).send(&message).await;
            link.traffic.note_sent(&message);
            sent
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        // What was read is handed out first, also where the connection ended behind it.
        tokio::select! {
            biased;
            message = self.incoming.recv() => message,
            () = self.link.closing.cancelled() => None,
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.link.closing.cancel();
        Ok(())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.link.closing.cancel();
    }
}

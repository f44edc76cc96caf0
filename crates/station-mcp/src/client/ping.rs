//! Asking a server whether it is still there.

use super::Connection;
use rmcp::ServiceError;
use rmcp::model::{ClientRequest, DiscoverRequest, PingRequest};
use rmcp::service::PeerRequestOptions;
use station_core::Era;
use std::time::Duration;

impl Connection {
    /// Whether the server answers anything at all within `timeout`. A refusal is an answer, too.
    pub async fn answers(&self, timeout: Duration) -> bool {
        let asked = async {
            let options = PeerRequestOptions::no_options();
            self.inner
                .peer
                .send_request_with_option(self.sign_of_life(), options)
                .await?
                .await_response()
                .await
        };
        matches!(
            tokio::time::timeout(timeout, asked).await,
            Ok(Ok(_) | Err(ServiceError::McpError(_) | ServiceError::UnexpectedResponse))
        )
    }

    /// The cheapest request that every server of its era knows: the modern one has no ping any more.
    fn sign_of_life(&self) -> ClientRequest {
        match self.inner.era {
            Era::Legacy => ClientRequest::PingRequest(PingRequest::default()),
            Era::Modern => ClientRequest::DiscoverRequest(DiscoverRequest::default()),
        }
    }
}
